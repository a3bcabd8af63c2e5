/* From struct response to bytes. */
#include <malloc.h>

#include "services/api-gateway/http_internal.h"
#include "shared/base/clock.h"

/* Of a response that a handler made, whose size libmicrohttpd does not tell: what it may be. */
enum { RAW_SIZE = 8 * 1024 * 1024 };

#define RETRY_S "1"
#define HSTS    "max-age=31536000"

/* An answer may hold what is shown once. */
static void free_wiped(void *text)
{
    OPENSSL_cleanse(text, malloc_usable_size(text));
    free(text);
}

static struct MHD_Response *bytes_response(struct response *response, size_t size)
{
    if (!size)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_buffer_with_free_callback(
        size, buffer_take_text(&response->body), free_wiped);
}

static struct MHD_Response *body_response(struct response *response, size_t *ret_size)
{
    const char *type = response->content_type ?: "text/plain";
    struct MHD_Response *raw;

    if (response->json) {
        /* 15 digits: amounts are told as they were given, 0.1 and not 0.10000000000000001 */
        char *text = json_dumps(response->json, JSON_COMPACT | JSON_REAL_PRECISION(15));
        *ret_size = strlen(text);
        raw = MHD_create_response_from_buffer_with_free_callback(*ret_size, text, free_wiped);
        type = "application/json";
    } else {
        *ret_size = response->body.size;
        raw = bytes_response(response, *ret_size);
    }
    if (response->status != MHD_HTTP_NO_CONTENT && response->status != MHD_HTTP_NOT_MODIFIED)
        MHD_add_response_header(raw, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return raw;
}

/* Whoever wrote the response may have said it otherwise. */
static void add_default(const struct response *response, const char *name, const char *value)
{
    for (size_t i = 0; i < response->n_headers; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return;
    MHD_add_response_header(response->raw, name, value);
}

/* An API's answers are no pages: nothing in them may run, be framed, or be kept. */
static void add_security(const struct http_server *server, const struct response *response)
{
    add_default(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    add_default(response, "X-Content-Type-Options", "nosniff");
    add_default(response, "X-Frame-Options", "DENY");
    add_default(response, "Referrer-Policy", "no-referrer");
    add_default(response, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    if (server->tls)
        add_default(response, "Strict-Transport-Security", HSTS);
}

static void add_headers(struct request *request)
{
    struct response *response = &request->response;

    http_cors_answer(&request->server->cors, request, request->is_options);
    for (size_t i = 0; i < response->n_headers; i++)
        MHD_add_response_header(response->raw, response->headers[i].name,
                                response->headers[i].value);
    MHD_add_response_header(response->raw, "X-Request-Id", request->id);
    add_security(request->server, response);
    if (response->status == MHD_HTTP_UNAUTHORIZED)
        add_default(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (response->status == MHD_HTTP_SERVICE_UNAVAILABLE ||
        response->status == MHD_HTTP_TOO_MANY_REQUESTS)
        add_default(response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_S);
    if (atomic_load_explicit(&request->server->draining, memory_order_relaxed))
        add_default(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

void http_render(struct response *response)
{
    if (response->raw)
        return;
    response->raw = body_response(response, &response->raw_size);
    response->rendered = true;
    json_decref(response->json);
    response->json = NULL;
}

enum MHD_Result http_send(struct request *request)
{
    struct response *response = &request->response;

    http_render(response);
    size_t size = response->rendered ? response->raw_size : RAW_SIZE;
    add_headers(request);
    enum MHD_Result result =
        MHD_queue_response(request->connection, response->status, response->raw);
    if (!response->endless)
        http_client_transfers(&request->server->clients, request->client,
                              clock_monotonic_ms(clock_system()), size);
    return result;
}
