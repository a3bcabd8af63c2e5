/* What the stand-in for NVML answers; a test finds it by its name in the library. */
#pragma once

#include <stdbool.h>

#include "shared/nvidia/nvml_abi.h"

struct fake_nvml {
    int init, get_state, set_ready, certificate, report; /* codes to return */
    struct nvml_cc_state state;
    unsigned int count;
    unsigned int chain_size;
    unsigned char chain[NVML_ATTESTATION_CHAIN_SIZE];
    unsigned int report_size;
    unsigned char exchange[NVML_REPORT_SIZE];
    bool replay; /* answers with the exchange as it stands */
    /* GPUs of a test's own, each by its index; NULL: all are the one above. */
    void (*report_of)(void *data, unsigned int index, struct nvml_report *report);
    void (*certificate_of)(void *data, unsigned int index, struct nvml_certificate *certificate);
    void *data;
    int started;
    unsigned int ready;
};
extern struct fake_nvml fake_nvml;

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetConfComputeState(struct nvml_cc_state *ret_state);
int nvmlSystemSetConfComputeGpusReadyState(unsigned int ready);
int nvmlDeviceGetCount_v2(unsigned int *ret_count);
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct nvml_device **ret_device);
int nvmlDeviceGetConfComputeGpuCertificate(struct nvml_device *device,
                                           struct nvml_certificate *ret_certificate);
int nvmlDeviceGetConfComputeGpuAttestationReport(struct nvml_device *device,
                                                 struct nvml_report *report);
