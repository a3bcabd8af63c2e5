/* The routes as they are inside of the container; Caddy puts them under /nilcc. */
#pragma once

#include "services/attester/batch.h"
#include "services/attester/standing.h"

struct http;

/* listen: address:port. Neither batch nor standing is owned; free http before them. */
struct error *http_start(const char *listen, struct batch *batch, struct standing *standing,
                         struct http **ret_http) _must_check_;
void http_free(struct http *http); /* waits for the requests in hand */
DEFINE_CLEANUP(struct http *, http_free)

uint16_t http_port(const struct http *http); /* the bound one, when listen said port 0 */
