/* Which measurements may run: those of the signed image, those that were given, or what is in both
 * where both were. */
#pragma once

#include "cli/verify_answer.h"
#include "cli/verify_reference.h"

struct verify_measurements {
    const uint8_t (*digests)[LAUNCH_DIGEST_SIZE]; /* in the arena of result or reference */
    size_t n;
    bool any;
};

/* Adds the step "image", always. answer NULL: there is no evidence. */
struct verify_measurements verify_image(const struct verify_reference *reference,
                                        const struct verify_answer *answer,
                                        struct verify_result *result);
