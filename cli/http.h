/* One HTTP exchange with the gateway (libcurl), once. client.c says when again. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

/* Owned by struct client. */
struct http_peer {
    char *url; /* without a '/' at its end */
    char *key;
    char *ca;   /* PEM file; NULL: the system's */
    bool admin; /* the key is an operator's */
};

struct http_request {
    const char *method;
    const char *path;
    const char *accept;
    const char *body;            /* NULL: none */
    const char *idempotency_key; /* NULL: none */
    const char *last_event_id;   /* NULL: none */
    const char *if_match;        /* NULL: none */
    bool (*on_tick)(void *user); /* about once a second, with write's user; false ends it */
};

struct http_reply {
    struct buffer body;
    long status;          /* 0: none came */
    bool broken;          /* the connection ended before an answer: it may be said again */
    unsigned retry_after; /* seconds; 0: unsaid */
    char next_cursor[256];
    char etag[160]; /* "": none */
    char date[64];
    char content_type[64]; /* "": unsaid */
};

void http_reply_done(struct http_reply *reply);

typedef size_t (*http_write_fn)(char *data, size_t size, size_t n, void *user);

/* write NULL: into reply->body. UNAVAILABLE when nothing came; a refusal is no error here. */
struct error *http_exchange(const struct http_peer *peer, const struct http_request *request,
                            http_write_fn write, void *user,
                            struct http_reply *ret_reply) _must_check_;
