/*
 * Asks the key service politely: a few attempts with growing, jittered pauses on 429, 5xx and lost
 * connections, Retry-After honoured within bounds, and what failed is not asked again at once.
 * The service allows about one request in ten seconds for the same object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/base/error.h"

#define FETCH_ATTEMPTS     4
#define FETCH_PAUSE_MS     2000    /* before the second attempt at most; doubles */
#define FETCH_PAUSE_MAX_MS 30000   /* a longer Retry-After ends the attempts */
#define FETCH_NOT_FOUND_MS 60000   /* a 404 is remembered this long */
#define FETCH_FAILED_MS    30000   /* any other failure */
#define FETCH_REMEMBER_MS  3600000 /* a Retry-After at most */
#define FETCH_REMEMBERED_MAX                                                                       \
    64 /* failures at a time: bounds what a client with made-up                                    \
          chip ids can make us ask */

struct fetcher_options {
    const char *base_url; /* "https://kdsintf.amd.com"; copied, like ca_file */
    const char *ca_file;  /* NULL: the system's authorities */
    bool allow_http;      /* for a server of a test */
    struct clock *clock;
    int64_t timeout_ms; /* of one attempt; 0: 20 s */
    /* Waits; false: give up now. NULL: sleeps. */
    bool (*pause)(void *data, int64_t ms);
    void *data;
};

struct fetcher;
struct fetcher *fetcher_new(const struct fetcher_options *options);
void fetcher_free(struct fetcher *fetcher);
DEFINE_CLEANUP(struct fetcher *, fetcher_free)

/*
 * path begins with '/'. The body, at most max bytes and never empty, is added to *ret_body.
 * NOT_FOUND: the service has no such object; RESOURCE_EXHAUSTED: too large, or too many failures
 * are remembered; PERMISSION_DENIED: its TLS certificate; CANCELLED: pause said so;
 * FAILED_PRECONDITION: an answer that trying again will not change; else UNAVAILABLE. Any thread.
 */
struct error *fetcher_get(struct fetcher *fetcher, const char *path, size_t max,
                          struct buffer *ret_body) _must_check_;

/* What came is not what was asked for: it is not asked for again for FETCH_FAILED_MS. */
void fetcher_refuse(struct fetcher *fetcher, const char *path);
