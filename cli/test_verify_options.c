/* What is asked of `coffer verify` is answered: no option, no member of a policy goes unheard. */
#include <jansson.h>
#include <openssl/ui.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/test_verify_scene.h"
#include "shared/attestation/policy.h"
#include "shared/base/encode.h"
#include "shared/manifest/signed_document.h"

#define NONCE "6e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f"
#define OTHER "0000000000000000000000000000000000000000000000000000000000000000"
#define TEXT_16(text)                                                                              \
    text text text text text text text text text text text text text text text text
/* Digests in hex: the guest's, and one that nobody has. */
#define MEASUREMENT TEXT_16("4d4d4d")
#define ELSE        TEXT_16("5e5e5e")

#define EXPECT      VERIFY_EXPECT
#define OURS        POLICY_HEAD "\"chip_ids\": \"any\", "

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

/* A saved answer, and what it answers; what runs there is a policy's to say. */
#define SAVED                                                                                      \
    "--report", answer_path, "--trust-root", scene.fleet.root, "--manifest",                       \
        scene.manifest_sha256, "--offline", "--nonce", NONCE, "--peer", spki

static char *policy_of(const char *members)
{
    _cleanup_free_ char *text = xasprintf(OURS "%s}", members);

    return verify_scene_policy(text, &scene.release_key);
}

/* Two measurements for the same guest, as two sets of guest features give. */
static char *image_of_two(void)
{
    json_auto_t *root = json_load_file(scene.image, 0, NULL);
    json_t *list = json_object_get(root, "measurements");
    json_t *second = json_deep_copy(json_array_get(list, 0));
    char *path = verify_scene_path("two.json");

    json_object_set_new(second, "guest_features", json_integer(3));
    json_object_set_new(second, "digest", json_string(ELSE));
    json_array_append_new(list, second);
    json_object_del(root, "signature");
    expect_ok(signed_document_seal(root, &scene.release_key));
    assert_int_equal(json_dump_file(root, path, 0), 0);
    return path;
}

static void image_does_not_widen_the_measurements_of_a_policy(void **state)
{
    (void)state;
    static const struct {
        const char *measurements;
        int code;
        const char *text;
    } cases[] = {
        {"[\"" MEASUREMENT "\"]", 0, "\nVERIFIED"},
        {"[\"" MEASUREMENT "\", \"" OTHER "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e\"]", 0, "\nVERIFIED"},
        {"[\"" ELSE "\"]", 1, "code: measurement_not_listed"}, /* in both, and not the report's */
        {"[\"" OTHER "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e\"]", 1, "code: image_not_listed"},
        {"\"any\"", 0, "\nVERIFIED"},
    };
    _cleanup_free_ char *image = image_of_two();

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *members =
            xasprintf("\"image\": \"0.1.0\", \"measurements\": %s", cases[i].measurements);
        _cleanup_free_ char *policy = policy_of(members);

        EXPECT(cases[i].code, cases[i].text, SAVED, "--image", image, "--policy", policy);
    }
}

/* "any" beside an image means those of the image. */
static void any_measurement_beside_an_image_is_the_images(void **state)
{
    (void)state;
    _cleanup_free_ char *policy = policy_of("\"image\": \"0.1.0\", \"measurements\": \"any\"");

    server.guest.measurement[0] ^= 1;
    write_answer();
    EXPECT(1, "code: measurement_not_listed", SAVED, "--image", scene.image, "--policy", policy);
    server.guest.measurement[0] ^= 1;
    write_answer();
    EXPECT(1, "code: image_refused", SAVED, "--image", scene.foreign_image, "--policy", policy);
    EXPECT(1, "code: measurement_not_given", SAVED, "--image", scene.foreign_image, "--policy",
           policy);
}

static void measurement_option_contradicts_a_policys_image(void **state)
{
    (void)state;
    _cleanup_free_ char *policy = policy_of("\"image\": \"0.1.0\"");

    EXPECT(2, "", SAVED, "--policy", policy, "--measurement", MEASUREMENT);
    EXPECT(0, "version 0.1.0", SAVED, "--policy", policy, "--image", scene.image);
    EXPECT(2, "", SAVED, "--policy", policy); /* the image is not installed here */
}

/* What the saved answer's report carries; caller frees. */
static char *report_data_of_answer(void)
{
    json_auto_t *root = json_load_file(answer_path, 0, NULL);

    return xstrndup(json_string_value(json_object_get(root, "raw_report")) + 2 * 0x50, 128);
}

static void report_data_of_a_policy_counts(void **state)
{
    (void)state;
    _cleanup_(verify_bare_done) struct verify_bare bare = verify_scene_bare(&server);
    _cleanup_free_ char *of_answer = report_data_of_answer();
    _cleanup_free_ char *for_bare = xasprintf("\"report_data\": \"%s\"", bare.report_data);
    _cleanup_free_ char *for_answer = xasprintf("\"report_data\": \"%s\"", of_answer);
    _cleanup_free_ char *policy = policy_of(for_bare);

#define BARE                                                                                       \
    "--report", bare.report, "--trust-root", scene.fleet.root, "--certs", bare.certs,              \
        "--any-manifest", "--measurement", MEASUREMENT
    EXPECT(0, "\nVERIFIED", BARE, "--policy", policy);
    EXPECT(0, "\nVERIFIED", BARE, "--policy", policy, "--report-data", bare.report_data);
    EXPECT(2, "", BARE, "--policy", policy, "--report-data", OTHER OTHER);
    EXPECT(1, "code: report_data_differs", SAVED, "--image", scene.image, "--policy", policy);
    free(policy);
    policy = policy_of(for_answer);
    EXPECT(0, "\nVERIFIED", SAVED, "--image", scene.image, "--policy", policy);
    EXPECT(1, "code: report_data_differs", BARE, "--policy", policy);
    EXPECT(1, "NOT VERIFIED: key", "--report", answer_path, "--trust-root", scene.fleet.root,
           "--any-manifest", "--image", scene.image, "--nonce", NONCE, "--peer", OTHER, "--policy",
           policy);
}

static void options_that_a_bare_report_cannot_answer_are_not_ignored(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"--nonce", NONCE}, {"--nonce", "auto"}, {"--peer", OTHER},
        {"--gpus", "1"},    {"--gpus", "0"},     {"--rims", "."},
    };
    _cleanup_(verify_bare_done) struct verify_bare bare = verify_scene_bare(&server);

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        EXPECT(2, "", BARE, "--report-data", bare.report_data, cases[i][0], cases[i][1]);
        EXPECT(2, "", BARE, cases[i][0], cases[i][1]);
    }
}

/* They are the caller's to judge, and the page says that he did. */
static void bare_report_shows_the_steps_of_its_binding(void **state)
{
    (void)state;
    static const char *const judged[] = {"\xe2\x9c\x93 key ", "\xe2\x9c\x93 freshness ",
                                         "\xe2\x9c\x93 devices ", "report_data is given"};
    static const char *const not_judged[] = {"code: key_not_given", "code: freshness_not_given",
                                             "code: devices_unknown"};
    static const char *const differs[] = {"code: key_differs", "code: freshness_none",
                                          "code: report_data_differs", "code: devices_unknown"};
    _cleanup_(verify_bare_done) struct verify_bare bare = verify_scene_bare(&server);

    for (size_t i = 0; i < ELEMENTSOF(judged); i++)
        EXPECT(0, judged[i], BARE, "--report-data", bare.report_data);
    for (size_t i = 0; i < ELEMENTSOF(not_judged); i++)
        EXPECT(3, not_judged[i], BARE);
    for (size_t i = 0; i < ELEMENTSOF(differs); i++)
        EXPECT(1, differs[i], BARE, "--report-data", OTHER OTHER);
}

static char *answer_with_vcek(const char *pem)
{
    json_auto_t *root = json_load_file(answer_path, 0, NULL);
    char *path = verify_scene_path("encrypted.json");

    json_object_set_new(json_object_get(root, "certificates"), "vcek", json_string(pem));
    assert_int_equal(json_dump_file(root, path, 0), 0);
    return path;
}

static size_t asked;

static int on_ask(UI *ui)
{
    (void)ui;
    asked++;
    return 0; /* there is no terminal */
}

/* A server could make its verifier wait at a prompt. */
static void an_encrypted_certificate_asks_nobody(void **state)
{
    (void)state;
    static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                              "Proc-Type: 4,ENCRYPTED\n"
                              "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\n"
                              "AAAAAAAAAAAAAAAAAAAAAA==\n"
                              "-----END CERTIFICATE-----\n";
    static const char *const roots[] = {"ark.pem", "ask.pem", "gpu-device.pem", "gpu-rim.pem"};
    _cleanup_free_ char *answer = answer_with_vcek(pem);
    _cleanup_free_ char *peer = verify_scene_file("peer.pem", pem, strlen(pem));
    _cleanup_free_ char *roots_dir = verify_scene_path("encrypted");
    _cleanup_free_ char *ark_path = verify_scene_path("encrypted/ark.pem");
    _cleanup_free_ char *good = xasprintf("%s/ark.pem", scene.fleet.root);
    _cleanup_buffer_ struct buffer ark = {};
    UI_METHOD *method = UI_create_method("test");

    UI_method_set_opener(method, on_ask);
    UI_set_default_method(method);
    asked = 0;
    expect_ok(file_read(good, 65536, &ark));
    EXPECT(1, "code: evidence_malformed", "--report", answer, "--trust-root", scene.fleet.root);
    EXPECT(2, "", "--report", answer_path, "--peer", peer);
    EXPECT(2, "", "https://hello.coffer.test", "--ca", peer);
    expect_ok(dir_make(roots_dir, 0700));
    for (size_t i = ELEMENTSOF(roots); i-- > 0;) { /* ark.pem last: the others need a good one */
        _cleanup_free_ char *path = xasprintf("%s/%s", roots_dir, roots[i]);

        expect_ok(file_write_atomic(ark_path, ark.data, ark.size, 0600));
        expect_ok(file_write_atomic(path, pem, strlen(pem), 0600));
        EXPECT(2, "", "--report", answer_path, "--trust-root", roots_dir);
        assert_int_equal(remove(path), 0);
    }
    expect_ok(file_write_atomic(ark_path, pem, strlen(pem), 0600));
    EXPECT(2, "", "--report", answer_path, "--certs", roots_dir);
    assert_int_equal(asked, 0);
    UI_set_default_method(UI_OpenSSL());
    UI_destroy_method(method);
}

static void a_file_in_the_way_is_no_version(void **state)
{
    (void)state;
    _cleanup_free_ char *dir = verify_scene_path("here"), *image = NULL, *here = getcwd(NULL, 0);
    _cleanup_buffer_ struct buffer bytes = {};

    expect_ok(dir_make(dir, 0700));
    expect_ok(file_read(scene.image, 65536, &bytes));
    image = verify_scene_file("here/0.3.0", bytes.data, bytes.size);
    _unused_ _cleanup_free_ char *named = verify_scene_file("here/a.json", bytes.data, bytes.size);
    assert_int_equal(setenv("COFFER_IMAGES", scene.fleet.dir, 1), 0);
    assert_int_equal(chdir(dir), 0);
    EXPECT(2, "", SAVED, "--image", "0.3.0");
    EXPECT(0, "version 0.1.0", SAVED, "--image", "./0.3.0");
    EXPECT(0, "version 0.1.0", SAVED, "--image", "a.json");
    assert_int_equal(chdir(here), 0);
    assert_int_equal(unsetenv("COFFER_IMAGES"), 0);
}

/* A signed policy names an image by its version; a path would be the signer's choice of a file. */
static void a_policys_image_is_no_path(void **state)
{
    (void)state;
    _cleanup_free_ char *members = xasprintf("\"image\": \"%s\"", scene.image);
    _cleanup_free_ char *policy = policy_of(members);

    EXPECT(2, "", SAVED, "--policy", policy);
}

/* One bit of what is signed, and one of the root that it leads to. */
static void claims_of_an_unsigned_report_are_not_shown(void **state)
{
    (void)state;
    json_auto_t *root = json_load_file(answer_path, 0, NULL);
    char *report = (char *)json_string_value(json_object_get(root, "raw_report"));
    _cleanup_free_ char *path = verify_scene_path("forged.json"), *page = NULL, *output = NULL;

#define FORGED "--report", path, "--any-manifest", "--offline", "--image", scene.image
    assert_int_equal(json_dump_file(root, path, 0), 0);
    assert_int_equal(VERIFY_RUN(&output, FORGED, "--release-key", scene.release_public), 1);
    assert_null(strstr(output, "\nmeasurement ")); /* no root that is trusted */
    free(output);
    report[2 * 0x90] = report[2 * 0x90] == '4' ? '5' : '4';
    assert_int_equal(json_dump_file(root, path, 0), 0);
    assert_int_equal(VERIFY_RUN(&output, FORGED, "--trust-root", scene.fleet.root), 1);
    assert_non_null(strstr(output, "code: signature_wrong"));
    assert_null(strstr(output, "\nmeasurement "));
    assert_null(strstr(output, "\nmanifest hash "));
    assert_int_equal(VERIFY_RUN(&page, FORGED, "--trust-root", scene.fleet.root, "--json"), 1);
    json_auto_t *json = json_loads(page, 0, NULL);
    assert_true(json_is_null(json_object_get(json, "measurement")));
    assert_true(json_is_null(json_object_get(json, "manifest_sha256")));
}

/* The steps of a run, "id id ...", each with a code unless it passed; caller frees. */
static char *steps_of(const char *const *arguments, size_t n)
{
    _cleanup_free_ char *output = NULL;
    struct buffer ids = {};
    size_t i;
    json_t *step;

    assert_int_not_equal(verify_scene_run(arguments, n, &output), 2);
    json_auto_t *json = json_loads(output, 0, NULL);
    json_array_foreach(json_object_get(json, "steps"), i, step)
    {
        const char *id = json_string_value(json_object_get(step, "id"));
        const char *verdict = json_string_value(json_object_get(step, "verdict"));
        const char *code = json_string_value(json_object_get(step, "code"));

        assert_int_equal(strcmp(verdict, "pass") == 0, !code[0]);
        if (strcmp(id, "tls") != 0 && strcmp(id, "evidence") != 0)
            buffer_printf(&ids, "%s ", id);
    }
    return buffer_take_text(&ids);
}
#define STEPS_OF(...)                                                                              \
    steps_of((const char *const[]){__VA_ARGS__}, ELEMENTSOF(((const char *const[]){__VA_ARGS__})))

static void every_run_shows_all_its_steps(void **state)
{
    (void)state;
    _cleanup_(verify_bare_done) struct verify_bare bare = verify_scene_bare(&server);
    _cleanup_free_ char *malformed = verify_scene_file("malformed.json", "{}", 2);
    _cleanup_free_ char *full = STEPS_OF(SAVED, "--image", scene.image, "--json");
    char *const other[] = {
        STEPS_OF(SAVED, "--json"),
        STEPS_OF("--report", answer_path, "--json", "--offline"),
        STEPS_OF("--report", malformed, "--json", "--offline"),
        STEPS_OF("--report", malformed, "--json", "--offline", "--trust-root", scene.fleet.root,
                 "--image", scene.image, "--any-manifest"),
        STEPS_OF("--report", malformed, "--json", "--offline", "--trust-root", scene.fleet.root,
                 "--image", scene.foreign_image),
        STEPS_OF("--report", malformed, "--json", "--offline", "--measurement", MEASUREMENT),
        STEPS_OF("--report", bare.report, "--json", "--offline"),
        STEPS_OF(BARE, "--json"),
        STEPS_OF("https://hello.coffer.test", "--connect", "127.0.0.1:1", "--json"),
    };
    for (size_t i = 0; i < ELEMENTSOF(other); i++) {
        assert_string_equal(other[i], full);
        free(other[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_does_not_widen_the_measurements_of_a_policy),
        cmocka_unit_test(any_measurement_beside_an_image_is_the_images),
        cmocka_unit_test(measurement_option_contradicts_a_policys_image),
        cmocka_unit_test(report_data_of_a_policy_counts),
        cmocka_unit_test(options_that_a_bare_report_cannot_answer_are_not_ignored),
        cmocka_unit_test(bare_report_shows_the_steps_of_its_binding),
        cmocka_unit_test(an_encrypted_certificate_asks_nobody),
        cmocka_unit_test(a_file_in_the_way_is_no_version),
        cmocka_unit_test(a_policys_image_is_no_path),
        cmocka_unit_test(claims_of_an_unsigned_report_are_not_shown),
        cmocka_unit_test(every_run_shows_all_its_steps),
    };

    return cmocka_run_group_tests_name("verify_options", tests, set_up, tear_down);
}
