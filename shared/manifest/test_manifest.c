/* The manifest: one vector byte by byte, order does not matter, everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"

#define HEX_1 "0101010101010101010101010101010101010101010101010101010101010101"
#define HEX_2 "0202020202020202020202020202020202020202020202020202020202020202"
#define PEM   "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"

/* Made with another implementation (Python: sorted keys, no white space). */
#define VECTOR_SHA256 "90f4a5f6cdd1f28241d0bedd3838518ae2797f969707d66cb95f831ef305f0f1"

static const char vector[] =
    "{\"acme\":{\"ca\":\"" PEM "\",\"directory\":\"https://acme.coffer.test/dir\"},"
    "\"authority\":{\"sign\":\"" HEX_2 "\"},"
    "\"compose_sha256\":\"" HEX_1 "\","
    "\"domains\":[\"a.example.com\",\"b.example.com\"],"
    "\"env\":[\"A\",\"B_2\"],"
    "\"files\":{\"a/b.txt\":\"" HEX_1 "\",\"z\":\"" HEX_2 "\"},"
    "\"image_version\":\"0.1.0\","
    "\"owner_keys\":[],"
    "\"policy\":{\"egress\":\"any\",\"logs\":\"platform\",\"storage\":\"ephemeral\"},"
    "\"public\":{\"port\":8080,\"service\":\"web\"},"
    "\"registries\":[\"docker.io\",\"registry.coffer.test:5000\"],"
    "\"registry_cas\":{\"registry.coffer.test:5000\":\"" PEM "\"},"
    "\"schema\":\"coffer.manifest/v1\","
    "\"secret_files\":{\"key.pem\":\"" HEX_2 "\"},"
    "\"services\":{\"db\":{\"digest\":\"sha256:" HEX_1 "\",\"image\":\"db@sha256:" HEX_1 "\"},"
    "\"web\":{\"digest\":\"unpinned\",\"image\":\"registry.coffer.test:5000/hello:1\"}}}";

static const char *env[] = {"B_2", "A"};
static const char *domains[] = {"b.example.com", "a.example.com"};
static const char *registries[] = {"registry.coffer.test:5000", "docker.io"};
static struct manifest_text cas[] = {
    {"registry.coffer.test:5000", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
};
static struct manifest_service services[] = {
    {"web", "registry.coffer.test:5000/hello:1", "unpinned"},
    {"db", "db@sha256:" HEX_1, "sha256:" HEX_1},
};
static struct manifest_hash files[] = {{"z", {0}}, {"a/b.txt", {0}}};
static struct manifest_hash secret_files[] = {{"key.pem", {0}}};

static struct manifest sample(void)
{
    struct manifest manifest = {
        .image_version = "0.1.0",
        .public_service = "web",
        .public_port = 8080,
        .acme_directory = "https://acme.coffer.test/dir",
        .acme_ca = cas[0].text,
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
        .env = env,
        .n_env = 2,
        .domains = domains,
        .n_domains = 2,
        .registries = registries,
        .n_registries = 2,
        .registry_cas = cas,
        .n_registry_cas = 1,
        .services = services,
        .n_services = 2,
        .files = files,
        .n_files = 2,
        .secret_files = secret_files,
        .n_secret_files = 1,
    };

    memset(manifest.compose_sha256, 1, 32);
    memset(manifest.authority_sign, 2, 32);
    memset(files[0].sha256, 2, 32);
    memset(files[1].sha256, 1, 32);
    memset(secret_files[0].sha256, 2, 32);
    return manifest;
}

static void test_written_bytes_are_the_vector(void **state)
{
    struct manifest manifest = sample();
    _cleanup_buffer_ struct buffer json = {0};

    (void)state;
    assert_null(manifest_write(&manifest, &json));
    assert_string_equal(buffer_text(&json), vector);
}

static void test_hash_of_the_vector(void **state)
{
    uint8_t hash[32];
    char text[65];

    (void)state;
    manifest_hash(vector, strlen(vector), hash);
    hex_encode(hash, sizeof(hash), text);
    assert_string_equal(text, VECTOR_SHA256);
}

static void test_parse_gives_back_what_was_written(void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer again = {0};
    struct manifest *manifest = NULL;

    (void)state;
    assert_null(manifest_parse(vector, strlen(vector), arena, &manifest));
    assert_string_equal(manifest->public_service, "web");
    assert_int_equal(manifest->public_port, 8080);
    assert_int_equal(manifest->n_env, 2);
    assert_string_equal(manifest->env[0], "A");
    assert_int_equal(manifest->services[0].digest[0], 's');
    assert_int_equal(manifest->files[0].sha256[31], 1);
    assert_int_equal(manifest->authority_sign[0], 2);
    assert_null(manifest_write(manifest, &again));
    assert_string_equal(buffer_text(&again), vector);
}

/* Each takes the vector, changes one thing, and must be refused. */
static const struct {
    const char *what;
    const char *from;
    const char *to;
} bad_texts[] = {
    {"white space", "{\"acme\"", "{ \"acme\""},
    {"trailing text", "hello:1\"}}}", "hello:1\"}}}x"},
    {"trailing newline", "hello:1\"}}}", "hello:1\"}}}\n"},
    {"cut", "\"}}}", "\"}}"},
    {"another schema", "manifest/v1", "manifest/v2"},
    {"unknown member", "\"env\"", "\"abc\":1,\"env\""},
    {"missing member", "\"owner_keys\":[],", ""},
    {"duplicate member", "\"env\":[", "\"env\":[],\"env\":["},
    {"order of members", "\"egress\":\"any\",\"logs\":\"platform\"",
     "\"logs\":\"platform\",\"egress\":\"any\""},
    {"escape that is not needed", "\"web\"},", "\"\\u0077eb\"},"},
    {"unknown member inside", "\"egress\":", "\"a\":1,\"egress\":"},
    {"unknown member of a service", "\"digest\":\"unpinned\"", "\"a\":1,\"digest\":\"unpinned\""},
    {"wrong type", "\"env\":[\"A\",\"B_2\"]", "\"env\":{}"},
    {"null in a list", "[\"A\",\"B_2\"]", "[\"A\",null]"},
    {"number in a list", "[\"A\",\"B_2\"]", "[1,\"B_2\"]"},
    {"list out of order", "[\"A\",\"B_2\"]", "[\"B_2\",\"A\"]"},
    {"list with duplicates", "[\"A\",\"B_2\"]", "[\"A\",\"A\"]"},
    {"env name", "[\"A\",\"B_2\"]", "[\"A\",\"B-2\"]"},
    {"env name with a digit first", "[\"A\",\"B_2\"]", "[\"2\",\"B_2\"]"},
    {"owner keys are not in this schema", "\"owner_keys\":[]", "\"owner_keys\":[\"x\"]"},
    {"port 0", ":8080", ":0"},
    {"port 65536", ":8080", ":65536"},
    {"port below zero", ":8080", ":-1"},
    {"port as a fraction", ":8080", ":8080.0"},
    {"port as text", ":8080", ":\"8080\""},
    {"public service that does not exist", "\"service\":\"web\"", "\"service\":\"wob\""},
    {"upper-case hash", "\"sign\":\"02", "\"sign\":\"0A"},
    {"short hash", "\"sign\":\"02", "\"sign\":\"2"},
    {"digest", "sha256:01", "sha512:01"},
    {"digest word", "unpinned", "whatever"},
    {"image with a space", "hello:1", "hello 1"},
    {"image empty", "registry.coffer.test:5000/hello:1", ""},
    {"path up", "a/b.txt", "a/../b"},
    {"path absolute", "a/b.txt", "/a/b"},
    {"path with an empty part", "a/b.txt", "a//b"},
    {"path with a space", "a/b.txt", "a b"},
    {"path plain and secret", "\"key.pem\"", "\"z\""},
    {"domain in upper case", "a.example.com", "A.example.com"},
    {"domain of one label", "a.example.com", "a"},
    {"domain with a wild card", "a.example.com", "*.example.com"},
    {"domain that is an address", "\"a.example.com\",\"b.example.com\"", "\"10.0.0.1\""},
    {"registry with a space", "docker.io", "docker io"},
    {"ACME without TLS", "https://acme", "http://acme"},
    {"ACME CA", "\"ca\":\"-----BEGIN", "\"ca\":\"-----BEGUN"},
    {"registry CA", ":\"-----BEGIN CERT", ":\"-----BEGIN XERT"},
    {"image version", "0.1.0", "../0"},
    {"unknown policy", "ephemeral", "forever"},
    {"unknown egress", "\"any\"", "\"all\""},
};

static char *replaced(const char *from, const char *to)
{
    const char *at = strstr(vector, from);

    assert_non_null(at);
    return xasprintf("%.*s%s%s", (int)(at - vector), vector, to, at + strlen(from));
}

static void test_bad_manifests_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bad_texts); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        _cleanup_free_ char *text = replaced(bad_texts[i].from, bad_texts[i].to);
        struct manifest *manifest = NULL;
        _cleanup_(error_freep) struct error *err =
            manifest_parse(text, strlen(text), arena, &manifest);
        if (error_get_code(err) != ERROR_INVALID_ARGUMENT)
            fail_msg("%s: %s", bad_texts[i].what, error_text(err));
        assert_null(manifest);
    }
}

static void test_other_documents_are_refused(void **state)
{
    static const char *const texts[] = {"",   "null",           "[]",  "1", "{}",
                                        "\"", "{\"schema\":1}", "\xff"};

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct manifest *manifest = NULL;
        _cleanup_(error_freep) struct error *err =
            manifest_parse(texts[i], strlen(texts[i]), arena, &manifest);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    }
}

static void test_large_manifest_is_refused(void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_free_ char *text = xcalloc(1, MANIFEST_MAX + 1);
    struct manifest *manifest = NULL;

    (void)state;
    memset(text, '[', MANIFEST_MAX + 1);
    _cleanup_(error_freep) struct error *err =
        manifest_parse(text, MANIFEST_MAX + 1, arena, &manifest);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
}

static void assert_write_is_refused(const struct manifest *manifest)
{
    _cleanup_buffer_ struct buffer json = {0};
    _cleanup_(error_freep) struct error *err = manifest_write(manifest, &json);

    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    assert_int_equal(json.size, 0);
}

static void test_duplicates_are_not_written(void **state)
{
    const char *twice[] = {"A", "B", "A"};
    struct manifest_hash two_files[] = {{"a", {0}}, {"a", {1}}};
    struct manifest_service two_services[] = {services[0], services[0]};
    struct manifest manifest = sample();

    (void)state;
    manifest.env = twice;
    manifest.n_env = 3;
    assert_write_is_refused(&manifest);
    manifest = sample();
    manifest.files = two_files;
    assert_write_is_refused(&manifest);
    manifest = sample();
    manifest.services = two_services;
    assert_write_is_refused(&manifest);
}

static void test_missing_fields_are_not_written(void **state)
{
    struct manifest manifest = sample();

    (void)state;
    manifest.image_version = NULL;
    assert_write_is_refused(&manifest);
    manifest = sample();
    manifest.acme_ca = NULL;
    assert_write_is_refused(&manifest);
    manifest = sample();
    manifest.public_service = NULL;
    assert_write_is_refused(&manifest);
    manifest = sample();
    manifest.policy_storage = NULL;
    assert_write_is_refused(&manifest);
}

static void test_reserved_environment_names(void **state)
{
    static const char *const reserved[] = {
        "PATH",       "LD_PRELOAD", "DOCKER_HOST", "COMPOSE_FILE", "COFFER_X",
        "CADDY_ACME", "FILES",      "GODEBUG",     "MALLOC_TOP",   "NILCC_VERSION"};
    static const char *const free_names[] = {"GREETING", "PATHS", "MY_PATH",
                                             "DOCKER",   "LD",    "HOMES"};

    (void)state;
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        assert_true(manifest_env_is_reserved(reserved[i]));
    for (size_t i = 0; i < sizeof(free_names) / sizeof(free_names[0]); i++)
        assert_false(manifest_env_is_reserved(free_names[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_bytes_are_the_vector),
        cmocka_unit_test(test_hash_of_the_vector),
        cmocka_unit_test(test_parse_gives_back_what_was_written),
        cmocka_unit_test(test_bad_manifests_are_refused),
        cmocka_unit_test(test_other_documents_are_refused),
        cmocka_unit_test(test_large_manifest_is_refused),
        cmocka_unit_test(test_duplicates_are_not_written),
        cmocka_unit_test(test_missing_fields_are_not_written),
        cmocka_unit_test(test_reserved_environment_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
