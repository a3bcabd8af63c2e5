#include "services/scheduler/names.h"

#define LEAVING "-" /* no workload's id */

bool name_is_ours(const struct scheduler *scheduler, const char *name)
{
    const char *zone = scheduler->config->dns_zone;
    size_t length = strlen(name);
    size_t tail = strlen(zone);

    return !tail || (length > tail && name[length - tail - 1] == '.' &&
                     strcmp(name + length - tail, zone) == 0);
}

static bool record_is(const struct store_record *record, const char *text)
{
    return record->version && record->value.len == strlen(text) &&
           memcmp(record->value.data, text, record->value.len) == 0;
}

static struct error *load_domain(struct scheduler *scheduler, const char *name, struct arena *arena,
                                 struct store_record *ret_record)
{
    return store_get(scheduler->store, arena_printf(arena, "%s%s", KEY_DOMAIN, name), arena,
                     ret_record);
}

static struct error *load_leaving(struct scheduler *scheduler, const char *name,
                                  struct arena *arena, Coffer__V1__LeavingName **ret_leaving,
                                  uint64_t *ret_version)
{
    return record_load(scheduler, KEY_LEAVING_NAME, name, &coffer__v1__leaving_name__descriptor,
                       arena, ret_leaving, ret_version);
}

static struct error *taken(const char *name, const char *how)
{
    struct error *err = error_new(ERROR_ALREADY_EXISTS, "domain '%s' %s", name, how);

    return error_set_reason(err, "domain_taken");
}

/* Gone since: then the record is another one by now, which the commit finds out. */
static struct error *check_leaving(struct scheduler *scheduler, const struct name_taker *taker,
                                   struct arena *arena)
{
    Coffer__V1__LeavingName *leaving;
    uint64_t version;
    struct error *err = load_leaving(scheduler, taker->name, arena, &leaving, &version);

    if (err || !leaving || strcmp(leaving->account_id, taker->account_id) == 0)
        return err;
    return taken(taker->name, "was another workload's and is not free yet");
}

struct error *name_check(struct scheduler *scheduler, const struct store_record *record,
                         const struct name_taker *taker, struct arena *arena)
{
    if (!record->version || record_is(record, taker->workload_id))
        return NULL;
    if (record_is(record, LEAVING))
        return check_leaving(scheduler, taker, arena);
    return taken(taker->name, "belongs to another workload");
}

struct error *name_check_free(struct scheduler *scheduler, const struct name_taker *taker,
                              struct arena *arena, uint64_t *ret_version)
{
    struct store_record record;
    struct error *err = load_domain(scheduler, taker->name, arena, &record);

    if (!err)
        *ret_version = record.version;
    return err ?: name_check(scheduler, &record, taker, arena);
}

/* Its removal is ended also where it was the workload's own: a write of nothing does no harm. */
void name_take(struct change *change, const struct name_taker *taker, uint64_t version)
{
    change_put_bytes(change, KEY_DOMAIN, taker->name, version, taker->workload_id,
                     strlen(taker->workload_id));
    if (!version)
        return;
    change_delete(change, KEY_LEAVING_NAME, taker->name, UINT64_MAX);
    change_index(change, KEY_LEAVING_NAMES, "", taker->name, true);
}

void name_give_up(struct change *change, const Coffer__V1__Workload *workload, bool recorded)
{
    Coffer__V1__LeavingName leaving = COFFER__V1__LEAVING_NAME__INIT;
    const char *name = workload->domain;

    if (!recorded || !name_is_ours(change->scheduler, name)) {
        change_delete(change, KEY_DOMAIN, name, UINT64_MAX);
        return;
    }
    leaving.name = workload->domain;
    leaving.account_id = workload->account_id;
    leaving.workload_id = workload->workload_id;
    leaving.since_ms = clock_wall_ms(change->scheduler->clock);
    change_put_bytes(change, KEY_DOMAIN, name, UINT64_MAX, LEAVING, strlen(LEAVING));
    change_put(change, KEY_LEAVING_NAME, name, UINT64_MAX, &leaving.base, 0);
    change_index(change, KEY_LEAVING_NAMES, "", name, false);
}

struct error *name_is_of(struct scheduler *scheduler, const char *name, const char *workload_id,
                         struct arena *arena, bool *ret_its)
{
    struct store_record record;
    struct error *err = load_domain(scheduler, name, arena, &record);

    if (!err)
        *ret_its = record_is(&record, workload_id);
    return err;
}

struct error *name_leaving(struct scheduler *scheduler, const char *name, struct arena *arena,
                           Coffer__V1__LeavingName **ret_leaving, uint64_t *ret_version,
                           uint64_t *ret_domain_version)
{
    struct store_record record;
    struct error *err = load_leaving(scheduler, name, arena, ret_leaving, ret_version);

    err = err ?: load_domain(scheduler, name, arena, &record);
    if (err)
        return err;
    *ret_domain_version = record.version;
    if (record_is(&record, LEAVING))
        return NULL;
    *ret_leaving = NULL; /* taken again between the two reads */
    *ret_version = 0;
    return NULL;
}

void name_gone(struct change *change, const char *name, uint64_t version, uint64_t domain_version)
{
    change_delete(change, KEY_LEAVING_NAME, name, version);
    change_delete(change, KEY_DOMAIN, name, domain_version);
    change_index(change, KEY_LEAVING_NAMES, "", name, true);
}
