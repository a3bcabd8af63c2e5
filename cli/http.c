#include "cli/http.h"

#include <string.h>
#include <strings.h>

#include "shared/base/alloc.h"

enum { ANSWER_MAX = 64 * 1024 * 1024, CALL_MS = 60000, SILENCE_S = 60 };

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)

void http_reply_done(struct http_reply *reply)
{
    buffer_done(&reply->body);
    *reply = (struct http_reply){0};
}

static size_t on_answer(char *data, size_t size, size_t n, void *user)
{
    struct http_reply *reply = user;

    if (reply->body.size + size * n > ANSWER_MAX)
        return 0;
    buffer_add(&reply->body, data, size * n);
    return size * n;
}

/* "Name: value\r\n": the value when the name is that. */
static bool take_header(const char *line, size_t size, const char *name, char *ret_value,
                        size_t room)
{
    size_t length = strlen(name);

    if (size <= length || strncasecmp(line, name, length) != 0 || line[length] != ':')
        return false;
    const char *value = line + length + 1;
    const char *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (unsigned char)end[-1] <= ' ')
        end--;
    if ((size_t)(end - value) >= room)
        return false;
    memcpy(ret_value, value, (size_t)(end - value));
    ret_value[end - value] = '\0';
    return true;
}

/* Digits only: what is a date (RFC 9110, section 10.2.3) counts as unsaid. */
static unsigned seconds_of(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits && digits < 7 && !text[digits] ? (unsigned)strtoul(text, NULL, 10) : 0;
}

/* A cursor becomes part of a path. */
static bool is_cursor(const char *text)
{
    return text[0] && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-_.~%=:")];
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    struct http_reply *reply = user;
    char value[32];

    size *= n;
    if (size > 12 && strncmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', size);
        reply->status = space ? strtol(space, NULL, 10) : 0;
    } else if (take_header(line, size, "Retry-After", value, sizeof(value))) {
        reply->retry_after = seconds_of(value);
    } else if (take_header(line, size, "Coffer-Next-Cursor", reply->next_cursor,
                           sizeof(reply->next_cursor))) {
        if (!is_cursor(reply->next_cursor))
            reply->next_cursor[0] = '\0';
    } else if (!take_header(line, size, "ETag", reply->etag, sizeof(reply->etag)) &&
               !take_header(line, size, "Date", reply->date, sizeof(reply->date))) {
        take_header(line, size, "Content-Type", reply->content_type, sizeof(reply->content_type));
    }
    return size;
}

static struct curl_slist *add_line(struct curl_slist *list, const char *name, const char *value)
{
    _cleanup_buffer_ struct buffer line = {0}; /* wiped: it may be the key */

    if (!value)
        return list;
    buffer_printf(&line, "%s%s", name, value);
    return curl_slist_append(list, buffer_text(&line));
}

static struct curl_slist *make_headers(const struct http_peer *peer,
                                       const struct http_request *request)
{
    struct curl_slist *list =
        add_line(NULL, peer->admin ? "x-api-key: " : "Authorization: Bearer ", peer->key);

    list = add_line(list, "Accept: ", request->accept);
    list = add_line(list, "Idempotency-Key: ", request->idempotency_key);
    list = add_line(list, "Last-Event-ID: ", request->last_event_id);
    list = add_line(list, "If-Match: ", request->if_match);
    if (request->body)
        list = add_line(list, "Content-Type: ", "application/json");
    return curl_slist_append(list, "Expect:");
}

/* libcurl keeps copies of the lines, the key's among them. */
static void wipe_headers(struct curl_slist *const *list)
{
    for (struct curl_slist *at = *list; at; at = at->next)
        OPENSSL_cleanse(at->data, strlen(at->data));
    curl_slist_free_all(*list);
}

static CURL *make_request(const struct http_peer *peer, const struct http_request *request)
{
    CURL *curl = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("%s%s", peer->url, request->path);

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "coffer/" COFFER_VERSION);
    if (peer->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, peer->ca);
    if (request->body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    return curl;
}

/* A stream may last, but not in silence: the gateway sends a comment every few seconds. */
static void set_limits(CURL *curl, bool stream)
{
    if (stream) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    } else {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)CALL_MS);
    }
}

static bool is_broken(CURLcode result)
{
    return result == CURLE_GOT_NOTHING || result == CURLE_RECV_ERROR ||
           result == CURLE_SEND_ERROR || result == CURLE_PARTIAL_FILE;
}

/* What may help when nobody answers. */
static const char *hint_of(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "is the URL right? coffer context show prints it, coffer doctor looks closer";
    case CURLE_COULDNT_CONNECT:
        return "is the URL right, and the gateway up? coffer doctor looks closer";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return "coffer login --ca FILE stores an authority of your own; coffer doctor looks closer";
    case CURLE_OPERATION_TIMEDOUT:
        return "it may still happen: look before you say it again";
    default:
        return "coffer doctor looks closer";
    }
}

static struct error *error_of(const struct http_peer *peer, CURLcode result)
{
    return error_new(ERROR_UNAVAILABLE, "gateway '%s': %s\n  try: %s", peer->url,
                     curl_easy_strerror(result), hint_of(result));
}

struct ticking {
    bool (*on_tick)(void *user);
    void *user;
};

static int on_progress(void *data, _unused_ curl_off_t total, _unused_ curl_off_t now,
                       _unused_ curl_off_t upload_total, _unused_ curl_off_t upload_now)
{
    const struct ticking *ticking = data;

    return ticking->on_tick(ticking->user) ? 0 : 1;
}

static void set_ticking(CURL *curl, struct ticking *ticking)
{
    if (!ticking->on_tick)
        return;
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, ticking);
}

struct error *http_exchange(const struct http_peer *peer, const struct http_request *request,
                            http_write_fn write, void *user, struct http_reply *ret_reply)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = make_request(peer, request);
    _cleanup_(wipe_headers) struct curl_slist *headers = make_headers(peer, request);
    struct ticking ticking = {request->on_tick, user};

    http_reply_done(ret_reply);
    set_ticking(curl, &ticking);
    set_limits(curl, write != NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, ret_reply);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write ?: on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, write ? user : ret_reply);
    CURLcode result = curl_easy_perform(curl);
    ret_reply->broken = is_broken(result);
    return result == CURLE_OK ? NULL : error_of(peer, result);
}
