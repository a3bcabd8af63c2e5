/*
 * Choosing a host: which ones fit, which one fits best, and when none does, why, in counts per
 * dimension. Plain types, no store and no bus.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"

struct capacity {
    uint32_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint32_t gpus;
};

/* What placement looks at; hosts of one list are in no particular order. */
struct candidate {
    const char *host_id;
    bool ready;    /* heartbeats arrive */
    bool eligible; /* not cordoned */
    bool has_image;
    struct capacity total; /* without what the host keeps for itself */
    struct capacity used;  /* reservations */
};

struct demand {
    struct capacity needs;
    const char *image_version; /* for the words */
};

/* Why that many hosts cannot take it; a host may be counted in several. */
struct placement_note {
    char reason[192];
    size_t hosts;
};
enum { PLACEMENT_NOTES_MAX = 7 };

struct placement {
    size_t chosen;  /* index, or n: none fits */
    size_t fitting; /* candidates that could take it */
    struct placement_note notes[PLACEMENT_NOTES_MAX];
    size_t n_notes;
};

/* placement_choose() with everything it found out. */
void placement_explain(const struct candidate *candidates, size_t n, const struct demand *demand,
                       struct placement *ret_placement);

/* The notes as one sentence, of n candidates. */
void placement_words(const struct placement *placement, size_t n, struct buffer *ret_reasons);

/*
 * The index of the fullest candidate that still fits (best fit, so that large holes stay whole;
 * ties go to the lower host id), or n when none fits: then *ret_reasons gets the sentence, for
 * example "2 hosts: memory exhausted (needs 4096 MiB, most free 1024 MiB); 1 host: cordoned".
 * Exactly what is free also fits.
 */
size_t placement_choose(const struct candidate *candidates, size_t n, const struct demand *demand,
                        struct buffer *ret_reasons);
