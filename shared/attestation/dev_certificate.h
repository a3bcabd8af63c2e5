/* Making the development chain: certificates shaped like AMD's (AMD 57230), from own keys. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/base/cleanup.h"
#include "shared/base/error.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509_CRL *, X509_CRL_free)

/* The processor that development pretends to have: a Genoa at a level seen in the field. */
#define DEV_PRODUCT        SNP_PRODUCT_GENOA
#define DEV_PRODUCT_NAME   "Genoa"
#define DEV_TCB_BOOTLOADER 10
#define DEV_TCB_TEE        0
#define DEV_TCB_SNP        25
#define DEV_TCB_MICROCODE  84

/* issuer NULL: self-signed ARK; else an ASK. */
struct error *dev_certificate_issuer(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                                     X509 **ret_certificate) _must_check_;
struct error *dev_certificate_vcek(EVP_PKEY *key, const uint8_t chip_id[64], X509 *ask,
                                   EVP_PKEY *ask_key, X509 **ret_certificate) _must_check_;

/* A CRL of the ARK, good for a year, as AMD's are. number: the CRL number (RFC 5280 section 5.2.3),
 * which must not go back. revoked: an ASK or ASVK on it; NULL: none. */
struct error *dev_certificate_crl(X509 *ark, EVP_PKEY *ark_key, uint64_t number, X509 *revoked,
                                  X509_CRL **ret_crl) _must_check_;
