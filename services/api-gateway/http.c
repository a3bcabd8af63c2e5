#include "services/api-gateway/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <malloc.h>
#include <netdb.h>

#include "services/api-gateway/audit.h"
#include "services/api-gateway/auth.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/problem.h"
#include "services/api-gateway/rate_limit.h"
#include "services/api-gateway/routes.h"
#include "shared/base/alloc.h"

enum {
    LARGE_BODY = 1024 * 1024,
    TIMEOUT_S = 60,
    STACK_BYTES = 512 * 1024,
    CONNECTION_MEMORY = 32 * 1024
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_options options;
};

static void request_free(struct request *request)
{
    if (request->uploading)
        limits_leave(&request->gateway->limits, request->account, LIMIT_UPLOADS);
    error_free(request->refused);
    bool was_large = request->body.size > LARGE_BODY;
    buffer_done(&request->body);
    arena_free(request->arena);
    free(request);
    if (was_large)
        malloc_trim(0); /* one large upload must not set our size for good */
}

static void response_done(struct response *response)
{
    json_decref(response->json);
    buffer_done(&response->body);
    if (response->raw)
        MHD_destroy_response(response->raw);
}

void response_header(struct request *request, struct response *response, const char *name,
                     const char *value)
{
    struct response_header *at = response->headers;

    while (at < response->headers + response->n_headers && strcmp(at->name, name) != 0)
        at++;
    assert(at < response->headers + RESPONSE_HEADERS_MAX);
    if (at == response->headers + response->n_headers)
        response->n_headers++;
    *at = (struct response_header){.name = name, .value = arena_strdup(request->arena, value)};
}

struct error *http_refuse(struct request *request, unsigned status, const char *kind,
                          struct error *err)
{
    request->refused_status = status;
    request->refused_kind = kind;
    return err;
}

const char *http_query(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_client_address(struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[NI_MAXHOST] = "";

    if (info && info->client_addr)
        (void)getnameinfo(info->client_addr,
                          info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                   : sizeof(struct sockaddr_in),
                          text, sizeof(text), NULL, 0, NI_NUMERICHOST);
    return arena_strdup(request->arena, text);
}

/* jansson quotes where it stopped, which may be a secret. */
static void forget_body(json_error_t *where)
{
    char *quote = strstr(where->text, " near '");

    if (quote)
        *quote = '\0';
}

struct error *http_json(struct request *request, json_t **ret_json)
{
    json_error_t where;
    json_t *json =
        json_loadb(buffer_text(&request->body), request->body.size, JSON_REJECT_DUPLICATES, &where);

    if (!json) {
        forget_body(&where);
        return error_new(ERROR_INVALID_ARGUMENT, "the body is not JSON: line %d: %s", where.line,
                         request->body.size ? where.text : "it is empty");
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return error_new(ERROR_INVALID_ARGUMENT, "the body is not a JSON object");
    }
    *ret_json = json;
    return NULL;
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

    return !length ? http_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL
                   : strtoull(length, NULL, 10) > LARGE_BODY;
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

/* Everything that can be said before the body. */
static struct error *admit(const struct http_server *server, struct request *request,
                           const char *method, const char *path)
{
    struct error *err = routes_find(server->options.routes, method, path, request);

    if (!err && request->route->scope != SCOPE_NONE)
        err = rate_limit_check(request, auth_check(request));
    err = err ?: check_length(request);
    return err ?: admit_upload(request);
}

static struct request *request_new(const struct http_server *server,
                                   struct MHD_Connection *connection, const char *method,
                                   const char *path)
{
    struct request *request = xnew(struct request);

    request->gateway = server->options.gateway;
    request->connection = connection;
    request->arena = arena_new();
    request->started_ms = clock_monotonic_ms(clock_system());
    uuid_generate_text(request->id);
    request->refused = admit(server, request, method, path);
    return request;
}

static enum MHD_Result take_body(struct request *request, const char *data, size_t *size)
{
    assert(request->route || request->refused);
    size_t max = request->route ? request->route->body_max : 0;

    request->received += *size;
    if (!request->refused && request->received > max)
        request->refused = too_large(request);
    if (!request->refused)
        buffer_add(&request->body, data, *size);
    else if (request->received > max + HTTP_DISCARD_MAX)
        return MHD_NO; /* nobody listens: close */
    *size = 0;
    return MHD_YES;
}

/* An answer may hold what is shown once. */
static void free_wiped(void *text)
{
    OPENSSL_cleanse(text, malloc_usable_size(text));
    free(text);
}

static struct MHD_Response *body_response(struct response *response)
{
    struct MHD_Response *raw;

    if (response->json) {
        /* 15 digits: amounts are told as they were given, 0.1 and not 0.10000000000000001 */
        char *text = json_dumps(response->json, JSON_COMPACT | JSON_REAL_PRECISION(15));
        raw = MHD_create_response_from_buffer_with_free_callback(strlen(text), text, free_wiped);
        MHD_add_response_header(raw, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
        return raw;
    }
    raw = MHD_create_response_from_buffer(response->body.size, (void *)buffer_text(&response->body),
                                          MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(raw, MHD_HTTP_HEADER_CONTENT_TYPE,
                            response->content_type ?: "text/plain");
    return raw;
}

static enum MHD_Result send_response(struct request *request, struct response *response)
{
    if (!response->raw)
        response->raw = body_response(response);
    for (size_t i = 0; i < response->n_headers; i++)
        MHD_add_response_header(response->raw, response->headers[i].name,
                                response->headers[i].value);
    MHD_add_response_header(response->raw, "X-Request-Id", request->id);
    MHD_add_response_header(response->raw, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response->raw, "X-Content-Type-Options", "nosniff");
    if (response->status == 401)
        MHD_add_response_header(response->raw, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    return MHD_queue_response(request->connection, response->status, response->raw);
}

/* By its scope, since questions are POSTs too; a change of the gateway's own records writes its
 * entry itself, and names no object here. */
static bool is_change(const struct route *route)
{
    return route && (route->scope == SCOPE_DEPLOY || route->scope == SCOPE_ADMIN) &&
           strcmp(route->method, MHD_HTTP_METHOD_GET) != 0;
}

static enum MHD_Result answer(struct request *request)
{
    _cleanup_(response_done) struct response response = {.status = 200};
    struct error *err = TAKE_PTR(request->refused);

    bool replayed = false;

    if (!err)
        err = idempotency_begin(request, &response, &replayed);
    if (!err && !replayed)
        err = request->route->handle(request, &response);
    if (err)
        problem_response(request, err, &response);
    idempotency_end(request, &response);
    rate_limit_headers(request, &response);
    if (is_change(request->route))
        audit_answer(request, response.status, response.json);
    metrics_count(&request->gateway->metrics, request->route ? request->route->path : "none",
                  response.status, clock_monotonic_ms(clock_system()) - request->started_ms);
    return send_response(request, &response);
}

/* First call: admit. Then the body in pieces, then once more without: answer, which keeps the
 * connection (an answer in the first call would close it). */
static enum MHD_Result on_access(void *state, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **request_place)
{
    struct request *request = *request_place;

    (void)version;
    if (!request) {
        *request_place = request_new(state, connection, method, url);
        return MHD_YES;
    }
    if (*upload_size)
        return take_body(request, upload, upload_size);
    return answer(request);
}

static void on_completed(void *state, struct MHD_Connection *connection, void **request_place,
                         enum MHD_RequestTerminationCode why)
{
    (void)state;
    (void)connection;
    (void)why;
    if (*request_place)
        request_free(*request_place);
    *request_place = NULL;
}

DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo)

static struct error *resolve(const char *listen, struct addrinfo **ret_address)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    _cleanup_free_ char *host = xstrdup(listen);
    char *colon = strrchr(host, ':');

    if (!colon)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not ADDRESS:PORT", listen);
    *colon = '\0';
    char *name = host;
    if (*name == '[' && colon[-1] == ']') {
        name++;
        colon[-1] = '\0';
    }
    int rc = getaddrinfo(*name ? name : NULL, colon + 1, &hints, ret_address);
    if (rc != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not ADDRESS:PORT: %s", listen,
                         gai_strerror(rc));
    return NULL;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, const struct sockaddr *address)
{
    const struct http_options *options = &server->options;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->tls_key},
        {MHD_OPTION_END, 0, NULL},
    };

    if (options->tls_cert)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[2];
    if (address->sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, server, MHD_OPTION_SOCK_ADDR, address,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_LIMIT, options->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
}

struct error *http_server_start(const struct http_options *options, struct http_server **ret_server)
{
    _cleanup_(freeaddrinfop) struct addrinfo *address = NULL;
    struct error *err = resolve(options->listen, &address);

    if (err)
        return err;
    struct http_server *server = xnew(struct http_server);
    server->options = *options;
    errno = 0;
    server->daemon = start_daemon(server, address->ai_addr);
    if (!server->daemon) {
        free(server);
        return error_new(ERROR_UNAVAILABLE, "listen on '%s': %s", options->listen,
                         errno ? strerror(errno) : "libmicrohttpd does not start");
    }
    *ret_server = server;
    return NULL;
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}
