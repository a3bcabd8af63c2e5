/*
 * Recorded evidence of real GPUs and switches, and real RIM files. The files are not ours to ship:
 * COFFER_VECTORS names their folder (../shared/vectors); without it the test is skipped.
 */
#include "shared/nvidia/test_gpu.h"

#include <glob.h>
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/nvidia/gpu_chain.h"

#define VECTORS_MAX 64
#define AT_MS       INT64_C(1735689600000) /* 2025-01-01: RIM signers were in date */

struct vector {
    const char *name;
    json_t *manifest;
    struct gpu_evidence evidence;
    struct gpu_chain chain;
    struct buffer json;
    uint8_t nonce[32]; /* of its request */
};

static char *nvidia_dir;
static struct vector vectors[VECTORS_MAX];
static size_t n_vectors;

static void read_file(struct buffer *ret, const char *fmt, ...) _printf_(2, 3);
static void read_file(struct buffer *ret, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *path = xvasprintf(fmt, args);
    va_end(args);
    expect_ok(file_read(path, 1024 * 1024, ret));
}

static void load_vector(struct vector *v, const char *path)
{
    _cleanup_free_ char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));

    v->manifest = json_load_file(path, 0, NULL);
    assert_non_null(v->manifest);
    v->name = json_string_value(json_object_get(v->manifest, "name"));
    read_file(&v->evidence.exchange, "%s/evidence.bin", dir);
    read_file(&v->evidence.certificate, "%s/cert_chain.pem", dir);
    memcpy(v->nonce, v->evidence.exchange.data + 4, sizeof(v->nonce));
    gpu_evidence_write(&v->evidence, &v->json);
    const struct buffer *pem = &v->evidence.certificate;
    expect_ok(gpu_chain_parse(pem->data, pem->size, &v->chain));
}

static int load_all(void **state)
{
    (void)state;
    _cleanup_free_ char *pattern = xasprintf("%s/[a-z]*/manifest.json", nvidia_dir);
    glob_t found;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        load_vector(&vectors[n_vectors++], found.gl_pathv[i]);
    globfree(&found);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_vectors; i++) {
        json_decref(vectors[i].manifest);
        gpu_evidence_done(&vectors[i].evidence);
        gpu_chain_done(&vectors[i].chain);
        buffer_done(&vectors[i].json);
    }
    free(nvidia_dir);
    return 0;
}

static const struct vector *find_vector(const char *name)
{
    for (size_t i = 0; i < n_vectors; i++)
        if (strcmp(vectors[i].name, name) == 0)
            return &vectors[i];
    fail_msg("no vector '%s'", name);
    return NULL;
}

#define LIST_MAX GPU_DEVICES_MAX

/* A list of vectors, each with the nonce it was made with. */
struct list {
    struct binding_bytes devices[LIST_MAX];
    uint8_t nonces[LIST_MAX][32];
    size_t n;
};

static void list_add(struct list *list, const struct vector *v)
{
    list->devices[list->n] = (struct binding_bytes){v->json.data, v->json.size};
    memcpy(list->nonces[list->n++], v->nonce, 32);
}

/* Everything but what a vector cannot have. */
static struct gpu_policy lenient(const struct list *list)
{
    return (struct gpu_policy){
        .nonces = list->nonces,
        .any_number = true,
        .at_ms = AT_MS,
        .accept_no_fwid = true,
        .accept_no_revocation = true,
    };
}

static void appraise(const struct gpu_policy *policy, const struct list *list,
                     struct verify_result *ret_result)
{
    verify_result_init(ret_result);
    expect_ok(verify_gpus(policy, list->devices, list->n, ret_result));
}

static const json_t *part_of(const struct vector *v, const char *part, const char *name)
{
    return json_object_get(json_object_get(v->manifest, part), name);
}

static enum verdict as_verdict(bool pass)
{
    return pass ? VERDICT_PASS : VERDICT_FAIL;
}

/* As the manifest says; what has a byte behind its signature is refused as a whole. */
static void check_vector(const struct vector *v)
{
    struct verify_result result;
    struct list list = {};

    list_add(&list, v);
    struct gpu_policy policy = lenient(&list);
    appraise(&policy, &list, &result);
    bool padded = json_integer_value(part_of(v, "decoded", "trailing_bytes_after_signature")) > 0;
    bool valid = json_is_true(json_object_get(v->manifest, "valid"));
    bool matches = !json_is_false(part_of(v, "verified", "fwid_match"));
    expect_step(&result, "gpu_format", as_verdict(!padded));
    if (!padded) {
        expect_step(&result, "gpu_chain", VERDICT_PASS);
        expect_step(&result, "gpu_validity", VERDICT_PASS);
        expect_step(&result, "gpu_signature", as_verdict(valid));
        expect_step(&result, "gpu_firmware", as_verdict(matches));
        expect_step(&result, "gpu_mode", VERDICT_PASS);
        expect_step(&result, "gpu_nonce", VERDICT_PASS);
    }
    assert_int_equal(verify_result_verdict(&result) == VERDICT_FAIL,
                     padded || !valid || !matches ||
                         find_step(&result, "gpu_topology")->verdict == VERDICT_FAIL ||
                         find_step(&result, "gpu_count")->verdict == VERDICT_FAIL);
    print_message("vector %s: %s\n", v->name,
                  padded ? "refused for the byte behind its signature, which its manifest lets pass"
                  : valid ? "verifies, as its manifest says"
                          : "refused, as its manifest says");
    verify_result_done(&result);
}

static void every_vector_is_as_its_manifest_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_vectors; i++)
        check_vector(&vectors[i]);
    assert_true(n_vectors >= 17);
}

static void check_text(const struct vector *v, const char *name, const char *actual)
{
    const char *expected = json_string_value(part_of(v, "decoded", name));

    assert_string_equal(actual, expected ? expected : "");
}

static void decoded_fields_equal_the_manifests(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_vectors; i++) {
        const struct vector *v = &vectors[i];
        const char *index;
        struct spdm_transcript t;
        size_t size;

        expect_ok(spdm_measure(v->evidence.exchange.data, v->evidence.exchange.size, &size));
        expect_ok(spdm_parse(v->evidence.exchange.data, size, &t));
        check_text(v, "driver_version", t.driver_version);
        check_text(v, "vbios_version", t.vbios_version);
        check_text(v, "project", t.project);
        check_text(v, "project_sku", t.project_sku);
        check_text(v, "chip_sku", t.chip_sku);
        assert_int_equal(t.n_measurements,
                         json_integer_value(part_of(v, "decoded", "number_of_blocks")));
        json_t *value, *measurements =
                           json_object_get(json_object_get(v->manifest, "decoded"), "measurements");
        json_object_foreach(measurements, index, value)
        {
            const struct spdm_bytes *block = &t.measurements[atoi(index) - 1];
            _cleanup_free_ char *hex = hex_encode_new(block->data, block->size);

            assert_string_equal(hex, json_string_value(value));
        }
    }
}

/* One junk byte behind the signature, which others accept; NVML gives it, and it is cut off there.
 */
static void a_byte_behind_the_signature_is_refused_and_can_be_cut_off(void **state)
{
    (void)state;
    const struct vector *v = find_vector("hopper-coco-trailing-byte");
    _cleanup_(gpu_evidence_done) struct gpu_evidence bare = {};
    _cleanup_buffer_ struct buffer json = {};
    struct verify_result result;
    struct list list = {};
    size_t size = 0;

    expect_ok(spdm_measure(v->evidence.exchange.data, v->evidence.exchange.size, &size));
    assert_int_equal(size, v->evidence.exchange.size - 1);
    buffer_add(&bare.exchange, v->evidence.exchange.data, size);
    buffer_add(&bare.certificate, v->evidence.certificate.data, v->evidence.certificate.size);
    gpu_evidence_write(&bare, &json);
    list_add(&list, v);
    list.devices[0] = (struct binding_bytes){json.data, json.size};
    struct gpu_policy policy = lenient(&list);
    appraise(&policy, &list, &result);
    EXPECT_ONLY(&result, VERDICT_UNKNOWN, "gpu_driver", "gpu_vbios", "gpu_rim_validity",
                "gpu_measurements");
    verify_result_done(&result);
}

/* Section 12.3 of the notes: complete matches. */
static void check_full_match(const char *name, const char *const *files, size_t n_files,
                             int64_t at_ms, const char *measurements)
{
    struct buffer contents[2] = {};
    struct binding_bytes rims[2];
    struct verify_result result;
    struct list list = {};

    for (size_t i = 0; i < n_files; i++) {
        read_file(&contents[i], "%s/_rims/%s", nvidia_dir, files[i]);
        rims[i] = (struct binding_bytes){contents[i].data, contents[i].size};
    }
    list_add(&list, find_vector(name));
    struct gpu_policy policy = lenient(&list);
    policy.rims = rims;
    policy.n_rims = n_files;
    policy.at_ms = at_ms;
    appraise(&policy, &list, &result);
    if (n_files == 2)
        EXPECT_PASS(&result);
    else /* there is no GPU beside the switch */
        EXPECT_ONLY(&result, VERDICT_FAIL, "gpu_count", "gpu_topology");
    assert_string_equal(find_step(&result, "gpu_measurements")->actual, measurements);
    assert_false(result.development);
    verify_result_done(&result);
    for (size_t i = 0; i < n_files; i++)
        buffer_done(&contents[i]);
}

static void complete_sets_of_reference_values_match(void **state)
{
    (void)state;
    static const char *const gpu[] = {"Driver_RIM_test_no_gpu.swidtag",
                                      "1010_0200_882_96005E0001_test_no_gpu.swidtag"};
    static const char *const nvswitch[] = {
        "switchVBIOSRim_NV_SWITCH_BIOS_5612_0002_890_9610550001.xml"};

    check_full_match("hopper-545.00-full-match", gpu, 2, AT_MS, "device 0: 32 right");
    check_full_match("ls10-switch-full-match", nvswitch, 1, AT_MS + INT64_C(600) * 24 * 3600 * 1000,
                     "device 0: 31 right");
}

/* NVIDIA has signed two sets of values under one product, version and tagId: the one called "PROD"
 * and the one called "test_no_gpu". Only the second is this device's. */
static void two_genuine_rims_of_one_version_are_ambiguous(void **state)
{
    (void)state;
    static const char *const files[] = {"Driver_RIM_test_no_gpu.swidtag",
                                        "1010_0200_882_96005E0001_PROD.swidtag",
                                        "1010_0200_882_96005E0001_test_no_gpu.swidtag"};
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {2, 1, 0}};
    struct buffer contents[3] = {};

    for (size_t i = 0; i < 3; i++)
        read_file(&contents[i], "%s/_rims/%s", nvidia_dir, files[i]);
    for (size_t i = 0; i < ELEMENTSOF(orders); i++) {
        struct binding_bytes rims[3];
        struct verify_result result;
        struct list list = {};

        for (size_t k = 0; k < 3; k++)
            rims[k] =
                (struct binding_bytes){contents[orders[i][k]].data, contents[orders[i][k]].size};
        list_add(&list, find_vector("hopper-545.00-full-match"));
        struct gpu_policy policy = lenient(&list);
        policy.rims = rims;
        policy.n_rims = 3;
        appraise(&policy, &list, &result);
        EXPECT_ONLY(&result, VERDICT_UNKNOWN, "gpu_vbios", "gpu_measurements");
        assert_string_equal(find_step(&result, "gpu_vbios")->code, "gpu_vbios_ambiguous");
        verify_result_done(&result);
    }
    for (size_t i = 0; i < 3; i++)
        buffer_done(&contents[i]);
}

struct rim_case {
    const char *evidence;
    const char *file;
    const char *id;
    enum verdict verdict;
    const char *actual;
};

/* One RIM at a time, good, wrong, and not NVIDIA's. */
static const struct rim_case rim_cases[] = {
    {"hopper-535.86.09", "1010_0200_882_96005E0001_PROD.swidtag", "gpu_measurements",
     VERDICT_UNKNOWN, "device 0: 12 right, but a RIM is missing"},
    {"hopper-535.86.09", "NV_GPU_VBIOS_1010_0200_882_96005E0001_measurement_mismatch.xml",
     "gpu_measurements", VERDICT_FAIL, "device 0: 1 of 12 differ, the first is 9"},
    {"hopper-535.86.09", "NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml", "gpu_driver",
     VERDICT_FAIL, "device 0: the signature over the file is not the signer's"},
    {"hopper-570.124.03", "NV_GPU_DRIVER_GH100_570.124.03_expired.xml", "gpu_driver", VERDICT_FAIL,
     "device 0: the signature over the file is not the signer's"},
    {"hopper-570.124.03", "1010_0205_862_96005E0004_PROD.swidtag", "gpu_measurements", VERDICT_FAIL,
     "device 0: 1 of 12 differ, the first is 9"},
    {"ls10-switch-full-match", "NV_SWITCH_BIOS_5612_0002_890_9610550001_invalid_signature.xml",
     "gpu_vbios", VERDICT_FAIL, "device 0: the signature over the file is not the signer's"},
    {"hopper-570.86.10", "NV_GPU_DRIVER_GH100_550.144.03.xml", "gpu_driver", VERDICT_UNKNOWN,
     "device 0: no RIM of version 570.86.10 is given"},
};

static void wrong_reference_values_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rim_cases); i++) {
        const struct rim_case *c = &rim_cases[i];
        _cleanup_buffer_ struct buffer content = {};
        struct verify_result result;
        struct list list = {};

        read_file(&content, "%s/_rims/%s", nvidia_dir, c->file);
        const struct binding_bytes rim = {content.data, content.size};
        list_add(&list, find_vector(c->evidence));
        struct gpu_policy policy = lenient(&list);
        policy.rims = &rim;
        policy.n_rims = 1;
        appraise(&policy, &list, &result);
        expect_step(&result, c->id, c->verdict);
        assert_string_equal(find_step(&result, c->id)->actual, c->actual);
        verify_result_done(&result);
    }
}

static void expired_rim_signer_is_refused_unless_asked_for(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer content = {};
    struct verify_result result;
    struct list list = {};

    read_file(&content, "%s/_rims/1010_0200_882_96005E0001_PROD.swidtag", nvidia_dir);
    const struct binding_bytes rim = {content.data, content.size};
    list_add(&list, find_vector("hopper-545.00-full-match"));
    struct gpu_policy policy = lenient(&list);
    policy.rims = &rim;
    policy.n_rims = 1;
    policy.at_ms += INT64_C(366) * 24 * 3600 * 1000;
    appraise(&policy, &list, &result);
    expect_step(&result, "gpu_rim_validity", VERDICT_FAIL);
    expect_step(&result, "gpu_validity", VERDICT_PASS);
    verify_result_done(&result);
    policy.accept_expired_rims = true;
    appraise(&policy, &list, &result);
    expect_step(&result, "gpu_rim_validity", VERDICT_PASS);
    verify_result_done(&result);
}

/* Every bit of the exchange is signed, the question too. */
static void flipped_bytes_are_refused(void **state)
{
    (void)state;
    const struct vector *v = find_vector("hopper-590.12-single");
    _cleanup_buffer_ struct buffer copy = {};
    size_t parsed = 0;

    buffer_add(&copy, v->evidence.exchange.data, v->evidence.exchange.size);
    for (size_t i = 0; i < copy.size; i += i < 100 ? 1 : 3) {
        struct spdm_transcript t;

        copy.data[i] ^= 1;
        struct error *err = spdm_parse(copy.data, copy.size, &t);
        if (!err) {
            parsed++;
            assert_false(spdm_signature_is_valid(&t, x509_path_key(&v->chain.path)));
        }
        error_free(err);
        copy.data[i] ^= 1;
    }
    assert_true(parsed > copy.size / 6);
}

/* Evidence under every chain: only its own key's may pass. */
static void no_pair_passes_on_a_key_that_is_not_its_own(void **state)
{
    (void)state;
    size_t passed = 0;

    for (size_t i = 0; i < n_vectors; i++) {
        const struct buffer *exchange = &vectors[i].evidence.exchange;
        bool valid = json_is_true(json_object_get(vectors[i].manifest, "valid"));
        EVP_PKEY *own = x509_path_key(&vectors[i].chain.path);
        struct spdm_transcript t;
        size_t size;

        expect_ok(spdm_measure(exchange->data, exchange->size, &size));
        expect_ok(spdm_parse(exchange->data, size, &t));
        for (size_t k = 0; k < n_vectors; k++) {
            EVP_PKEY *other = x509_path_key(&vectors[k].chain.path);
            bool pass = spdm_signature_is_valid(&t, other);

            if (valid) /* the other one is of a GPU that is not among these */
                assert_int_equal(pass, EVP_PKEY_eq(own, other) == 1);
            else
                assert_false(pass && EVP_PKEY_eq(own, other) == 1);
            passed += pass;
        }
    }
    print_message("%zu pairs of evidence and chain, %zu verify\n", n_vectors * n_vectors, passed);
    assert_true(passed >= n_vectors - 1);
}

static void swapped_wrong_and_repeated_evidence_is_refused(void **state)
{
    (void)state;
    const struct vector *a = find_vector("hopper-590.12-multi4-0");
    const struct vector *b = find_vector("hopper-590.12-multi4-1");
    _cleanup_(gpu_evidence_done) struct gpu_evidence swapped = {};
    _cleanup_buffer_ struct buffer json = {};
    struct verify_result result;
    struct list list = {};

    list_add(&list, a);
    list_add(&list, b);
    struct gpu_policy policy = lenient(&list);
    appraise(&policy, &list, &result);
    expect_step(&result, "gpu_distinct", VERDICT_PASS);
    expect_step(&result, "gpu_signature", VERDICT_PASS);
    verify_result_done(&result);

    list.nonces[1][31] ^= 1;
    appraise(&policy, &list, &result);
    expect_step(&result, "gpu_nonce", VERDICT_FAIL);
    verify_result_done(&result);

    list.devices[1] = list.devices[0];
    appraise(&policy, &list, &result);
    expect_step(&result, "gpu_distinct", VERDICT_FAIL);
    verify_result_done(&result);

    buffer_add(&swapped.exchange, a->evidence.exchange.data, a->evidence.exchange.size);
    buffer_add(&swapped.certificate, b->evidence.certificate.data, b->evidence.certificate.size);
    gpu_evidence_write(&swapped, &json);
    list.devices[1] = (struct binding_bytes){json.data, json.size};
    appraise(&policy, &list, &result);
    expect_step(&result, "gpu_signature", VERDICT_FAIL);
    expect_step(&result, "gpu_chain", VERDICT_PASS);
    verify_result_done(&result);
}

/* Half of the box: each GPU lists the fourth switch, for which there is no evidence. */
static void protected_pcie_without_a_switch_is_refused(void **state)
{
    (void)state;
    struct verify_result result;
    struct list list = {};

    for (size_t i = 0; i < n_vectors; i++)
        if (strstr(vectors[i].name, "ppcie"))
            list_add(&list, &vectors[i]);
    assert_true(list.n >= 7);
    struct gpu_policy policy = lenient(&list);
    appraise(&policy, &list, &result);
    expect_step(&result, "gpu_topology", VERDICT_FAIL);
    assert_non_null(strstr(find_step(&result, "gpu_topology")->actual, "without evidence"));
    expect_step(&result, "gpu_mode", VERDICT_PASS);
    expect_step(&result, "gpu_distinct", VERDICT_PASS);
    expect_step(&result, "gpu_nonce", VERDICT_PASS);
    verify_result_done(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_is_as_its_manifest_says),
        cmocka_unit_test(decoded_fields_equal_the_manifests),
        cmocka_unit_test(a_byte_behind_the_signature_is_refused_and_can_be_cut_off),
        cmocka_unit_test(complete_sets_of_reference_values_match),
        cmocka_unit_test(two_genuine_rims_of_one_version_are_ambiguous),
        cmocka_unit_test(wrong_reference_values_are_told),
        cmocka_unit_test(expired_rim_signer_is_refused_unless_asked_for),
        cmocka_unit_test(flipped_bytes_are_refused),
        cmocka_unit_test(no_pair_passes_on_a_key_that_is_not_its_own),
        cmocka_unit_test(swapped_wrong_and_repeated_evidence_is_refused),
        cmocka_unit_test(protected_pcie_without_a_switch_is_refused),
    };
    const char *root = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    struct stat st;

    nvidia_dir = xasprintf("%s/nvidia", root);
    if (stat(nvidia_dir, &st) < 0) {
        printf("skipped: no attestation vectors at '%s' (set COFFER_VECTORS)\n", root);
        free(nvidia_dir);
        return 77;
    }
    return cmocka_run_group_tests_name("gpu vectors", tests, load_all, free_all);
}
