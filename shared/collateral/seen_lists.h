/*
 * The newest revocation list that a long-running verifier has seen of each root: one that evidence
 * showed once counts from then on beside those that evidence shows later, so that nobody who shows
 * an older one in date goes back behind it. In memory only.
 */
#pragma once

#include "shared/attestation/verifier.h"

struct seen_lists;
struct seen_lists *seen_lists_new(const struct trust_roots *roots); /* the caller's */
void seen_lists_free(struct seen_lists *seen);
DEFINE_CLEANUP(struct seen_lists *, seen_lists_free)

/* Keeps the list of a certificate table when a trusted root signed it and none kept is newer. The
 * root is the table's or one at hand. What is wrong is not kept: the verifier says so. */
void seen_lists_add(struct seen_lists *seen, const void *table, size_t size);

/* All that is kept, for verify_policy; good until the next list is added. One thread. */
const struct verify_collateral *seen_lists_collateral(const struct seen_lists *seen);
