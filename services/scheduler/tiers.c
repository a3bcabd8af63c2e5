#include "services/scheduler/tiers.h"

#include <inttypes.h>

#include "services/scheduler/admission.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"

enum { TIERS_MAX = 1000, TIER_NAME_MAX = 128 };

static const uint64_t cost_max = 1000000000000; /* a million USD a minute */

/* One attempt at a change; what is found and made is in the arena. */
struct edit {
    struct scheduler *scheduler;
    const Coffer__V1__WorkloadTier *wanted;
    const char *tier_id;
    struct arena *arena;
    Coffer__V1__WorkloadTier *tier;
};

static struct error *load(struct scheduler *scheduler, const char *tier_id, struct arena *arena,
                          Coffer__V1__WorkloadTier **ret_tier, uint64_t *ret_version)
{
    return record_load(scheduler, KEY_TIER, tier_id, &coffer__v1__workload_tier__descriptor, arena,
                       ret_tier, ret_version);
}

static const char *size_name(const Coffer__V1__Resources *size, struct arena *arena)
{
    return arena_printf(arena, "%" PRIu32 "-%" PRIu64 "-%" PRIu64 "-%" PRIu32, size->cpus,
                        size->memory_mib, size->disk_gib, size->gpus);
}

/* The id of the tier that has this size; NULL: none. */
static struct error *find_size(struct scheduler *scheduler, const Coffer__V1__Resources *size,
                               struct arena *arena, const char **ret_tier_id)
{
    const char *key = arena_printf(arena, "%s%s", KEY_TIER_OF_SIZE, size_name(size, arena));
    struct store_record record;
    struct error *err = store_get(scheduler->store, key, arena, &record);

    if (err)
        return err;
    *ret_tier_id = record.version ? arena_printf(arena, "%.*s", (int)record.value.len,
                                                 (const char *)record.value.data)
                                  : NULL;
    return NULL;
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
    const char *taken;
    struct error *err = find_size(edit->scheduler, edit->wanted->resources, edit->arena, &taken);

    if (!err && taken && strcmp(taken, edit->tier_id) != 0)
        err = error_new(ERROR_ALREADY_EXISTS, "tier '%s' has the same size", taken);
    return err;
}

static struct error *check_room(const struct edit *edit)
{
    const char **ids;
    size_t n;
    struct error *err =
        store_members(edit->scheduler->store, KEY_TIERS, TIERS_MAX, edit->arena, &ids, &n);

    if (!err && n >= TIERS_MAX)
        err = error_new(ERROR_FAILED_PRECONDITION, "there are %d tiers already", TIERS_MAX);
    return err;
}

/* The size's own record is what keeps two tiers of one size out, whoever writes them. */
static void put_size(struct change *change, const Coffer__V1__WorkloadTier *tier)
{
    change_put_bytes(change, KEY_TIER_OF_SIZE, size_name(tier->resources, change->arena), 0,
                     tier->tier_id, strlen(tier->tier_id));
}

static void drop_size(struct change *change, const Coffer__V1__Resources *size)
{
    change_delete(change, KEY_TIER_OF_SIZE, size_name(size, change->arena), UINT64_MAX);
}

static void fill(struct edit *edit, Coffer__V1__WorkloadTier *tier)
{
    tier->name = edit->wanted->name;
    tier->resources = edit->wanted->resources;
    tier->usd_micros_per_minute = edit->wanted->usd_micros_per_minute;
    tier->updated_at_ms = clock_wall_ms(edit->scheduler->clock);
    edit->tier = tier;
}

static struct error *create(void *data)
{
    struct edit *edit = data;
    Coffer__V1__WorkloadTier *tier = arena_alloc(edit->arena, sizeof(*tier));
    struct change change;
    struct error *err = check_room(edit);

    err = err ?: check_size_free(edit);
    if (err)
        return err;
    coffer__v1__workload_tier__init(tier);
    tier->tier_id = (char *)edit->tier_id;
    fill(edit, tier);
    tier->created_at_ms = tier->updated_at_ms;
    change_init(&change, edit->scheduler, edit->arena);
    change_put(&change, KEY_TIER, tier->tier_id, 0, &tier->base, 0);
    change_index(&change, KEY_TIERS, "", tier->tier_id, false);
    put_size(&change, tier);
    return change_commit(&change);
}

static struct error *not_found(const char *tier_id)
{
    return error_new(ERROR_NOT_FOUND, "no workload tier '%.63s'", tier_id);
}

static struct error *update(void *data)
{
    struct edit *edit = data;
    Coffer__V1__WorkloadTier *tier;
    struct change change;
    uint64_t version;
    struct error *err = load(edit->scheduler, edit->tier_id, edit->arena, &tier, &version);

    if (err || !tier)
        return err ?: not_found(edit->tier_id);
    err = check_size_free(edit);
    if (err)
        return err;
    const char *old_size = size_name(tier->resources, edit->arena);
    bool moves = strcmp(old_size, size_name(edit->wanted->resources, edit->arena)) != 0;
    change_init(&change, edit->scheduler, edit->arena);
    if (moves)
        drop_size(&change, tier->resources);
    fill(edit, tier);
    if (moves)
        put_size(&change, tier);
    change_put(&change, KEY_TIER, edit->tier_id, version, &tier->base, 0);
    return change_commit(&change);
}

static struct error *delete (void *data)
{
    struct edit *edit = data;
    struct change change;
    uint64_t version;
    struct error *err = load(edit->scheduler, edit->tier_id, edit->arena, &edit->tier, &version);

    if (err || !edit->tier)
        return err ?: not_found(edit->tier_id);
    change_init(&change, edit->scheduler, edit->arena);
    change_delete(&change, KEY_TIER, edit->tier_id, version);
    change_index(&change, KEY_TIERS, "", edit->tier_id, true);
    drop_size(&change, edit->tier->resources);
    return change_commit(&change);
}

static struct error *apply(struct error *(*attempt)(void *data), struct edit *edit,
                           const char *what)
{
    struct error *err = change_repeat(attempt, edit);

    if (!err)
        log_info(what, "tier", edit->tier_id, "name", edit->tier->name);
    return err;
}

struct error *tier_create(struct scheduler *scheduler, const Coffer__V1__WorkloadTier *wanted,
                          struct arena *arena, Coffer__V1__WorkloadTier **ret_tier)
{
    char id[UUID_TEXT_SIZE];
    struct edit edit = {.scheduler = scheduler, .wanted = wanted, .arena = arena};
    struct error *err = check(wanted);

    uuid_generate_text(id);
    edit.tier_id = arena_strdup(arena, id);
    err = err ?: apply(create, &edit, "tier created");
    if (!err)
        *ret_tier = edit.tier;
    return err;
}

struct error *tier_update(struct scheduler *scheduler, const Coffer__V1__WorkloadTier *wanted,
                          struct arena *arena, Coffer__V1__WorkloadTier **ret_tier)
{
    struct edit edit = {
        .scheduler = scheduler, .wanted = wanted, .tier_id = wanted->tier_id, .arena = arena};
    struct error *err = check(wanted);

    if (!err && !name_is_valid(wanted->tier_id))
        err = not_found(wanted->tier_id);
    err = err ?: apply(update, &edit, "tier changed");
    if (!err)
        *ret_tier = edit.tier;
    return err;
}

struct error *tier_delete(struct scheduler *scheduler, const char *tier_id, struct arena *arena)
{
    struct edit edit = {.scheduler = scheduler, .tier_id = tier_id, .arena = arena};

    if (!name_is_valid(tier_id))
        return not_found(tier_id);
    return apply(delete, &edit, "tier deleted");
}

static struct error *refuse_size(struct scheduler *scheduler, struct arena *arena)
{
    const char **ids;
    size_t n;
    struct error *err = store_members(scheduler->store, KEY_TIERS, TIERS_MAX, arena, &ids, &n);

    if (err || n == 0)
        return err;
    return error_new(ERROR_OUT_OF_RANGE,
                     "no workload tier has exactly these cpus, memory, disk and gpus: choose one "
                     "of the list of tiers");
}

struct error *tier_match(struct scheduler *scheduler, const Coffer__V1__Resources *resources,
                         struct arena *arena, Coffer__V1__WorkloadTier **ret_tier)
{
    Coffer__V1__WorkloadTier *tier = NULL;
    const char *tier_id;
    uint64_t version;
    struct error *err = find_size(scheduler, resources, arena, &tier_id);

    if (!err && tier_id)
        err = load(scheduler, tier_id, arena, &tier, &version);
    if (!err && !tier)
        err = refuse_size(scheduler, arena);
    if (!err)
        *ret_tier = tier;
    return err;
}
