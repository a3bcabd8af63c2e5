#include "shared/collateral/seen_lists.h"

#include "shared/attestation/chain.h"
#include "shared/attestation/crl.h"
#include "shared/base/alloc.h"
#include "shared/collateral/check.h"

/* Of each product one for VCEKs and one for VLEKs; only trusted roots can fill it. */
#define LISTS_MAX VERIFY_COLLATERAL_MAX

struct seen_lists {
    const struct trust_roots *roots;
    struct crl *lists[LISTS_MAX];
    const struct trust_root *signers[LISTS_MAX];
    struct check_crl_version versions[LISTS_MAX];
    struct certificate_view views[LISTS_MAX]; /* owned */
    struct verify_collateral collateral;      /* of these */
};

struct seen_lists *seen_lists_new(const struct trust_roots *roots)
{
    struct seen_lists *seen = xnew(struct seen_lists);

    seen->roots = roots;
    seen->collateral.crls = seen->views;
    return seen;
}

static void drop(struct seen_lists *seen, size_t i)
{
    crl_free(seen->lists[i]);
    free((void *)seen->views[i].data);
    seen->lists[i] = NULL;
    seen->views[i] = (struct certificate_view){};
}

void seen_lists_free(struct seen_lists *seen)
{
    if (!seen)
        return;
    for (size_t i = 0; i < seen->collateral.n_crls; i++)
        drop(seen, i);
    free(seen);
}

/* The trusted root that signed it, the table's or one at hand; NULL: none. */
static const struct trust_root *signer_of(const struct seen_lists *seen, const struct crl *crl,
                                          const struct certificate_view *carried)
{
    _cleanup_(X509_freep) X509 *ark = chain_parse_der(carried);
    const struct trust_root *root = ark ? trust_roots_match(seen->roots, ark) : NULL;

    if (root)
        return crl_problem(crl, ark) ? NULL : root;
    for (size_t i = 0; i < seen->roots->n; i++) {
        root = &seen->roots->roots[i];
        if (root->ark && !crl_problem(crl, root->ark))
            return root;
    }
    return NULL;
}

/* The place of the list that this one renews, else a new one; LISTS_MAX: it is none. */
static size_t find_place(const struct seen_lists *seen, const struct crl *crl,
                         const struct trust_root *signer, const struct check_crl_version *version)
{
    for (size_t i = 0; i < seen->collateral.n_crls; i++)
        if (seen->signers[i] == signer && crl_is_of_series(crl, seen->lists[i]))
            return check_crl_is_older(&seen->versions[i], version) ? i : LISTS_MAX;
    return seen->collateral.n_crls;
}

void seen_lists_add(struct seen_lists *seen, const void *table, size_t size)
{
    _cleanup_(crl_freep) struct crl *crl = NULL;
    struct certificate_table parts = {};

    struct error *err = certificate_table_parse(table, size, &parts);
    if (!err)
        err = crl_parse(parts.crl.data, parts.crl.size, &crl);
    error_free(err);
    const struct trust_root *signer = crl ? signer_of(seen, crl, &parts.ark) : NULL;
    if (!signer)
        return;
    const struct check_crl_version version = {crl_number(crl), crl_this_update_ms(crl),
                                              crl_next_update_ms(crl)};
    size_t i = find_place(seen, crl, signer, &version);
    if (i == LISTS_MAX)
        return;
    drop(seen, i);
    seen->lists[i] = TAKE_PTR(crl);
    seen->signers[i] = signer;
    seen->versions[i] = version;
    seen->views[i] =
        (struct certificate_view){xmemdup(parts.crl.data, parts.crl.size), parts.crl.size};
    if (i == seen->collateral.n_crls)
        seen->collateral.n_crls++;
}

const struct verify_collateral *seen_lists_collateral(const struct seen_lists *seen)
{
    return &seen->collateral;
}
