#include "cli/client.h"

#include "cli/context.h"
#include "cli/http.h"
#include "cli/problem.h"
#include "cli/retry.h"
#include "cli/sse.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/file.h"

enum { PAGE = 500, LIST_MAX = 1000000 };

struct client {
    struct http_peer peer;
    unsigned changes; /* sent so far */
};

static struct error *missing(const char *what, const char *variable)
{
    return error_new(ERROR_UNAUTHENTICATED,
                     "no %s is set\n  try: coffer login --url URL, or set %s", what, variable);
}

/* Takes what the context holds. */
static struct error *open_with(struct context *context, struct client **ret_client)
{
    if (!context->url)
        return missing("gateway", "COFFER_API_URL");
    if (!context->key)
        return missing("API key", "COFFER_API_KEY");
    struct error *err = context_check_url(context->url);
    if (err)
        return err;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_new(ERROR_INTERNAL, "libcurl does not start");
    struct client *client = xnew(struct client);
    client->peer = (struct http_peer){
        .url = TAKE_PTR(context->url), .key = TAKE_PTR(context->key), .ca = TAKE_PTR(context->ca)};
    *ret_client = client;
    return NULL;
}

struct error *client_open(struct client **ret_client)
{
    _cleanup_(context_done) struct context context = {0};
    struct error *err = context_load(&context);

    return err ?: open_with(&context, ret_client);
}

struct error *client_open_context(const struct context *context, struct client **ret_client)
{
    _cleanup_(context_done) struct context copy = {
        .url = xstrdup(context->url), .key = xstrdup(context->key), .ca = xstrdup(context->ca)};

    return open_with(&copy, ret_client);
}

static struct error *open_admin(const char *path, struct client **ret_client)
{
    _cleanup_(context_done) struct context context = {0};
    struct error *err = context_load(&context);

    if (err)
        return err;
    if (context.key)
        OPENSSL_cleanse(context.key, strlen(context.key));
    free(TAKE_PTR(context.key));
    err = file_read_text(path, CONTEXT_KEY_MAX, &context.key);
    err = error_wrap(error_recode(err, ERROR_UNAUTHENTICATED), "operator's key");
    err = err ?: open_with(&context, ret_client);
    if (!err)
        (*ret_client)->peer.admin = true;
    return err;
}

struct error *client_open_admin(const char *key_file, bool required, struct client **ret_client)
{
    const char *path = key_file ?: getenv("COFFER_ADMIN_KEY_FILE");

    if (path && path[0])
        return open_admin(path, ret_client);
    if (required)
        return error_new(ERROR_UNAUTHENTICATED,
                         "this is for operators: give --admin-key-file, or set "
                         "COFFER_ADMIN_KEY_FILE to the file with the operator's key");
    return client_open(ret_client);
}

void client_free(struct client *client)
{
    if (!client)
        return;
    OPENSSL_cleanse(client->peer.key, strlen(client->peer.key));
    free(client->peer.key);
    free(client->peer.url);
    free(client->peer.ca);
    free(client);
}

/* A refusal becomes an error here. */
static struct error *exchange(struct client *client, const struct http_request *request,
                              struct http_reply *ret_reply)
{
    bool again = request->idempotency_key || retry_is_read(request->method, request->path);

    for (unsigned failures = 0;; failures++) {
        struct error *err = http_exchange(&client->peer, request, NULL, NULL, ret_reply);
        if (!err && ret_reply->status < 300)
            return NULL;
        if (!again || !retry_wait(failures, ret_reply))
            return err
                       ?: problem_error(ret_reply->status, &ret_reply->body,
                                        ret_reply->retry_after);
        error_free(err);
    }
}

static struct error *call(struct client *client, const char *method, const char *path,
                          const char *body, const char *if_match, struct http_reply *ret_reply)
{
    _cleanup_free_ char *key = NULL;
    struct http_request request = {.method = method,
                                   .path = path,
                                   .accept = "application/json",
                                   .body = body,
                                   .if_match = if_match};
    bool changes = strcmp(method, "POST") == 0 && !retry_is_read(method, path);
    struct error *err = changes ? retry_idempotency_key(client->changes++, &key) : NULL;

    request.idempotency_key = key;
    return err ?: exchange(client, &request, ret_reply);
}

static struct error *strange_answer(const char *what)
{
    return error_new(
        ERROR_INTERNAL,
        "gateway: the answer is %s\n  try: is the URL that of a gateway? coffer doctor "
        "looks closer",
        what);
}

/* Each answer of a gateway is an object or a list. */
static struct error *parse(const struct buffer *body, json_t **ret_json)
{
    json_error_t problem;

    if (!body->size)
        return strange_answer("empty");
    json_t *json = json_loadb(buffer_text(body), body->size, JSON_DECODE_ANY, &problem);
    if (!json) {
        _cleanup_free_ char *what = xasprintf("not JSON: %s", problem.text);
        return strange_answer(what);
    }
    if (!json_is_object(json) && !json_is_array(json)) {
        json_decref(json);
        return strange_answer("neither an object nor a list");
    }
    *ret_json = json;
    return NULL;
}

const char *client_url(const struct client *client)
{
    return client->peer.url;
}

const char *client_ca(const struct client *client)
{
    return client->peer.ca;
}

void client_headers_done(struct client_headers *headers)
{
    free(TAKE_PTR(headers->etag));
    free(TAKE_PTR(headers->next_cursor));
    free(TAKE_PTR(headers->kind));
}

static void take_headers(const struct http_reply *reply, struct client_headers *headers)
{
    client_headers_done(headers);
    headers->etag = reply->etag[0] ? xstrdup(reply->etag) : NULL;
    headers->next_cursor = reply->next_cursor[0] ? xstrdup(reply->next_cursor) : NULL;
    if (reply->status < 300)
        return;
    _cleanup_(json_decrefp) json_t *json =
        json_loadb(buffer_text(&reply->body), reply->body.size, 0, NULL);
    headers->kind = xstrdup(json_string_value(json_object_get(json, "kind")));
}

struct error *client_call_with(struct client *client, const char *method, const char *path,
                               const json_t *body, struct client_headers *headers,
                               json_t **ret_json)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    _cleanup_(http_reply_done) struct http_reply reply = {0};
    struct error *err = call(client, method, path, text, headers->if_match, &reply);

    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
    take_headers(&reply, headers);
    return err ?: parse(&reply.body, ret_json);
}

struct error *client_call(struct client *client, const char *method, const char *path,
                          const json_t *body, json_t **ret_json)
{
    struct client_headers headers = {0};
    struct error *err = client_call_with(client, method, path, body, &headers, ret_json);

    client_headers_done(&headers);
    return err;
}

/* Adds a page; next_cursor is "" after the last one. */
static struct error *add_page(struct client *client, const char *path, json_t *list,
                              char next_cursor[static 256])
{
    _cleanup_(http_reply_done) struct http_reply reply = {0};
    _cleanup_(json_decrefp) json_t *page = NULL;
    _cleanup_free_ char *with = xasprintf("%s%climit=%d%s%s", path, strchr(path, '?') ? '&' : '?',
                                          PAGE, next_cursor[0] ? "&cursor=" : "", next_cursor);
    struct error *err = call(client, "GET", with, NULL, NULL, &reply);

    err = err ?: parse(&reply.body, &page);
    if (err)
        return err;
    if (!json_is_array(page))
        return error_new(ERROR_INTERNAL, "gateway: the answer is no list");
    if (json_array_size(list) + json_array_size(page) > LIST_MAX)
        return error_new(ERROR_INTERNAL, "gateway: the list has no end");
    json_array_extend(list, page);
    memcpy(next_cursor, reply.next_cursor, sizeof(reply.next_cursor));
    if (json_array_size(page) == 0)
        next_cursor[0] = '\0'; /* whoever says "go on" behind nothing says so for ever */
    return NULL;
}

struct error *client_list(struct client *client, const char *path, json_t **ret_list)
{
    _cleanup_(json_decrefp) json_t *list = json_array();
    char cursor[256] = "";

    do {
        struct error *err = add_page(client, path, list, cursor);
        if (err)
            return err;
    } while (cursor[0]);
    *ret_list = TAKE_PTR(list);
    return NULL;
}

struct error *client_get_text(struct client *client, const char *path, size_t max, char **ret_text)
{
    _cleanup_(http_reply_done) struct http_reply reply = {0};
    struct error *err = call(client, "GET", path, NULL, NULL, &reply);

    if (err)
        return err;
    if (reply.body.size > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "answer is larger than %zu bytes", max);
    *ret_text = buffer_take_text(&reply.body);
    return NULL;
}

enum { FOLLOW_FAILURES_MAX = 30, PROBLEM_MAX = 1024 * 1024 };

struct follow {
    const struct client_stream *stream;
    struct sse_parser parser;
    struct http_reply reply;
    bool open;    /* what came last was a stream */
    bool strange; /* what comes is none */
};

/* Unsaid is fine: what is none has no events, either. */
static bool is_stream(const struct http_reply *reply)
{
    static const char type[] = "text/event-stream";

    return !reply->content_type[0] || strncmp(reply->content_type, type, strlen(type)) == 0;
}

static size_t on_stream(char *data, size_t size, size_t n, void *user)
{
    struct follow *follow = user;

    follow->strange = follow->reply.status < 300 && !is_stream(&follow->reply);
    if (follow->strange)
        return 0;
    follow->open = follow->reply.status < 300;
    if (follow->open)
        return sse_parser_feed(&follow->parser, data, size * n) ? size * n : 0;
    if (follow->reply.body.size + size * n > PROBLEM_MAX)
        return 0;
    buffer_add(&follow->reply.body, data, size * n);
    return size * n;
}

/* False: end the stream. */
static bool on_tick(void *user)
{
    struct follow *follow = user;
    const struct client_stream *stream = follow->stream;

    if (stream->on_tick && !stream->on_tick(stream->data, follow->open))
        follow->parser.stopped = true;
    return !follow->parser.stopped;
}

static struct error *follow_once(struct client *client, struct follow *follow)
{
    const struct http_request request = {
        .method = "GET",
        .path = follow->stream->path,
        .accept = "text/event-stream",
        .last_event_id = follow->parser.last_id[0] ? follow->parser.last_id : NULL,
        .on_tick = on_tick,
    };

    sse_parser_restart(&follow->parser);
    struct error *err = http_exchange(&client->peer, &request, on_stream, follow, &follow->reply);
    if (!err && follow->reply.status >= 300)
        err = problem_error(follow->reply.status, &follow->reply.body, follow->reply.retry_after);
    follow->open = !err;
    if (!follow->strange)
        return err;
    error_free(err); /* of our not reading on */
    return strange_answer("no stream of events");
}

/* What the server asked for, or a second; in parts, so that ticks go on. */
static void pause_before_retry(struct follow *follow)
{
    for (unsigned left = sse_parser_wait_ms(&follow->parser); left > 0 && on_tick(follow);) {
        unsigned part = left < 1000 ? left : 1000;
        usleep(part * 1000);
        left -= part;
    }
}

/* Once a stream was there, or for a while for who only reads, a gateway that is full or starting is
 * waited for as well. */
static bool may_come_back(const struct follow *follow, const struct error *err, bool ever_seen,
                          int errors)
{
    if (follow->stream->brief && errors > RETRIES_MAX)
        return false;
    if (!err || error_get_code(err) == ERROR_UNAVAILABLE)
        return true;
    return ever_seen && problem_passes(follow->reply.status, &follow->reply.body);
}

static struct error *follow_on(struct client *client, struct follow *follow)
{
    struct error *err = NULL;
    bool ever_seen = false;
    int errors = 0; /* in a row */

    for (int failures = 0; failures < FOLLOW_FAILURES_MAX;) {
        error_free(err);
        follow->parser.seen = false;
        err = follow_once(client, follow);
        ever_seen = ever_seen || follow->parser.seen;
        errors = err ? errors + 1 : 0;
        if (follow->parser.stopped || !may_come_back(follow, err, ever_seen, errors))
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
    http_reply_done(&follow.reply);
    if (!stopped)
        return err;
    error_free(err);
    return NULL;
}
