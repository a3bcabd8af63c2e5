/* The routes as they are inside of the container; Caddy puts them under /nilcc. */
#pragma once

#include "services/attester/desk.h"

struct http;

/* Who answers GET /api/v2/report: with a nonce, and without. */
struct http_desks {
    struct desk *fresh;
    struct desk *standing;
};

/* listen: address:port. clock: monotonic, NULL is the system's. Desks and clock are not owned. */
struct error *http_start(const char *listen, const struct http_desks *desks, struct clock *clock,
                         struct http **ret_http) _must_check_;
void http_wake(struct http *http); /* looks at the clock again, which tests moved */
/* Close the desks before, and free them after: nobody may be left to wait there. */
void http_free(struct http *http);
DEFINE_CLEANUP(struct http *, http_free)

uint16_t http_port(const struct http *http); /* the bound one, when listen said port 0 */
