/* The command line of `coffer measure`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/attestation/launch.h"

#define MEASURE_VCPUS_MAX 512

struct measure_options {
    const char *id_key; /* public key in PEM: its digest is asked for, and nothing else; NULL: no */
    const char *image;  /* folder of a guest image, or its image.json; NULL: none */
    /* Instead of what the image says; NULL: as it says. */
    const char *firmware;
    const char *kernel;
    const char *initrd;
    const char *cmdline;
    const char *cpu_model;
    uint64_t guest_features; /* 0: as the image says, else 1 */
    enum launch_vmm vmm;
    const char *svsm;   /* its image, with LAUNCH_VMM_SVSM only; else NULL */
    uint32_t vars_size; /* bytes of the firmware's variable store; with an SVSM only */
    bool vars_given;
    uint16_t vcpus[MEASURE_VCPUS_MAX];
    uint32_t n_vcpus; /* at least 1 */
    bool json;
};

/* EXIT_OK, or EXIT_USAGE after saying why on stderr. Texts are those of argv. */
int measure_options_parse(int argc, char **argv, struct measure_options *ret_options);

/* "1,2,4-8", each from 1 to 512, at most 512 in all; false: not such a list. */
bool measure_vcpus_parse(const char *text, struct measure_options *ret_options);
