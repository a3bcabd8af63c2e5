/* `coffer verify` as it is run, against a server that plays every part. */
#include <curl/curl.h>
#include <jansson.h>
#include <signal.h>

#include "cli/test_verify_scene.h"
#include "cli/verify_fetch.h"
#include "shared/base/encode.h"

struct arguments {
    const char *manifest; /* "--manifest" or "--any-manifest" or NULL */
    const char *manifest_value;
    const char *image;
    bool no_root;
    bool no_ca;
    const char *extra[2];
};

static int verify(struct verify_server *server, const struct arguments *a, char **ret_output)
{
    verify_server_start(server, scene.ca);
    _cleanup_free_ char *connect = xasprintf("127.0.0.1:%u", server->port);
    const char *const arguments[] = {
        "https://hello.coffer.test",
        "--connect",
        connect,
        a->no_ca ? NULL : "--ca",
        a->no_ca ? NULL : scene.ca,
        a->manifest,
        a->manifest_value,
        a->image ? "--image" : NULL,
        a->image,
        a->no_root ? NULL : "--trust-root",
        a->no_root ? NULL : scene.fleet.root,
        a->extra[0],
        a->extra[1],
    };
    int code = verify_scene_run(arguments, ELEMENTSOF(arguments), ret_output);
    verify_server_stop(server);
    return code;
}

static struct arguments usual(void)
{
    return (struct arguments){
        .manifest = "--manifest", .manifest_value = scene.manifest_sha256, .image = scene.image};
}

static void expect(struct verify_server *server, const struct arguments *a, int code,
                   const char *text)
{
    _cleanup_free_ char *output = NULL;
    int actual = verify(server, a, &output);

    if (actual != code || !strstr(output, text))
        fail_msg("code %d, not %d, or no '%s' in:\n%s", actual, code, text, output);
}

static void honest_server_is_verified(void **state)
{
    (void)state;
    struct verify_server server = verify_scene_honest();
    struct arguments a = usual();

    expect(&server, &a, 0, "\nVERIFIED (development root)\n");
    expect(&server, &a, 0, "not pinned: db (postgres:17)");
    a.manifest_value = scene.manifest_file;
    expect(&server, &a, 0, scene.manifest_sha256);
    server.batch = true;
    expect(&server, &a, 0, "answered, with 4 more");
    a.manifest = "--any-manifest";
    a.manifest_value = NULL;
    expect(&server, &a, 0, "any, as asked for");
    a = usual();
    a.extra[0] = "--nonce";
    a.extra[1] = scene.manifest_sha256; /* any 32 bytes */
    expect(&server, &a, 0, "VERIFIED");
}

static void result_as_json_says_the_same(void **state)
{
    (void)state;
    struct verify_server server = verify_scene_honest();
    struct arguments a = usual();
    _cleanup_free_ char *output = NULL;

    a.extra[0] = "--json";
    assert_int_equal(verify(&server, &a, &output), 0);
    json_auto_t *json = json_loads(output, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "verdict")), "pass");
    assert_true(json_is_true(json_object_get(json, "development")));
    assert_string_equal(json_string_value(json_object_get(json, "summary")),
                        "VERIFIED (development root)");
    assert_string_equal(json_string_value(json_object_get(json, "manifest_sha256")),
                        scene.manifest_sha256);
    assert_string_equal(json_string_value(json_object_get(json, "policy")), "strict");
    assert_true(json_array_size(json_object_get(json, "steps")) >= 30);
}

static void what_is_not_told_cannot_be_told(void **state)
{
    (void)state;
    struct verify_server server = verify_scene_honest();
    struct arguments a = usual();

    a.manifest = a.manifest_value = NULL;
    expect(&server, &a, 3, "CANNOT TELL: manifest");
    a = usual();
    a.image = NULL;
    expect(&server, &a, 3, "CANNOT TELL: image");
    expect(&server, &a, 3, "code: measurement_not_given");
    a = usual();
    server.raw = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    expect(&server, &a, 3, "CANNOT TELL: evidence");
    server.raw = "";
    expect(&server, &a, 3, "CANNOT TELL: tls");
    server = verify_scene_honest();
    server.no_crl = true;
    a.extra[0] = "--offline";
    expect(&server, &a, 3, "code: revocation_no_crl");
    a = usual();
    server = verify_scene_honest();
    server.huge = true;
    expect(&server, &a, 3, "larger than");
}

/* Who is told to come again stays within the time for the whole. */
static void busy_server_is_asked_within_one_deadline(void **state)
{
    (void)state;
    static const uint8_t nonce[32];
    _cleanup_(verify_fetched_done) struct verify_fetched fetched = {};
    struct verify_server server = verify_scene_honest();

    server.raw = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    verify_server_start(&server, scene.ca);
    _cleanup_free_ char *connect = xasprintf("127.0.0.1:%u", server.port);
    struct verify_options options = {.host = (char *)"hello.coffer.test",
                                     .port = (char *)"443",
                                     .ca = scene.ca,
                                     .connect = connect};
    unsigned tries = 0;
    struct error *err;
    do { /* a machine so slow that it has no answer within the time is tried again */
        err = verify_fetch(&options, nonce, 1900, &fetched); /* less than the pause */
        error_free(err);
    } while (err && ++tries < 100);
    assert_int_equal(fetched.status, 503);
    verify_server_stop(&server);
    assert_in_range(server.asked, 1, tries + 1); /* never twice within it */
}

static void unreached_server_cannot_be_told(void **state)
{
    (void)state;
    const char *const arguments[] = {"https://hello.coffer.test", "--connect", "127.0.0.1:1",
                                     "--any-manifest"};
    _cleanup_free_ char *output = NULL;

    assert_int_equal(verify_scene_run(arguments, ELEMENTSOF(arguments), &output), 3);
    assert_non_null(strstr(output, "CANNOT TELL: tls"));
}

static void wrong_expectations_fail_at_their_step(void **state)
{
    (void)state;
    struct verify_server server = verify_scene_honest();
    struct arguments a = usual();

    a.no_root = true;
    a.extra[0] = "--release-key";
    a.extra[1] = scene.release_public;
    expect(&server, &a, 1, "NOT VERIFIED: chain");
    a = usual();
    a.manifest_value = "0000000000000000000000000000000000000000000000000000000000000000";
    expect(&server, &a, 1, "NOT VERIFIED: manifest");
    a = usual();
    a.image = scene.foreign_image;
    expect(&server, &a, 1, "NOT VERIFIED: image");
    a = usual();
    a.no_ca = true;
    expect(&server, &a, 1, "NOT VERIFIED: tls");
}

static void dishonest_servers_fail_at_their_step(void **state)
{
    (void)state;
    struct arguments a = usual();
    struct verify_server server = verify_scene_honest();

    server.name = "other.coffer.test";
    expect(&server, &a, 1, "NOT VERIFIED: tls");
    server = verify_scene_honest();
    server.expired = true;
    expect(&server, &a, 1, "NOT VERIFIED: tls");
    server = verify_scene_honest();
    server.other_key = true; /* relayed from the real one */
    expect(&server, &a, 1, "NOT VERIFIED: key");
    server = verify_scene_honest();
    server.old_nonce = true;
    expect(&server, &a, 1, "freshness     the report does not answer it");
    server = verify_scene_honest();
    server.no_nonce = true;
    expect(&server, &a, 1, "NOT VERIFIED: freshness");
    server = verify_scene_honest();
    server.shown_manifest = "{}";
    expect(&server, &a, 1, "\xe2\x9c\x97 host_data");
    server = verify_scene_honest();
    server.guest.measurement[0] ^= 1;
    expect(&server, &a, 1, "NOT VERIFIED: measurement");
    server = verify_scene_honest();
    server.cpu_model = "EPYC-Genoa";
    expect(&server, &a, 1, "NOT VERIFIED: image");
    server = verify_scene_honest();
    server.guest.policy |= 1 << 19;
    expect(&server, &a, 1, "NOT VERIFIED: debug");
    server = verify_scene_honest();
    server.guest.vmpl = 2;
    expect(&server, &a, 1, "NOT VERIFIED: vmpl");
}

static void answers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *step;
    } cases[] = {
        {"HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n"
         "Connection: close\r\n\r\n",
         "redirect to 'https://evil.test/'"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
         "NOT VERIFIED: evidence"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 19\r\nConnection: close\r\n\r\n"
         "{\"raw_report\":\"00\"}",
         "NOT VERIFIED: evidence"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct verify_server server = verify_scene_honest();
        struct arguments a = usual();

        server.raw = cases[i].raw;
        expect(&server, &a, 1, cases[i].step);
    }
}

static void wrong_usage_is_said(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {NULL},
        {"http://hello.coffer.test"},
        {"https://"},
        {"https://a/path"},
        {"https://a?x"},
        {"https://user@a"},
        {"https://a:99999999"},
        {"https://a", "https://b"},
        {"https://a", "--nonce", "12"},
        {"https://a", "--manifest", "x", "--any-manifest"},
        {"https://a", "--manifest", "/nonexistent"},
        {"https://a", "--trust-root", "/nonexistent"},
        {"https://a", "--image", "/nonexistent"},
        {"https://a", "--nonsense"},
        {"https://a", "--report", "x"},
        {"https://a", "--report-data", "00"},
        {"https://a", "--peer", "x"},
        {"https://a", "--at", "yesterday"},
        {"https://a", "--at", "2026-02-03"},
        {"https://a", "--at", "2026-02-03T00:00:00Z "},
        {"https://a", "--measurement", "00"},
        {"https://a", "--policy", "/nonexistent"},
        {"https://a", "--certs", "/nonexistent"},
        {"https://a", "--image", "no-such-version"},
        {"https://a", "--release-key", "/nonexistent"},
        {"https://a", "--release-key", "00"},
        {"https://a", "--ca", "/nonexistent"},
        {"https://a", "--ca", "/dev/null"},
        {"--report", "/nonexistent"},
        {"--report", "/dev/null"},
        {"--report", "/dev/zero"},
        {"--report", "x", "--ca", "y"},
        {"--report", "x", "--connect", "y:1"},
        {"--report", "x", "--report-data", "00"},
        {"--report", "x", "--peer", "/dev/null"},
        {"--report", "x", "--nonce", "auto"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *output = NULL;

        if (verify_scene_run(cases[i], 4, &output) != 2)
            fail_msg("case %zu is accepted", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_server_is_verified),
        cmocka_unit_test(result_as_json_says_the_same),
        cmocka_unit_test(what_is_not_told_cannot_be_told),
        cmocka_unit_test(busy_server_is_asked_within_one_deadline),
        cmocka_unit_test(unreached_server_cannot_be_told),
        cmocka_unit_test(wrong_expectations_fail_at_their_step),
        cmocka_unit_test(dishonest_servers_fail_at_their_step),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(wrong_usage_is_said),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("verify", tests, verify_scene_set_up,
                                       verify_scene_tear_down);
}
