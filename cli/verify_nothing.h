/* A run that got no evidence: each step that it was about, as one that nobody can tell. */
#pragma once

#include "cli/verify_reference.h"

/* Adds all steps that verify_appraise() would. */
struct error *verify_nothing(const struct verify_reference *reference,
                             struct verify_result *result) _must_check_;
