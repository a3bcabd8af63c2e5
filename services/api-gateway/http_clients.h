/*
 * The connections of a server and what each still has time for. libmicrohttpd ends a connection
 * that is silent; one that sends a byte now and then would live for ever, so each phase has an end
 * that no byte moves: the headers of the next request, a body at a least rate, an answer likewise.
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

struct http_server;

/* 0: the usual. */
struct http_times {
    int headers_ms;  /* of a connection, or after an answer: until the next headers are complete */
    int transfer_ms; /* of a body or an answer, and more for a large one */
};

struct http_client {
    struct http_client *next;
    struct http_client **previous;
    struct http_server *server;
    int fd;
    _Atomic int64_t deadline_ms; /* monotonic; 0: none */
};

struct http_clients {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct http_client *head;
    pthread_t thread;
    bool running;
    bool stopping;
    struct http_times times;
};

/* Starts the thread that ends connections. */
struct error *http_clients_start(struct http_clients *clients,
                                 const struct http_times *times) _must_check_;
void http_clients_stop(struct http_clients *clients); /* fine if never started */

/* For a new connection; the client is freed by http_client_free() before its socket is closed. */
struct http_client *http_client_new(struct http_clients *clients, struct http_server *server,
                                    struct MHD_Connection *connection);
void http_client_free(struct http_clients *clients, struct http_client *client);

/* Whether the other side of the connection has closed it; what it sent before may be unread. */
bool http_client_has_left(int fd);

/* What happens next on the connection. */
void http_client_expects_headers(const struct http_clients *clients, struct http_client *client);
void http_client_transfers(const struct http_clients *clients, struct http_client *client,
                           int64_t since_ms, size_t bytes);
void http_client_waits(struct http_client *client); /* for us: no end */
