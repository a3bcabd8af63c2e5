/* VCEK <- ASK <- ARK: do the certificates lead to a trusted root, and are they in date? */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "shared/attestation/appraisal.h"
#include "shared/attestation/certificates.h"
#include "shared/base/clock.h"

#define CHAIN_LENGTH 3
#define ISSUER_BITS  4096

DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)

static void stack_free(STACK_OF(X509) * stack)
{
    sk_X509_free(stack);
}
DEFINE_CLEANUP(STACK_OF(X509) *, stack_free)

/* NULL when there is no certificate, or the bytes are not exactly one. */
static X509 *parse_der(const struct certificate_view *view)
{
    const uint8_t *at = view->data;
    X509 *certificate = at ? d2i_X509(NULL, &at, (long)view->size) : NULL;

    if (certificate && at != view->data + view->size) {
        X509_free(certificate);
        certificate = NULL;
    }
    ERR_clear_error();
    return certificate;
}

static X509 *take_ref(X509 *certificate)
{
    return certificate && X509_up_ref(certificate) ? certificate : NULL;
}

static const char *name_text(struct appraisal *a, const X509_NAME *name)
{
    char text[256];

    X509_NAME_oneline(name, text, sizeof(text));
    return arena_strdup(a->result->arena, text);
}

/* The intermediate that was given together with a root, for evidence that carries none. */
static X509 *ask_at_hand(const struct trust_roots *roots, X509 *leaf)
{
    for (size_t i = 0; i < roots->n; i++) {
        X509 *ask = roots->roots[i].ask;

        if (ask && X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(ask)) == 0)
            return ask;
    }
    return NULL;
}

struct finding {
    enum verdict verdict;
    const char *text;
};
#define FINDING(verdict, text) ((struct finding){(verdict), (text)})
#define FINDING_OK             FINDING(VERDICT_PASS, "")

/* Sets leaf, ask and ark as far as they are there. */
static struct finding collect(struct appraisal *a, const void *certificates, size_t size,
                              X509 **ret_carried_ark)
{
    struct certificate_table table;

    struct error *err = certificate_table_parse(certificates, size, &table);
    if (err) {
        const char *text = arena_strdup(a->result->arena, error_text(err));

        error_free(err);
        return FINDING(VERDICT_FAIL, text);
    }
    bool vlek = a->bytes && report_signing_key(&a->report) == REPORT_SIGNING_KEY_VLEK;
    const struct certificate_view *leaf = vlek ? &table.vlek : &table.vcek;
    if (!leaf->data)
        return FINDING(VERDICT_UNKNOWN, "the evidence carries no certificate of the chip's key");
    a->leaf = parse_der(leaf);
    a->ask = parse_der(&table.ask);
    *ret_carried_ark = parse_der(&table.ark);
    if (!a->leaf || (table.ask.data && !a->ask) || (table.ark.data && !*ret_carried_ark))
        return FINDING(VERDICT_FAIL, "a certificate cannot be read");
    err = vek_parse(a->leaf, &a->vek);
    if (err) /* a finding of "extensions" */
        a->vek_problem = arena_strdup(a->result->arena, error_text(err));
    error_free(err);
    return FINDING_OK;
}

/* Which trusted root ends this chain? A carried ARK is only ever compared. */
static struct finding find_root(struct appraisal *a, X509 *carried_ark,
                                const struct trust_root **ret_root)
{
    const struct trust_roots *roots = a->policy->roots;

    if (!a->ask)
        a->ask = take_ref(ask_at_hand(roots, a->leaf));
    if (!a->ask)
        return FINDING(VERDICT_UNKNOWN, "the evidence carries no intermediate certificate (ASK)");
    if (carried_ark) {
        *ret_root = trust_roots_match(roots, carried_ark);
        a->ark = take_ref(*ret_root && (*ret_root)->ark ? (*ret_root)->ark : carried_ark);
        if (!*ret_root)
            return FINDING(VERDICT_FAIL,
                           arena_printf(a->result->arena, "root '%s', which is not trusted",
                                        name_text(a, X509_get_subject_name(carried_ark))));
        return FINDING_OK;
    }
    *ret_root = trust_roots_issuer_of(roots, a->ask);
    if (!*ret_root)
        return FINDING(VERDICT_UNKNOWN, "the evidence carries no root certificate (ARK)");
    a->ark = take_ref((*ret_root)->ark);
    return FINDING_OK;
}

/* AMD's profile, which plain path validation does not ask for. */
static const char *profile_problem(const struct appraisal *a)
{
    X509 *const chain[] = {a->leaf, a->ask, a->ark};
    EVP_PKEY *key = X509_get0_pubkey(a->leaf);
    char group[32] = "";

    for (size_t i = 0; i < ELEMENTSOF(chain); i++)
        if (!vek_signature_algorithm_is_amd(chain[i]))
            return "a certificate is not signed with RSASSA-PSS, SHA-384 and a salt of 48";
    for (size_t i = 1; i < ELEMENTSOF(chain); i++) {
        EVP_PKEY *issuer = X509_get0_pubkey(chain[i]);

        if (!issuer || EVP_PKEY_get_base_id(issuer) != EVP_PKEY_RSA ||
            EVP_PKEY_get_bits(issuer) != ISSUER_BITS)
            return "an issuer's key is not RSA with 4096 bits";
    }
    if (!key || EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
        strcmp(group, "secp384r1") != 0)
        return "the chip's key is not on P-384";
    return NULL;
}

static bool prepare_path(struct appraisal *a, X509_STORE *store, STACK_OF(X509) * untrusted,
                         X509_STORE_CTX *ctx)
{
    if (!store || !untrusted || !ctx || X509_STORE_add_cert(store, a->ark) != 1 ||
        sk_X509_push(untrusted, a->ask) <= 0 ||
        X509_STORE_CTX_init(ctx, store, a->leaf, untrusted) != 1)
        return false;
    /* time is a step of its own; strict mode refuses every real VCEK (no AKI) */
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_CHECK_SS_SIGNATURE);
    return true;
}

static const char *path_problem(struct appraisal *a)
{
    _cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
    _cleanup_(stack_freep) STACK_OF(X509) *untrusted = sk_X509_new_null();
    _cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    const char *problem = NULL;

    if (!prepare_path(a, store, untrusted, ctx))
        problem = "out of memory";
    else if (X509_verify_cert(ctx) != 1)
        problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    else if (sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) != CHAIN_LENGTH)
        problem = "the chain is not VCEK, ASK, ARK";
    ERR_clear_error();
    return problem;
}

static struct finding check_chain(struct appraisal *a, const void *certificates, size_t size)
{
    const struct trust_root *root = NULL;
    _cleanup_(X509_freep) X509 *carried_ark = NULL;

    struct finding finding = collect(a, certificates, size, &carried_ark);
    if (finding.verdict == VERDICT_PASS)
        finding = find_root(a, carried_ark, &root);
    if (finding.verdict != VERDICT_PASS)
        return finding;
    const char *problem = profile_problem(a);
    if (!problem)
        problem = path_problem(a);
    if (problem)
        return FINDING(VERDICT_FAIL, problem);

    enum snp_product product = appraise_product(a);
    if (root->product != SNP_PRODUCT_UNKNOWN && product != root->product)
        return FINDING(VERDICT_FAIL, "the root is of another product than the processor");
    a->result->development = root->development;
    return FINDING(VERDICT_PASS, name_text(a, X509_get_subject_name(a->ark)));
}

static bool roots_are_amd(const struct trust_roots *roots)
{
    for (size_t i = 0; i < roots->n; i++)
        if (roots->roots[i].development)
            return false;
    return true;
}

void appraise_chain(struct appraisal *a, const void *certificates, size_t size)
{
    struct finding finding = check_chain(a, certificates, size);

    appraise_step(a, "chain", finding.verdict,
                  roots_are_amd(a->policy->roots) ? "a chain to AMD's root key"
                                                  : "a chain to the given root",
                  finding.text);
}

static bool in_date(const X509 *certificate, time_t at)
{
    return X509_cmp_time(X509_get0_notBefore(certificate), &at) < 0 &&
           X509_cmp_time(X509_get0_notAfter(certificate), &at) > 0;
}

void appraise_validity(struct appraisal *a)
{
    static const char *const names[] = {"VCEK", "ASK", "ARK"};
    X509 *const chain[] = {a->leaf, a->ask, a->ark};
    time_t at = (time_t)(a->policy->at_ms / 1000);
    char now[CLOCK_TEXT_SIZE];

    clock_format(a->policy->at_ms, now);
    const char *expected = arena_printf(a->result->arena, "all certificates in date at %s", now);
    for (size_t i = 0; i < ELEMENTSOF(chain); i++) {
        if (!chain[i]) {
            appraise_step(a, "validity", VERDICT_UNKNOWN, expected, "certificates are missing");
            return;
        }
        if (!in_date(chain[i], at)) {
            appraise_step(a, "validity", VERDICT_FAIL, expected,
                          arena_printf(a->result->arena, "%s is not", names[i]));
            return;
        }
    }
    appraise_step(a, "validity", VERDICT_PASS, expected, "");
}
