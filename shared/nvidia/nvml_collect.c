#include "shared/nvidia/nvml_collect.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/nvidia/nvml_abi.h"

_Static_assert(NVML_NONCE_SIZE == SPDM_NONCE_SIZE, "the nonce is SPDM's");
_Static_assert(NVML_REPORT_SIZE <= SPDM_TRANSCRIPT_MAX, "a report must fit");

struct nvml {
    void *library;
    struct nvml_abi abi;
    bool started;
};

static const struct symbol {
    const char *name;
    size_t offset;
} symbols[] = {
    {"nvmlInit_v2", offsetof(struct nvml_abi, init)},
    {"nvmlShutdown", offsetof(struct nvml_abi, shutdown)},
    {"nvmlSystemGetConfComputeState", offsetof(struct nvml_abi, get_state)},
    {"nvmlSystemSetConfComputeGpusReadyState", offsetof(struct nvml_abi, set_ready)},
    {"nvmlDeviceGetCount_v2", offsetof(struct nvml_abi, count)},
    {"nvmlDeviceGetHandleByIndex_v2", offsetof(struct nvml_abi, by_index)},
    {"nvmlDeviceGetConfComputeGpuCertificate", offsetof(struct nvml_abi, certificate)},
    {"nvmlDeviceGetConfComputeGpuAttestationReport", offsetof(struct nvml_abi, report)},
};

static struct error *find_symbols(struct nvml *nvml)
{
    for (size_t i = 0; i < ELEMENTSOF(symbols); i++) {
        void *address = dlsym(nvml->library, symbols[i].name);

        if (!address)
            return error_new(ERROR_FAILED_PRECONDITION, "nvml: no '%s': the driver is too old",
                             symbols[i].name);
        memcpy((char *)&nvml->abi + symbols[i].offset, &address, sizeof(address));
    }
    return NULL;
}

/* NVML's own texts add nothing to its numbers. */
static struct error *check(int code, enum error_code error, const char *what)
{
    return code == NVML_SUCCESS ? NULL : error_new(error, "nvml: %s: error %d", what, code);
}

struct error *nvml_open(const char *library, struct nvml **ret_nvml)
{
    _cleanup_(nvml_closep) struct nvml *nvml = xnew(struct nvml);

    nvml->library = dlopen(library ? library : NVML_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!nvml->library)
        return error_new(ERROR_NOT_FOUND, "nvml: %s", dlerror());
    struct error *err = find_symbols(nvml);
    if (!err)
        err = check(nvml->abi.init(), ERROR_FAILED_PRECONDITION, "start");
    if (err)
        return err;
    nvml->started = true;
    *ret_nvml = TAKE_PTR(nvml);
    return NULL;
}

void nvml_close(struct nvml *nvml)
{
    if (!nvml)
        return;
    if (nvml->started)
        nvml->abi.shutdown();
    if (nvml->library)
        dlclose(nvml->library);
    free(nvml);
}

void gpu_evidence_list_done(struct gpu_evidence_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        buffer_done(&list->devices[i]);
    *list = (struct gpu_evidence_list){};
}

static struct error *check_state(struct nvml *nvml)
{
    struct nvml_cc_state state = {};

    struct error *err =
        check(nvml->abi.get_state(&state), ERROR_FAILED_PRECONDITION, "confidential state");
    if (err)
        return err;
    if (state.cc_feature != NVML_CC_FEATURE_ENABLED)
        return error_new(ERROR_FAILED_PRECONDITION, "nvml: confidential computing is off");
    if (state.environment != NVML_CC_ENVIRONMENT_PRODUCTION)
        return error_new(ERROR_FAILED_PRECONDITION, "nvml: confidential computing is simulated");
    if (state.devtools_mode != NVML_CC_DEVTOOLS_OFF)
        return error_new(ERROR_FAILED_PRECONDITION, "nvml: the GPUs are in developer tools mode");
    return NULL;
}

/* Some drivers pad the exchange: a verifier wants it bare. Padding is zeros. */
static struct error *add_exchange(const struct nvml_report *report, struct buffer *ret_exchange)
{
    size_t size = 0;

    if (report->report_size > NVML_REPORT_SIZE)
        return error_new(ERROR_INTERNAL, "nvml: a report of %u bytes", report->report_size);
    struct error *err = spdm_measure(report->report, report->report_size, &size);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    for (size_t i = size; i < report->report_size; i++)
        if (report->report[i] != 0)
            return error_new(ERROR_INTERNAL, "nvml: a report with something behind it");
    buffer_add(ret_exchange, report->report, size);
    return NULL;
}

/* An answer to another question is no answer. */
static struct error *check_answer(const struct gpu_evidence *evidence, const uint8_t *nonce)
{
    struct spdm_transcript spdm;

    struct error *err = spdm_parse(evidence->exchange.data, evidence->exchange.size, &spdm);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    if (CRYPTO_memcmp(spdm.nonce, nonce, SPDM_NONCE_SIZE) != 0)
        return error_new(ERROR_INTERNAL, "nvml: a report for another nonce");
    return NULL;
}

static struct error *get_report(struct nvml *nvml, struct nvml_device *device,
                                const uint8_t nonce[SPDM_NONCE_SIZE], struct gpu_evidence *evidence)
{
    _cleanup_free_ struct nvml_report *report = xnew(struct nvml_report);

    memcpy(report->nonce, nonce, sizeof(report->nonce));
    struct error *err = check(nvml->abi.report(device, report), ERROR_INTERNAL, "report");
    if (!err)
        err = add_exchange(report, &evidence->exchange);
    return err ? err : check_answer(evidence, nonce);
}

/* The text may count its NUL. */
static struct error *get_certificate(struct nvml *nvml, struct nvml_device *device,
                                     struct gpu_evidence *evidence)
{
    _cleanup_free_ struct nvml_certificate *certificate = xnew(struct nvml_certificate);

    struct error *err =
        check(nvml->abi.certificate(device, certificate), ERROR_INTERNAL, "certificate");
    if (err)
        return err;
    size_t size = certificate->attestation_chain_size;
    if (size == 0 || size > NVML_ATTESTATION_CHAIN_SIZE)
        return error_new(ERROR_INTERNAL, "nvml: a chain of %zu bytes", size);
    buffer_add(&evidence->certificate, certificate->attestation_chain,
               strnlen((const char *)certificate->attestation_chain, size));
    return NULL;
}

static struct error *collect_one(struct nvml *nvml, unsigned int index,
                                 const uint8_t nonce[SPDM_NONCE_SIZE], struct buffer *ret_json)
{
    _cleanup_(gpu_evidence_done) struct gpu_evidence evidence = {};
    struct nvml_device *device = NULL;

    struct error *err = check(nvml->abi.by_index(index, &device), ERROR_INTERNAL, "handle");
    if (!err)
        err = get_report(nvml, device, nonce, &evidence);
    if (!err)
        err = get_certificate(nvml, device, &evidence);
    if (err)
        return error_wrap(err, "gpu %u", index);
    gpu_evidence_write(&evidence, ret_json);
    return NULL;
}

static struct error *count_devices(struct nvml *nvml, unsigned int *ret_count)
{
    struct error *err = check(nvml->abi.count(ret_count), ERROR_INTERNAL, "count");

    if (err)
        return err;
    if (*ret_count == 0 || *ret_count > GPU_DEVICES_MAX)
        return error_new(ERROR_FAILED_PRECONDITION, "nvml: %u GPUs", *ret_count);
    return NULL;
}

struct error *nvml_collect(struct nvml *nvml, const uint8_t root[32], const uint8_t key_hash[32],
                           struct gpu_evidence_list *ret_list)
{
    unsigned int count = 0;

    *ret_list = (struct gpu_evidence_list){};
    struct error *err = check_state(nvml);
    if (!err)
        err = count_devices(nvml, &count);
    for (unsigned int i = 0; i < count && !err; i++) {
        uint8_t nonce[SPDM_NONCE_SIZE];

        gpu_nonce(root, key_hash, i, nonce);
        err = collect_one(nvml, i, nonce, &ret_list->devices[ret_list->n++]);
    }
    if (err)
        gpu_evidence_list_done(ret_list);
    return err;
}

struct error *nvml_set_ready(struct nvml *nvml, bool ready)
{
    return check(nvml->abi.set_ready(ready), ERROR_INTERNAL, "ready state");
}
