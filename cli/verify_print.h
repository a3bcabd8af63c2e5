/* The result for people, or as JSON; both from the same structure. */
#pragma once

#include "cli/verify_answer.h"
#include "shared/attestation/verifier.h"

/* answer NULL: it did not come so far. Returns the exit code. */
int verify_print(const struct verify_result *result, const struct verify_answer *answer,
                 bool as_json);
