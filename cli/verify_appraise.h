/* From an answer and what is expected to a list of steps: no network, no files. */
#pragma once

#include "cli/verify_answer.h"
#include "cli/verify_reference.h"

/* Adds all steps behind "tls". collateral: beside what the answer carries, or NULL. */
struct error *verify_appraise(const struct verify_reference *reference,
                              const struct verify_collateral *collateral,
                              const struct verify_answer *answer,
                              struct verify_result *result) _must_check_;
