#include "services/attester/http.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include "services/attester/client.h"
#include "services/attester/door.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

/* One batch in the making, a full queue, and room to answer some more with 503. */
#define CONNECTIONS_MAX (2 * WAITLIST_MAX + 64)
#define TIMEOUT_S       30 /* without a byte; door.h bounds those that send some */
#define RETRY_AFTER     "2"
#define MEMORY_LIMIT    (16 * 1024) /* per connection: request line and headers */

#ifndef COFFER_GIT_HASH
#define COFFER_GIT_HASH ""
#endif
#ifndef COFFER_BUILT_AT
#define COFFER_BUILT_AT "" /* builds are reproducible: no clock in them */
#endif

struct http {
    struct MHD_Daemon *daemon;
    struct door *door;
    struct http_desks desks;
};

/* One request. While its waiter waits, the connection is suspended and no thread is held. */
struct request {
    struct waiter waiter; /* first */
    struct MHD_Connection *connection;
    bool asked;
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
    {ERROR_RESOURCE_EXHAUSTED, MHD_HTTP_TOO_MANY_REQUESTS},
    {ERROR_UNAVAILABLE, MHD_HTTP_SERVICE_UNAVAILABLE},
    {ERROR_DEADLINE_EXCEEDED, MHD_HTTP_SERVICE_UNAVAILABLE},
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

static void set_error(struct answer *answer, const struct error *err)
{
    unsigned int status = MHD_HTTP_INTERNAL_SERVER_ERROR;

    for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
        if (statuses[i].code == error_get_code(err))
            status = statuses[i].status;
    set_problem(answer, status, error_code_name(error_get_code(err)),
                status == MHD_HTTP_INTERNAL_SERVER_ERROR ? "internal error" : error_text(err));
}

static void on_health(_unused_ struct http *http, _unused_ struct request *request,
                      struct answer *answer)
{
    answer->type = "text/plain";
    buffer_add_text(&answer->body, "OK");
}

static void on_about(_unused_ struct http *http, _unused_ struct request *request,
                     struct answer *answer)
{
    json_auto_t *json = json_pack("{s:s, s:s, s:s}", "version", COFFER_VERSION, "git_hash",
                                  COFFER_GIT_HASH, "built_at", COFFER_BUILT_AT);
    _cleanup_free_ char *dump = json_dumps(json, JSON_COMPACT);

    buffer_add_text(&answer->body, dump);
}

static void on_done(struct waiter *waiter)
{
    MHD_resume_connection(((struct request *)waiter)->connection);
}

static enum MHD_Result take_last(void *data, _unused_ enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    const char **forwarded = data;

    if (value && strcasecmp(key, "X-Forwarded-For") == 0)
        *forwarded = value;
    return MHD_YES;
}

static void identify(struct request *request)
{
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const char *forwarded = NULL;

    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, take_last, &forwarded);
    request->waiter.is_known =
        client_identify(peer ? peer->client_addr : NULL, forwarded, request->waiter.client);
}

/* The desk may answer at once, so the connection must sleep before. */
static void on_report(struct http *http, struct request *request, struct answer *answer)
{
    const char *text =
        MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "nonce");
    struct error *err = text ? hex_decode(text, request->waiter.nonce, 32) : NULL;

    if (err) {
        error_free(err);
        set_problem(answer, MHD_HTTP_BAD_REQUEST, error_code_name(ERROR_INVALID_ARGUMENT),
                    "nonce is not 64 hex digits");
        return;
    }
    request->asked = true;
    request->waiter.done = on_done;
    identify(request);
    MHD_suspend_connection(request->connection);
    desk_ask(text ? http->desks.fresh : http->desks.standing, &request->waiter);
}

static const struct route {
    const char *path;
    void (*run)(struct http *http, struct request *request, struct answer *answer);
} routes[] = {
    {"/health", on_health},
    {"/api/v1/about", on_about},
    {"/api/v2/report", on_report},
};

static void dispatch(struct http *http, struct request *request, const char *path,
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
            routes[i].run(http, request, answer);
        else
            set_problem(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "UNIMPLEMENTED", "only GET");
        return;
    }
    set_problem(answer, MHD_HTTP_NOT_FOUND, "NOT_FOUND", "no such path");
}

/* Takes the response, which may be NULL. Any origin may read: nothing here is not public. */
static enum MHD_Result respond(struct MHD_Connection *connection, unsigned int status,
                               const char *type, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, OPTIONS");
    MHD_add_response_header(response, "Access-Control-Allow-Headers", "content-type");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_answer(struct MHD_Connection *connection, struct answer *answer)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.size, answer->body.data, MHD_RESPMEM_MUST_COPY);

    buffer_done(&answer->body);
    return respond(connection, answer->status, answer->type, response);
}

static void free_reply(void *data)
{
    reply_done(data);
    free(data);
}

/* What the answers of a batch have in common stays one copy, however slow their readers are. */
static enum MHD_Result respond_reply(struct request *request)
{
    struct reply *reply = xnew(struct reply);

    *reply = request->waiter.reply;
    request->waiter.reply = (struct reply){};
    const struct MHD_IoVec parts[] = {
        {reply->evidence->common, strlen(reply->evidence->common)},
        {reply->binding.data, reply->binding.size},
    };
    struct MHD_Response *response =
        MHD_create_response_from_iovec(parts, ELEMENTSOF(parts), free_reply, reply);
    if (!response)
        free_reply(reply);
    return respond(request->connection, MHD_HTTP_OK, "application/json", response);
}

/* Nothing here takes a body, and reading one to its end is up to who sends it. Told in the first
 * call, libmicrohttpd reads no more of it. */
static bool has_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
           (length && strcmp(length, "0") != 0);
}

static enum MHD_Result refuse_body(struct MHD_Connection *connection)
{
    struct answer answer = {};

    set_problem(&answer, MHD_HTTP_CONTENT_TOO_LARGE, "INVALID_ARGUMENT", "no body is taken");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer.body.size, answer.body.data, MHD_RESPMEM_MUST_COPY);
    buffer_done(&answer.body);
    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return respond(connection, answer.status, answer.type, response);
}

static void allow(struct http *http, struct MHD_Connection *connection, int64_t ms)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (info && info->socket_context)
        door_allow(http->door, info->socket_context, ms);
}

static struct request *request_new(struct MHD_Connection *connection)
{
    struct request *request = xnew(struct request);

    request->connection = connection;
    return request;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, _unused_ const char *version,
                                  _unused_ const char *upload, _unused_ size_t *upload_size,
                                  void **con_data)
{
    struct answer answer = {.status = MHD_HTTP_OK, .type = "application/json"};
    struct request *request = *con_data;

    if (!request) { /* answering in the first call would close the connection */
        allow(data, connection, DOOR_ANSWER_MS);
        if (has_body(connection))
            return refuse_body(connection);
        *con_data = request_new(connection);
        return MHD_YES;
    }
    if (!request->asked) {
        dispatch(data, request, url, method, &answer);
        return request->asked ? MHD_YES : respond_answer(connection, &answer);
    }
    if (!request->waiter.reply.err)
        return respond_reply(request);
    set_error(&answer, request->waiter.reply.err);
    return respond_answer(connection, &answer);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **con_data,
                         _unused_ enum MHD_RequestTerminationCode code)
{
    struct request *request = *con_data;

    allow(data, connection, DOOR_REQUEST_MS);
    if (!request)
        return;
    reply_done(&request->waiter.reply);
    free(request);
    *con_data = NULL;
}

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = data;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *context = door_enter(http->door, info->connect_fd);
    else
        door_leave(http->door, *context);
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

/* A descriptor for each connection, where the limit is ours to raise. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static struct MHD_Daemon *start_daemon(struct http *http, struct sockaddr_in *address)
{
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)address,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_LIMIT, MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned int)CONNECTIONS_MAX,
        MHD_OPTION_END);
}

struct error *http_start(const char *listen, const struct http_desks *desks, struct clock *clock,
                         struct http **ret_http)
{
    struct sockaddr_in address;

    struct error *err = parse_listen(listen, &address);
    if (err)
        return err;
    raise_limit();
    struct http *http = xnew(struct http);
    http->desks = *desks;
    http->door = door_new(clock);
    http->daemon = start_daemon(http, &address);
    if (!http->daemon) {
        err = error_errno(errno, "listen on '%s'", listen);
        http_free(http);
        return err;
    }
    *ret_http = http;
    return NULL;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    door_free(http->door);
    free(http);
}

void http_wake(struct http *http)
{
    door_wake(http->door);
}

uint16_t http_port(const struct http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}
