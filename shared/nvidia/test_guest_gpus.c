#include "shared/nvidia/test_guest_gpus.h"

#include <assert.h>
#include <dlfcn.h>
#include <openssl/ocsp.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define HOUR_MS INT64_C(3600000)

static void answer(void *data, unsigned int index, struct nvml_report *report)
{
    struct test_guest_gpus *gpus = data;
    struct buffer *exchange = &gpus->gpus[index].evidence.exchange;

    memcpy(exchange->data + 4, report->nonce, NVML_NONCE_SIZE);
    mint_sign(&gpus->gpus[index]);
    report->report_size = (unsigned int)exchange->size;
    memcpy(report->report, exchange->data, exchange->size);
}

static void show_certificate(void *data, unsigned int index, struct nvml_certificate *certificate)
{
    const struct test_guest_gpus *gpus = data;
    const struct buffer *chain = &gpus->gpus[index].evidence.certificate;

    certificate->attestation_chain_size = (unsigned int)chain->size;
    memcpy(certificate->attestation_chain, chain->data, chain->size);
}

void test_guest_gpus_init(struct test_guest_gpus *gpus, const char *library, size_t n)
{
    *gpus = (struct test_guest_gpus){.library = dlopen(library, RTLD_NOW | RTLD_LOCAL), .n = n};
    assert(gpus->library && n <= TEST_GUEST_GPUS_MAX);
    gpus->fake = dlsym(gpus->library, "fake_nvml");
    mint_init(&gpus->mint);
    for (size_t i = 0; i < n; i++) {
        const struct mint_device device = mint_gpu((uint8_t)(i + 1));
        mint_device(&gpus->mint, &device, &gpus->gpus[i]);
    }
    *gpus->fake = (struct fake_nvml){
        .state = {NVML_CC_ENVIRONMENT_PRODUCTION, NVML_CC_FEATURE_ENABLED, NVML_CC_DEVTOOLS_OFF},
        .count = (unsigned int)n,
        .report_of = answer,
        .certificate_of = show_certificate,
        .data = gpus,
    };
}

void test_guest_gpus_done(struct test_guest_gpus *gpus)
{
    for (size_t i = 0; i < gpus->n; i++)
        minted_done(&gpus->gpus[i]);
    mint_done(&gpus->mint);
    dlclose(gpus->library);
}

static void put(const char *dir, const char *name, const struct buffer *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    struct error *err = dir_make(dir, 0700);

    if (!err)
        err = file_write_atomic(path, content->data, content->size, 0600);
    assert(!err);
}

void test_guest_gpus_put_roots(const struct test_guest_gpus *gpus, const char *dir)
{
    _cleanup_buffer_ struct buffer device = {}, rim = {};

    mint_pem(&gpus->mint.device_root, &device);
    mint_pem(&gpus->mint.rim_root, &rim);
    put(dir, "gpu-device.pem", &device);
    put(dir, "gpu-rim.pem", &rim);
}

void test_guest_gpus_put_rims(const struct test_guest_gpus *gpus, const char *dir)
{
    _cleanup_buffer_ struct buffer driver = {}, vbios = {};

    mint_driver_rim(&gpus->mint, &driver);
    mint_vbios_rim(&gpus->mint, &vbios);
    put(dir, "driver.xml", &driver);
    put(dir, "vbios.xml", &vbios);
}

static void put_ocsp(const char *dir, const char *name, const struct mint_party *subject,
                     const struct mint_party *issuer, int64_t at_ms)
{
    const struct mint_ocsp in = {subject,         issuer,         issuer, V_OCSP_CERTSTATUS_GOOD,
                                 at_ms - HOUR_MS, at_ms + HOUR_MS};
    _cleanup_buffer_ struct buffer der = {};

    mint_ocsp(&in, &der);
    put(dir, name, &der);
}

void test_guest_gpus_put_ocsp(const struct test_guest_gpus *gpus, const char *dir, int64_t at_ms)
{
    const struct mint *mint = &gpus->mint;

    for (size_t i = 0; i < gpus->n; i++) {
        _cleanup_free_ char *name = xasprintf("gpu%zu.ocsp", i);
        put_ocsp(dir, name, &gpus->gpus[i].firmware, &mint->provisioner, at_ms);
    }
    put_ocsp(dir, "provisioner.ocsp", &mint->provisioner, &mint->identity, at_ms);
    put_ocsp(dir, "identity.ocsp", &mint->identity, &mint->device_root, at_ms);
    put_ocsp(dir, "signer.ocsp", &mint->rim_signer, &mint->rim_ca, at_ms);
    put_ocsp(dir, "ca.ocsp", &mint->rim_ca, &mint->rim_root, at_ms);
}
