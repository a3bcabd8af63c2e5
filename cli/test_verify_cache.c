/* `coffer verify --offline` with what the key service said before, on a recorded report. */
#include <jansson.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/test_command.h"
#include "cli/verify.h"
#include "shared/attestation/policy.h"
#include "shared/attestation/report.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/collateral/cache.h"
#include "shared/collateral/kds.h"
#include "shared/manifest/signed_document.h"

#define HOUR_MS INT64_C(3600000)
#define AT      "2026-03-25T22:20:06Z"

static char dir[64];
static char *vectors, *report_path, *output_path;
static struct report report;

static void read_vector(const char *name, struct buffer *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/snp/%s", vectors, name);

    expect_ok(file_read(path, 65536, ret));
}

static struct error *accept(void *data, const void *body, size_t size)
{
    (void)data, (void)body, (void)size;
    return NULL;
}

static void put(const char *path, bool kept, const char *vector, int64_t age_ms)
{
    _cleanup_free_ char *cache_dir = xasprintf("%s/coffer/collateral", dir);
    _cleanup_(cache_freep) struct cache *cache = NULL;
    const struct cache_key key = {path, kept};
    const struct cache_check check = {accept, NULL};
    _cleanup_(item_done) struct item item = {.fetched_at_ms =
                                                 clock_wall_ms(clock_system()) - age_ms};

    read_vector(vector, &item.body);
    expect_ok(cache_open(cache_dir, 16, &cache));
    expect_ok(cache_write(cache, &key, &check, &item));
}

static void fill_cache(const char *vcek)
{
    char path[KDS_PATH_MAX];
    struct kds_chip chip;

    kds_path_chain(SNP_PRODUCT_MILAN, VEK_VCEK, path);
    put(path, true, "_roots/milan_vcek_cert_chain.pem", 72 * HOUR_MS);
    expect_ok(kds_chip_init(report_product(&report), report.chip_id, report.reported_tcb, &chip));
    kds_path_vcek(&chip, path);
    put(path, false, vcek, 5 * HOUR_MS);
}

static char *verify(bool json)
{
    _cleanup_free_ char *measurement = hex_encode_new(report.measurement, 48);
    _cleanup_free_ char *report_data = hex_encode_new(report.report_data, 64);
    const char *const arguments[] = {
        "verify",    "--report",       report_path, "--at",
        AT,          "--measurement",  measurement, "--report-data",
        report_data, "--any-manifest", "--offline", json ? "--json" : NULL};
    char *output = NULL;

    assert_int_equal(
        test_command(verify_main, output_path, arguments, ELEMENTSOF(arguments), &output), 3);
    return output;
}

static int set_up(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer bytes = {};

    snprintf(dir, sizeof(dir), "/tmp/coffer-cache-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(setenv("XDG_CACHE_HOME", dir, 1), 0);
    report_path = xasprintf("%s/snp/milan-v5-gcp/report.bin", vectors);
    output_path = xasprintf("%s/out", dir);
    read_vector("milan-v5-gcp/report.bin", &bytes);
    expect_ok(report_parse(bytes.data, bytes.size, &report));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", dir);

    free(report_path);
    free(output_path);
    assert_int_equal(system(command), 0);
    return 0;
}

static void empty_cache_cannot_tell(void **state)
{
    (void)state;
    _cleanup_free_ char *output = verify(false);

    assert_non_null(strstr(output, "code: chain_no_vek"));
    assert_non_null(strstr(output, "key service     "));
}

#define TOLD                                                                                       \
    "chain from the cache, 3 days old; VCEK from the cache, 5 h old; no revocation list "          \
    "('/vcek/v1/Milan/crl': offline)"

static void cached_certificates_serve(void **state)
{
    (void)state;
    fill_cache("milan-v5-gcp/vcek.der");
    _cleanup_free_ char *output = verify(false);

    /* No list of AMD's is recorded: that alone is missing. */
    assert_non_null(strstr(output, "\nCANNOT TELL: revocation: "));
    assert_null(strstr(output, "code: chain_"));
    assert_null(strstr(output, "code: signature_"));
    assert_non_null(strstr(output, "\nkey service     " TOLD "\n"));
    _cleanup_free_ char *text = verify(true);
    json_auto_t *root = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(root, "collateral")), TOLD);
}

static void poisoned_cache_is_not_believed(void **state)
{
    (void)state;
    fill_cache("milan-v3-qemu-direct-boot-dstack/vcek.der"); /* genuine, of another chip */
    _cleanup_free_ char *output = verify(false);

    assert_non_null(strstr(output, "\nCANNOT TELL: chain: "));
}

/* AMD's root and a release key in one folder, as somebody could hand it over. */
static char *make_trust_root(const struct sign_key *key)
{
    char *root = xasprintf("%s/trust", dir);
    _cleanup_free_ char *ark = xasprintf("%s/ark.pem", root);
    _cleanup_free_ char *pub = xasprintf("%s/release.pub", root);
    _cleanup_free_ char *hex = hex_encode_new(key->public, sizeof(key->public));
    _cleanup_buffer_ struct buffer der = {};

    read_vector("_roots/milan_ark.der", &der);
    const uint8_t *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.size);
    assert_non_null(certificate);
    expect_ok(dir_make(root, 0700));
    FILE *file = fopen(ark, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    X509_free(certificate);
    expect_ok(file_write_atomic(pub, hex, strlen(hex), 0600));
    return root;
}

/* The result would not be marked "development": what counts for it is not this folder's to say. */
static void release_key_beside_amds_root_does_not_count(void **state)
{
    (void)state;
    struct sign_key key;
    expect_ok(sign_key_generate(&key));
    _cleanup_free_ char *root = make_trust_root(&key), *output = NULL;
    _cleanup_free_ char *policy = xasprintf("%s/policy.json", dir);
    _cleanup_free_ char *hex = hex_encode_new(key.public, sizeof(key.public));
    json_auto_t *json = json_pack("{s:s, s:s, s:s}", "schema", POLICY_SCHEMA, "name", "theirs",
                                  "measurements", "any");
    const char *const arguments[] = {"verify",    "--report",      report_path, "--trust-root",
                                     root,        "--policy",      policy,      "--any-manifest",
                                     "--offline", "--release-key", hex};

    expect_ok(signed_document_seal(json, &key));
    assert_int_equal(json_dump_file(json, policy, 0), 0);
    assert_int_equal(
        test_command(verify_main, output_path, arguments, ELEMENTSOF(arguments) - 2, &output), 2);
    free(output);
    assert_int_equal(
        test_command(verify_main, output_path, arguments, ELEMENTSOF(arguments), &output), 3);
    assert_non_null(strstr(output, "policy          theirs\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_cache_cannot_tell),
        cmocka_unit_test(cached_certificates_serve),
        cmocka_unit_test(poisoned_cache_is_not_believed),
        cmocka_unit_test(release_key_beside_amds_root_does_not_count),
    };
    struct stat st;

    vectors = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : (char *)"../shared/vectors";
    _cleanup_free_ char *probe = xasprintf("%s/snp", vectors);
    if (stat(probe, &st) < 0) {
        printf("skipped: no attestation vectors at '%s' (set COFFER_VECTORS)\n", vectors);
        return 77;
    }
    return cmocka_run_group_tests_name("verify_cache", tests, set_up, tear_down);
}
