/*
 * The listening socket, and the thread that takes connections from it and hands them over.
 *
 * libmicrohttpd would do both. But the way it has to stop listening, MHD_quiesce_daemon(), removes
 * the socket from the event loops while they may be removing it themselves, and then ends the
 * program ("Failed to remove listen FD from epoll set"; seen with 0.9.75, and the code of 1.0 is
 * alike). A stop that everybody depends on must not be a matter of luck.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "shared/base/error.h"

struct http_listener;

/* fd is the receiver's. full: none is taken now, they wait in the backlog. By the listener's
 * thread. */
struct http_listener_calls {
    void (*take)(void *state, int fd, const struct sockaddr *address, socklen_t size);
    bool (*full)(void *state);
    void *state;
};

/* Listens at ADDRESS:PORT (an IPv6 address in brackets; port 0: any), and takes nothing yet.
 * INVALID_ARGUMENT: that is no such text; UNAVAILABLE: it cannot be had. */
struct error *http_listener_new(const char *where,
                                struct http_listener **ret_listener) _must_check_;
struct error *http_listener_start(struct http_listener *listener,
                                  const struct http_listener_calls *calls) _must_check_;

/* Nothing is taken after this returned, and who comes is refused. May be called again. */
void http_listener_stop(struct http_listener *listener);
void http_listener_free(struct http_listener *listener); /* stops; NULL is fine */

/* In host byte order; 0: it cannot be told. */
uint16_t http_listener_port(const struct http_listener *listener);
