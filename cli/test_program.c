#include "cli/test_program.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>

#include "cli/frame.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { TEXT_MAX = 1024 * 1024 };

struct test_gateway gateway;

static const struct gateway_answer *find(const char *method, const char *path)
{
    static const struct gateway_answer none = {
        .status = 404, .body = "{\"error\":\"no such thing\",\"kind\":\"NOT_FOUND\"}"};
    const struct gateway_answer *last = NULL;

    for (size_t i = 0; i < gateway.n_answers; i++) {
        const struct gateway_answer *row = &gateway.answers[i];
        if (strcmp(row->method, method) != 0 || strcmp(row->path, path) != 0)
            continue;
        last = row;
        if (gateway.used[i])
            continue;
        gateway.used[i] = 1;
        break;
    }
    return last ?: &none;
}

static enum MHD_Result on_argument(void *text, _unused_ enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    buffer_printf(text, "&%s=%s", name, value ?: "");
    return MHD_YES;
}

static void write_down(struct MHD_Connection *connection, const char *method, const char *path)
{
    static const char *const headers[] = {"x-api-key", "If-Match", "Last-Event-ID"};

    buffer_printf(&gateway.asked, "%s %s", method, path);
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_argument, &gateway.asked);
    for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
        const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, headers[i]);
        if (value)
            buffer_printf(&gateway.asked, " [%s: %s]", headers[i], value);
    }
    buffer_printf(&gateway.asked, " %s\n", buffer_text(&gateway.upload));
    buffer_done(&gateway.upload);
}

static enum MHD_Result on_request(_unused_ void *state, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  _unused_ const char *version, const char *data, size_t *size,
                                  void **place)
{
    if (!*place) {
        *place = &gateway;
        return MHD_YES;
    }
    if (*size) {
        buffer_add(&gateway.upload, data, *size);
        *size = 0;
        return MHD_YES;
    }
    write_down(connection, method, path);
    const struct gateway_answer *answer = find(method, path);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(answer->body), (void *)answer->body, MHD_RESPMEM_MUST_COPY);
    if (answer->etag)
        MHD_add_response_header(response, "ETag", answer->etag);
    if (answer->type)
        MHD_add_response_header(response, "Content-Type", answer->type);
    if (answer->cursor)
        MHD_add_response_header(response, "Coffer-Next-Cursor", answer->cursor);
    enum MHD_Result result = MHD_queue_response(connection, answer->status ?: 200, response);
    MHD_destroy_response(response);
    return result;
}

int gateway_setup(_unused_ void **state)
{
    strcpy(gateway.dir, "/tmp/coffer-cli-XXXXXX");
    assert_non_null(mkdtemp(gateway.dir));
    gateway.daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                      NULL, MHD_OPTION_END);
    assert_non_null(gateway.daemon);
    _cleanup_free_ char *url =
        xasprintf("http://127.0.0.1:%u",
                  MHD_get_daemon_info(gateway.daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    setenv("HOME", gateway.dir, 1);
    setenv("COFFER_API_URL", url, 1);
    setenv("COFFER_API_KEY", "user-key", 1);
    setenv("no_proxy", "127.0.0.1", 1);
    unsetenv("COFFER_ADMIN_KEY_FILE");
    unsetenv("XDG_CONFIG_HOME");
    return 0;
}

int gateway_teardown(_unused_ void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf %s", gateway.dir);

    MHD_stop_daemon(gateway.daemon);
    buffer_done(&gateway.asked);
    buffer_done(&gateway.upload);
    free(gateway.output);
    free(gateway.errors);
    return system(command);
}

static void write_file(const char *name, const char *text, char *ret_path, size_t size)
{
    snprintf(ret_path, size, "%s/%s", gateway.dir, name);
    assert_null(file_write_atomic(ret_path, text, strlen(text), 0600));
}

const char *gateway_write(const char *name, const char *text)
{
    static char path[256];

    write_file(name, text, path, sizeof(path));
    return path;
}

void gateway_answer(const struct gateway_answer *answers, size_t n)
{
    assert_true(n <= ELEMENTSOF(gateway.used));
    gateway.answers = answers;
    gateway.n_answers = n;
    memset(gateway.used, 0, sizeof(gateway.used));
}

/* Puts a file of dir in the place of a descriptor; returns the one that was there. */
static int redirect(int fd, const char *name, int flags)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", gateway.dir, name);
    int saved = dup(fd);
    int file = open(path, flags, 0600);

    assert_true(saved >= 0 && file >= 0);
    dup2(file, fd);
    close(file);
    return saved;
}

static void restore(int fd, int saved, const char *name, char **ret_text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", gateway.dir, name);
    _cleanup_buffer_ struct buffer text = {0};

    dup2(saved, fd);
    close(saved);
    if (!ret_text)
        return;
    assert_null(file_read(path, TEXT_MAX, &text));
    free(*ret_text);
    *ret_text = xstrdup(buffer_text(&text));
}

int gateway_run(const char *const *arguments, size_t n)
{
    _cleanup_free_ char **argv = xcalloc(n + 1, sizeof(char *));
    char path[256];
    int argc = 0;

    for (size_t i = 0; i < n; i++)
        if (arguments[i])
            argv[argc++] = (char *)arguments[i];
    buffer_done(&gateway.asked);
    memset(gateway.used, 0, sizeof(gateway.used));
    write_file(".stdin", gateway.input ?: "", path, sizeof(path));
    gateway.input = NULL;
    fflush(stdout);
    fflush(stderr);
    int in = redirect(STDIN_FILENO, ".stdin", O_RDONLY);
    int out = redirect(STDOUT_FILENO, ".stdout", O_RDWR | O_CREAT | O_TRUNC);
    int err = redirect(STDERR_FILENO, ".stderr", O_RDWR | O_CREAT | O_TRUNC);
    int code = frame_run(argc, argv);
    fflush(stdout);
    fflush(stderr);
    restore(STDIN_FILENO, in, ".stdin", NULL);
    restore(STDOUT_FILENO, out, ".stdout", &gateway.output);
    restore(STDERR_FILENO, err, ".stderr", &gateway.errors);
    return code;
}

void gateway_expect(int expected, int actual)
{
    if (actual != expected)
        fail_msg("exit code %d, not %d\nstdout: %s\nstderr: %s\nasked: %s", actual, expected,
                 gateway.output, gateway.errors, buffer_text(&gateway.asked));
}

static void assert_in(const char *all, const char *text)
{
    if (!strstr(all, text))
        fail_msg("'%s' is not in: %s\nstdout: %s\nstderr: %s", text, all, gateway.output,
                 gateway.errors);
}

void assert_asked(const char *text)
{
    assert_in(buffer_text(&gateway.asked), text);
}

void assert_not_asked(const char *text)
{
    if (strstr(buffer_text(&gateway.asked), text))
        fail_msg("'%s' is in: %s", text, buffer_text(&gateway.asked));
}

void assert_output(const char *text)
{
    assert_in(gateway.output, text);
}

void assert_errors(const char *text)
{
    assert_in(gateway.errors, text);
}

void assert_not_said(const char *secret, bool asked)
{
    if (strstr(gateway.output, secret) || strstr(gateway.errors, secret))
        fail_msg("'%s' is printed:\n%s\n%s", secret, gateway.output, gateway.errors);
    if (asked)
        assert_not_asked(secret);
}
