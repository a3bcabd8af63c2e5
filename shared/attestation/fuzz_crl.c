/* Target functions: all of crl.h. Input: a certificate table; its ASK is looked up in its CRL, its
 * ARK is the issuer, so that the lists that matter are reached. */
#include "shared/attestation/crl.h"

#include "shared/attestation/certificates.h"
#include "shared/attestation/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct crl *crl, const struct certificate_table *table)
{
    _cleanup_(X509_freep) X509 *ask = chain_parse_der(&table->ask);
    _cleanup_(X509_freep) X509 *ark = chain_parse_der(&table->ark);

    (void)crl_number(crl);
    (void)crl_this_update_ms(crl);
    (void)crl_next_update_ms(crl);
    if (ark)
        (void)crl_problem(crl, ark);
    if (ask) {
        (void)crl_covers(crl, ask);
        (void)crl_revokes(crl, ask);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(crl_freep) struct crl *crl = NULL;
    struct certificate_table table;

    struct error *err = certificate_table_parse(data, size, &table);
    if (!err)
        err = crl_parse(table.crl.data, table.crl.size, &crl);
    if (!err)
        look_up(crl, &table);
    error_free(err);
    return 0;
}
