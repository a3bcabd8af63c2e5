/*
 * The way of one request, across two kinds of threads:
 *
 *   event loop   headers: find the route, the caller if he is known, the length
 *   worker       the caller, from the store; then, without a body, the handler at once
 *   event loop   the body, in pieces
 *   worker       the handler
 *   event loop   send
 *
 * The connection is suspended while a worker has the request, so one thread has it at a time. An
 * answer is never queued in libmicrohttpd's first call, which would close the connection; but for
 * a refused body that the client holds back until it is asked for.
 */
#include <assert.h>

#include "services/api-gateway/audit.h"
#include "services/api-gateway/auth.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/http_internal.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/problem.h"
#include "services/api-gateway/rate_limit.h"
#include "services/api-gateway/routes.h"

enum { LARGE_BODY = 1024 * 1024 };

static struct request *request_of(struct http_job *job)
{
    return (struct request *)((char *)job - offsetof(struct request, job));
}

static struct error *too_large(struct request *request)
{
    return http_refuse(request, 413, "PAYLOAD_TOO_LARGE",
                       error_new(ERROR_INVALID_ARGUMENT,
                                 "the body is larger than the %zu bytes that are possible here",
                                 request->route->body_max));
}

static struct error *check_length(struct request *request)
{
    const char *length = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

    if (length && strtoull(length, NULL, 10) > request->route->body_max)
        return too_large(request);
    return NULL;
}

/* Without a length (chunked) it may be anything. */
static bool is_large(const struct request *request)
{
    const char *length = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return length ? strtoull(length, NULL, 10) > LARGE_BODY : request->has_body;
}

/* A large body is held in memory, so one account may have few at a time. */
static struct error *admit_upload(struct request *request)
{
    if (!*request->account || !is_large(request))
        return NULL;
    struct error *err = limits_enter(&request->gateway->limits, request->account, LIMIT_UPLOADS);
    if (err)
        return http_refuse(request, 429, "TOO_MANY_REQUESTS", err);
    request->uploading = true;
    return NULL;
}

/* What can be said before the body, once the caller is known. */
static struct error *admit(struct request *request)
{
    if (!request->has_body)
        return NULL;
    struct error *err = check_length(request);
    return err ?: admit_upload(request);
}

/* By its scope, since questions are POSTs too; a change of the gateway's own records writes its
 * entry itself, and names no object here. */
static bool is_change(const struct route *route)
{
    return route && (route->scope == SCOPE_DEPLOY || route->scope == SCOPE_ADMIN) &&
           strcmp(route->method, MHD_HTTP_METHOD_GET) != 0;
}

static enum http_share share_of(const struct route *route)
{
    if (route->share != SHARE_BY_ROUTE)
        return route->share;
    return is_change(route) ? SHARE_CHANGES : SHARE_READS;
}

/* The response is complete but for what every answer has. Takes err. */
static void settle(struct request *request, struct error *err)
{
    struct response *response = &request->response;

    if (err)
        problem_response(request, err, response);
    idempotency_end(request, response);
    rate_limit_headers(request, response);
    if (is_change(request->route))
        audit_answer(request, response->status, response->json);
    metrics_count(&request->gateway->metrics, request->route ? request->route->path : "none",
                  response->status, clock_monotonic_ms(clock_system()) - request->started_ms);
    request->answered = true;
}

/* On a worker. */
static void handle(struct request *request)
{
    struct error *err = TAKE_PTR(request->refused);
    bool replayed = false;

    err = err ?: idempotency_begin(request, &request->response, &replayed);
    if (!err && !replayed)
        err = request->route->handle(request, &request->response);
    settle(request, err);
    http_render(&request->response);
}

/* Not logged, as other failures of ours are: there will be many. */
static void settle_busy(struct request *request)
{
    settle(request,
           http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "UNAVAILABLE",
                       error_new(ERROR_RESOURCE_EXHAUSTED, "too much is asked of us: try again")));
}

/* On a worker. */
static void run_handler(struct http_job *job)
{
    struct request *request = request_of(job);

    handle(request);
    MHD_resume_connection(request->connection);
}

/* On a worker; without a body there is nothing to wait for. */
static void run_admission(struct http_job *job)
{
    struct request *request = request_of(job);

    request->refused = rate_limit_check(request, auth_check(request));
    if (!request->refused)
        request->refused = admit(request);
    if (!request->has_body) {
        enum http_share share = share_of(request->route);
        if (request->refused || share == SHARE_READS) {
            handle(request);
        } else {
            job->run = run_handler;
            if (http_pool_submit(request->server->pool, job, share))
                return;
            settle_busy(request);
        }
    }
    MHD_resume_connection(request->connection);
}

/* Suspended first: the worker may be done before we are back. */
static enum MHD_Result hand_over(struct request *request, void (*run)(struct http_job *job),
                                 enum http_share share)
{
    request->job.run = run;
    MHD_suspend_connection(request->connection);
    if (!http_pool_submit(request->server->pool, &request->job, share)) {
        settle_busy(request);
        MHD_resume_connection(request->connection);
    }
    return MHD_YES;
}

static bool header_is_repeated(const struct request *request, const char *name);

/* A request whose end two readers may see in different places is nobody's. */
static struct error *check_framing(struct request *request)
{
    const char *length = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *coding = MHD_lookup_connection_value(
        request->connection, MHD_HEADER_KIND,
        MHD_HTTP_HEADER_TRANSFER_ENCODING); /* as libmicrohttpd reads it, with blanks and all */
    request->unclear = (length && coding) || (coding && strcasecmp(coding, "chunked") != 0) ||
                       (length && header_is_repeated(request, MHD_HTTP_HEADER_CONTENT_LENGTH)) ||
                       (coding && header_is_repeated(request, MHD_HTTP_HEADER_TRANSFER_ENCODING));

    request->has_body = coding || (length && strtoull(length, NULL, 10) > 0);
    if (!request->unclear)
        return NULL;
    response_header(request, &request->response, MHD_HTTP_HEADER_CONNECTION, "close");
    return error_new(ERROR_INVALID_ARGUMENT, "it is unclear where the request ends");
}

struct repetition {
    const char *name;
    unsigned n;
};

static enum MHD_Result count_header(void *state, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct repetition *repetition = state;

    (void)kind;
    (void)value;
    repetition->n += strcasecmp(name, repetition->name) == 0;
    return MHD_YES;
}

static bool header_is_repeated(const struct request *request, const char *name)
{
    struct repetition repetition = {.name = name};

    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_header, &repetition);
    return repetition.n > 1;
}

/* True: all is known that can be before the body; request->refused says what is wrong. */
static bool admit_now(struct request *request, const char *method, const char *path)
{
    struct error *err = check_framing(request);

    request->is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    request->is_options = strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0;
    err = err
              ?: routes_find(request->server->options.routes,
                             request->is_head ? MHD_HTTP_METHOD_GET : method, path, request);
    if (!err && !request->route) { /* it was about the path itself */
        settle(request, NULL);
        return true;
    }
    if (!err && request->route->scope != SCOPE_NONE && !auth_check_now(request, &err))
        return false;
    if (request->route && request->route->scope != SCOPE_NONE)
        err = rate_limit_check(request, err);
    else if (!err)
        err = rate_limit_anybody(request);
    request->known = !err;
    request->refused = err ?: admit(request);
    return true;
}

/* No body will come, or none is wanted: it is held back until we say "continue", or has no end. */
static bool is_answered_early(const struct request *request)
{
    const char *expect = http_header(request, MHD_HTTP_HEADER_EXPECT);

    return request->unclear ||
           (request->has_body && expect && strcasecmp(expect, "100-continue") == 0);
}

static enum MHD_Result after_headers(struct request *request)
{
    if (request->has_body)
        http_client_transfers(&request->server->clients, request->client, request->started_ms, 0);
    if (request->refused && is_answered_early(request))
        settle(request, TAKE_PTR(request->refused));
    return request->answered && request->has_body ? http_send(request) : MHD_YES;
}

static enum MHD_Result begin(struct http_server *server, struct MHD_Connection *connection,
                             const char *method, const char *path, void **request_place)
{
    struct request *request = request_new(server, connection);

    *request_place = request;
    http_client_waits(request->client);
    if (admit_now(request, method, path))
        return after_headers(request);
    request->first_again = true;
    return hand_over(request, run_admission, SHARE_READS);
}

static enum MHD_Result take_body(struct request *request, const char *data, size_t *size)
{
    assert(request->route || request->refused);
    size_t max = request->route ? request->route->body_max : 0;

    request->received += *size;
    http_client_transfers(&request->server->clients, request->client, request->started_ms,
                          request->received);
    if (!request->refused && request->received > max)
        request->refused = too_large(request);
    if (!request->refused)
        buffer_add(&request->body, data, *size);
    else if (request->received > max + HTTP_DISCARD_MAX)
        return MHD_NO; /* nobody listens: close */
    *size = 0;
    return MHD_YES;
}

/* False: it is not complete yet, and a worker is needed. */
static bool finish_now(struct request *request)
{
    const struct route *route = request->route;

    if (request->answered)
        return true;
    if (request->refused)
        settle(request, TAKE_PTR(request->refused));
    else if (request->known && route->handle_now && route->handle_now(request, &request->response))
        settle(request, NULL);
    return request->answered;
}

/* A stream lasts; its request need not. */
static enum MHD_Result answer(void **place)
{
    struct request *request = *place;
    enum MHD_Result result = http_send(request);

    if (request->response.endless) {
        request_free(request);
        *place = NULL;
    }
    return result;
}

enum MHD_Result http_on_access(void *state, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **request_place)
{
    struct request *request = *request_place;

    (void)version;
    if (!request)
        return begin(state, connection, method, url, request_place);
    if (request->first_again) {
        request->first_again = false;
        return after_headers(request);
    }
    if (*upload_size)
        return take_body(request, upload, upload_size);
    http_client_waits(request->client);
    return finish_now(request) ? answer(request_place)
                               : hand_over(request, run_handler, share_of(request->route));
}

void http_on_completed(void *state, struct MHD_Connection *connection, void **request_place,
                       enum MHD_RequestTerminationCode why)
{
    struct http_server *server = state;

    (void)why;
    http_client_expects_headers(&server->clients, http_client_of(connection));
    if (*request_place)
        request_free(*request_place);
    *request_place = NULL;
}
