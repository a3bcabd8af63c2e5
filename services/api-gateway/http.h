/*
 * HTTP over libmicrohttpd: a server is a table of routes and a state. Two threads wait for all
 * connections; handlers may block, so they run on a pool of workers (http_pool.h) while their
 * connection is suspended. What can be answered from memory is answered at once (handle_now).
 *
 * What arrives is bounded: the route is found and the caller authenticated before a byte of the
 * body is kept, each route says how large its body may be, and headers and bodies must arrive in
 * time (http_clients.h).
 */
#pragma once

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "services/api-gateway/http_clients.h"
#include "services/api-gateway/http_pool.h"
#include "services/api-gateway/principal.h"
#include "services/api-gateway/token_buckets.h"
#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/compose/lint.h"

#define HTTP_PARAMETER_MAX 128
#define HTTP_ID_SIZE       65 /* of a request id as text */

struct gateway;
struct handed_entry;
struct http_server;
struct idempotency;
struct request;

enum { RESPONSE_HEADERS_MAX = 24 };

struct response_header {
    const char *name; /* static */
    const char *value;
};

struct response {
    unsigned status; /* 200 unless set */
    struct response_header headers[RESPONSE_HEADERS_MAX];
    size_t n_headers;
    json_t *json;             /* owned; or, when NULL: */
    struct buffer body;       /* bytes */
    const char *content_type; /* of body; static */
    struct MHD_Response *raw; /* owned; wins over both */
    bool endless;             /* raw is a stream */
    bool rendered;            /* raw is what json or body was ... */
    size_t raw_size;          /* ... and has so many bytes */
};

typedef struct error *(*http_handler)(struct request *request, struct response *ret_response);

/*
 * The same on the event loop: must neither block nor take long. False: it cannot be told from
 * memory, and handle is asked. Called only when the caller was known without the store.
 */
typedef bool (*http_now_handler)(struct request *request, struct response *ret_response);

struct route {
    const char *method;
    const char *path; /* parts beginning with ':' match one part each */
    enum scope scope;
    http_handler handle;
    size_t body_max;
    http_now_handler handle_now; /* NULL: always on the pool */
    enum http_share share;       /* 0: by what the route does */
};

struct request {
    struct gateway *gateway;
    struct MHD_Connection *connection;
    const struct route *route;          /* NULL: none matches */
    char parameter[HTTP_PARAMETER_MAX]; /* the value of the path's ':' part */
    char id[HTTP_ID_SIZE];
    struct principal principal;
    char account[64];            /* "" without authentication, and for the global admin */
    char object[128];            /* what it is about, for the audit trail; "" before it is known */
    struct handed_entry *handed; /* of audit.c, in the arena; NULL: the scheduler was not asked */
    struct buffer body;
    struct arena *arena;
    struct findings *findings; /* in the arena; NULL: none. Shown beside an INVALID_ARGUMENT */
    struct error *refused;     /* found before the body: it is read no further than needed */
    unsigned refused_status;   /* when the code of refused does not say it all; 0 */
    const char *refused_kind;
    bool uploading;                  /* holds one of the account's uploads */
    struct token_state rate;         /* what is told of the caller's share */
    struct idempotency *idempotency; /* in the arena; NULL: no key, or not claimed */
    size_t received;
    int64_t started_ms;
    struct response response; /* what the handler filled in, until it is sent */

    /* of the server's own */
    struct request *next; /* among the spare ones */
    struct http_server *server;
    struct http_client *client;
    struct http_job job;
    bool is_head;
    bool is_options;
    bool has_body;    /* one is announced */
    bool unclear;     /* and where it ends is not */
    bool known;       /* the caller was known without the store */
    bool first_again; /* libmicrohttpd repeats its first call after a suspension in it */
    bool answered;    /* response is complete */
};

struct http_options {
    const char *listen;         /* "0.0.0.0:8080", "[::1]:0" */
    const struct route *routes; /* ends with path NULL */
    struct gateway *gateway;
    unsigned max_connections;
    unsigned max_per_address; /* connections; 0: no limit */
    unsigned workers;         /* most handlers at a time */
    struct http_times times;  /* that clients have */
    const char *tls_cert;     /* path of a PEM chain; NULL: plain HTTP */
    const char *tls_key;
    const char *cors_origins; /* list with commas, or "*"; NULL: none */
};

struct error *http_server_start(const struct http_options *options,
                                struct http_server **ret_server) _must_check_;
/* Stops listening, waits for handlers, ends connections. NULL is fine. */
void http_server_stop(struct http_server *server);
DEFINE_CLEANUP(struct http_server *, http_server_stop)

/* Takes no new connections, and lets those that are there end with their next answer. */
void http_server_drain(struct http_server *server);
/* Until no request is in hand; false: there are some still. Streams do not count. */
bool http_server_wait(struct http_server *server, int timeout_ms);
uint16_t http_server_port(const struct http_server *server);

/* The body as a JSON object, strict; a failure is the caller's fault. */
struct error *http_json(struct request *request, json_t **ret_json) _must_check_;

/* Sets a header of the answer, in place of one of that name; value is copied. Counts for errors
 * too, whoever writes them. name lives for ever. */
void response_header(struct request *request, struct response *response, const char *name,
                     const char *value);

/* A query argument or NULL; lives with the request. */
const char *http_query(const struct request *request, const char *name);
const char *http_header(const struct request *request, const char *name);

/* The caller's address, in the arena. A header's word for it is not taken. */
const char *http_client_address(struct request *request);

/* Marks a failure for the given status and kind; returns err. */
struct error *http_refuse(struct request *request, unsigned status, const char *kind,
                          struct error *err);
