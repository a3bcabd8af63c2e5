/* `coffer verify` as it is run, against a server that plays every part. */
#include "cli/test_verify_server.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>

#include "cli/verify.h"
#include "shared/attestation/image.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/manifest/manifest.h"
#include "shared/seal/seal.h"

static struct test_fleet fleet;
static struct sign_key release_key, other_key;
static char *manifest_text, *manifest_hash_text, *paths[5];
enum { CA, IMAGE, FOREIGN_IMAGE, OUTPUT, MANIFEST };

static const uint8_t measurement[48] = {[0 ... 47] = 0x4d};

static char *make_manifest(void)
{
    struct manifest_service services[] = {
        {"db", "postgres:17", "unpinned"},
        {"web", "nginx:1",
         "sha256:4444444444444444444444444444444444444444444444444444444444444444"},
    };
    const struct manifest manifest = {
        .image_version = "0.1.0",
        .public_service = "web",
        .public_port = 80,
        .acme_directory = "https://acme.test/dir",
        .acme_ca = "",
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
        .services = services,
        .n_services = 2,
    };
    _cleanup_buffer_ struct buffer text = {};

    expect_ok(manifest_write(&manifest, &text));
    return buffer_take_text(&text);
}

/* Signed as image_seal() does, with the measurement that the test's guest has. */
static void write_image(const char *path, const struct sign_key *key)
{
    _cleanup_buffer_ struct buffer text = {};
    _cleanup_free_ char *digest = hex_encode_new(measurement, 48);
    _cleanup_free_ char *public = hex_encode_new(key->public, 32);
    uint8_t signature[SIGN_SIZE], zero[32] = {0};
    _cleanup_free_ char *sha = hex_encode_new(zero, 32);
    json_auto_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:{s:{s:s, s:i}}, s:[{s:i, s:s, s:i, s:s}]}", "version",
                  "0.1.0", "verity_root_hash", "00", "cmdline", "quiet", "firmware", "OVMF.fd",
                  "files", "OVMF.fd", "sha256", sha, "size", 1, "measurements", "vcpus", 2,
                  "cpu_model", "EPYC-v4", "guest_features", 1, "digest", digest);

    expect_ok(canonical_json(root, &text));
    expect_ok(sign_bytes(key, text.data, text.size, signature));
    _cleanup_free_ char *value = base64_encode_new(signature, SIGN_SIZE);
    json_object_set_new(root, "signature", json_pack("{s:s, s:s}", "key", public, "value", value));
    assert_int_equal(json_dump_file(root, path, 0), 0);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = {"ca.pem", "image.json", "foreign.json", "out", "manifest"};
    uint8_t hash[32];

    test_fleet_init(&fleet);
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        paths[i] = xasprintf("%s/%s", fleet.dir, names[i]);
    manifest_text = make_manifest();
    sha256(manifest_text, strlen(manifest_text), hash);
    manifest_hash_text = hex_encode_new(hash, 32);
    expect_ok(sign_key_generate(&release_key));
    expect_ok(sign_key_generate(&other_key));
    write_image(paths[IMAGE], &release_key);
    write_image(paths[FOREIGN_IMAGE], &other_key);
    expect_ok(file_write_atomic(paths[MANIFEST], manifest_text, strlen(manifest_text), 0644));
    _cleanup_free_ char *pub = xasprintf("%s/release.pub", fleet.root);
    _cleanup_free_ char *hex = hex_encode_new(release_key.public, 32);
    expect_ok(file_write_atomic(pub, hex, strlen(hex), 0644));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_fleet_done(&fleet);
    for (size_t i = 0; i < ELEMENTSOF(paths); i++)
        free(paths[i]);
    free(manifest_text);
    free(manifest_hash_text);
    return 0;
}

/* Runs verify_main with stdout in a file; NULL arguments are left out. */
static int run(const char *const *arguments, size_t n, char **ret_output)
{
    char *argv[24];
    int argc = 0;

    argv[argc++] = (char *)"verify";
    for (size_t i = 0; i < n; i++)
        if (arguments[i])
            argv[argc++] = (char *)arguments[i];
    argv[argc] = NULL;
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int fd = open(paths[OUTPUT], O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    int code = verify_main(argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    _cleanup_buffer_ struct buffer text = {};
    expect_ok(file_read(paths[OUTPUT], 1024 * 1024, &text));
    *ret_output = xstrdup(buffer_text(&text));
    return code;
}

static struct verify_server honest(void)
{
    struct verify_server server = {
        .name = "hello.coffer.test",
        .cpu_model = "EPYC-v4",
        .guest = test_guest(),
        .manifest = manifest_text,
        .processor = fleet.processors[0],
    };

    return server;
}

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
    verify_server_start(server, paths[CA]);
    _cleanup_free_ char *connect = xasprintf("127.0.0.1:%u", server->port);
    const char *const arguments[] = {
        "https://hello.coffer.test",
        "--connect",
        connect,
        a->no_ca ? NULL : "--ca",
        a->no_ca ? NULL : paths[CA],
        a->manifest,
        a->manifest_value,
        a->image ? "--image" : NULL,
        a->image,
        a->no_root ? NULL : "--trust-root",
        a->no_root ? NULL : fleet.root,
        a->extra[0],
        a->extra[1],
    };
    int code = run(arguments, ELEMENTSOF(arguments), ret_output);
    verify_server_stop(server);
    return code;
}

static struct arguments usual(void)
{
    return (struct arguments){
        .manifest = "--manifest", .manifest_value = manifest_hash_text, .image = paths[IMAGE]};
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
    struct verify_server server = honest();
    struct arguments a = usual();

    expect(&server, &a, 0, "\nVERIFIED (development root)\n");
    expect(&server, &a, 0, "not pinned: db (postgres:17)");
    a.manifest_value = paths[MANIFEST];
    expect(&server, &a, 0, manifest_hash_text);
    server.batch = true;
    expect(&server, &a, 0, "answered, with 4 more");
    a.manifest = "--any-manifest";
    a.manifest_value = NULL;
    expect(&server, &a, 0, "any, as asked for");
    a = usual();
    a.extra[0] = "--nonce";
    a.extra[1] = manifest_hash_text; /* any 32 bytes */
    expect(&server, &a, 0, "VERIFIED");
}

static void result_as_json_says_the_same(void **state)
{
    (void)state;
    struct verify_server server = honest();
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
    assert_true(json_array_size(json_object_get(json, "steps")) >= 18);
}

static void what_is_not_told_cannot_be_told(void **state)
{
    (void)state;
    struct verify_server server = honest();
    struct arguments a = usual();

    a.manifest = a.manifest_value = NULL;
    expect(&server, &a, 3, "CANNOT TELL: manifest");
    a = usual();
    a.image = NULL;
    expect(&server, &a, 3, "CANNOT TELL: measurement");
    a = usual();
    server.raw = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    expect(&server, &a, 3, "CANNOT TELL: evidence");
    server.raw = "";
    expect(&server, &a, 3, "CANNOT TELL: tls");
    server = honest();
    server.huge = true;
    expect(&server, &a, 3, "larger than");
}

static void unreached_server_cannot_be_told(void **state)
{
    (void)state;
    const char *const arguments[] = {"https://hello.coffer.test", "--connect", "127.0.0.1:1",
                                     "--any-manifest"};
    _cleanup_free_ char *output = NULL;

    assert_int_equal(run(arguments, ELEMENTSOF(arguments), &output), 3);
    assert_non_null(strstr(output, "CANNOT TELL: tls"));
}

static void wrong_expectations_fail_at_their_step(void **state)
{
    (void)state;
    struct verify_server server = honest();
    struct arguments a = usual();

    a.no_root = true;
    a.extra[0] = "--release-key";
    _cleanup_free_ char *hex = hex_encode_new(release_key.public, 32);
    a.extra[1] = hex;
    expect(&server, &a, 1, "NOT VERIFIED: chain");
    a = usual();
    a.manifest_value = "0000000000000000000000000000000000000000000000000000000000000000";
    expect(&server, &a, 1, "NOT VERIFIED: manifest");
    a = usual();
    a.image = paths[FOREIGN_IMAGE];
    expect(&server, &a, 1, "NOT VERIFIED: image");
    a = usual();
    a.no_ca = true;
    expect(&server, &a, 1, "NOT VERIFIED: tls");
}

static void dishonest_servers_fail_at_their_step(void **state)
{
    (void)state;
    struct arguments a = usual();
    struct verify_server server = honest();

    server.name = "other.coffer.test";
    expect(&server, &a, 1, "NOT VERIFIED: tls");
    server = honest();
    server.other_key = true; /* relayed from the real one */
    expect(&server, &a, 1, "NOT VERIFIED: key");
    server = honest();
    server.old_nonce = true;
    expect(&server, &a, 1, "freshness    the report does not answer it");
    server = honest();
    server.no_nonce = true;
    expect(&server, &a, 1, "NOT VERIFIED: freshness");
    server = honest();
    server.shown_manifest = "{}";
    expect(&server, &a, 1, "\xe2\x9c\x97 host_data");
    server = honest();
    server.guest.measurement[0] ^= 1;
    expect(&server, &a, 1, "NOT VERIFIED: measurement");
    server = honest();
    server.cpu_model = "EPYC-Genoa";
    expect(&server, &a, 1, "NOT VERIFIED: image");
    server = honest();
    server.guest.policy |= 1 << 19;
    expect(&server, &a, 1, "NOT VERIFIED: debug");
    server = honest();
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
        struct verify_server server = honest();
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
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *output = NULL;

        if (run(cases[i], 4, &output) != 2)
            fail_msg("case %zu is accepted", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_server_is_verified),
        cmocka_unit_test(result_as_json_says_the_same),
        cmocka_unit_test(what_is_not_told_cannot_be_told),
        cmocka_unit_test(unreached_server_cannot_be_told),
        cmocka_unit_test(wrong_expectations_fail_at_their_step),
        cmocka_unit_test(dishonest_servers_fail_at_their_step),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(wrong_usage_is_said),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("verify", tests, set_up, tear_down);
}
