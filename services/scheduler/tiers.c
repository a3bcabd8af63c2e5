#include "services/scheduler/tiers.h"

#include "services/scheduler/admission.h"
#include "services/scheduler/audit.h"
#include "services/scheduler/done_request.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"

enum { TIERS_MAX = 256, TIER_NAME_MAX = 128 };

static const uint64_t cost_max = 1000000000000; /* a million USD a minute */

/* One attempt at a change; what is found and made is in the arena. */
struct edit {
    struct scheduler *scheduler;
    const Coffer__V1__WorkloadTier *wanted;
    const char *tier_id;
    const Coffer__V1__TiersExpectation *if_match; /* NULL: whatever they are */
    struct asked asked;
    struct arena *arena;
    Coffer__V1__WorkloadTiers *all;
    Coffer__V1__WorkloadTier *tier; /* the one that was changed */
    bool repeat;                    /* it was done already */
    bool same;                      /* what is wanted is there */
    bool audited;
    bool stale; /* the refusal is that they are not what was expected */
};

static struct error *load(struct scheduler *scheduler, struct arena *arena,
                          Coffer__V1__WorkloadTiers **ret_all, uint64_t *ret_version)
{
    struct error *err =
        record_load(scheduler, KEY_TIERS, "", &coffer__v1__workload_tiers__descriptor, arena,
                    ret_all, ret_version);

    if (!err && !*ret_all) {
        *ret_all = arena_alloc(arena, sizeof(**ret_all));
        coffer__v1__workload_tiers__init(*ret_all);
    }
    return err;
}

static bool has_size(const Coffer__V1__WorkloadTier *tier, const Coffer__V1__Resources *size)
{
    const Coffer__V1__Resources *own = tier->resources;

    return own && own->cpus == size->cpus && own->memory_mib == size->memory_mib &&
           own->disk_gib == size->disk_gib && own->gpus == size->gpus;
}

/* NULL: none. */
static Coffer__V1__WorkloadTier *find_size(const Coffer__V1__WorkloadTiers *all,
                                           const Coffer__V1__Resources *size)
{
    for (size_t i = 0; i < all->n_tiers; i++)
        if (has_size(all->tiers[i], size))
            return all->tiers[i];
    return NULL;
}

/* Its place, or n_tiers. */
static size_t find_id(const Coffer__V1__WorkloadTiers *all, const char *tier_id)
{
    size_t i = 0;

    while (i < all->n_tiers && strcmp(all->tiers[i]->tier_id, tier_id) != 0)
        i++;
    return i;
}

static struct error *check(const Coffer__V1__WorkloadTier *wanted)
{
    struct error *err = admission_check_resources(wanted->resources);

    if (err)
        return err;
    if (!wanted->name[0] || strlen(wanted->name) > TIER_NAME_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "the name must have 1 to %d bytes", TIER_NAME_MAX);
    if (wanted->usd_micros_per_minute < 1 || wanted->usd_micros_per_minute > cost_max)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the cost must be more than 0 and at most 1000000 USD a minute");
    return NULL;
}

static struct error *check_size_free(const struct edit *edit)
{
    const Coffer__V1__WorkloadTier *other = find_size(edit->all, edit->wanted->resources);

    if (!other || strcmp(other->tier_id, edit->tier_id) == 0)
        return NULL;
    return error_new(ERROR_ALREADY_EXISTS, "tier '%s' has the same size", other->tier_id);
}

static struct error *not_found(const char *tier_id)
{
    return error_new(ERROR_NOT_FOUND, "no workload tier '%.63s'", tier_id);
}

static void fill(struct edit *edit, Coffer__V1__WorkloadTier *tier)
{
    tier->name = edit->wanted->name;
    tier->resources = edit->wanted->resources;
    tier->usd_micros_per_minute = edit->wanted->usd_micros_per_minute;
    tier->updated_at_ms = clock_wall_ms(edit->scheduler->clock);
    edit->tier = tier;
}

/* A repeated create: the same id and the same tier mean the same request. */
static struct error *answer_existing(struct edit *edit, Coffer__V1__WorkloadTier *tier)
{
    const Coffer__V1__WorkloadTier *wanted = edit->wanted;

    if (!has_size(tier, wanted->resources) || strcmp(tier->name, wanted->name) != 0 ||
        tier->usd_micros_per_minute != wanted->usd_micros_per_minute)
        return error_new(ERROR_ALREADY_EXISTS, "tier '%s' exists already", tier->tier_id);
    edit->tier = tier;
    edit->same = true;
    return NULL;
}

static struct error *add(struct edit *edit)
{
    Coffer__V1__WorkloadTiers *all = edit->all;
    Coffer__V1__WorkloadTier **tiers =
        arena_alloc(edit->arena, (all->n_tiers + 1) * sizeof(*tiers));
    Coffer__V1__WorkloadTier *tier = arena_alloc(edit->arena, sizeof(*tier));
    size_t at = find_id(all, edit->tier_id);

    if (at < all->n_tiers)
        return answer_existing(edit, all->tiers[at]);
    if (all->n_tiers >= TIERS_MAX)
        return error_new(ERROR_FAILED_PRECONDITION, "there are %d tiers already", TIERS_MAX);
    struct error *err = check_size_free(edit);
    if (err)
        return err;
    coffer__v1__workload_tier__init(tier);
    tier->tier_id = (char *)edit->tier_id;
    fill(edit, tier);
    tier->created_at_ms = tier->updated_at_ms;
    for (size_t i = 0; i < all->n_tiers; i++)
        tiers[i] = all->tiers[i];
    tiers[all->n_tiers++] = tier;
    all->tiers = tiers;
    return NULL;
}

static struct error *replace(struct edit *edit)
{
    size_t at = find_id(edit->all, edit->tier_id);

    if (at == edit->all->n_tiers)
        return not_found(edit->tier_id);
    struct error *err = check_size_free(edit);
    if (!err)
        fill(edit, edit->all->tiers[at]);
    return err;
}

static struct error *drop(struct edit *edit)
{
    Coffer__V1__WorkloadTiers *all = edit->all;
    size_t at = find_id(all, edit->tier_id);

    if (at == all->n_tiers)
        return not_found(edit->tier_id);
    edit->tier = all->tiers[at];
    all->tiers[at] = all->tiers[--all->n_tiers];
    return NULL;
}

/* Not ABORTED yet, which would be tried again. */
static struct error *check_expected(struct edit *edit, uint64_t version)
{
    edit->stale = edit->if_match && edit->if_match->version != version;
    if (!edit->stale)
        return NULL;
    return error_set_reason(
        error_new(ERROR_FAILED_PRECONDITION, "the tiers have changed meanwhile"), "if_match");
}

/* As it is now; one that is gone since, as it was asked for. */
static void answer_repeat(struct edit *edit)
{
    size_t at = find_id(edit->all, edit->tier_id);

    edit->tier = at < edit->all->n_tiers ? edit->all->tiers[at] : NULL;
    if (edit->tier || !edit->wanted)
        return;
    edit->tier = arena_memdup(edit->arena, edit->wanted, sizeof(*edit->wanted));
    edit->tier->tier_id = (char *)edit->tier_id;
    edit->tier->if_match = NULL;
    edit->tier->audit = NULL;
    edit->tier->request_id = arena_strdup(edit->arena, "");
}

static struct error *commit(struct edit *edit, struct error *(*alter)(struct edit *edit))
{
    struct change change;
    uint64_t version;
    struct done_request before = {0};
    struct error *err = done_request_find(edit->scheduler, &edit->asked, edit->arena, &before);

    err = err ?: load(edit->scheduler, edit->arena, &edit->all, &version);
    edit->repeat = before.done;
    edit->same = false;
    edit->audited = before.audited;
    if (!err && edit->repeat)
        answer_repeat(edit);
    if (err || edit->repeat)
        return err;
    err = check_expected(edit, version);
    err = err ?: alter(edit);
    if (err)
        return err;
    /* What is so already is written too: an old leader must not say what there is. */
    const struct asked asked = {edit->asked.request_id, edit->same ? NULL : edit->asked.audit};
    edit->audited = asked.audit != NULL;
    change_init(&change, edit->scheduler, edit->arena);
    change_put(&change, KEY_TIERS, "", version, &edit->all->base, 0);
    done_request_note(&change, &asked, edit->tier_id);
    return change_commit(&change);
}

static struct error *create(void *edit)
{
    return commit(edit, add);
}

static struct error *update(void *edit)
{
    return commit(edit, replace);
}

static struct error *delete (void *edit)
{
    return commit(edit, drop);
}

static struct error *apply(struct error *(*attempt)(void *edit), struct edit *edit,
                           const char *what)
{
    struct error *err = change_repeat(attempt, edit);

    if (err)
        return edit->stale ? error_recode(err, ERROR_ABORTED) : err;
    if (!edit->repeat && !edit->same)
        log_info(what, "tier", edit->tier_id, "name", edit->tier->name);
    return NULL;
}

struct error *tier_create(struct scheduler *scheduler, const Coffer__V1__WorkloadTier *wanted,
                          struct arena *arena, Coffer__V1__WorkloadTier **ret_tier)
{
    char id[UUID_TEXT_SIZE];
    struct edit edit = {.scheduler = scheduler,
                        .wanted = wanted,
                        .asked = {wanted->request_id, wanted->audit},
                        .arena = arena};
    struct error *err = audit_check(wanted->audit);

    err = err ?: check(wanted);
    if (!err && *wanted->tier_id && !name_is_valid(wanted->tier_id))
        err = error_new(ERROR_INVALID_ARGUMENT, "the tier's id is none");
    uuid_generate_text(id);
    edit.tier_id = *wanted->tier_id ? wanted->tier_id : arena_strdup(arena, id);
    err = err ?: apply(create, &edit, "tier created");
    if (err)
        return err;
    edit.tier->audited = edit.audited;
    *ret_tier = edit.tier;
    return NULL;
}

struct error *tier_update(struct scheduler *scheduler, const Coffer__V1__WorkloadTier *wanted,
                          struct arena *arena, Coffer__V1__WorkloadTier **ret_tier)
{
    struct edit edit = {.scheduler = scheduler,
                        .wanted = wanted,
                        .tier_id = wanted->tier_id,
                        .if_match = wanted->if_match,
                        .asked = {wanted->request_id, wanted->audit},
                        .arena = arena};
    struct error *err = audit_check(wanted->audit);

    err = err ?: check(wanted);
    err = err ?: apply(update, &edit, "tier changed");
    if (err)
        return err;
    edit.tier->audited = edit.audited;
    *ret_tier = edit.tier;
    return NULL;
}

struct error *tier_delete(struct scheduler *scheduler,
                          const Coffer__V1__WorkloadTierRequest *request, struct arena *arena,
                          bool *ret_audited)
{
    struct edit edit = {.scheduler = scheduler,
                        .tier_id = request->tier_id,
                        .if_match = request->if_match,
                        .asked = {request->request_id, request->audit},
                        .arena = arena};
    struct error *err = audit_check(request->audit);

    err = err ?: apply(delete, &edit, "tier deleted");
    if (!err)
        *ret_audited = edit.audited;
    return err;
}

struct error *tier_find(const Coffer__V1__WorkloadTiers *all,
                        const Coffer__V1__Resources *resources, Coffer__V1__WorkloadTier **ret_tier)
{
    Coffer__V1__WorkloadTier *tier = find_size(all, resources);

    if (!tier && all->n_tiers) {
        struct error *err = error_new(
            ERROR_OUT_OF_RANGE,
            "no workload tier has exactly these cpus, memory, disk and gpus: choose one of the "
            "list of tiers");
        return error_set_reason(err, "no_tier");
    }
    *ret_tier = tier;
    return NULL;
}

struct error *tier_match(struct scheduler *scheduler, const Coffer__V1__Resources *resources,
                         struct arena *arena, Coffer__V1__WorkloadTier **ret_tier)
{
    Coffer__V1__WorkloadTiers *all;
    uint64_t version;
    struct error *err = load(scheduler, arena, &all, &version);

    return err ?: tier_find(all, resources, ret_tier);
}

struct error *tiers_read(const struct store_record *record, struct arena *arena,
                         Coffer__V1__WorkloadTiers **ret_all)
{
    void *all = NULL;
    struct error *err = NULL;

    if (record->version)
        err = record_read(record, &coffer__v1__workload_tiers__descriptor, arena, &all);
    if (err)
        return err;
    if (!all)
        coffer__v1__workload_tiers__init(all =
                                             arena_alloc(arena, sizeof(Coffer__V1__WorkloadTiers)));
    *ret_all = all;
    return NULL;
}
