/* What the revocation lists at hand say of a chain. */
#include "shared/attestation/chain.h"
#include "shared/attestation/crl.h"

static int revoked_place(const struct crl *crl, const struct chain *chain)
{
    for (int i = 0; i < CHAIN_LENGTH; i++)
        if (crl_revokes(crl, chain->certificates[i]))
            return i;
    return -1;
}

/* Lists of other products' roots are none of this chain's business. */
static void add_crl(struct chain *chain, const struct crl *crl, bool carried)
{
    X509 *ark = chain->certificates[CHAIN_ARK];

    if (!crl_is_issued_by(crl, ark))
        return;
    chain->crls[chain->n_crls++] = (struct chain_crl){
        .problem = crl_problem(crl, ark),
        .carried = carried,
        .covers = crl_covers(crl, chain->certificates[CHAIN_ASK]),
        .revoked = revoked_place(crl, chain),
        .from_ms = crl_this_update_ms(crl),
        .until_ms = crl_next_update_ms(crl),
    };
}

static void read_crl(struct chain *chain, const struct certificate_view *view, bool carried)
{
    _cleanup_(crl_freep) struct crl *crl = NULL;

    struct error *err = crl_parse(view->data, view->size, &crl);
    if (err)
        chain->crls[chain->n_crls++] =
            (struct chain_crl){.problem = arena_strdup(chain->arena, error_text(err)),
                               .carried = carried,
                               .revoked = -1};
    else
        add_crl(chain, crl, carried);
    error_free(err);
}

void chain_read_crls(struct chain *chain, const struct certificate_view *carried,
                     const struct verify_collateral *collateral)
{
    for (int i = 0; i < CHAIN_LENGTH; i++)
        if (!chain->certificates[i])
            return;
    if (carried->data)
        read_crl(chain, carried, true);
    for (size_t i = 0; collateral && i < collateral->n_crls; i++)
        read_crl(chain, &collateral->crls[i], false);
}
