#include "cli/test_gateway.h"

#include <microhttpd.h>
#include <netinet/in.h>

#include "cli/frame.h"
#include "cli/test_command.h"

static enum MHD_Result on_argument(void *text, _unused_ enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    buffer_printf(text, "&%s=%s", name, value);
    return MHD_YES;
}

static void write_down(struct test_gateway *gateway, struct MHD_Connection *connection,
                       const char *method, const char *path)
{
    const char *key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Idempotency-Key");

    buffer_printf(&gateway->asked, "%s %s", method, path);
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_argument, &gateway->asked);
    buffer_printf(&gateway->asked, " %s\n", buffer_text(&gateway->upload));
    buffer_printf(&gateway->keys, "%s\n", key ?: "-");
    buffer_done(&gateway->upload);
}

static const struct test_answer *find(struct test_gateway *gateway, const char *method,
                                      const char *path)
{
    static const struct test_answer none = {
        "", "", 404, "{\"error\":\"no\",\"kind\":\"NOT_FOUND\"}", NULL, NULL, 0};

    for (size_t i = 0; gateway->answers && gateway->answers[i].method; i++) {
        const struct test_answer *a = &gateway->answers[i];
        if (strcmp(a->method, method) != 0 || strcmp(a->path, path) != 0)
            continue;
        if (a->times && gateway->used[i] == a->times)
            continue;
        gateway->used[i]++;
        return a;
    }
    return &none;
}

static enum MHD_Result on_request(void *state, struct MHD_Connection *connection, const char *path,
                                  const char *method, _unused_ const char *version,
                                  const char *data, size_t *size, void **place)
{
    struct test_gateway *gateway = state;

    if (!*place) {
        *place = gateway;
        return MHD_YES;
    }
    if (*size) {
        buffer_add(&gateway->upload, data, *size);
        *size = 0;
        return MHD_YES;
    }
    write_down(gateway, connection, method, path);
    const struct test_answer *answer = find(gateway, method, path);
    if (!answer->status)
        return MHD_NO;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(answer->body), (void *)answer->body, MHD_RESPMEM_MUST_COPY);
    if (answer->header)
        MHD_add_response_header(response, answer->header, answer->value);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

void test_gateway_start(struct test_gateway *gateway)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    *gateway = (struct test_gateway){.dir = "/tmp/coffer-cli-XXXXXX"};
    assert_non_null(mkdtemp(gateway->dir));
    gateway->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                       gateway, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    assert_non_null(gateway->daemon);
    snprintf(gateway->url, sizeof(gateway->url), "http://127.0.0.1:%u",
             MHD_get_daemon_info(gateway->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    snprintf(gateway->output, sizeof(gateway->output), "%s/output", gateway->dir);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("COFFER_CONTEXT");
    unsetenv("COFFER_CA_FILE");
    unsetenv("COFFER_ADMIN_KEY_FILE");
    setenv("HOME", gateway->dir, 1);
    setenv("COFFER_API_URL", gateway->url, 1);
    setenv("COFFER_API_KEY", "user-key-1", 1);
    setenv("no_proxy", "127.0.0.1", 1);
}

void test_gateway_stop(struct test_gateway *gateway)
{
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", gateway->dir);

    MHD_stop_daemon(gateway->daemon);
    buffer_done(&gateway->asked);
    buffer_done(&gateway->keys);
    buffer_done(&gateway->upload);
    assert_int_equal(system(command), 0);
}

void test_gateway_answer(struct test_gateway *gateway, const struct test_answer *answers)
{
    gateway->answers = answers;
    memset(gateway->used, 0, sizeof(gateway->used));
    buffer_done(&gateway->asked);
    buffer_done(&gateway->keys);
}

int test_gateway_run(struct test_gateway *gateway, const char *const *arguments, char **ret_output,
                     char **ret_errors)
{
    const char *all[32] = {"coffer"};
    _cleanup_free_ char *path = xasprintf("%s/errors", gateway->dir);
    _cleanup_buffer_ struct buffer text = {0};
    size_t n = 1;

    for (; *arguments && n < ELEMENTSOF(all) - 1; arguments++)
        all[n++] = *arguments;
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    int code = test_command(frame_run, gateway->output, all, n, ret_output);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    expect_ok(file_read(path, TEST_OUTPUT_MAX, &text));
    *ret_errors = xstrdup(buffer_text(&text));
    return code;
}
