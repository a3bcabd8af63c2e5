/* Stands in for libnvidia-ml.so.1: what it answers, a test says through fake_nvml. Built as a
 * shared library of the test; needs nothing of ours but the binary interface. */
#include "shared/nvidia/fake_nvml.h"

#include <stdint.h>
#include <string.h>

struct fake_nvml fake_nvml;

int nvmlInit_v2(void)
{
    fake_nvml.started += fake_nvml.init == NVML_SUCCESS;
    return fake_nvml.init;
}

int nvmlShutdown(void)
{
    fake_nvml.started--;
    return NVML_SUCCESS;
}

int nvmlSystemGetConfComputeState(struct nvml_cc_state *ret_state)
{
    *ret_state = fake_nvml.state;
    return fake_nvml.get_state;
}

int nvmlSystemSetConfComputeGpusReadyState(unsigned int ready)
{
    fake_nvml.ready = ready;
    return fake_nvml.set_ready;
}

int nvmlDeviceGetCount_v2(unsigned int *ret_count)
{
    *ret_count = fake_nvml.count;
    return NVML_SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct nvml_device **ret_device)
{
    *ret_device = (struct nvml_device *)(uintptr_t)(index + 1);
    return index < fake_nvml.count ? NVML_SUCCESS : 2;
}

static unsigned int index_of(const struct nvml_device *device)
{
    return (unsigned int)(uintptr_t)device - 1;
}

int nvmlDeviceGetConfComputeGpuCertificate(struct nvml_device *device,
                                           struct nvml_certificate *ret_certificate)
{
    if (fake_nvml.certificate_of) {
        fake_nvml.certificate_of(fake_nvml.data, index_of(device), ret_certificate);
        return fake_nvml.certificate;
    }
    ret_certificate->attestation_chain_size = fake_nvml.chain_size;
    memcpy(ret_certificate->attestation_chain, fake_nvml.chain, sizeof(fake_nvml.chain));
    return fake_nvml.certificate;
}

/* As a GPU does, it puts the nonce that it is asked with into the exchange. */
int nvmlDeviceGetConfComputeGpuAttestationReport(struct nvml_device *device,
                                                 struct nvml_report *report)
{
    if (fake_nvml.report_of) {
        fake_nvml.report_of(fake_nvml.data, index_of(device), report);
        return fake_nvml.report;
    }
    report->report_size = fake_nvml.report_size;
    memcpy(report->report, fake_nvml.exchange, sizeof(fake_nvml.exchange));
    if (!fake_nvml.replay)
        memcpy(report->report + 4, report->nonce, NVML_NONCE_SIZE);
    return fake_nvml.report;
}
