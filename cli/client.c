#include "cli/client.h"

#include <curl/curl.h>

#include "cli/sse.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/file.h"

enum { ANSWER_MAX = 64 * 1024 * 1024, KEY_MAX = 4096 };

struct client {
    char *url;
    char *key;
    bool admin; /* the key is an operator's */
};

static struct error *setting(const char *variable, const char *file, char **ret_text)
{
    const char *value = getenv(variable);
    const char *home = getenv("HOME");

    if (value && value[0]) {
        *ret_text = xstrdup(value);
        return NULL;
    }
    _cleanup_free_ char *path = xasprintf("%s/.config/coffer/%s", home ?: "", file);
    struct error *err = file_read_text(path, KEY_MAX, ret_text);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return error_new(ERROR_FAILED_PRECONDITION, "set %s, or write it to '%s'", variable, path);
}

static struct error *read_admin_key(const char *path, struct client *client)
{
    client->admin = true;
    return error_wrap(file_read_text(path, KEY_MAX, &client->key), "operator's key");
}

/* key_file NULL: the account's key. */
static struct error *open_with(const char *key_file, struct client **ret_client)
{
    _cleanup_(client_freep) struct client *client = xnew(struct client);
    struct error *err = setting("COFFER_API_URL", "url", &client->url);

    if (!err)
        err = key_file ? read_admin_key(key_file, client)
                       : setting("COFFER_API_KEY", "api-key", &client->key);
    if (err)
        return err;
    for (size_t n = strlen(client->url); n && client->url[n - 1] == '/'; n--)
        client->url[n - 1] = '\0';
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_new(ERROR_INTERNAL, "libcurl does not start");
    *ret_client = TAKE_PTR(client);
    return NULL;
}

struct error *client_open(struct client **ret_client)
{
    return open_with(NULL, ret_client);
}

struct error *client_open_admin(const char *key_file, bool required, struct client **ret_client)
{
    const char *path = key_file ?: getenv("COFFER_ADMIN_KEY_FILE");

    if (path && path[0])
        return open_with(path, ret_client);
    if (required)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "this is for operators: give --admin-key-file, or set "
                         "COFFER_ADMIN_KEY_FILE to the file with the operator's key");
    return open_with(NULL, ret_client);
}

void client_free(struct client *client)
{
    if (!client)
        return;
    if (client->key)
        OPENSSL_cleanse(client->key, strlen(client->key));
    free(client->key);
    free(client->url);
    free(client);
}

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)

static size_t on_answer(char *data, size_t size, size_t n, void *user)
{
    struct buffer *answer = user;

    if (answer->size + size * n > ANSWER_MAX)
        return 0;
    buffer_add(answer, data, size * n);
    return size * n;
}

static struct curl_slist *make_headers(const struct client *client, const char *accept)
{
    _cleanup_buffer_ struct buffer line = {0};
    struct curl_slist *headers = NULL;

    buffer_printf(&line, "%s%s", client->admin ? "x-api-key: " : "Authorization: Bearer ",
                  client->key);
    headers = curl_slist_append(headers, buffer_text(&line));
    headers = curl_slist_append(headers, accept);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    return curl_slist_append(headers, "Expect:");
}

static CURL *make_request(const struct client *client, const char *method, const char *path)
{
    CURL *curl = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("%s%s", client->url, path);

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "coffer/" COFFER_VERSION);
    return curl;
}

static void add_finding(struct buffer *text, const json_t *finding)
{
    static const char *const parts[] = {"where", "what", "why", "fix"};
    static const char *const before[] = {"\n  ", ": ", "\n      why: ", "\n      fix: "};

    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        const char *part = json_string_value(json_object_get(finding, parts[i]));
        if (part && part[0])
            buffer_printf(text, "%s%s", before[i], part);
    }
}

static enum error_code code_of_status(long status)
{
    switch (status) {
    case 400:
        return ERROR_INVALID_ARGUMENT;
    case 401:
        return ERROR_UNAUTHENTICATED;
    case 403:
        return ERROR_PERMISSION_DENIED;
    case 404:
        return ERROR_NOT_FOUND;
    case 409:
        return ERROR_ALREADY_EXISTS;
    case 412:
        return ERROR_FAILED_PRECONDITION;
    case 429:
    case 503:
        return ERROR_RESOURCE_EXHAUSTED;
    case 502:
    case 504:
        return ERROR_UNAVAILABLE;
    default:
        return ERROR_INTERNAL;
    }
}

static struct error *error_of_answer(long status, const struct buffer *answer)
{
    _cleanup_(json_decrefp) json_t *json = json_loadb(buffer_text(answer), answer->size, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "error"));
    const char *kind = json_string_value(json_object_get(json, "kind"));
    _cleanup_buffer_ struct buffer all = {0};
    const json_t *finding;
    size_t i;

    buffer_printf(&all, "%s", text ?: "the gateway gave no reason");
    buffer_printf(&all, " (%s, HTTP %ld)", kind ?: "no kind", status);
    json_array_foreach(json_object_get(json, "findings"), i, finding) add_finding(&all, finding);
    return error_new(code_of_status(status), "%s", buffer_text(&all));
}

static char *kind_of(const struct buffer *answer)
{
    _cleanup_(json_decrefp) json_t *json = json_loadb(buffer_text(answer), answer->size, 0, NULL);

    return xstrdup(json_string_value(json_object_get(json, "kind")));
}

static struct error *perform(CURL *curl, const struct buffer *answer)
{
    CURLcode result = curl_easy_perform(curl);
    long status = 0;

    if (result != CURLE_OK)
        return error_new(ERROR_UNAVAILABLE, "gateway: %s", curl_easy_strerror(result));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status < 300 ? NULL : error_of_answer(status, answer);
}

void client_headers_done(struct client_headers *headers)
{
    free(TAKE_PTR(headers->etag));
    free(TAKE_PTR(headers->next_cursor));
    free(TAKE_PTR(headers->kind));
}

/* A response header, one line at a time, with its end of line. */
static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    struct client_headers *headers = user;
    const struct {
        const char *name;
        char **into;
    } rows[] = {{"ETag:", &headers->etag}, {"Coffer-Next-Cursor:", &headers->next_cursor}};
    _cleanup_free_ char *line = xstrndup(data, size * n);

    line[strcspn(line, "\r\n")] = '\0';
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        size_t length = strlen(rows[i].name);
        if (strncasecmp(line, rows[i].name, length) != 0)
            continue;
        free(*rows[i].into);
        *rows[i].into = xstrdup(line + length + strspn(line + length, " \t"));
    }
    return size * n;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    if (!value)
        return list;
    _cleanup_free_ char *line = xasprintf("%s: %s", name, value);
    return curl_slist_append(list, line);
}

/* beside NULL: nothing */
static struct error *call_raw(struct client *client, const char *method, const char *path,
                              const char *body, struct client_headers *beside,
                              struct buffer *ret_answer)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = make_request(client, method, path);
    struct curl_slist *list = make_headers(client, "Accept: application/json");

    if (beside) {
        client_headers_done(beside);
        list = add_header(list, "If-Match", beside->if_match);
        list = add_header(list, "Idempotency-Key", beside->idempotency_key);
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, beside);
    }
    _cleanup_(curl_slist_free_allp) struct curl_slist *headers = list;
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 60000L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_answer);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    return perform(curl, ret_answer);
}

const char *client_url(const struct client *client)
{
    return client->url;
}

struct error *client_call(struct client *client, const char *method, const char *path,
                          const json_t *body, json_t **ret_json)
{
    return client_call_with(client, method, path, body, NULL, ret_json);
}

struct error *client_call_with(struct client *client, const char *method, const char *path,
                               const json_t *body, struct client_headers *headers,
                               json_t **ret_json)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    _cleanup_buffer_ struct buffer answer = {0};
    struct error *err = call_raw(client, method, path, text, headers, &answer);
    json_error_t problem;

    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
    if (err && headers)
        headers->kind = kind_of(&answer);
    if (err)
        return err;
    json_t *json = NULL;
    if (answer.size) {
        json = json_loadb(buffer_text(&answer), answer.size, JSON_DECODE_ANY, &problem);
        if (!json)
            return error_new(ERROR_INTERNAL, "gateway: answer is not JSON: %s", problem.text);
    }
    *ret_json = json;
    return NULL;
}

struct error *client_get_text(struct client *client, const char *path, size_t max, char **ret_text)
{
    _cleanup_buffer_ struct buffer answer = {0};
    struct error *err = call_raw(client, "GET", path, NULL, NULL, &answer);

    if (err)
        return err;
    if (answer.size > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "answer is larger than %zu bytes", max);
    *ret_text = buffer_take_text(&answer);
    return NULL;
}

struct follow {
    const struct client_stream *stream;
    CURL *curl;
    struct sse_parser parser;
    struct buffer problem; /* the body, when the answer is not a stream */
};

static size_t on_stream(char *data, size_t size, size_t n, void *user)
{
    struct follow *follow = user;
    long status = 0;

    curl_easy_getinfo(follow->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300)
        return on_answer(data, size, n, &follow->problem);
    return sse_parser_feed(&follow->parser, data, size * n) ? size * n : 0;
}

/* True: end the stream. */
static bool tick(struct follow *follow)
{
    const struct client_stream *stream = follow->stream;

    if (stream->on_tick && !stream->on_tick(stream->data))
        follow->parser.stopped = true;
    return follow->parser.stopped;
}

static int on_progress(void *user, _unused_ curl_off_t total, _unused_ curl_off_t now,
                       _unused_ curl_off_t upload_total, _unused_ curl_off_t upload_now)
{
    return tick(user) ? 1 : 0;
}

static struct error *follow_once(struct client *client, struct follow *follow)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = make_request(client, "GET", follow->stream->path);
    struct curl_slist *list = make_headers(client, "Accept: text/event-stream");

    if (follow->parser.last_id[0])
        list = add_header(list, "Last-Event-ID", follow->parser.last_id);
    _cleanup_(curl_slist_free_allp) struct curl_slist *headers = list;
    follow->curl = curl;
    buffer_done(&follow->problem);
    sse_parser_restart(&follow->parser);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, follow);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, follow);
    /* The gateway sends a comment every few seconds: silence means that it is gone. */
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    return perform(curl, &follow->problem);
}

/* What the server asked for, or a second; in parts, so that ticks go on. */
static void pause_before_retry(struct follow *follow)
{
    for (unsigned left = sse_parser_wait_ms(&follow->parser); left > 0 && !tick(follow);) {
        unsigned part = left < 1000 ? left : 1000;
        usleep(part * 1000);
        left -= part;
    }
}

/* Once a stream was there, a gateway that is full or starting is waited for as well. */
static bool may_come_back(const struct error *err, bool ever_seen)
{
    enum error_code code = error_get_code(err);

    return !err || code == ERROR_UNAVAILABLE || (ever_seen && code == ERROR_RESOURCE_EXHAUSTED);
}

static struct error *follow_on(struct client *client, struct follow *follow)
{
    struct error *err = NULL;
    bool ever_seen = false;

    for (int failures = 0; failures < 30;) {
        error_free(err);
        follow->parser.seen = false;
        err = follow_once(client, follow);
        ever_seen = ever_seen || follow->parser.seen;
        if (follow->parser.stopped || !may_come_back(err, ever_seen))
            return err;
        failures = follow->parser.seen ? 0 : failures + 1;
        pause_before_retry(follow);
        if (follow->parser.stopped)
            return err;
    }
    return err ?: error_new(ERROR_UNAVAILABLE, "gateway: the stream keeps ending");
}

struct error *client_follow_stream(struct client *client, const struct client_stream *stream)
{
    struct follow follow = {.stream = stream};

    sse_parser_init(&follow.parser, stream->on_event, stream->data);
    snprintf(follow.parser.last_id, sizeof(follow.parser.last_id), "%s", stream->last_id ?: "");
    struct error *err = follow_on(client, &follow);
    bool stopped = follow.parser.stopped;
    sse_parser_done(&follow.parser);
    buffer_done(&follow.problem);
    if (!stopped)
        return err;
    error_free(err);
    return NULL;
}

struct error *client_follow(struct client *client, const char *path, client_event_fn on_event,
                            void *data)
{
    const struct client_stream stream = {.path = path, .on_event = on_event, .data = data};

    return client_follow_stream(client, &stream);
}
