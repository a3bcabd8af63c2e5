/* Requests and their memory, used again: a read answered from memory allocates next to nothing. */
#include <malloc.h>

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/http_internal.h"
#include "shared/base/alloc.h"

enum { LARGE_BODY = 1024 * 1024 };

/* Unlike any other, and made without a system call: a counter, mixed with what only this process
 * knows. */
static void make_id(struct http_server *server, char ret_id[HTTP_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t n = atomic_fetch_add_explicit(&server->id_count, 1, memory_order_relaxed);
    uint64_t mixed = server->id_seed[1] + n * UINT64_C(0x9e3779b97f4a7c15);
    char *at = ret_id;

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    mixed ^= mixed >> 31;
    for (unsigned i = 0; i < 32; i++) {
        uint64_t part = i < 16 ? server->id_seed[0] : mixed;
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *at++ = '-';
        *at++ = digits[part >> (4 * (15 - i % 16)) & 15];
    }
    *at = '\0';
}

/* The caller's own id, to find the request again in both logs. */
static bool take_id(struct request *request)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *given = http_header(request, "X-Request-Id");
    size_t size = given ? strspn(given, allowed) : 0;

    if (size == 0 || size >= HTTP_ID_SIZE || given[size])
        return false;
    memcpy(request->id, given, size + 1);
    return true;
}

static struct request *take_spare(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct request *request = server->spare;
    if (request) {
        server->spare = request->next;
        server->n_spare--;
    }
    server->n_open++;
    pthread_mutex_unlock(&server->lock);
    return request;
}

struct request *request_new(struct http_server *server, struct MHD_Connection *connection)
{
    struct request *request = take_spare(server);

    if (!request) {
        request = xnew(struct request);
        request->arena = arena_new();
    }
    request->next = NULL;
    request->server = server;
    request->gateway = server->options.gateway;
    request->connection = connection;
    request->client = http_client_of(connection);
    request->response.status = 200;
    request->started_ms = clock_monotonic_ms(clock_system());
    if (!take_id(request))
        make_id(server, request->id);
    return request;
}

static void response_done(struct response *response)
{
    json_decref(response->json);
    buffer_done(&response->body);
    if (response->raw)
        MHD_destroy_response(response->raw);
}

/* One large upload must not set our size for good. */
static void body_done(struct request *request)
{
    bool was_large = request->body.size > LARGE_BODY;

    buffer_done(&request->body);
    if (was_large)
        malloc_trim(0);
}

static void destroy(struct request *request)
{
    arena_free(request->arena);
    free(request);
}

static void keep_or_free(struct http_server *server, struct request *request)
{
    struct arena *arena = request->arena;

    arena_reset(arena);
    memset(request, 0, sizeof(*request));
    request->arena = arena;
    pthread_mutex_lock(&server->lock);
    bool kept = server->n_spare < SPARE_REQUESTS_MAX;
    if (kept) {
        request->next = server->spare;
        server->spare = request;
        server->n_spare++;
    }
    pthread_mutex_unlock(&server->lock);
    if (!kept)
        destroy(request);
}

static void leave_open(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    if (--server->n_open == 0)
        pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

void request_free(struct request *request)
{
    struct http_server *server = request->server;

    if (request->uploading)
        limits_leave(&request->gateway->limits, request->account, LIMIT_UPLOADS);
    error_free(request->refused);
    response_done(&request->response);
    body_done(request);
    keep_or_free(server, request);
    leave_open(server);
}

void http_spare_free(struct http_server *server)
{
    while (server->spare) {
        struct request *request = server->spare;
        server->spare = request->next;
        destroy(request);
    }
}
