/* One run of verify_gpus(): what its steps share. */
#pragma once

#include "shared/nvidia/gpu_chain.h"
#include "shared/nvidia/gpu_verify.h"
#include "shared/nvidia/rim.h"
#include "shared/nvidia/spdm.h"

/* The one RIM of a device's version. */
struct gpu_rim {
    const struct rim *rim; /* good or bad; NULL: none given, or ambiguous */
    bool ambiguous;        /* several good ones of this version, which differ */
};

struct gpu_device {
    struct gpu_evidence evidence;
    struct spdm_transcript spdm; /* views into evidence */
    struct gpu_chain chain;
    const char *problem;  /* why the two above are not there; NULL: they are */
    const uint8_t *nonce; /* expected; NULL: not given */
    struct gpu_rim driver;
    struct gpu_rim vbios;
};

struct gpu_appraisal {
    const struct gpu_policy *policy;
    const struct gpu_roots *roots;
    struct verify_result *result;
    struct gpu_device devices[GPU_DEVICES_MAX];
    size_t n;
    struct rim *rims[GPU_RIMS_MAX];                  /* owned */
    const struct binding_bytes *files[GPU_RIMS_MAX]; /* of the policy: what each was read from */
    size_t n_rims;
};

struct gpu_finding {
    enum verdict verdict;
    const char *text; /* of the result's arena, or static; "" when there is nothing to say */
    const char *code; /* of the catalogue; NULL: its first one for this step and verdict */
};
#define GPU_PASS(text)    ((struct gpu_finding){VERDICT_PASS, (text), NULL})
#define GPU_FAIL(text)    ((struct gpu_finding){VERDICT_FAIL, (text), NULL})
#define GPU_UNKNOWN(text) ((struct gpu_finding){VERDICT_UNKNOWN, (text), NULL})

/* The values of the field FEATURE_FLAG. Recorded evidence decides two of them: every GPU with 2
 * also says protected PCIe (0xaa) and lists its switches (hopper-590.12-*, the box of eight among
 * them); the one with 0 denies it (0x55) and lists none (hopper-coco-trailing-byte). There is none
 * with 1: that 0 is SPT and 1 MPT, and not the reverse as one may read, is how the public verifiers
 * that decode it have it. Both are judged alike; only the word that the step says depends on it. */
enum gpu_mode {
    GPU_MODE_SINGLE = 0,    /* SPT: single GPU pass-through */
    GPU_MODE_MULTIPLE = 1,  /* MPT: several GPUs, encrypted NVLink */
    GPU_MODE_PROTECTED = 2, /* PPCIE: several GPUs and switches, plain NVLink */
};
/* Another value, or -1: what the device says is not known. */
int gpu_mode(const struct spdm_transcript *spdm);

/* About one device. */
struct gpu_finding gpu_check_measurements(struct gpu_appraisal *a, const struct gpu_device *device);
struct gpu_finding gpu_check_revocation(struct gpu_appraisal *a, const struct gpu_device *device);

/* About all of them. */
struct gpu_finding gpu_check_distinct(struct gpu_appraisal *a);
struct gpu_finding gpu_check_topology(struct gpu_appraisal *a);
