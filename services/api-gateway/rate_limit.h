/*
 * How often one caller may ask: each API key by itself, and each address that comes with keys that
 * are none. Per copy of the gateway, in memory only: nothing here waits, so the event loop may
 * call it.
 */
#pragma once

#include "services/api-gateway/http.h"

/*
 * After auth_check(), with its verdict, which it takes: returns that, or 429 TOO_MANY_REQUESTS
 * instead. Counts whoever is authenticated, also for what they may not do.
 */
struct error *rate_limit_check(struct request *request, struct error *verdict) _must_check_;

/* What the answer says of it: RateLimit-Limit (requests at once), RateLimit-Remaining,
 * RateLimit-Reset (seconds until all are there again), and Retry-After with a 429. */
void rate_limit_headers(struct request *request, struct response *response);

/*
 * judge(request), unless the caller's address failed too often of late: then 429 without looking
 * at the key, so that a guesser does not learn either. UNAUTHENTICATED counts as a failure.
 */
struct error *rate_limit_guess(struct request *request,
                               struct error *(*judge)(struct request *request)) _must_check_;

/* The same for routes that anybody may ask and that ask the store: by the caller's address. */
struct error *rate_limit_anybody(struct request *request) _must_check_;

/* What requests of an address count for: itself, or of IPv6 its /64, which one customer has as a
 * whole. */
void rate_limit_network(const char *address, char ret_network[BUCKET_NAME_SIZE]);
