/* Evidence that is good in every way, made with development keys, and what tests do to it. */
#pragma once

#include "shared/attestation/test_fleet.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "shared/attestation/verifier.h"

struct kit {
    struct test_fleet fleet;
    struct trust_roots *roots; /* of the fleet */
    struct trust_roots *amd;
    EVP_PKEY *vcek_key, *ask_key, *ark_key;
    X509 *ask, *ark;
    int64_t now_ms;
    struct buffer crl; /* good now, revokes nothing */
    struct certificate_view crls[1];
    struct verify_collateral collateral; /* the crl */
    uint8_t report_data[64];
};
void kit_init(struct kit *kit);
void kit_done(struct kit *kit);

/* Host 0's evidence with an ID block, an author and mitigations; passes kit_policy(). */
void kit_evidence(const struct kit *kit, struct tee_evidence *ret_evidence);
/* Signs again after a change. */
void kit_sign(const struct kit *kit, uint8_t report[TEE_REPORT_SIZE]);
/* Asks for everything that a policy can ask for; CRL required. */
struct verify_policy kit_policy(const struct kit *kit);

void kit_appraise(const struct verify_policy *policy, const struct tee_evidence *evidence,
                  struct verify_result *ret_result);
/* Exactly the step of this code does not pass, and with this code; NULL: all pass. */
void kit_expect(const struct verify_policy *policy, const struct tee_evidence *evidence,
                const char *code);
const struct verify_step *kit_step(const struct verify_result *result, const char *id);

/* Puts other certificates into the evidence: NULL keeps, an empty view takes out. */
struct kit_table {
    const struct certificate_view *vcek, *vlek, *ask, *ark, *crl;
};
void kit_replace(struct tee_evidence *evidence, const struct kit_table *table);
/* A VCEK for host 0's chip and key, changed, then signed by the fleet's ASK. */
void kit_make_vcek(const struct kit *kit, void (*change)(X509 *certificate),
                   struct buffer *ret_der);
void kit_sign_certificate(X509 *certificate, EVP_PKEY *key);
void kit_der(X509 *certificate, struct buffer *ret_der);

struct kit_crl {
    X509 *issuer; /* NULL: the fleet's ARK, like key */
    EVP_PKEY *key;
    int64_t from_ms, until_ms; /* 0: an hour ago, in a week */
    long revoked[3];           /* serial numbers; 0-ended unless revoke_zero */
    bool revoke_zero;
    bool no_next_update;
    bool pkcs1; /* not PSS */
    bool unknown_critical, unknown_critical_entry, removed_entry, delta;
    long number;       /* 0: none */
    const char *point; /* URI of an issuing distribution point */
    enum {
        KIT_POINT_OF_ALL,
        KIT_POINT_OF_SOME_REASONS,
        KIT_POINT_OF_OTHERS, /* indirect: of other issuers */
        KIT_POINT_OF_USERS,
        KIT_POINT_OF_ATTRIBUTES,
        KIT_POINT_UNNAMED, /* says nothing of where */
    } point_kind;
    bool plain_delta;                        /* not critical, as it must be */
    bool unknown_plain, unknown_plain_entry; /* not critical, as they may be */
    bool critical_number, critical_reason;   /* critical, and known */
    size_t more;                             /* so many further entries, of high serial numbers */
};
void kit_make_crl(const struct kit *kit, const struct kit_crl *options, struct buffer *ret_der);
