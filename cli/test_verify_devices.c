/* `coffer verify` on answers that show GPUs: minted devices, bound by a minted report. */
#include <jansson.h>
#include <openssl/ocsp.h>
#include <stdlib.h>

#include "cli/test_command.h"
#include "cli/test_verify_scene.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/nvidia/test_mint.h"

#define NONCE   "6e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f6e63656e6f"
#define OTHER   "0000000000000000000000000000000000000000000000000000000000000000"
#define DEVICES 2
#define HOUR_MS INT64_C(3600000)

static struct verify_server server;
static struct mint mint;
static struct minted minted[DEVICES];
static struct buffer evidence[DEVICES], swapped[DEVICES];
static char *answer_path, *spki, *rims;

static void mint_devices(void)
{
    uint8_t nonce[32], root[32];

    expect_ok(hex_decode(NONCE, nonce, sizeof(nonce)));
    _cleanup_(merkle_tree_freep) struct merkle_tree *tree =
        merkle_tree_new((const uint8_t(*)[32])nonce, 1);
    merkle_tree_root(tree, root);
    for (size_t i = 0; i < DEVICES; i++) {
        struct mint_device gpu = mint_gpu((uint8_t)(i + 1));

        gpu_nonce(root, server.spki_sha256, (uint32_t)i, gpu.nonce);
        mint_device(&mint, &gpu, &minted[i]);
        gpu_evidence_write(&minted[i].evidence, &evidence[i]);
        swapped[DEVICES - 1 - i] = evidence[i];
    }
}

static void write_root(const char *name, const struct mint_party *party)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", scene.fleet.root, name);
    _cleanup_buffer_ struct buffer pem = {};

    mint_pem(party, &pem);
    expect_ok(file_write_atomic(path, pem.data, pem.size, 0644));
}

static void write_roots(void)
{
    write_root("gpu-device.pem", &mint.device_root);
    write_root("gpu-rim.pem", &mint.rim_root);
}

static void put(const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", rims, name);

    expect_ok(file_write_atomic(path, data, size, 0600));
}

static void take_away(const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", rims, name);

    assert_int_equal(remove(path), 0);
}

static void put_ocsp(const char *name, const struct mint_party *subject,
                     const struct mint_party *issuer, int status)
{
    int64_t now = clock_wall_ms(clock_system());
    _cleanup_buffer_ struct buffer der = {};
    const struct mint_ocsp in = {subject, issuer, issuer, status, now - HOUR_MS, now + HOUR_MS};

    mint_ocsp(&in, &der);
    put(name, der.data, der.size);
}

static void put_all_ocsp(void)
{
    put_ocsp("gpu0.ocsp", &minted[0].firmware, &mint.provisioner, V_OCSP_CERTSTATUS_GOOD);
    put_ocsp("gpu1.ors", &minted[1].firmware, &mint.provisioner, V_OCSP_CERTSTATUS_GOOD);
    put_ocsp("provisioner.ocsp", &mint.provisioner, &mint.identity, V_OCSP_CERTSTATUS_GOOD);
    put_ocsp("identity.der", &mint.identity, &mint.device_root, V_OCSP_CERTSTATUS_GOOD);
    put_ocsp("signer.ocsp", &mint.rim_signer, &mint.rim_ca, V_OCSP_CERTSTATUS_GOOD);
    put_ocsp("ca.ocsp", &mint.rim_ca, &mint.rim_root, V_OCSP_CERTSTATUS_GOOD);
}

static void put_rims(void)
{
    _cleanup_buffer_ struct buffer driver = {}, vbios = {};

    mint_driver_rim(&mint, &driver);
    mint_vbios_rim(&mint, &vbios);
    put("driver.xml", driver.data, driver.size);
    put("vbios.swidtag", vbios.data, vbios.size);
}

static void write_answer(void)
{
    uint8_t nonce[32];

    expect_ok(hex_decode(NONCE, nonce, sizeof(nonce)));
    _cleanup_free_ char *body = verify_server_body(&server, nonce);
    expect_ok(file_write_atomic(answer_path, body, strlen(body), 0600));
}

static int set_up(void **state)
{
    int failed = verify_scene_set_up(state);

    server = verify_scene_honest();
    memset(server.spki_sha256, 0x5b, sizeof(server.spki_sha256));
    spki = hex_encode_new(server.spki_sha256, sizeof(server.spki_sha256));
    answer_path = verify_scene_path("answer.json");
    rims = verify_scene_path("rims");
    expect_ok(dir_make(rims, 0700));
    mint_init(&mint);
    mint_devices();
    write_roots();
    put_rims();
    put_all_ocsp();
    return failed;
}

/* Each test starts from a guest with two good GPUs. */
static int reset(void **state)
{
    (void)state;
    server = (struct verify_server){
        .processor = server.processor,
        .name = server.name,
        .cpu_model = server.cpu_model,
        .guest = test_guest(),
        .manifest = server.manifest,
        .devices = evidence,
        .n_devices = DEVICES,
    };
    memset(server.spki_sha256, 0x5b, sizeof(server.spki_sha256));
    write_answer();
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < DEVICES; i++) {
        minted_done(&minted[i]);
        buffer_done(&evidence[i]);
    }
    mint_done(&mint);
    free(spki);
    free(answer_path);
    free(rims);
    return verify_scene_tear_down(state);
}

/* text NULL: the exit code says it all. */
static void expect(int code, const char *text, const char *const *arguments, size_t n)
{
    _cleanup_free_ char *output = NULL;
    int actual = verify_scene_run(arguments, n, &output);

    if (actual != code || (text && !strstr(output, text)))
        fail_msg("code %d, not %d, or no '%s' in:\n%s", actual, code, text ? text : "", output);
}
#define EXPECT(code, text, ...)                                                                    \
    expect((code), (text), (const char *const[]){__VA_ARGS__},                                     \
           ELEMENTSOF(((const char *const[]){__VA_ARGS__})))

#define SAVED                                                                                      \
    "--report", answer_path, "--trust-root", scene.fleet.root, "--image", scene.image,             \
        "--manifest", scene.manifest_sha256, "--offline"
#define ASKED SAVED, "--nonce", NONCE, "--peer", spki
#define FULL  ASKED, "--rims", rims

static void good_devices_are_verified(void **state)
{
    (void)state;
    EXPECT(0, "\nVERIFIED (development root)\n", FULL);
    EXPECT(0, "\xe2\x9c\x93 devices       2\n", FULL);
    EXPECT(0, "\xe2\x9c\x93 gpu_count     2 (any, at least one)\n", FULL);
    EXPECT(0, "\xe2\x9c\x93 gpu_count     2\n", FULL, "--gpus", "2");
}

static void no_devices_and_none_expected_passes(void **state)
{
    (void)state;
    server.n_devices = 0;
    write_answer();
    EXPECT(0, "\xe2\x9c\x93 devices       none (any: how many is not given (--gpus))\n", ASKED);
    EXPECT(0, "\xe2\x9c\x93 devices       none\n", ASKED, "--gpus", "0");
}

static void number_of_gpus_is_the_callers(void **state)
{
    (void)state;
    EXPECT(1, "NOT VERIFIED: gpu_count: 2", FULL, "--gpus", "1");
    EXPECT(1, "NOT VERIFIED: gpu_count: 2", FULL, "--gpus", "3");
    EXPECT(1, "NOT VERIFIED: gpu_count: 2", FULL, "--gpus", "0");
    server.n_devices = 1; /* the guest itself leaves one out */
    write_answer();
    EXPECT(0, "VERIFIED", FULL);
    EXPECT(1, "NOT VERIFIED: gpu_count: 1", FULL, "--gpus", "2");
    server.n_devices = 0;
    write_answer();
    EXPECT(1, "NOT VERIFIED: gpu_count: 0", FULL, "--gpus", "2");
    EXPECT(1, "none are shown", FULL, "--gpus", "2");
}

/* As strict, but for what its object "gpus" says; caller frees the path. */
static char *policy_of(const char *gpus)
{
    _cleanup_free_ char *text =
        xasprintf(POLICY_HEAD "\"chip_ids\": \"any\", \"gpus\": {%s}}", gpus);

    return verify_scene_policy(text, &scene.release_key);
}

static void number_of_gpus_may_be_the_policys(void **state)
{
    (void)state;
    static const struct {
        const char *gpus, *option; /* NULL: no option */
        int code;
        const char *text;
    } rows[] = {
        {"\"count\": 2", NULL, 0, "\xe2\x9c\x93 gpu_count     2\n"},
        {"\"count\": 2", "2", 0, "VERIFIED"},
        {"\"count\": 3", NULL, 1, "NOT VERIFIED: gpu_count: 2"},
        {"\"count\": 0", NULL, 1, "NOT VERIFIED: gpu_count: 2"},
        {"\"count\": 2", "1", 2, NULL}, /* they may not contradict each other */
        {"\"count\": 0", "2", 2, NULL},
        {"", "2", 0, "VERIFIED"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *policy = policy_of(rows[i].gpus);

        EXPECT(rows[i].code, rows[i].text, FULL, "--policy", policy,
               rows[i].option ? "--gpus" : NULL, rows[i].option);
    }
}

static struct minted unnamed; /* the first device, which does not name its firmware */
static struct buffer with_unnamed[DEVICES];

static void show_unnamed_firmware(void)
{
    struct mint_device gpu = mint_gpu(1);
    struct spdm_transcript told;

    expect_ok(
        spdm_parse(minted[0].evidence.exchange.data, minted[0].evidence.exchange.size, &told));
    memcpy(gpu.nonce, told.nonce, sizeof(gpu.nonce));
    gpu.no_fwid = true;
    mint_device(&mint, &gpu, &unnamed);
    gpu_evidence_write(&unnamed.evidence, &with_unnamed[0]);
    with_unnamed[1] = evidence[1];
    put_ocsp("unnamed.ocsp", &unnamed.firmware, &mint.provisioner, V_OCSP_CERTSTATUS_GOOD);
    server.devices = with_unnamed;
    write_answer();
}

static void use_expired_signer(void)
{
    const struct mint_certificate old = {.name = "Test RIM Signer of old", .expired = true};
    struct mint_rim driver = {"GH100", "550.1", 7, 13, NULL, NULL, NULL};
    struct mint_party signer = {};
    _cleanup_buffer_ struct buffer rim = {};

    mint_certificate(&old, &mint.rim_ca, &signer);
    driver.signer = &signer;
    mint_rim(&mint, &driver, &rim);
    put("driver.xml", rim.data, rim.size);
    put_ocsp("old.ocsp", &signer, &mint.rim_ca, V_OCSP_CERTSTATUS_GOOD);
    mint_party_done(&signer);
}

static void lose_ocsp(void)
{
    take_away("gpu1.ors");
}

/* What a policy accepts passes, and the page says that it was accepted; no other member helps. */
static void policy_says_what_is_accepted(void **state)
{
    static const struct {
        const char *member;
        void (*spoil)(void);
        int code; /* without the member */
        const char *problem, *accepted;
    } rows[] = {
        {"expired_rims", use_expired_signer, 1, "NOT VERIFIED: gpu_rim_validity: device 0: ",
         "gpu_rim_validity device 0: a RIM's signer is out of date, as asked for"},
        {"unnamed_firmware", show_unnamed_firmware, 3,
         "CANNOT TELL: gpu_firmware: ", "device 0: not told, as asked for"},
        {"unknown_revocation", lose_ocsp, 3,
         "CANNOT TELL: gpu_revocation: ", "device 1: not known of every one, as asked for"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        rows[i].spoil();
        for (size_t k = 0; k < ELEMENTSOF(rows); k++) {
            _cleanup_free_ char *gpus = xasprintf("\"%s\": \"accept\"", rows[k].member);
            _cleanup_free_ char *policy = policy_of(gpus);

            if (k == i)
                EXPECT(0, rows[i].accepted, FULL, "--policy", policy);
            else
                EXPECT(rows[i].code, rows[i].problem, FULL, "--policy", policy);
        }
        EXPECT(rows[i].code, rows[i].problem, FULL);
        put_rims();
        put_all_ocsp();
        reset(state);
    }
    minted_done(&unnamed);
    buffer_done(&with_unnamed[0]);
}

static void nonces_are_those_of_the_indices(void **state)
{
    (void)state;
    server.devices = swapped; /* and bound so */
    write_answer();
    EXPECT(1, "NOT VERIFIED: gpu_nonce: device 0: ", FULL);
}

static void nothing_is_known_without_the_question(void **state)
{
    (void)state;
    EXPECT(3, "code: gpu_nonce_not_given", SAVED, "--peer", spki, "--rims", rims);
    EXPECT(3, "2, which nothing binds to this guest", SAVED, "--peer", spki, "--rims", rims);
    EXPECT(3, "nothing is proven", SAVED, "--nonce", NONCE, "--rims", rims);
}

/* Another list than the one that the report is for. */
static void change_list(json_t *list, bool also_hash)
{
    json_auto_t *root = json_load_file(answer_path, 0, NULL);
    struct binding_bytes bytes[DEVICES];
    uint8_t hash[32];

    json_object_set_new(root, "devices", list);
    for (size_t i = 0; i < json_array_size(list); i++)
        bytes[i] = (struct binding_bytes){json_string_value(json_array_get(list, i)),
                                          json_string_length(json_array_get(list, i))};
    bool some = binding_devices(bytes, json_array_size(list), hash) != NULL;
    _cleanup_free_ char *text = some ? hex_encode_new(hash, sizeof(hash)) : xstrdup("");
    if (also_hash)
        json_object_set_new(json_object_get(root, "binding"), "devices_hash", json_string(text));
    assert_int_equal(json_dump_file(root, answer_path, 0), 0);
}

static json_t *list_of(size_t first, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(buffer_text(&evidence[(first + i) % DEVICES])));
    return list;
}

static void list_is_the_one_of_the_report(void **state)
{
    (void)state;
    const struct {
        size_t first, n;
    } cases[] = {{1, 2}, {0, 1}, {1, 1}, {0, 0}}; /* other order, one missing, all missing */

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        change_list(list_of(cases[i].first, cases[i].n), false);
        EXPECT(1, "'devices' are not those of its 'devices_hash'", FULL);
        change_list(list_of(cases[i].first, cases[i].n), true);
        EXPECT(1, "NOT VERIFIED: key: the report is not bound to it", FULL);
        EXPECT(1, "code: report_data_differs", FULL);
        write_answer();
    }
}

/* A hash of nothing, whatever it is. */
static void hash_without_devices_is_refused(void **state)
{
    (void)state;
    server.n_devices = 0;
    write_answer();
    json_auto_t *root = json_load_file(answer_path, 0, NULL);
    json_object_set_new(json_object_get(root, "binding"), "devices_hash", json_string(OTHER));
    assert_int_equal(json_dump_file(root, answer_path, 0), 0);
    EXPECT(1, "'devices' are not those of its 'devices_hash'", ASKED);
}

static json_t *repeat(const char *text, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(text));
    return list;
}

static void lists_that_are_none_are_refused(void **state)
{
    (void)state;
    _cleanup_free_ char *huge = xcalloc(1, GPU_EVIDENCE_SIZE_MAX + 2);

    memset(huge, 'x', GPU_EVIDENCE_SIZE_MAX + 1);
    json_t *const lists[] = {
        json_object(),    json_string("x"),    json_integer(1),
        json_pack("[n]"), json_pack("[i]", 1), json_pack("[{s:s}]", "evidence", ""),
        repeat("{}", 17), repeat("{}", 10000), repeat(huge, 1),
    };
    for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
        json_auto_t *root = json_load_file(answer_path, 0, NULL);

        json_object_set_new(root, "devices", lists[i]);
        assert_int_equal(json_dump_file(root, answer_path, 0), 0);
        EXPECT(1, "NOT VERIFIED: evidence: the answer has no valid 'devices'", FULL);
    }
}

static void bound_rubbish_is_refused(void **state)
{
    (void)state;
    struct buffer rubbish[16] = {};

    for (size_t i = 0; i < ELEMENTSOF(rubbish); i++)
        buffer_printf(&rubbish[i], "{\"number\": %zu}", i);
    server.devices = rubbish;
    server.n_devices = ELEMENTSOF(rubbish);
    write_answer();
    EXPECT(1, "NOT VERIFIED: gpu_format: device 0: ", FULL);
    for (size_t i = 0; i < ELEMENTSOF(rubbish); i++)
        buffer_done(&rubbish[i]);
}

static void what_is_not_at_hand_cannot_be_told(void **state)
{
    (void)state;
    EXPECT(3, "CANNOT TELL: gpu_driver", ASKED);
    EXPECT(3, "code: gpu_revocation_no_ocsp", ASKED);
    take_away("vbios.swidtag");
    EXPECT(3, "CANNOT TELL: gpu_vbios", FULL);
    EXPECT(3, "code: gpu_measurements_no_rim", FULL);
    put_rims();
    take_away("driver.xml");
    EXPECT(3, "CANNOT TELL: gpu_driver", FULL);
    put_rims();
    take_away("gpu1.ors");
    EXPECT(3, "CANNOT TELL: gpu_revocation", FULL);
    put_all_ocsp();
    EXPECT(0, "VERIFIED", FULL);
}

static void revoked_device_is_refused(void **state)
{
    (void)state;
    put_ocsp("gpu1.ors", &minted[1].firmware, &mint.provisioner, V_OCSP_CERTSTATUS_REVOKED);
    EXPECT(1, "NOT VERIFIED: gpu_revocation: device 1: ", FULL);
    put_all_ocsp();
}

/* Each root counts for what it is the root of, and only when it is given. */
static void roots_of_devices_are_given_one_by_one(void **state)
{
    (void)state;
    _cleanup_free_ char *device = xasprintf("%s/gpu-device.pem", scene.fleet.root);
    _cleanup_free_ char *rim = xasprintf("%s/gpu-rim.pem", scene.fleet.root);

    assert_int_equal(remove(device), 0);
    EXPECT(1, "NOT VERIFIED: gpu_chain", FULL);
    write_roots();
    assert_int_equal(remove(rim), 0);
    EXPECT(1, "NOT VERIFIED: gpu_driver", FULL);
    expect_ok(file_write_atomic(rim, "rubbish", 7, 0600));
    EXPECT(2, NULL, FULL);
    write_roots();
}

static void good_devices_prove_nothing_beside_a_bad_report(void **state)
{
    (void)state;
    server.guest.policy |= 1 << 19;
    write_answer();
    EXPECT(1, "NOT VERIFIED: debug", FULL);
    EXPECT(1, "2, bound by a report that is not verified: nothing is proven", FULL);
}

static void devices_in_the_static_form_are_not_bound(void **state)
{
    (void)state;
    server.no_nonce = true;
    server.guest.vmpl = 1; /* as the existing system has it */
    write_answer();
    EXPECT(3, "CANNOT TELL: devices", SAVED, "--peer", spki, "--rims", rims, "--policy", "nilcc");
    EXPECT(3, "2, which nothing binds to this guest", FULL, "--policy", "nilcc");
    EXPECT(1, "NOT VERIFIED: freshness", FULL);
}

static void bare_report_says_nothing_of_devices(void **state)
{
    (void)state;
    json_auto_t *root = json_load_file(answer_path, 0, NULL);
    uint8_t report[TEE_REPORT_SIZE];

    expect_ok(
        hex_decode(json_string_value(json_object_get(root, "raw_report")), report, sizeof(report)));
    _cleanup_free_ char *path = verify_scene_file("report.bin", report, sizeof(report));
    EXPECT(3, "a bare report says nothing of devices", "--report", path, "--trust-root",
           scene.fleet.root, "--any-manifest");
    EXPECT(2, NULL, "--report", path, "--trust-root", scene.fleet.root, "--any-manifest", "--gpus",
           "1");
}

/* --report-data says what the report carries, not whose key that is for. */
static void given_report_data_does_not_stand_for_the_key(void **state)
{
    (void)state;
    json_auto_t *root = json_load_file(answer_path, 0, NULL);
    _cleanup_free_ char *report_data =
        xstrndup(json_string_value(json_object_get(root, "raw_report")) + 2 * 0x50, 128);

    EXPECT(0, "VERIFIED", FULL, "--report-data", report_data);
    EXPECT(1, "NOT VERIFIED: key", SAVED, "--rims", rims, "--report-data", report_data, "--nonce",
           NONCE, "--peer", OTHER);
    EXPECT(1, "NOT VERIFIED: key", SAVED, "--rims", rims, "--report-data", report_data, "--nonce",
           OTHER, "--peer", spki);
}

static void folder_with_rubbish_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *content;
        int code;
    } cases[] = {
        {"a.xml", "rubbish", 2},  {"a.swidtag", "<a/>", 2}, {"a.rim", "", 2},
        {"a.ocsp", "rubbish", 2}, {"a.der", "", 2},         {"a.ors", "0", 2},
        {"a.txt", "rubbish", 0}, /* not ours */
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        put(cases[i].name, cases[i].content, strlen(cases[i].content));
        EXPECT(cases[i].code, NULL, FULL);
        take_away(cases[i].name);
    }
}

static void too_many_rims_are_refused(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer rim = {};

    mint_driver_rim(&mint, &rim);
    for (int i = 0; i < GPU_RIMS_MAX; i++) {
        _cleanup_free_ char *name = xasprintf("%d.rim", i);
        put(name, rim.data, rim.size);
    }
    EXPECT(2, NULL, FULL);
    for (int i = 0; i < GPU_RIMS_MAX; i++) {
        _cleanup_free_ char *name = xasprintf("%d.rim", i);
        take_away(name);
    }
}

static void wrong_usage_is_said(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "x", "-1", "17", "1x", "100", "4294967297"};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        EXPECT(2, NULL, FULL, "--gpus", cases[i]);
    EXPECT(2, NULL, ASKED, "--rims", "/nonexistent");
}

#define TEST(function) cmocka_unit_test_setup(function, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(good_devices_are_verified),
        TEST(no_devices_and_none_expected_passes),
        TEST(number_of_gpus_is_the_callers),
        TEST(number_of_gpus_may_be_the_policys),
        TEST(policy_says_what_is_accepted),
        TEST(nonces_are_those_of_the_indices),
        TEST(nothing_is_known_without_the_question),
        TEST(list_is_the_one_of_the_report),
        TEST(hash_without_devices_is_refused),
        TEST(lists_that_are_none_are_refused),
        TEST(bound_rubbish_is_refused),
        TEST(what_is_not_at_hand_cannot_be_told),
        TEST(revoked_device_is_refused),
        TEST(roots_of_devices_are_given_one_by_one),
        TEST(good_devices_prove_nothing_beside_a_bad_report),
        TEST(devices_in_the_static_form_are_not_bound),
        TEST(bare_report_says_nothing_of_devices),
        TEST(given_report_data_does_not_stand_for_the_key),
        TEST(folder_with_rubbish_is_said),
        TEST(too_many_rims_are_refused),
        TEST(wrong_usage_is_said),
    };

    return cmocka_run_group_tests_name("verify_devices", tests, set_up, tear_down);
}
