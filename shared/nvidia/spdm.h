/*
 * The GET_MEASUREMENTS exchange of SPDM 1.1 (DMTF DSP0274 sections 10.11.1 and 10.11.2) as NVIDIA
 * GPUs and NVSwitches give it: the request, then the signed response, and nothing after it.
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

#define SPDM_NONCE_SIZE       32
#define SPDM_SIGNATURE_SIZE   96
#define SPDM_MEASUREMENTS_MAX 64
#define SPDM_TRANSCRIPT_MAX   8192 /* what NVML has room for */
#define SPDM_OPAQUE_TYPES     64   /* fields of a higher type are skipped */
#define SPDM_TEXT_SIZE        32

/* Types of the response's opaque fields, as NVIDIA numbers them. */
enum spdm_opaque_type {
    SPDM_OPAQUE_DRIVER_VERSION = 3,
    SPDM_OPAQUE_VBIOS_VERSION = 6,
    SPDM_OPAQUE_NVDEC0_STATUS = 11,
    SPDM_OPAQUE_CHIP_SKU = 15,
    SPDM_OPAQUE_PROJECT = 17,
    SPDM_OPAQUE_PROJECT_SKU = 18,
    SPDM_OPAQUE_FWID = 20,
    SPDM_OPAQUE_PROTECTED_PCIE = 21,
    SPDM_OPAQUE_SWITCH_PDI = 22, /* GPU: its links' switches; switch: its own */
    SPDM_OPAQUE_GPU_PDI = 26,    /* switch: the GPUs at its links */
    SPDM_OPAQUE_VERSION = 34,
    SPDM_OPAQUE_FEATURE_FLAG = 36,
};

/* In the fields NVDEC0_STATUS and PROTECTED_PCIE. */
#define SPDM_STATUS_ENABLED  0xaa
#define SPDM_STATUS_DISABLED 0x55

struct spdm_bytes {
    const uint8_t *data; /* into the transcript; NULL: not there */
    size_t size;
};

struct spdm_transcript {
    const uint8_t *data; /* what was parsed; must outlive this */
    size_t size;
    const uint8_t *nonce;     /* 32, of the request: the verifier's */
    const uint8_t *signature; /* 96: r, s, big-endian */
    size_t n_measurements;
    struct spdm_bytes measurements[SPDM_MEASUREMENTS_MAX]; /* by block index - 1 */
    struct spdm_bytes opaque[SPDM_OPAQUE_TYPES];           /* by type */
    /* "" when the field is not there; letters, digits and "._-" only: */
    char driver_version[SPDM_TEXT_SIZE];
    char vbios_version[SPDM_TEXT_SIZE]; /* "96.00.5E.00.01" */
    char project[SPDM_TEXT_SIZE];
    char project_sku[SPDM_TEXT_SIZE];
    char chip_sku[SPDM_TEXT_SIZE];
};

/* Views point into data. INVALID_ARGUMENT for anything out of bounds, given twice, or after the
 * signature. Signs nothing off: see spdm_signature_is_valid(). */
struct error *spdm_parse(const void *data, size_t size,
                         struct spdm_transcript *ret_transcript) _must_check_;

/* How many of the bytes are the exchange: drivers have padded it. INVALID_ARGUMENT: not one. */
struct error *spdm_measure(const void *data, size_t size, size_t *ret_size) _must_check_;

/* ECDSA P-384 with SHA-384 over all bytes before the signature, the request included. */
bool spdm_signature_is_valid(const struct spdm_transcript *transcript, EVP_PKEY *key);

/* The one byte of a field; -1 when it is not there or longer. */
int spdm_opaque_byte(const struct spdm_transcript *transcript, enum spdm_opaque_type type);
/* A little-endian u16; -1 when it is not there or of another size. */
int spdm_opaque_u16(const struct spdm_transcript *transcript, enum spdm_opaque_type type);
