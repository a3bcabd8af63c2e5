/* Evidence of GPUs in the answer: asked with the right nonce, bound in order, all or nothing. */
#include "services/attester/test_stand.h"

#include <signal.h>

#include "shared/attestation/binding.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

static struct test_fleet fleet;
static struct test_attester stand;

/* GPUs whose evidence is the nonce that they were asked with. */
struct fake_devices {
    struct devices base;
    bool broken;
};
static struct fake_devices *gpus;

static struct error *collect(struct devices *devices, const uint8_t root[32],
                             const uint8_t key_hash[32], struct gpu_evidence_list *ret_list)
{
    *ret_list = (struct gpu_evidence_list){};
    if (((struct fake_devices *)devices)->broken)
        return error_new(ERROR_INTERNAL, "a GPU does not answer");
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t nonce[32];

        binding_gpu_nonce(root, key_hash, i, nonce);
        _cleanup_free_ char *text = hex_encode_new(nonce, 32);
        buffer_printf(&ret_list->devices[i], "{\"evidence\": \"%s\\u00e4\"}", text);
        ret_list->n++;
    }
    return NULL;
}

/* The attester leaves that to the boot. */
static struct error *set_ready(_unused_ struct devices *devices, _unused_ bool ready)
{
    fail();
    return NULL;
}

static void release(struct devices *devices)
{
    free(devices);
}

static int set_up(void **state)
{
    (void)state;
    static const struct devices_ops ops = {collect, set_ready, release};

    gpus = xnew(struct fake_devices);
    gpus->base.ops = &ops;
    test_attester_init(&stand, fleet.processors[0], &gpus->base);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_attester_done(&stand);
    return 0;
}

/* As a verifier does: everything from the answer, but the key and the manifest. */
static void check_devices(const json_t *answer)
{
    const json_t *binding = json_object_get(answer, "binding"), *item;
    struct binding_bytes bytes[GPU_DEVICES_MAX];
    uint8_t root[32], spki[32], manifest[32], hash[32], nonce[32], report_data[BINDING_SIZE];
    size_t i;

    test_proxy_get_key(&stand.proxy, spki);
    sha256(test_manifest, strlen(test_manifest), manifest);
    expect_ok(hex_decode(test_text(binding, "nonce_root"), root, 32));
    json_array_foreach(json_object_get(answer, "devices"), i, item)
    {
        bytes[i] = (struct binding_bytes){json_string_value(item), json_string_length(item)};
        binding_gpu_nonce(root, spki, (uint32_t)i, nonce);
        _cleanup_free_ char *text = hex_encode_new(nonce, 32);
        assert_non_null(strstr(json_string_value(item), text));
    }
    assert_int_equal(i, 3);
    assert_non_null(binding_devices(bytes, i, hash));
    test_expect_hex(binding, "devices_hash", hash, 32);
    const struct binding_tls in = {root, spki, manifest, hash};
    binding_tls(&in, report_data);
    test_expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
}

static void evidence_of_gpus_is_bound(void **state)
{
    (void)state;
    struct test_caller callers[5] = {};

    test_callers_start(stand.desks.fresh, callers, 5);
    for (size_t i = 0; i < 5; i++) {
        _cleanup_buffer_ struct buffer body = {};

        expect_ok(test_caller_wait(&callers[i], &body));
        json_auto_t *answer = test_parse(&body);
        check_devices(answer);
        assert_string_equal(test_text(json_object_get(answer, "environment"), "vm_type"), "gpu");
    }
}

static void gpu_that_does_not_answer_leaves_no_answer(void **state)
{
    (void)state;
    const uint8_t nonce[32] = {1};
    _cleanup_buffer_ struct buffer body = {};

    gpus->broken = true;
    expect_code(test_ask(stand.desks.fresh, nonce, &body), ERROR_UNAVAILABLE);
    assert_int_equal(body.size, 0);
    assert_int_equal(stand.tee->asked, 0);
}

/* It has no nonce to ask the GPUs with. */
static void static_form_is_without_gpus(void **state)
{
    (void)state;
    uint8_t spki[32], report_data[BINDING_SIZE];
    _cleanup_buffer_ struct buffer body = {};

    expect_ok(test_ask(stand.desks.standing, NULL, &body));
    json_auto_t *answer = test_parse(&body);
    test_proxy_get_key(&stand.proxy, spki);
    binding_tls_static(spki, report_data);
    test_expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
    assert_int_equal(json_array_size(json_object_get(answer, "devices")), 0);
    assert_string_equal(test_text(json_object_get(answer, "binding"), "devices_hash"), "");
}

static void gpus_are_opened_by_name(void **state)
{
    (void)state;
    struct devices *devices = &gpus->base;

    expect_ok(devices_open("none", NULL, &devices));
    assert_null(devices);
    expect_code(devices_open("nonsense", NULL, &devices), ERROR_INVALID_ARGUMENT);
    expect_code(devices_open("nvml", "/nonexistent/libnvidia-ml.so.1", &devices), ERROR_NOT_FOUND);
    assert_null(devices);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(evidence_of_gpus_is_bound),
        TEST(gpu_that_does_not_answer_leaves_no_answer),
        TEST(static_form_is_without_gpus),
        TEST(gpus_are_opened_by_name),
    };

    signal(SIGPIPE, SIG_IGN); /* as service_main() does */
    test_fleet_init(&fleet);
    int failed = cmocka_run_group_tests_name("gpus of the attester", tests, NULL, NULL);
    test_fleet_done(&fleet);
    return failed;
}
