/* Which web pages of other origins may ask from a browser: none, unless they are configured. */
#pragma once

#include "services/api-gateway/http.h"

struct http_cors {
    char **origins; /* as browsers send them: "https://console.example.org" */
    size_t n;
    bool any; /* "*" */
};

/* A list with commas, "*" or "". INVALID_ARGUMENT for what can be no origin. */
struct error *http_cors_init(struct http_cors *cors, const char *text) _must_check_;
void http_cors_done(struct http_cors *cors);

/* What the answer says to the browser; is_preflight: also what the real request may be like. */
void http_cors_answer(const struct http_cors *cors, struct request *request, bool is_preflight);
