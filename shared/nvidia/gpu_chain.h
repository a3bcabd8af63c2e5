/*
 * The certificates of a GPU or an NVSwitch: attestation key, firmware, two or more of the vendor's
 * provisioning, and "NVIDIA Device Identity CA".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/nvidia/x509_path.h"

#define GPU_CHAIN_LENGTH 5
#define GPU_CHIP_SIZE    16
#define GPU_FWID_SIZE    48
#define GPU_PDI_SIZE     8

struct gpu_chain {
    struct x509_path path;
    char chip[GPU_CHIP_SIZE]; /* "GH100", "GB100", "LS10": as RIMs name it; "": not told */
    bool is_switch;
    bool has_fwid;
    uint8_t fwid[GPU_FWID_SIZE]; /* of the firmware that the attestation key belongs to */
    bool has_pdi;
    uint8_t pdi[GPU_PDI_SIZE]; /* the device's identifier, from its firmware certificate */
};
void gpu_chain_done(struct gpu_chain *chain);

/* Exactly five PEM certificates, leaf first. What it says is to be believed only after
 * x509_path_problem() and the signature: this only reads. INVALID_ARGUMENT otherwise. */
struct error *gpu_chain_parse(const void *pem, size_t size,
                              struct gpu_chain *ret_chain) _must_check_;
