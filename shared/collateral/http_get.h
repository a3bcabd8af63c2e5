/* One bounded HTTP GET: no redirects, and https only unless said otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

struct http_get_request {
    const char *url;
    const char *ca_file; /* PEM of who may sign the server's certificate; NULL: the system's */
    bool allow_http;
    size_t max;         /* bytes of the body */
    int64_t timeout_ms; /* of the whole transfer */
};

struct http_get_reply {
    long status;
    int64_t retry_after_ms; /* RFC 9110 section 10.2.3; 0: not said */
    struct buffer body;
};
void http_get_reply_done(struct http_get_reply *reply);

/* Any status is an answer. UNAVAILABLE: none came; RESOURCE_EXHAUSTED: larger than max;
 * PERMISSION_DENIED: the server's certificate; INVALID_ARGUMENT: not an https URL. The reply is
 * the caller's. libcurl's global state is the program's to set up (curl_global_init). */
struct error *http_get(const struct http_get_request *request,
                       struct http_get_reply *ret_reply) _must_check_;
