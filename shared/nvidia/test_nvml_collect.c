/* Collection against a stand-in for NVML, which is loaded as the real one would be. */
#include "shared/nvidia/test_gpu.h"

#include <dlfcn.h>

#include "shared/nvidia/fake_nvml.h"
#include "shared/nvidia/nvml_collect.h"
#include "shared/nvidia/test_mint.h"

static struct mint mint;
static struct minted gpu;
static const uint8_t root[32] = {1}, key_hash[32] = {2};

static int setup(void **state)
{
    (void)state;
    const struct mint_device device = mint_gpu(1);

    mint_init(&mint);
    mint_device(&mint, &device, &gpu);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    minted_done(&gpu);
    mint_done(&mint);
    return 0;
}

/* The library's own answers; loading it again gives the same one. */
static struct fake_nvml *fake_open(void **ret_library)
{
    *ret_library = dlopen(FAKE_NVML, RTLD_NOW | RTLD_LOCAL);
    if (!*ret_library)
        fail_msg("%s", dlerror());
    struct fake_nvml *fake = dlsym(*ret_library, "fake_nvml");
    assert_non_null(fake);
    *fake = (struct fake_nvml){
        .state = {NVML_CC_ENVIRONMENT_PRODUCTION, NVML_CC_FEATURE_ENABLED, NVML_CC_DEVTOOLS_OFF},
        .count = 2,
        .chain_size = (unsigned int)gpu.evidence.certificate.size,
        .report_size = (unsigned int)gpu.evidence.exchange.size,
    };
    memcpy(fake->chain, gpu.evidence.certificate.data, gpu.evidence.certificate.size);
    memcpy(fake->exchange, gpu.evidence.exchange.data, gpu.evidence.exchange.size);
    return fake;
}

static void each_gpu_is_asked_with_its_own_nonce(void **state)
{
    (void)state;
    struct gpu_evidence_list list;
    struct nvml *nvml = NULL;
    void *library;
    struct fake_nvml *fake = fake_open(&library);

    expect_ok(nvml_open(FAKE_NVML, &nvml));
    fake->report_size += 3; /* padding, as drivers give it */
    expect_ok(nvml_collect(nvml, root, key_hash, &list));
    assert_int_equal(list.n, 2);
    for (uint32_t i = 0; i < list.n; i++) {
        struct gpu_evidence evidence;
        struct spdm_transcript t;
        uint8_t nonce[32];

        gpu_nonce(root, key_hash, i, nonce);
        expect_ok(gpu_evidence_parse(list.devices[i].data, list.devices[i].size, &evidence));
        expect_ok(spdm_parse(evidence.exchange.data, evidence.exchange.size, &t));
        assert_memory_equal(t.nonce, nonce, sizeof(nonce));
        assert_int_equal(evidence.certificate.size, gpu.evidence.certificate.size);
        gpu_evidence_done(&evidence);
    }
    gpu_evidence_list_done(&list);
    nvml_close(nvml);
    assert_int_equal(fake->started, 0);
    dlclose(library);
}

typedef void change_fn(struct fake_nvml *fake);

static void cc_off(struct fake_nvml *fake)
{
    fake->state.cc_feature = 0;
}

static void cc_simulated(struct fake_nvml *fake)
{
    fake->state.environment = 1;
}

static void developer_tools(struct fake_nvml *fake)
{
    fake->state.devtools_mode = 1;
}

static void no_state(struct fake_nvml *fake)
{
    fake->get_state = 3;
}

static void no_gpu(struct fake_nvml *fake)
{
    fake->count = 0;
}

static void too_many_gpus(struct fake_nvml *fake)
{
    fake->count = GPU_DEVICES_MAX + 1;
}

static void no_certificate(struct fake_nvml *fake)
{
    fake->certificate = 3;
}

static void empty_certificate(struct fake_nvml *fake)
{
    fake->chain_size = 0;
}

static void huge_certificate(struct fake_nvml *fake)
{
    fake->chain_size = NVML_ATTESTATION_CHAIN_SIZE + 1;
}

static void no_report(struct fake_nvml *fake)
{
    fake->report = 999;
}

static void huge_report(struct fake_nvml *fake)
{
    fake->report_size = NVML_REPORT_SIZE + 1;
}

static void cut_report(struct fake_nvml *fake)
{
    fake->report_size--;
}

static void junk_behind_report(struct fake_nvml *fake)
{
    fake->exchange[fake->report_size++] = 1;
}

static void replayed_report(struct fake_nvml *fake)
{
    fake->replay = true;
}

static const struct {
    const char *name;
    change_fn *change;
    enum error_code code;
} failures[] = {
    {"confidential computing off", cc_off, ERROR_FAILED_PRECONDITION},
    {"confidential computing simulated", cc_simulated, ERROR_FAILED_PRECONDITION},
    {"developer tools", developer_tools, ERROR_FAILED_PRECONDITION},
    {"no state", no_state, ERROR_FAILED_PRECONDITION},
    {"no GPU", no_gpu, ERROR_FAILED_PRECONDITION},
    {"too many GPUs", too_many_gpus, ERROR_FAILED_PRECONDITION},
    {"no certificate", no_certificate, ERROR_INTERNAL},
    {"empty certificate", empty_certificate, ERROR_INTERNAL},
    {"huge certificate", huge_certificate, ERROR_INTERNAL},
    {"no report", no_report, ERROR_INTERNAL},
    {"huge report", huge_report, ERROR_INTERNAL},
    {"cut report", cut_report, ERROR_INTERNAL},
    {"junk behind the report", junk_behind_report, ERROR_INTERNAL},
    {"replayed report", replayed_report, ERROR_INTERNAL},
};

static void anything_else_gives_no_evidence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(failures); i++) {
        struct gpu_evidence_list list;
        struct nvml *nvml = NULL;
        void *library;
        struct fake_nvml *fake = fake_open(&library);

        print_message("%s\n", failures[i].name);
        expect_ok(nvml_open(FAKE_NVML, &nvml));
        failures[i].change(fake);
        expect_error(nvml_collect(nvml, root, key_hash, &list), failures[i].code);
        assert_int_equal(list.n, 0);
        nvml_close(nvml);
        dlclose(library);
    }
}

static void no_driver_and_no_start_are_told_apart(void **state)
{
    (void)state;
    struct nvml *nvml = NULL;
    void *library;

    expect_error(nvml_open("/nonexistent/libnvidia-ml.so.1", &nvml), ERROR_NOT_FOUND);
    expect_error(nvml_open("libc.so.6", &nvml), ERROR_FAILED_PRECONDITION); /* another library */
    struct fake_nvml *fake = fake_open(&library);
    fake->init = 9;
    expect_error(nvml_open(FAKE_NVML, &nvml), ERROR_FAILED_PRECONDITION);
    assert_null(nvml);
    dlclose(library);
}

static void gpus_are_made_ready_on_request_only(void **state)
{
    (void)state;
    struct gpu_evidence_list list;
    struct nvml *nvml = NULL;
    void *library;
    struct fake_nvml *fake = fake_open(&library);

    expect_ok(nvml_open(FAKE_NVML, &nvml));
    expect_ok(nvml_collect(nvml, root, key_hash, &list));
    gpu_evidence_list_done(&list);
    assert_int_equal(fake->ready, 0);
    expect_ok(nvml_set_ready(nvml, true));
    assert_int_equal(fake->ready, 1);
    fake->set_ready = 4;
    expect_error(nvml_set_ready(nvml, false), ERROR_INTERNAL);
    nvml_close(nvml);
    dlclose(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gpu_is_asked_with_its_own_nonce),
        cmocka_unit_test(anything_else_gives_no_evidence),
        cmocka_unit_test(no_driver_and_no_start_are_told_apart),
        cmocka_unit_test(gpus_are_made_ready_on_request_only),
    };

    return cmocka_run_group_tests_name("nvml collect", tests, setup, teardown);
}
