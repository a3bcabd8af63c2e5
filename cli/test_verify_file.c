/* `coffer verify --report`: saved answers and bare reports, policies, collateral from a folder. */
#include <jansson.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/test_command.h"
#include "cli/test_verify_scene.h"
#include "shared/attestation/certificates.h"
#include "shared/attestation/policy.h"
#include "shared/base/encode.h"

#define NONCE "6e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f"
#define OTHER "0000000000000000000000000000000000000000000000000000000000000000"

static struct verify_server server;
static char *answer_path, *spki;

static void write_answer(void)
{
    verify_scene_answer(&server, NONCE, answer_path);
}

static int set_up(void **state)
{
    int failed = verify_scene_set_up(state);

    assert_int_equal(setenv("XDG_CACHE_HOME", scene.fleet.dir, 1), 0);
    server = verify_scene_honest();
    memset(server.spki_sha256, 0x5b, sizeof(server.spki_sha256));
    spki = hex_encode_new(server.spki_sha256, sizeof(server.spki_sha256));
    answer_path = verify_scene_path("answer.json");
    write_answer();
    return failed;
}

static int tear_down(void **state)
{
    free(spki);
    free(answer_path);
    return verify_scene_tear_down(state);
}

#define EXPECT VERIFY_EXPECT

/* What a saved answer needs to be verified. */
#define SAVED                                                                                      \
    "--report", answer_path, "--trust-root", scene.fleet.root, "--image", scene.image,             \
        "--manifest", scene.manifest_sha256, "--offline"

static void saved_answer_is_verified(void **state)
{
    (void)state;
    EXPECT(0, "\nVERIFIED (development root)\n", SAVED, "--nonce", NONCE, "--peer", spki);
    EXPECT(3, "code: freshness_not_given", SAVED, "--peer", spki);
    EXPECT(3, "code: key_not_given", SAVED, "--nonce", NONCE);
    EXPECT(1, "NOT VERIFIED: key", SAVED, "--nonce", NONCE, "--peer", OTHER);
    EXPECT(1, "the report does not answer it", SAVED, "--nonce", OTHER, "--peer", spki);
}

static void time_is_the_callers(void **state)
{
    (void)state;
    EXPECT(1, "NOT VERIFIED: validity", SAVED, "--nonce", NONCE, "--peer", spki, "--at",
           "2001-01-01T00:00:00Z");
    EXPECT(1, "judged for      2001-09-09T01:46:40.000Z", SAVED, "--nonce", NONCE, "--peer", spki,
           "--at", "1000000000");
}

static void manifest_in_the_answer_must_be_the_one_of_the_report(void **state)
{
    (void)state;
    server.shown_manifest = "{}";
    write_answer();
    EXPECT(1, "code: host_data_differs", SAVED, "--nonce", NONCE, "--peer", spki);
    server.shown_manifest = NULL;
    write_answer();
}

#define BARE "--report", bare.report, "--trust-root", scene.fleet.root

static void bare_report_is_verified(void **state)
{
    (void)state;
    _cleanup_(verify_bare_done) struct verify_bare bare = verify_scene_bare(&server);

    EXPECT(0, "VERIFIED", BARE, "--certs", bare.certs, "--report-data", bare.report_data,
           "--measurement", bare.measurement, "--any-manifest");
    EXPECT(0, "VERIFIED", BARE, "--certs", bare.certs, "--report-data", bare.report_data, "--image",
           scene.image, "--manifest", scene.manifest_file);
    EXPECT(3, "code: chain_no_vek", BARE, "--report-data", bare.report_data, "--measurement",
           bare.measurement, "--any-manifest");
    EXPECT(3, "code: report_data_not_given", BARE, "--certs", bare.certs, "--measurement",
           bare.measurement, "--any-manifest");
    EXPECT(1, "code: report_data_differs", BARE, "--certs", bare.certs, "--report-data",
           OTHER OTHER, "--measurement", bare.measurement, "--any-manifest");
    EXPECT(1, "code: measurement_not_listed", BARE, "--certs", bare.certs, "--report-data",
           bare.report_data, "--measurement", bare.report_data + 32, "--any-manifest");
    EXPECT(1, "code: chain_root", "--report", bare.report, "--certs", bare.certs, "--report-data",
           bare.report_data, "--measurement", bare.measurement, "--any-manifest", "--offline");
}

static void folder_with_rubbish_is_said(void **state)
{
    (void)state;
    _cleanup_(verify_bare_done) struct verify_bare bare = verify_scene_bare(&server);
    static const struct {
        const char *name;
        const char *content;
        int code;
    } cases[] = {
        {"a.der", "rubbish", 2},
        {"a.pem", "rubbish", 2},
        {"a.pem", "-----BEGIN RUBBISH-----\nAAAA\n-----END RUBBISH-----\n", 2},
        {"a.crl", "", 2},
        {"a.txt", "rubbish", 3}, /* not ours: report_data is what is missing */
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", bare.certs, cases[i].name);

        expect_ok(file_write_atomic(path, cases[i].content, strlen(cases[i].content), 0600));
        EXPECT(cases[i].code, "", BARE, "--certs", bare.certs, "--any-manifest");
        assert_int_equal(remove(path), 0);
    }
}

static void too_many_certificates_are_refused(void **state)
{
    (void)state;
    _cleanup_(verify_bare_done) struct verify_bare bare = verify_scene_bare(&server);
    _cleanup_free_ char *from = xasprintf("%s/vcek.der", bare.certs);
    _cleanup_buffer_ struct buffer der = {};

    expect_ok(file_read(from, CERTIFICATE_SIZE_MAX, &der));
    for (int i = 0; i < 40; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%d.der", bare.certs, i);
        expect_ok(file_write_atomic(path, der.data, der.size, 0600));
    }
    EXPECT(2, "", BARE, "--certs", bare.certs, "--any-manifest");
    for (int i = 0; i < 40; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%d.der", bare.certs, i);
        assert_int_equal(remove(path), 0);
    }
}

static void policy_counts_only_when_the_release_key_signed_it(void **state)
{
    (void)state;
    static const char text[] = POLICY_HEAD "\"chip_ids\": \"any\", \"vmpl\": 1}";
    _cleanup_free_ char *ours = verify_scene_policy(text, &scene.release_key);

    EXPECT(1, "NOT VERIFIED: vmpl", SAVED, "--nonce", NONCE, "--peer", spki, "--policy", ours);
    EXPECT(1, "policy          ours\n", SAVED, "--nonce", NONCE, "--peer", spki, "--policy", ours);
    EXPECT(2, "", "--report", answer_path, "--policy", ours, "--any-manifest", "--offline");
    free(ours);
    ours = verify_scene_policy(text, &scene.other_key);
    EXPECT(2, "", SAVED, "--nonce", NONCE, "--peer", spki, "--policy", ours);
    free(ours);
    ours = verify_scene_file("policy.json", text, strlen(text)); /* unsigned */
    EXPECT(2, "", SAVED, "--nonce", NONCE, "--peer", spki, "--policy", ours);
}

static void changed_policy_is_refused(void **state)
{
    (void)state;
    _cleanup_free_ char *path =
        verify_scene_policy(POLICY_HEAD "\"chip_ids\": \"any\", \"vmpl\": 0}", &scene.release_key);
    json_auto_t *root = json_load_file(path, 0, NULL);

    EXPECT(0, "VERIFIED", SAVED, "--nonce", NONCE, "--peer", spki, "--policy", path);
    json_object_set_new(root, "vmpl", json_integer(1));
    assert_int_equal(json_dump_file(root, path, 0), 0);
    EXPECT(2, "", SAVED, "--nonce", NONCE, "--peer", spki, "--policy", path);
}

static void policy_and_options_may_not_contradict(void **state)
{
    (void)state;
    _cleanup_free_ char *text =
        xasprintf(POLICY_HEAD "\"chip_ids\": \"any\", \"host_data\": \"%s\", "
                              "\"measurements\": \"any\"}",
                  scene.manifest_sha256);
    _cleanup_free_ char *path = verify_scene_policy(text, &scene.release_key);

    EXPECT(0, "VERIFIED", "--report", answer_path, "--trust-root", scene.fleet.root, "--policy",
           path, "--nonce", NONCE, "--peer", spki);
    EXPECT(2, "", "--report", answer_path, "--trust-root", scene.fleet.root, "--policy", path,
           "--any-manifest");
    EXPECT(2, "", "--report", answer_path, "--trust-root", scene.fleet.root, "--policy", path,
           "--manifest", OTHER);
    EXPECT(2, "", SAVED, "--policy", path); /* --image and its measurements */
}

static void what_is_no_policy_is_not_sealed(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "[]", "{}x", "{\"schema\": \"other\"}",
                                        POLICY_HEAD "\"unknown\": 1}"};
    _cleanup_free_ char *key_path = verify_scene_path("release.key"), *path = NULL;

    expect_ok(key_file_save(key_path, scene.release_key.secret));
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *output = NULL, *kept = NULL;

        free(path);
        path = verify_scene_file("policy.json", cases[i], strlen(cases[i]));
        const char *const arguments[] = {"seal", path, "--key", key_path};
        assert_int_equal(
            test_command(policy_seal_main, scene.output, arguments, ELEMENTSOF(arguments), &output),
            2);
        expect_ok(file_read_text(path, POLICY_MAX, &kept));
        assert_string_equal(kept, cases[i]);
    }
    assert_int_equal(remove(key_path), 0);
}

static void existing_systems_evidence_needs_its_named_policy(void **state)
{
    (void)state;
    server.no_nonce = true;
    server.guest.vmpl = 1;
    write_answer();
    EXPECT(1, "NOT VERIFIED: freshness", SAVED, "--nonce", NONCE, "--peer", spki);
    EXPECT(0, "gives up        freshness", SAVED, "--peer", spki, "--policy", "nilcc");
    EXPECT(0, "VERIFIED (development root) under policy nilcc\n", SAVED, "--peer", spki, "--policy",
           "nilcc");
    EXPECT(1, "NOT VERIFIED: key", SAVED, "--peer", OTHER, "--policy", "nilcc");
    server.no_nonce = false;
    server.guest.vmpl = 0;
    write_answer();
}

/* Its answer has no binding, no manifest, no certificates. */
static void existing_systems_answer_is_read(void **state)
{
    (void)state;
    static const char *const ours[] = {"binding",   "manifest", "certificates", "collateral",
                                       "cpu_model", "fresh",    "provider",     "tee"};
    _cleanup_(verify_bare_done) struct verify_bare bare =
        verify_scene_bare(&server); /* for the certificates */

    server.no_nonce = true;
    server.guest.vmpl = 1;
    write_answer();
    json_auto_t *root = json_load_file(answer_path, 0, NULL);
    for (size_t i = 0; i < ELEMENTSOF(ours); i++)
        json_object_del(root, ours[i]);
    assert_int_equal(json_dump_file(root, answer_path, 0), 0);
    EXPECT(0, "under policy nilcc\n", "--report", answer_path, "--trust-root", scene.fleet.root,
           "--certs", bare.certs, "--measurement", bare.measurement, "--peer", spki, "--policy",
           "nilcc");
    EXPECT(3, "code: measurement_not_given", "--report", answer_path, "--trust-root",
           scene.fleet.root, "--certs", bare.certs, "--peer", spki, "--policy", "nilcc");
    server.no_nonce = false;
    server.guest.vmpl = 0;
    write_answer();
}

static void image_is_found_by_its_version(void **state)
{
    (void)state;
    _cleanup_free_ char *dir = verify_scene_path("0.1.0"), *other = verify_scene_path("0.2.0");
    _cleanup_free_ char *to = xasprintf("%s/image.json", dir);
    _cleanup_free_ char *wrong = xasprintf("%s/image.json", other);
    _cleanup_buffer_ struct buffer image = {};

    expect_ok(file_read(scene.image, 65536, &image));
    expect_ok(dir_make(dir, 0700));
    expect_ok(dir_make(other, 0700));
    expect_ok(file_write_atomic(to, image.data, image.size, 0600));
    expect_ok(file_write_atomic(wrong, image.data, image.size, 0600));
    assert_int_equal(setenv("COFFER_IMAGES", scene.fleet.dir, 1), 0);
#define BY_VERSION                                                                                 \
    "--report", answer_path, "--trust-root", scene.fleet.root, "--any-manifest", "--nonce", NONCE, \
        "--peer", spki, "--image"
    EXPECT(0, "version 0.1.0", BY_VERSION, "0.1.0");
    EXPECT(1, "image.json is of version '0.1.0', not '0.2.0'", BY_VERSION, "0.2.0");
    EXPECT(2, "", BY_VERSION, "0.3.0");
    EXPECT(2, "", BY_VERSION, "..");
    assert_int_equal(unsetenv("COFFER_IMAGES"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_answer_is_verified),
        cmocka_unit_test(time_is_the_callers),
        cmocka_unit_test(manifest_in_the_answer_must_be_the_one_of_the_report),
        cmocka_unit_test(bare_report_is_verified),
        cmocka_unit_test(folder_with_rubbish_is_said),
        cmocka_unit_test(too_many_certificates_are_refused),
        cmocka_unit_test(policy_counts_only_when_the_release_key_signed_it),
        cmocka_unit_test(changed_policy_is_refused),
        cmocka_unit_test(policy_and_options_may_not_contradict),
        cmocka_unit_test(what_is_no_policy_is_not_sealed),
        cmocka_unit_test(existing_systems_evidence_needs_its_named_policy),
        cmocka_unit_test(existing_systems_answer_is_read),
        cmocka_unit_test(image_is_found_by_its_version),
    };

    return cmocka_run_group_tests_name("verify_file", tests, set_up, tear_down);
}
