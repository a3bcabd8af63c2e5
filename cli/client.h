/*
 * The gateway's HTTP API as the CLI uses it (libcurl). The address, the key and the certificate
 * authority are those of the context in use (context.h).
 *
 * What can be said twice is said again, a few times, when the connection breaks or the gateway is
 * busy: reads, and changes, which all carry an Idempotency-Key, so that they happen once.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "shared/base/error.h"

struct client;
struct context;

/* UNAUTHENTICATED says what to do when address or key is missing. */
struct error *client_open(struct client **ret_client) _must_check_;

/* As an operator, with the key in key_file, or in the file that COFFER_ADMIN_KEY_FILE names (NULL).
 * Without either: UNAUTHENTICATED when it is required, else as client_open(). */
struct error *client_open_admin(const char *key_file, bool required,
                                struct client **ret_client) _must_check_;

/* With the address, key and authority of this context, whatever is in use. Copies them. */
struct error *client_open_context(const struct context *context,
                                  struct client **ret_client) _must_check_;
void client_free(struct client *client); /* wipes the key */
DEFINE_CLEANUP(struct client *, client_free)

/*
 * One request. body NULL: none. *ret_json, an object or a list, belongs to the caller. An
 * error envelope becomes an error that names every finding, and what to do next.
 */
struct error *client_call(struct client *client, const char *method, const char *path,
                          const json_t *body, json_t **ret_json) _must_check_;

/* What goes beside a request and comes beside its answer; client_headers_done() frees. */
struct client_headers {
    const char *if_match; /* sent; NULL: not */
    char *etag;           /* of the answer; NULL: it has none */
    char *next_cursor;    /* of a list with more pages; NULL: the last one */
    char *kind;           /* of a refusal's envelope; NULL: there is none */
};
void client_headers_done(struct client_headers *headers);

/* client_call() with headers. What was received before is freed. */
struct error *client_call_with(struct client *client, const char *method, const char *path,
                               const json_t *body, struct client_headers *headers,
                               json_t **ret_json) _must_check_;

/* The gateway's address, without a '/' at its end. Lives as long as the client. */
const char *client_url(const struct client *client);

/* The PEM file that it trusts; NULL: the system's authorities. Lives as long as the client. */
const char *client_ca(const struct client *client);

/* A whole list, page after page, as one array that the caller owns. path may have a query. */
struct error *client_list(struct client *client, const char *path, json_t **ret_list) _must_check_;

/* The exact bytes of an answer, at most max; caller frees. */
struct error *client_get_text(struct client *client, const char *path, size_t max,
                              char **ret_text) _must_check_;

/* Called per server-sent event; false ends the stream without an error. id may be "". */
typedef bool (*client_event_fn)(void *data, const char *event, const char *id, const char *text);

/* A stream to follow. */
struct client_stream {
    const char *path;
    const char *last_id; /* go on behind this event; NULL: from the beginning */
    client_event_fn on_event;
    /* About once a second; false ends it. open: the gateway gives the stream, or has given one that
     * ended by itself. NULL: not wanted. */
    bool (*on_tick)(void *data, bool open);
    bool brief; /* a read: after a few failures it is one, too */
    void *data;
};

/*
 * Follows server-sent events, and goes on from the last id after a disconnect, until the callback
 * ends it, or the server answers with an error. "reconnect" is obeyed and not passed on.
 */
struct error *client_follow_stream(struct client *client,
                                   const struct client_stream *stream) _must_check_;
