/* A gateway with a certificate of its own authority: only the context that has it speaks with it.
 */
#include <signal.h>

#include "cli/command.h"
#include "cli/context.h"
#include "cli/test_gateway.h"
#include "cli/test_verify_server.h"

#define LIST "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"

static struct test_gateway gateway; /* its folder; nobody asks it */
static struct verify_server server;
static char ca[96];

static int run(const char *command, char **ret_output, char **ret_errors)
{
    return test_gateway_run(&gateway, (const char *const[]){command, NULL}, ret_output, ret_errors);
}

static void serve(const char *name, bool expired)
{
    server = (struct verify_server){.name = name, .expired = expired, .raw = LIST};
    verify_server_start(&server, ca);
}

/* A context for the server, with its authority or without. */
static void use(bool with_ca)
{
    _cleanup_free_ char *url = xasprintf("https://localhost:%u", server.port);

    assert_null(context_save("tls", url, "user-key-1", with_ca ? ca : NULL, true));
}

static void test_the_authority_of_the_context_is_believed(_unused_ void **state)
{
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;
    _cleanup_free_ char *found = NULL;
    _cleanup_free_ char *no_errors = NULL;

    serve("localhost", false);
    use(true);
    assert_int_equal(run("ls", &output, &errors), EXIT_OK);
    run("doctor", &found, &no_errors);
    assert_non_null(strstr(found, "TLS      the certificate is good, but only until"));
    assert_non_null(strstr(found, "ok    health"));
    verify_server_stop(&server);
}

static void test_no_other_is(_unused_ void **state)
{
    static const struct {
        const char *name;
        bool expired;
        bool with_ca;
    } rows[] = {
        {"localhost", false, false},
        {"localhost", true, true},
        {"other.example", false, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        _cleanup_free_ char *found = NULL;
        _cleanup_free_ char *no_errors = NULL;
        serve(rows[i].name, rows[i].expired);
        use(rows[i].with_ca);
        if (run("ls", &output, &errors) != EXIT_CANNOT_TELL || !strstr(errors, "--ca FILE"))
            fail_msg("row %zu: %s", i, errors);
        if (run("doctor", &found, &no_errors) != EXIT_CANNOT_TELL || !strstr(found, "fail  TLS"))
            fail_msg("row %zu: %s", i, found);
        verify_server_stop(&server);
    }
}

static int setup(_unused_ void **state)
{
    signal(SIGPIPE, SIG_IGN); /* the doctor's probe of the port says nothing to the server */
    test_gateway_start(&gateway);
    unsetenv("COFFER_API_URL");
    unsetenv("COFFER_API_KEY");
    setenv("no_proxy", "localhost,127.0.0.1", 1);
    snprintf(ca, sizeof(ca), "%s/ca.pem", gateway.dir);
    return 0;
}

static int teardown(_unused_ void **state)
{
    test_gateway_stop(&gateway);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_authority_of_the_context_is_believed),
        cmocka_unit_test(test_no_other_is),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
