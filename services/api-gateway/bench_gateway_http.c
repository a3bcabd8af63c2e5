/*
 * What our HTTP server costs over libmicrohttpd alone: an answer from memory, and one of a handler
 * on the pool, beside a bare "hello" of the same size and settings. Figures, not a test.
 *
 * bench_gateway_http [SECONDS]: wrk must be installed.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "services/api-gateway/gateway.h"
#include "shared/base/alloc.h"

enum { BODY_SIZE = 1024, CONNECTIONS = 50, ROUNDS = 3 };

static char body[BODY_SIZE];

static bool answer_now(struct request *request, struct response *ret_response)
{
    (void)request;
    ret_response->content_type = "application/json";
    ret_response->raw = MHD_create_response_from_buffer(sizeof(body), body, MHD_RESPMEM_PERSISTENT);
    return true;
}

static struct error *answer_on_pool(struct request *request, struct response *ret_response)
{
    return answer_now(request, ret_response) ? NULL : error_new(ERROR_INTERNAL, "no answer");
}

static const struct route routes[] = {
    {"GET", "/now", SCOPE_NONE, answer_on_pool, 1024, answer_now, SHARE_BY_ROUTE},
    {"GET", "/pool", SCOPE_NONE, answer_on_pool, 1024, NULL, SHARE_BY_ROUTE},
    {NULL, NULL, SCOPE_NONE, NULL, 0, NULL, SHARE_BY_ROUTE},
};

static enum MHD_Result hello(void *state, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *upload,
                             size_t *upload_size, void **place)
{
    (void)state, (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
    if (!*place) {
        *place = body; /* an answer in the first call would close the connection */
        return MHD_YES;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof(body), body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static double cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage); /* not wrk's: that is a child */
    return 1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct result {
    double per_second;
    double cpu_us; /* of ours, for each request */
};

static struct result run(uint16_t port, const char *path, int seconds)
{
    _cleanup_free_ char *command =
        xasprintf("wrk -t2 -c%d -d%ds http://127.0.0.1:%u%s", CONNECTIONS, seconds, port, path);
    FILE *output = popen(command, "r");
    char line[256];
    double per_second = 0;
    double total = 0;
    double before = cpu_us();

    while (output && fgets(line, sizeof(line), output)) {
        const char *at = strstr(line, "Requests/sec:");
        if (at)
            per_second = strtod(at + strlen("Requests/sec:"), NULL);
        else if (strstr(line, "requests in"))
            total = strtod(line, NULL);
        else if (strstr(line, "Non-2xx"))
            printf("%s", line);
    }
    if (output)
        pclose(output);
    return (struct result){per_second, total > 0 ? (cpu_us() - before) / total : 0};
}

static uint16_t bare_port(struct MHD_Daemon *bare)
{
    return MHD_get_daemon_info(bare, MHD_DAEMON_INFO_BIND_PORT)->port;
}

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 3;
    _cleanup_free_ struct gateway *gateway = xnew(struct gateway);
    const struct http_options options = {.listen = "127.0.0.1:0",
                                         .routes = routes,
                                         .gateway = gateway,
                                         .max_connections = 1000,
                                         .workers = 16};
    struct http_server *server = NULL;

    memset(body, 'x', sizeof(body));
    gateway->clock = clock_system();
    metrics_init(&gateway->metrics);
    limits_init(&gateway->limits);
    struct error *err = http_server_start(&options, &server);
    struct MHD_Daemon *bare =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_TURBO, 0, NULL, NULL,
                         hello, NULL, MHD_OPTION_THREAD_POOL_SIZE, 2U, MHD_OPTION_END);
    if (err || !bare) {
        printf("cannot start: %s\n", err ? error_text(err) : "libmicrohttpd");
        return 1;
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct result plain = run(bare_port(bare), "/", seconds);
        struct result now = run(http_server_port(server), "/now", seconds);
        struct result pool = run(http_server_port(server), "/pool", seconds);
        printf("bare %.0f/s %.1f us; from memory %.0f/s %.1f us; on the pool %.0f/s %.1f us\n",
               plain.per_second, plain.cpu_us, now.per_second, now.cpu_us, pool.per_second,
               pool.cpu_us);
    }
    MHD_stop_daemon(bare);
    http_server_stop(server);
    limits_done(&gateway->limits);
    metrics_done(&gateway->metrics);
    return 0;
}
