/* Which of the certificates at hand make up the chain; nothing is verified here. */
#pragma once

#include "shared/attestation/chain.h"

/* The code of step "chain" when there is nothing to verify, or NULL. Sets certificates, vek,
 * *ret_root (the trusted root that the ARK is) and *ret_crl (the table's list). */
const char *chain_collect(struct chain *chain, const struct chain_input *input,
                          const struct trust_root **ret_root, struct certificate_view *ret_crl);
