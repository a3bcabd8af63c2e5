/* Inside of the verifier: what belongs to a step. The catalogue itself: verify_codes() in
 * verifier.h. */
#pragma once

#include "shared/attestation/verifier.h"

/* The first code of a step with this verdict; NULL: none. */
const struct verify_code *verify_code_of_step(const char *step, enum verdict verdict);

/* What a step of verify_snp() protects from; "" for others. Static. */
const char *verify_step_reason(const char *step);
