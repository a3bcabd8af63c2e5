/* The few functions and types of NVML that are used here, as its binary interface has them: the
 * library comes with the driver in the guest and is looked up at run time. */
#pragma once

#define NVML_LIBRARY "libnvidia-ml.so.1"

#define NVML_SUCCESS 0

/* nvmlConfComputeSystemState */
#define NVML_CC_ENVIRONMENT_PRODUCTION 2
#define NVML_CC_FEATURE_ENABLED        1
#define NVML_CC_DEVTOOLS_OFF           0

#define NVML_NONCE_SIZE                0x20
#define NVML_REPORT_SIZE               0x2000
#define NVML_CEC_REPORT_SIZE           0x1000
#define NVML_CHAIN_SIZE                0x1000
#define NVML_ATTESTATION_CHAIN_SIZE    0x1400

struct nvml_device; /* NVML's own */

struct nvml_cc_state {
    unsigned int environment;
    unsigned int cc_feature;
    unsigned int devtools_mode;
};

struct nvml_certificate {
    unsigned int chain_size;
    unsigned int attestation_chain_size;
    unsigned char chain[NVML_CHAIN_SIZE];
    unsigned char attestation_chain[NVML_ATTESTATION_CHAIN_SIZE]; /* PEM, leaf first */
};

struct nvml_report {
    unsigned int has_cec_report;
    unsigned int report_size;
    unsigned int cec_report_size;
    unsigned char nonce[NVML_NONCE_SIZE]; /* in */
    unsigned char report[NVML_REPORT_SIZE];
    unsigned char cec_report[NVML_CEC_REPORT_SIZE];
};

struct nvml_abi {
    int (*init)(void);
    int (*shutdown)(void);
    int (*get_state)(struct nvml_cc_state *ret_state);
    int (*set_ready)(unsigned int ready);
    int (*count)(unsigned int *ret_count);
    int (*by_index)(unsigned int index, struct nvml_device **ret_device);
    int (*certificate)(struct nvml_device *device, struct nvml_certificate *ret_certificate);
    int (*report)(struct nvml_device *device, struct nvml_report *report);
};
