#include "services/scheduler/placement.h"

#include <inttypes.h>

enum obstacle { NOT_READY, CORDONED, NO_IMAGE, CPUS, MEMORY, DISK, GPUS, OBSTACLE_MAX_ };

struct tally {
    size_t hosts[OBSTACLE_MAX_];
    uint64_t most_free[OBSTACLE_MAX_];
};

static uint64_t free_of(uint64_t total, uint64_t used)
{
    return total > used ? total - used : 0;
}

static uint64_t dimension_free(const struct candidate *c, enum obstacle dimension)
{
    switch (dimension) {
    case CPUS:
        return free_of(c->total.cpus, c->used.cpus);
    case MEMORY:
        return free_of(c->total.memory_mib, c->used.memory_mib);
    case DISK:
        return free_of(c->total.disk_gib, c->used.disk_gib);
    case GPUS:
        return free_of(c->total.gpus, c->used.gpus);
    default:
        return 0;
    }
}

static uint64_t dimension_needs(const struct demand *demand, enum obstacle dimension)
{
    switch (dimension) {
    case CPUS:
        return demand->needs.cpus;
    case MEMORY:
        return demand->needs.memory_mib;
    case DISK:
        return demand->needs.disk_gib;
    case GPUS:
        return demand->needs.gpus;
    default:
        return 0;
    }
}

/* Every obstacle is counted, not only the first: an operator wants to know all that is missing. */
static bool fits(const struct candidate *c, const struct demand *demand, struct tally *tally)
{
    bool blocked[OBSTACLE_MAX_] = {
        [NOT_READY] = !c->ready,
        [CORDONED] = c->ready && !c->eligible,
        [NO_IMAGE] = c->ready && c->eligible && !c->has_image,
    };
    bool ok = c->ready && c->eligible && c->has_image;

    for (enum obstacle d = CPUS; d <= GPUS && c->ready && c->eligible; d++) {
        uint64_t room = dimension_free(c, d);
        blocked[d] = dimension_needs(demand, d) > room;
        if (blocked[d] && room > tally->most_free[d])
            tally->most_free[d] = room;
        ok = ok && !blocked[d];
    }
    for (enum obstacle o = 0; o < OBSTACLE_MAX_; o++)
        tally->hosts[o] += blocked[o];
    return ok;
}

/* What would stay free, as the sum of the shares of each dimension: less is a better fit. */
static double slack(const struct candidate *c, const struct demand *demand)
{
    double sum = 0;
    const uint64_t totals[] = {c->total.cpus, c->total.memory_mib, c->total.disk_gib};

    for (enum obstacle d = CPUS; d <= DISK; d++) {
        uint64_t total = totals[d - CPUS];
        uint64_t left = dimension_free(c, d) - dimension_needs(demand, d);
        sum += total ? (double)left / (double)total : 0;
    }
    return sum;
}

static void describe(const struct tally *tally, const struct demand *demand, enum obstacle o,
                     struct placement_note *note)
{
    static const char *const dimension[] = {
        [CPUS] = "cpus", [MEMORY] = "memory", [DISK] = "disk", [GPUS] = "gpus"};
    static const char *const unit[] = {
        [CPUS] = "", [MEMORY] = " MiB", [DISK] = " GiB", [GPUS] = ""};
    size_t size = sizeof(note->reason);

    note->hosts = tally->hosts[o];
    if (o == NOT_READY)
        snprintf(note->reason, size, "not ready");
    else if (o == CORDONED)
        snprintf(note->reason, size, "cordoned");
    else if (o == NO_IMAGE)
        snprintf(note->reason, size, "image version '%.64s' missing", demand->image_version);
    else
        snprintf(note->reason, size, "%s exhausted (needs %" PRIu64 "%s, most free %" PRIu64 "%s)",
                 dimension[o], dimension_needs(demand, o), unit[o], tally->most_free[o], unit[o]);
}

void placement_explain(const struct candidate *candidates, size_t n, const struct demand *demand,
                       struct placement *ret_placement)
{
    struct placement placement = {.chosen = n};
    struct tally tally = {0};
    double best_slack = 0;

    static_assert((int)PLACEMENT_NOTES_MAX == (int)OBSTACLE_MAX_, "a note for each obstacle");
    for (size_t i = 0; i < n; i++) {
        const struct candidate *c = &candidates[i];
        size_t best = placement.chosen;
        if (!fits(c, demand, &tally))
            continue;
        placement.fitting++;
        double c_slack = slack(c, demand);
        if (best < n &&
            (c_slack > best_slack ||
             (c_slack == best_slack && strcmp(c->host_id, candidates[best].host_id) > 0)))
            continue;
        placement.chosen = i;
        best_slack = c_slack;
    }
    for (enum obstacle o = 0; o < OBSTACLE_MAX_; o++)
        if (tally.hosts[o])
            describe(&tally, demand, o, &placement.notes[placement.n_notes++]);
    *ret_placement = placement;
}

void placement_words(const struct placement *placement, size_t n, struct buffer *ret_reasons)
{
    for (size_t i = 0; i < placement->n_notes; i++) {
        const struct placement_note *note = &placement->notes[i];
        buffer_printf(ret_reasons, "%s%zu host%s: %s", ret_reasons->size ? "; " : "", note->hosts,
                      note->hosts == 1 ? "" : "s", note->reason);
    }
    if (!n)
        buffer_add_text(ret_reasons, "no host has joined yet");
}

size_t placement_choose(const struct candidate *candidates, size_t n, const struct demand *demand,
                        struct buffer *ret_reasons)
{
    struct placement placement;

    placement_explain(candidates, n, demand, &placement);
    if (placement.chosen == n)
        placement_words(&placement, n, ret_reasons);
    return placement.chosen;
}
