/*
 * Devices, RIM files and OCSP responses of our own making, for tests: real formats, keys of the
 * test. XML signatures are made by hand here, not by the library that checks them.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/nvidia/gpu_verify.h"

#define MINT_NOW_MS INT64_C(1767225600000) /* 2026-01-01 */

struct mint_party {
    X509 *certificate;
    EVP_PKEY *key;
};

struct mint {
    struct mint_party device_root, identity, provisioner; /* of devices */
    struct mint_party rim_root, rim_ca, rim_signer;
    struct gpu_roots roots;
};
void mint_init(struct mint *mint);
void mint_done(struct mint *mint);

struct mint_certificate {
    const char *name;
    const char *serial_number;     /* NULL: none */
    const uint8_t *fwid;           /* 48, or NULL */
    const struct buffer *fwid_der; /* in its place: all of that extension */
    bool fwid_twice;
    bool tcb_info; /* the Blackwell form of it */
    bool is_ca;
    bool expired;
    bool p256;        /* a key on another curve */
    bool ocsp_signer; /* may sign OCSP responses for its issuer */
    EVP_PKEY *key;    /* NULL: a new one */
};
void mint_certificate(const struct mint_certificate *in, const struct mint_party *issuer,
                      struct mint_party *ret_party); /* issuer NULL: self-signed */
void mint_party_done(struct mint_party *party);
void mint_pem(const struct mint_party *party, struct buffer *ret_pem);

struct mint_device {
    const char *chip_name;                 /* of the firmware certificate: "GH100 A01 GSP BROM" */
    uint8_t pdi[8];                        /* in its serialNumber */
    bool no_pdi;                           /* there is none */
    const struct mint_party *firmware_key; /* of another device; NULL: its own */
    const struct mint_party *leaf_key;     /* likewise, the attestation key */
    bool is_switch;
    bool expired;               /* the attestation key's certificate */
    bool no_fwid;               /* does not tell its firmware */
    bool wrong_fwid, long_fwid; /* tells another, or more than it */
    bool no_certified_fwid;
    bool tcb_info;
    bool wrong_own_pdi; /* a switch that calls itself another one */
    size_t own_pdi_cut; /* a switch that tells so many bytes of it less; 8: not at all */
    bool long_value;    /* the value of index 12 has one more byte */
    size_t n_blocks;    /* measurements; 0: 16 */
    const char *driver; /* "550.1"; NULL: none */
    uint8_t vbios[8];   /* GPU */
    int mode;           /* FEATURE_FLAG; -1: none, and no opaque version; -2: none */
    int protected_pcie; /* -1: none */
    int nvdec;          /* -1: none */
    uint8_t links[64];  /* PDIs of the other kind */
    size_t links_size;  /* in bytes. A switch, 0: all of them, and the ports behind them */
    uint8_t nonce[32];
};
struct minted {
    struct mint_party firmware, leaf;
    struct gpu_evidence evidence;
};
/* A Hopper GPU that says what the good RIMs of mint_rim() want to hear. */
struct mint_device mint_gpu(uint8_t number);
void mint_device(const struct mint *mint, const struct mint_device *in, struct minted *ret_device);
/* Signs the exchange again, after a test has changed it. */
void mint_sign(struct minted *device);
void minted_done(struct minted *device);

/* The measurement that a minted device gives for an index. */
void mint_value(size_t index, uint8_t ret_value[48]);

struct mint_rim {
    const char *product;
    const char *version;
    size_t first, end;               /* active indices: first <= i < end; 16 are there, or end */
    const char *replace, *with;      /* in the text, before it is signed; NULL: nothing */
    const struct mint_party *signer; /* NULL: the mint's */
};
void mint_rim(const struct mint *mint, const struct mint_rim *in, struct buffer *ret_xml);
void mint_driver_rim(const struct mint *mint, struct buffer *ret_xml); /* GH100, 550.1: 7..12 */
void mint_vbios_rim(const struct mint *mint, struct buffer *ret_xml);  /* 96.00.5E.00.01: 0..6 */

struct mint_ocsp {
    const struct mint_party *subject, *issuer, *responder;
    int status; /* V_OCSP_CERTSTATUS_... */
    int64_t from_ms, until_ms;
};
/* How the answer is written. */
struct mint_ocsp_form {
    bool no_until;
    int response_status; /* OCSP_RESPONSE_STATUS_..., of which 0 is "successful" */
    const EVP_MD *hash;  /* of the certificate's id; NULL: SHA-1 */
    size_t n_copies;     /* of the responder's certificate, more than the one */
    bool on_hold;        /* what is revoked is so for the time being */
};
void mint_ocsp_as(const struct mint_ocsp *in, const struct mint_ocsp_form *form,
                  struct buffer *ret_der);
void mint_ocsp(const struct mint_ocsp *in, struct buffer *ret_der);
