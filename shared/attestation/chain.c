#include "shared/attestation/chain.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <time.h>

#include "shared/attestation/chain_collect.h"
#include "shared/base/alloc.h"

#define ISSUER_BITS 4096

DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)

static void stack_free(STACK_OF(X509) * stack)
{
    sk_X509_free(stack);
}
DEFINE_CLEANUP(STACK_OF(X509) *, stack_free)

const char *chain_place_name(int place)
{
    static const char *const names[] = {"VCEK or VLEK", "ASK", "ARK"};

    return names[place];
}

static const char *name_text(struct chain *chain, X509 *certificate)
{
    char text[256];

    X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof(text));
    return arena_strdup(chain->arena, text);
}

/* AMD's profile, which plain path validation does not ask for. */
static const char *profile_problem(const struct chain *chain)
{
    EVP_PKEY *key = X509_get0_pubkey(chain->certificates[CHAIN_VEK]);
    char group[32] = "";

    for (size_t i = 0; i < CHAIN_LENGTH; i++)
        if (!vek_signature_algorithm_is_amd(chain->certificates[i]))
            return "a certificate is not signed with RSASSA-PSS, SHA-384 and a salt of 48";
    for (size_t i = CHAIN_ASK; i < CHAIN_LENGTH; i++) {
        EVP_PKEY *issuer = X509_get0_pubkey(chain->certificates[i]);

        if (!issuer || EVP_PKEY_get_base_id(issuer) != EVP_PKEY_RSA ||
            EVP_PKEY_get_bits(issuer) != ISSUER_BITS)
            return "an issuer's key is not RSA with 4096 bits";
    }
    if (!key || EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
        strcmp(group, "secp384r1") != 0)
        return "the chip's key is not on P-384";
    return NULL;
}

static bool prepare_path(const struct chain *chain, X509_STORE *store, STACK_OF(X509) * untrusted,
                         X509_STORE_CTX *ctx)
{
    if (!store || !untrusted || !ctx ||
        X509_STORE_add_cert(store, chain->certificates[CHAIN_ARK]) != 1 ||
        sk_X509_push(untrusted, chain->certificates[CHAIN_ASK]) <= 0 ||
        X509_STORE_CTX_init(ctx, store, chain->certificates[CHAIN_VEK], untrusted) != 1)
        return false;
    /* time is a step of its own; strict mode refuses every real VCEK (no AKI) */
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_CHECK_SS_SIGNATURE);
    return true;
}

static const char *path_problem(const struct chain *chain)
{
    _cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
    _cleanup_(stack_freep) STACK_OF(X509) *untrusted = sk_X509_new_null();
    _cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    const char *problem = NULL;

    if (!prepare_path(chain, store, untrusted, ctx))
        problem = "out of memory";
    else if (X509_verify_cert(ctx) != 1)
        problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    else if (sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) != CHAIN_LENGTH)
        problem = "the chain is not VCEK, ASK, ARK";
    ERR_clear_error();
    return problem;
}

/* The code of step "chain", or NULL. */
static const char *verify(struct chain *chain, const struct trust_root *root)
{
    const char *problem = profile_problem(chain);

    if (problem) {
        chain->text = problem;
        return "chain_profile";
    }
    problem = path_problem(chain);
    if (problem) {
        chain->text = problem;
        return "chain_path";
    }
    if (!trust_root_knows(root, chain->certificates[CHAIN_ASK]))
        return "chain_intermediate";
    if (!chain->vek_problem && root->product != SNP_PRODUCT_UNKNOWN &&
        root->product != chain->vek.product)
        return "chain_product";
    chain->development = root->development;
    chain->text = name_text(chain, chain->certificates[CHAIN_ARK]);
    return NULL;
}

static int64_t time_ms(const ASN1_TIME *time, int64_t otherwise)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : otherwise;
}

/* What cannot be read is never in date. */
static void read_dates(struct chain *chain)
{
    for (size_t i = 0; i < CHAIN_LENGTH; i++) {
        const X509 *certificate = chain->certificates[i];

        if (!certificate)
            continue;
        chain->from_ms[i] = time_ms(X509_get0_notBefore(certificate), INT64_MAX);
        chain->until_ms[i] = time_ms(X509_get0_notAfter(certificate), INT64_MIN);
    }
}

struct chain *chain_new(const struct chain_input *input)
{
    struct chain *chain = xnew(struct chain);
    const struct trust_root *root = NULL;
    struct certificate_view carried_crl;

    chain->arena = arena_new();
    chain->code = chain_collect(chain, input, &root, &carried_crl);
    if (!chain->code)
        chain->code = verify(chain, root);
    else if (strcmp(chain->code, "chain_root") == 0)
        chain->text = arena_printf(chain->arena, "root '%s', which is not trusted",
                                   name_text(chain, chain->certificates[CHAIN_ARK]));
    read_dates(chain);
    chain_read_crls(chain, &carried_crl, input->collateral);
    return chain;
}

void chain_free(struct chain *chain)
{
    if (!chain)
        return;
    for (size_t i = 0; i < CHAIN_LENGTH; i++)
        X509_free(chain->certificates[i]);
    arena_free(chain->arena);
    free(chain);
}
