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
    return error_new(ERROR_UNAUTHENTICATED, "set %s, or write it to '%s'", variable, path);
}

static struct error *read_admin_key(const char *path, struct client *client)
{
    client->admin = true;
    struct error *err = file_read_text(path, KEY_MAX, &client->key);

    return error_wrap(error_recode(err, ERROR_UNAUTHENTICATED), "operator's key");
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
        return error_new(ERROR_UNAUTHENTICATED,
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

static struct error *perform(CURL *curl, const struct buffer *answer)
{
    CURLcode result = curl_easy_perform(curl);
    long status = 0;

    if (result != CURLE_OK)
        return error_new(ERROR_UNAVAILABLE, "gateway: %s", curl_easy_strerror(result));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status < 300 ? NULL : error_of_answer(status, answer);
}

static struct error *call_raw(struct client *client, const char *method, const char *path,
                              const char *body, struct buffer *ret_answer)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = make_request(client, method, path);
    _cleanup_(curl_slist_free_allp) struct curl_slist *headers =
        make_headers(client, "Accept: application/json");

    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 60000L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_answer);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    return perform(curl, ret_answer);
}

struct error *client_call(struct client *client, const char *method, const char *path,
                          const json_t *body, json_t **ret_json)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    _cleanup_buffer_ struct buffer answer = {0};
    struct error *err = call_raw(client, method, path, text, &answer);
    json_error_t problem;

    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
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
    struct error *err = call_raw(client, "GET", path, NULL, &answer);

    if (err)
        return err;
    if (answer.size > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "answer is larger than %zu bytes", max);
    *ret_text = buffer_take_text(&answer);
    return NULL;
}

struct follow {
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

static struct error *follow_once(struct client *client, const char *path, struct follow *follow)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = make_request(client, "GET", path);
    struct curl_slist *list = make_headers(client, "Accept: text/event-stream");

    if (follow->parser.last_id[0]) {
        _cleanup_free_ char *line = xasprintf("Last-Event-ID: %s", follow->parser.last_id);
        list = curl_slist_append(list, line);
    }
    _cleanup_(curl_slist_free_allp) struct curl_slist *headers = list;
    follow->curl = curl;
    sse_parser_restart(&follow->parser);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, follow);
    /* The gateway sends a comment every few seconds: silence means that it is gone. */
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    return perform(curl, &follow->problem);
}

struct error *client_follow(struct client *client, const char *path, client_event_fn on_event,
                            void *data)
{
    struct follow follow = {0};
    struct error *err;

    sse_parser_init(&follow.parser, on_event, data);
    for (int failures = 0; failures < 30;) {
        bool before = follow.parser.seen;
        err = follow_once(client, path, &follow);
        if (follow.parser.stopped || (err && error_get_code(err) != ERROR_UNAVAILABLE))
            break;
        failures = follow.parser.seen && !before ? 0 : failures + 1;
        follow.parser.seen = false;
        error_free(TAKE_PTR(err));
        sleep(1);
    }
    bool stopped = follow.parser.stopped;
    sse_parser_done(&follow.parser);
    buffer_done(&follow.problem);
    if (!stopped)
        return err ?: error_new(ERROR_UNAVAILABLE, "gateway: the stream keeps ending");
    error_free(err);
    return NULL;
}
