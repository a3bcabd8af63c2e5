/* What the files of the HTTP server share; nobody else includes it. */
#pragma once

#include <stdatomic.h>

#include "services/api-gateway/http.h"
#include "services/api-gateway/http_clients.h"
#include "services/api-gateway/http_cors.h"
#include "services/api-gateway/http_listen.h"
#include "services/api-gateway/http_tls.h"

enum { SPARE_REQUESTS_MAX = 256 };

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_options options;
    struct http_pool *pool;
    struct http_clients clients;
    struct http_tls *tls; /* NULL: plain HTTP */
    struct http_cors cors;
    uint64_t id_seed[2];
    _Atomic uint64_t id_count;
    atomic_bool draining;
    struct http_listener *listener;
    atomic_uint n_connections; /* handed to libmicrohttpd, and not ended */

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t idle;
    struct request *spare;
    size_t n_spare;
    size_t n_open; /* requests between their headers and their end, but for streams */
};

/* libmicrohttpd's callbacks; state is the server. */
enum MHD_Result http_on_access(void *state, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **request_place);
void http_on_completed(void *state, struct MHD_Connection *connection, void **request_place,
                       enum MHD_RequestTerminationCode why);

/* request_memory.c: with its id and arena; given back at its end, or when a stream begins. */
struct request *request_new(struct http_server *server, struct MHD_Connection *connection);
void request_free(struct request *request);
void http_spare_free(struct http_server *server);

/* http_response.c: json or body becomes raw, which takes long for a large answer: a worker's work.
 * Sending does it if nobody did. */
void http_render(struct response *response);
/* Queues request->response, which libmicrohttpd then keeps itself. */
enum MHD_Result http_send(struct request *request);

struct http_client *http_client_of(struct MHD_Connection *connection);
