#include "services/attester/http.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"

#define CONNECTIONS_MAX                                                                            \
    320 /* above BATCH_NONCES_MAX, so that a full queue is answered with 503                       \
         */
#define STACK_SIZE   (256 * 1024)
#define TIMEOUT_S    30
#define RETRY_AFTER  "2"
#define MEMORY_LIMIT (16 * 1024) /* per connection: request line and headers */

#ifndef COFFER_GIT_HASH
#define COFFER_GIT_HASH ""
#endif
#ifndef COFFER_BUILT_AT
#define COFFER_BUILT_AT "" /* builds are reproducible: no clock in them */
#endif

struct http {
    struct MHD_Daemon *daemon;
    struct batch *batch;
    struct standing *standing;
};

struct answer {
    unsigned int status;
    const char *type;
    struct buffer body;
};

static const struct {
    enum error_code code;
    unsigned int status;
} statuses[] = {
    {ERROR_INVALID_ARGUMENT, MHD_HTTP_BAD_REQUEST},
    {ERROR_RESOURCE_EXHAUSTED, MHD_HTTP_SERVICE_UNAVAILABLE},
    {ERROR_UNAVAILABLE, MHD_HTTP_SERVICE_UNAVAILABLE},
};

static void set_problem(struct answer *answer, unsigned int status, const char *kind,
                        const char *text)
{
    json_auto_t *json = json_pack("{s:s, s:s}", "error", text, "kind", kind);
    _cleanup_free_ char *dump = json_dumps(json, JSON_COMPACT);

    answer->status = status;
    answer->type = "application/json";
    buffer_done(&answer->body);
    buffer_add_text(&answer->body, dump);
}

static void set_error(struct answer *answer, struct error *err)
{
    unsigned int status = MHD_HTTP_INTERNAL_SERVER_ERROR;

    for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
        if (statuses[i].code == error_get_code(err))
            status = statuses[i].status;
    set_problem(answer, status, error_code_name(error_get_code(err)),
                status == MHD_HTTP_INTERNAL_SERVER_ERROR ? "internal error" : error_text(err));
    error_free(err);
}

static void on_health(_unused_ struct http *http, _unused_ struct MHD_Connection *connection,
                      struct answer *answer)
{
    answer->type = "text/plain";
    buffer_add_text(&answer->body, "OK");
}

static void on_about(_unused_ struct http *http, _unused_ struct MHD_Connection *connection,
                     struct answer *answer)
{
    json_auto_t *json = json_pack("{s:s, s:s, s:s}", "version", COFFER_VERSION, "git_hash",
                                  COFFER_GIT_HASH, "built_at", COFFER_BUILT_AT);
    _cleanup_free_ char *dump = json_dumps(json, JSON_COMPACT);

    buffer_add_text(&answer->body, dump);
}

static void on_report(struct http *http, struct MHD_Connection *connection, struct answer *answer)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "nonce");
    uint8_t nonce[32];
    struct error *err;

    if (!text) {
        err = standing_answer(http->standing, &answer->body);
    } else {
        err = hex_decode(text, nonce, sizeof(nonce));
        if (err) {
            error_free(err);
            err = error_new(ERROR_INVALID_ARGUMENT, "nonce is not 64 hex digits");
        } else {
            err = batch_answer(http->batch, nonce, &answer->body);
        }
    }
    if (err)
        set_error(answer, err);
}

static const struct route {
    const char *path;
    void (*run)(struct http *http, struct MHD_Connection *connection, struct answer *answer);
} routes[] = {
    {"/health", on_health},
    {"/api/v1/about", on_about},
    {"/api/v2/report", on_report},
};

static void dispatch(struct http *http, struct MHD_Connection *connection, const char *path,
                     const char *method, struct answer *answer)
{
    bool reads =
        strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;

    for (size_t i = 0; i < ELEMENTSOF(routes); i++) {
        if (strcmp(routes[i].path, path) != 0)
            continue;
        if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0)
            answer->status = MHD_HTTP_NO_CONTENT;
        else if (reads)
            routes[i].run(http, connection, answer);
        else
            set_problem(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "UNIMPLEMENTED", "only GET");
        return;
    }
    set_problem(answer, MHD_HTTP_NOT_FOUND, "NOT_FOUND", "no such path");
}

/* Any origin may read: there is nothing here that is not public. */
static enum MHD_Result respond(struct MHD_Connection *connection, struct answer *answer)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.size, answer->body.data, MHD_RESPMEM_MUST_COPY);

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, OPTIONS");
    MHD_add_response_header(response, "Access-Control-Allow-Headers", "content-type");
    if (answer->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, _unused_ const char *version,
                                  _unused_ const char *upload, size_t *upload_size, void **con_data)
{
    struct answer answer = {.status = MHD_HTTP_OK, .type = "application/json"};

    if (!*con_data) { /* answering in the first call would close the connection */
        *con_data = data;
        return MHD_YES;
    }
    if (*upload_size > 0) { /* bodies are not for us */
        *upload_size = 0;
        return MHD_YES;
    }
    dispatch(data, connection, url, method, &answer);
    enum MHD_Result result = respond(connection, &answer);
    buffer_done(&answer.body);
    return result;
}

static struct error *parse_listen(const char *listen, struct sockaddr_in *ret_address)
{
    const char *colon = strrchr(listen, ':');
    _cleanup_free_ char *host = colon ? xstrndup(listen, (size_t)(colon - listen)) : NULL;
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

    *ret_address = (struct sockaddr_in){.sin_family = AF_INET};
    if (!colon || end == colon + 1 || *end || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &ret_address->sin_addr) != 1)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not address:port", listen);
    ret_address->sin_port = htons((uint16_t)port);
    return NULL;
}

struct error *http_start(const char *listen, struct batch *batch, struct standing *standing,
                         struct http **ret_http)
{
    struct sockaddr_in address;

    struct error *err = parse_listen(listen, &address);
    if (err)
        return err;
    struct http *http = xnew(struct http);
    http->batch = batch;
    http->standing = standing;
    http->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL,
        NULL, on_request, http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_LIMIT, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_SIZE, MHD_OPTION_END);
    if (!http->daemon) {
        free(http);
        return error_errno(errno, "listen on '%s'", listen);
    }
    *ret_http = http;
    return NULL;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}

uint16_t http_port(const struct http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}
