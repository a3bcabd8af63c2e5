/* The HTTP client of the tests, which keeps every answer for the check against openapi.json. */
#include "services/api-gateway/test_fixture.h"

#include <curl/curl.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

void answer_done(struct answer *answer)
{
    buffer_done(&answer->body);
    buffer_done(&answer->headers);
    json_decref(answer->json);
}

static size_t on_data(char *data, size_t size, size_t n, void *buffer)
{
    buffer_add(buffer, data, size * n);
    return size * n;
}

static CURL *make_call(const struct fixture *fixture, const char *method, const char *path,
                       const char *key, struct curl_slist **headers)
{
    CURL *curl = curl_easy_init();
    _cleanup_free_ char *url =
        strncmp(path, "http://", 7) == 0
            ? xstrdup(path)
            : xasprintf("http://127.0.0.1:%u%s", http_server_port(fixture->gateway->http), path);
    _cleanup_free_ char *authorization = xasprintf("Authorization: Bearer %s", key ?: "");

    if (key)
        *headers = curl_slist_append(*headers, strchr(key, ':') ? key : authorization);
    *headers = curl_slist_append(*headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    return curl;
}

/* One file for each test program, begun anew by it; see tests/openapi/check. */
static FILE *open_record(void)
{
    static FILE *file;
    const char *dir = getenv("COFFER_RECORD_DIR");

    if (!file && dir) {
        _cleanup_free_ char *path = xasprintf("%s/%s.jsonl", dir, program_invocation_short_name);
        if (expect_no_error(dir_make(dir, 0755)))
            file = fopen(path, "we");
        expect_that(file != NULL);
    }
    return file;
}

static json_t *text_of(const void *data, size_t size)
{
    return json_stringn(data, size) ?: json_string("(not UTF-8)");
}

/* Those that openapi.json tells of; every answer has others as well. */
static json_t *told_headers(const struct answer *answer)
{
    static const char *const names[] = {
        "X-Request-Id",
        "RateLimit-Limit",
        "RateLimit-Remaining",
        "RateLimit-Reset",
        "Idempotent-Replayed",
        "Retry-After",
        "ETag",
        "Link",
        "Coffer-Next-Cursor",
        "WWW-Authenticate",
        "Allow",
        "Location",
    };
    json_t *json = json_object();

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_free_ char *value = answer_header(answer, names[i]);
        if (value)
            json_object_set_new(json, names[i], text_of(value, strlen(value)));
    }
    return json;
}

/* What is served is what openapi.json says: every answer is kept for the check. */
static void record(CURL *curl, const struct answer *answer)
{
    FILE *file = open_record();
    char *url = NULL;
    char *method = NULL;
    char *type = NULL;

    if (!file)
        return;
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_METHOD, &method);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    const char *path = strchr(strstr(url, "://") + 3, '/');
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:o, s:i, s:s, s:o, s:o}", "method", method, "path",
                  text_of(path ?: "/", strlen(path ?: "/")), "status", (int)answer->status,
                  "contentType", type ?: "", "headers", told_headers(answer), "body",
                  text_of(buffer_text(&answer->body), answer->body.size));
    _cleanup_free_ char *line = json_dumps(json, JSON_COMPACT);
    expect_that(fprintf(file, "%s\n", line) >= 0 && fflush(file) == 0);
}

/* Takes the headers. */
static struct answer perform(const struct fixture *fixture, CURL *curl, struct curl_slist *headers,
                             const char *body)
{
    struct answer answer = {0};

    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 90L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK && pthread_equal(pthread_self(), fixture->own_thread))
        fail_msg("call: %s", curl_easy_strerror(code));
    if (finding(code == CURLE_OK, __FILE__, __LINE__, curl_easy_strerror(code))) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
        record(curl, &answer);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    answer.json = json_loadb(buffer_text(&answer.body), answer.body.size, 0, NULL);
    return answer;
}

struct answer http_call_with(const struct fixture *fixture, const char *method, const char *path,
                             const char *key, const char *const *headers, const char *body)
{
    struct curl_slist *list = NULL;
    CURL *curl = make_call(fixture, method, path, key, &list);

    for (; *headers; headers++)
        list = curl_slist_append(list, *headers);
    return perform(fixture, curl, list, body);
}

struct answer http_call(const struct fixture *fixture, const char *method, const char *path,
                        const char *key, const char *body)
{
    const char *const none[] = {NULL};

    return http_call_with(fixture, method, path, key, none, body);
}

struct answer http_call_header(const struct fixture *fixture, const char *method, const char *path,
                               const char *header, const char *body)
{
    struct curl_slist *headers = curl_slist_append(NULL, header);
    CURL *curl = make_call(fixture, method, path, TEST_KEY, &headers);

    return perform(fixture, curl, headers, body);
}

struct answer http_admin(const struct fixture *fixture, const char *method, const char *path,
                         const char *body)
{
    struct curl_slist *headers = curl_slist_append(NULL, "x-api-key: " TEST_ADMIN);
    CURL *curl = make_call(fixture, method, path, NULL, &headers);

    return perform(fixture, curl, headers, body);
}

struct answer http_post(const struct fixture *fixture, const char *path, const char *body)
{
    return http_call(fixture, "POST", path, TEST_KEY, body);
}

struct answer http_get(const struct fixture *fixture, const char *path)
{
    return http_call(fixture, "GET", path, TEST_KEY, NULL);
}

struct until {
    struct buffer *seen;
    const char *text;
    bool found;
};

static size_t on_stream(char *data, size_t size, size_t n, void *state)
{
    struct until *until = state;

    buffer_add(until->seen, data, size * n);
    until->found = strstr(buffer_text(until->seen), until->text) != NULL;
    return until->found ? 0 : size * n;
}

bool http_stream_until(const struct fixture *fixture, const char *path, const char *last_event_id,
                       const char *text, int timeout_s, struct buffer *ret_seen)
{
    struct until until = {.seen = ret_seen, .text = text};
    struct answer answer = {0};
    size_t before = ret_seen->size;
    struct curl_slist *headers = NULL;
    CURL *curl = make_call(fixture, "GET", path, TEST_KEY, &headers);
    _cleanup_free_ char *last = xasprintf("Last-Event-ID: %s", last_event_id ?: "");

    if (last_event_id)
        headers = curl_slist_append(headers, last);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &until);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
    (void)curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    if (ret_seen->size > before)
        buffer_add(&answer.body, ret_seen->data + before, ret_seen->size - before);
    if (answer.status)
        record(curl, &answer);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    answer_done(&answer);
    return until.found;
}

const char *answer_text(const struct answer *answer, const char *name)
{
    return json_string_value(json_object_get(answer->json, name)) ?: "";
}

char *answer_header(const struct answer *answer, const char *name)
{
    size_t size = strlen(name);

    for (const char *line = buffer_text(&answer->headers); line && *line;) {
        const char *end = strstr(line, "\r\n");
        if (end && strncasecmp(line, name, size) == 0 && strncmp(line + size, ": ", 2) == 0)
            return xasprintf("%.*s", (int)(end - line - (int)size - 2), line + size + 2);
        line = end ? end + 2 : NULL;
    }
    return NULL;
}

bool has_finding(const struct answer *answer, const char *where_or_rule)
{
    const json_t *finding;
    size_t i;

    json_array_foreach(json_object_get(answer->json, "findings"), i, finding)
    {
        const char *where = json_string_value(json_object_get(finding, "where"));
        const char *rule = json_string_value(json_object_get(finding, "rule"));
        if (strcmp(where, where_or_rule) == 0 || strcmp(rule, where_or_rule) == 0)
            return true;
    }
    return false;
}
