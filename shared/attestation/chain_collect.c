#include "shared/attestation/chain_collect.h"

#include <openssl/err.h>
#include <string.h>

#include "shared/attestation/certificates.h"

struct pool {
    struct chain *chain;
    const struct chain_input *input;
    struct certificate_table table;
    X509 *extra[VERIFY_COLLATERAL_MAX]; /* of the collateral; NULL: unreadable */
    size_t n_extra;
};

X509 *chain_parse_der(const struct certificate_view *view)
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

static bool is_issuer(X509 *issuer, X509 *subject)
{
    return X509_NAME_cmp(X509_get_issuer_name(subject), X509_get_subject_name(issuer)) == 0;
}

enum fit { FIT_UNREADABLE, FIT_OF_ANOTHER, FIT_OF_REPORT };

static enum fit fit_of(X509 *certificate, const struct report *report)
{
    struct vek vek;
    struct error *err = vek_parse(certificate, &vek);
    bool readable = !err;

    error_free(err);
    if (!readable)
        return FIT_UNREADABLE;
    return !report || vek_is_of_report(&vek, report) ? FIT_OF_REPORT : FIT_OF_ANOTHER;
}

/* The certificate at hand that is the report's. Those of other chips and levels are nobody's claim,
 * and neither is one of several keys: absent, not bad. */
static X509 *find_vek(const struct pool *pool)
{
    X509 *found = NULL;

    for (size_t i = 0; i < pool->n_extra; i++) {
        X509 *certificate = pool->extra[i];

        if (!certificate || fit_of(certificate, pool->input->report) != FIT_OF_REPORT)
            continue;
        if (found && EVP_PKEY_eq(X509_get0_pubkey(found), X509_get0_pubkey(certificate)) != 1)
            return NULL;
        found = certificate;
    }
    ERR_clear_error();
    return found;
}

/* Hosts keep certificates of before a firmware update: one at hand may be the right one. What is
 * carried stays otherwise, for step "extensions" to judge. */
static const char *collect_vek(struct pool *pool)
{
    const struct report *report = pool->input->report;
    bool vlek = report && report_signing_key(report) == REPORT_SIGNING_KEY_VLEK;
    const struct certificate_view *view = vlek ? &pool->table.vlek : &pool->table.vcek;
    const struct certificate_view *other = vlek ? &pool->table.vcek : &pool->table.vlek;
    X509 *exact = find_vek(pool);

    if (!view->data && !exact)
        view = other; /* the wrong kind is said by step "signing_key" */
    X509 *carried = chain_parse_der(view);
    if (view->data && !carried)
        return "chain_certificate";
    if (exact && (!carried || fit_of(carried, report) == FIT_OF_ANOTHER)) {
        X509_free(carried);
        carried = take_ref(exact);
    }
    pool->chain->certificates[CHAIN_VEK] = carried;
    return carried ? NULL : "chain_no_vek";
}

static X509 *find_ask(const struct pool *pool, X509 *vek)
{
    const struct trust_roots *roots = pool->input->roots;

    for (size_t i = 0; i < roots->n; i++)
        for (size_t k = 0; k < roots->roots[i].n_asks; k++)
            if (is_issuer(roots->roots[i].asks[k], vek))
                return roots->roots[i].asks[k];
    for (size_t i = 0; i < pool->n_extra; i++)
        if (pool->extra[i] && is_issuer(pool->extra[i], vek))
            return pool->extra[i];
    return NULL;
}

static const char *collect_ask(struct pool *pool)
{
    X509 **ask = &pool->chain->certificates[CHAIN_ASK];

    *ask = chain_parse_der(&pool->table.ask);
    if (pool->table.ask.data && !*ask)
        return "chain_certificate";
    if (!*ask)
        *ask = take_ref(find_ask(pool, pool->chain->certificates[CHAIN_VEK]));
    return *ask ? NULL : "chain_no_ask";
}

/* By name anything can be the root: a trusted one at hand is meant, whatever else is there. */
static X509 *find_ark(const struct pool *pool, X509 *ask)
{
    X509 *found = NULL;

    for (size_t i = 0; i < pool->n_extra; i++) {
        X509 *ark = pool->extra[i];

        if (!ark || !is_issuer(ark, ask) || !is_issuer(ark, ark))
            continue;
        if (trust_roots_match(pool->input->roots, ark))
            return ark;
        found = ark;
    }
    return found;
}

/* A carried ARK is only ever compared with the trusted ones. */
static const char *collect_ark(struct pool *pool, const struct trust_root **ret_root)
{
    const struct trust_roots *roots = pool->input->roots;
    X509 *ask = pool->chain->certificates[CHAIN_ASK];
    X509 *ark = chain_parse_der(&pool->table.ark);

    if (pool->table.ark.data && !ark)
        return "chain_certificate";
    const struct trust_root *at_hand = ark ? NULL : trust_roots_issuer_of(roots, ask);
    if (at_hand)
        ark = take_ref(at_hand->ark);
    if (!ark)
        ark = take_ref(find_ark(pool, ask));
    if (!ark)
        return "chain_no_ark";
    pool->chain->certificates[CHAIN_ARK] = ark;
    *ret_root = trust_roots_match(roots, ark);
    return *ret_root ? NULL : "chain_root";
}

static void read_extra(struct pool *pool)
{
    const struct verify_collateral *collateral = pool->input->collateral;

    for (size_t i = 0; collateral && i < collateral->n_certificates; i++)
        pool->extra[pool->n_extra++] = chain_parse_der(&collateral->certificates[i]);
}

static const char *collect(struct pool *pool, const struct trust_root **ret_root)
{
    struct chain *chain = pool->chain;

    struct error *err =
        certificate_table_parse(pool->input->table, pool->input->table_size, &pool->table);
    if (err) {
        chain->text = arena_strdup(chain->arena, error_text(err));
        error_free(err);
        return "chain_table";
    }
    read_extra(pool);
    const char *code = collect_vek(pool);
    if (code)
        return code;
    err = vek_parse(chain->certificates[CHAIN_VEK], &chain->vek);
    if (err) /* a finding of step "extensions" */
        chain->vek_problem = arena_strdup(chain->arena, error_text(err));
    error_free(err);
    code = collect_ask(pool);
    return code ? code : collect_ark(pool, ret_root);
}

const char *chain_collect(struct chain *chain, const struct chain_input *input,
                          const struct trust_root **ret_root, struct certificate_view *ret_crl)
{
    struct pool pool = {.chain = chain, .input = input};

    const char *code = collect(&pool, ret_root);
    *ret_crl = pool.table.crl;
    for (size_t i = 0; i < pool.n_extra; i++)
        X509_free(pool.extra[i]);
    return code;
}
