/* Takes secret values out of texts that tools wrote, before anyone else sees them. */
#pragma once

#include <stddef.h>

#include "shared/base/cleanup.h"

struct scrub {
    char **words; /* owned; wiped by scrub_done() */
    size_t n;
};

/* Values under 4 characters are left alone: they occur in any text. */
void scrub_add(struct scrub *scrub, const char *value);
/* The text with every occurrence replaced by "[secret]"; caller frees. scrub NULL: a copy. */
char *scrub_text(const struct scrub *scrub, const char *text);
void scrub_done(struct scrub *scrub); /* leaves an empty one */
