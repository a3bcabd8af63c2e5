#include "services/api-gateway/http_cors.h"

#include "shared/base/alloc.h"

#define ALLOWED_HEADERS                                                                            \
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "       \
    "X-Api-Key, X-Request-Id"
#define EXPOSED_HEADERS                                                                            \
    "ETag, Link, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, "             \
    "X-Request-Id, Coffer-Next-Cursor, Idempotent-Replayed"
#define PREFLIGHT_S "600"

/* Scheme and host, and no path: browsers never send one. */
static bool is_origin(const char *text)
{
    const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";

    return *host && !host[strcspn(host, "/?#*, \t")];
}

struct error *http_cors_init(struct http_cors *cors, const char *text)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy;

    for (char *origin; (origin = strsep(&rest, ","));) {
        origin += strspn(origin, " \t");
        origin[strcspn(origin, " \t")] = '\0';
        if (strcmp(origin, "*") == 0) {
            cors->any = true;
        } else if (is_origin(origin)) {
            cors->origins = xrealloc_array(cors->origins, cors->n + 1, sizeof(*cors->origins));
            cors->origins[cors->n++] = xstrdup(origin);
        } else if (*origin) {
            return error_new(ERROR_INVALID_ARGUMENT, "'%s' is no origin like https://host", origin);
        }
    }
    return NULL;
}

void http_cors_done(struct http_cors *cors)
{
    for (size_t i = 0; i < cors->n; i++)
        free(cors->origins[i]);
    free(cors->origins);
    *cors = (struct http_cors){0};
}

static bool is_allowed(const struct http_cors *cors, const char *origin)
{
    for (size_t i = 0; i < cors->n; i++)
        if (strcmp(cors->origins[i], origin) == 0)
            return true;
    return cors->any;
}

/* Keys come in headers and never in cookies, so credentials are not allowed, and "*" is harmless.
 */
void http_cors_answer(const struct http_cors *cors, struct request *request, bool is_preflight)
{
    struct response *response = &request->response;

    if (!cors->any && !cors->n)
        return;
    const char *origin = http_header(request, MHD_HTTP_HEADER_ORIGIN);
    if (!cors->any)
        response_header(request, response, MHD_HTTP_HEADER_VARY, "Origin");
    if (!origin || !is_allowed(cors, origin))
        return;
    response_header(request, response, "Access-Control-Allow-Origin", cors->any ? "*" : origin);
    if (!is_preflight) {
        response_header(request, response, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
        return;
    }
    response_header(request, response, "Access-Control-Allow-Methods",
                    "GET, HEAD, POST, PUT, DELETE");
    response_header(request, response, "Access-Control-Allow-Headers", ALLOWED_HEADERS);
    response_header(request, response, "Access-Control-Max-Age", PREFLIGHT_S);
}
