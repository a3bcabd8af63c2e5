#include "services/scheduler/records.h"

#include "shared/base/log.h"

enum { RETRY_CAP_MS = 5 * 60 * 1000, RAN_WELL_MS = 10 * 60 * 1000 };

struct error *record_read(const struct store_record *record, const ProtobufCMessageDescriptor *type,
                          struct arena *arena, void **ret_message)
{
    struct error *err = bus_unpack(type, record->value.data, record->value.len, arena, ret_message);

    return error_recode(error_wrap(err, "record '%s'", record->key), ERROR_DATA_LOSS);
}

struct error *record_load(struct scheduler *scheduler, const char *prefix, const char *id,
                          const ProtobufCMessageDescriptor *type, struct arena *arena,
                          void *ret_message, uint64_t *ret_version)
{
    struct store_record record;
    void *message = NULL;
    struct error *err =
        store_get(scheduler->store, arena_printf(arena, "%s%s", prefix, id), arena, &record);

    if (!err && record.version)
        err = record_read(&record, type, arena, &message);
    if (err)
        return err;
    *(void **)ret_message = message;
    *ret_version = record.version;
    return NULL;
}

struct error *records_load(struct scheduler *scheduler, const char *prefix, const char *const *ids,
                           size_t n_ids, const ProtobufCMessageDescriptor *type,
                           struct arena *arena, void ***ret_messages, uint64_t **ret_versions,
                           size_t *ret_n)
{
    const char **keys = arena_alloc(arena, (n_ids + 1) * sizeof(*keys));
    struct store_record *records = arena_alloc(arena, (n_ids + 1) * sizeof(*records));
    void **messages = arena_alloc(arena, (n_ids + 1) * sizeof(*messages));
    uint64_t *versions = arena_alloc(arena, (n_ids + 1) * sizeof(*versions));
    size_t n = 0;

    for (size_t i = 0; i < n_ids; i++)
        keys[i] = arena_printf(arena, "%s%s", prefix, ids[i]);
    struct error *err = store_get_many(scheduler->store, keys, n_ids, arena, records);
    for (size_t i = 0; !err && i < n_ids; i++) {
        if (!records[i].version)
            continue;
        versions[n] = records[i].version;
        err = record_read(&records[i], type, arena, &messages[n++]);
    }
    if (err)
        return err;
    *ret_messages = messages;
    *ret_versions = versions;
    *ret_n = n;
    return NULL;
}

struct error *records_load_all(struct scheduler *scheduler, const char *set, const char *prefix,
                               const ProtobufCMessageDescriptor *type, size_t max,
                               struct arena *arena, void ***ret_messages, uint64_t **ret_versions,
                               size_t *ret_n)
{
    const char **ids;
    size_t n_ids;
    struct error *err = store_members(scheduler->store, set, max, arena, &ids, &n_ids);

    return err
               ?: records_load(scheduler, prefix, ids, n_ids, type, arena, ret_messages,
                               ret_versions, ret_n);
}

static int64_t deadline_for(const struct scheduler *scheduler, enum status status)
{
    bool bounded =
        status == STATUS_SCHEDULED || status == STATUS_STARTING || status == STATUS_AWAITING_CERT;

    return bounded ? clock_wall_ms(scheduler->clock) + (int64_t)scheduler->config->boot_deadline_ms
                   : 0;
}

struct error *workload_move(struct update *update, enum trigger trigger, enum source source,
                            const struct event_detail *detail)
{
    Coffer__V1__Workload *workload = update->workload;
    enum status from = (enum status)workload->status;
    const struct transition *transition = fsm_find(trigger, source, from);

    if (!transition) {
        scheduler_count(update->scheduler, COUNTER_ILLEGAL_EVENT, workload->workload_id,
                        arena_printf(update->arena, "'%s' from %s while %s", trigger_name(trigger),
                                     source_name(source), status_name(from)));
        return error_new(ERROR_FAILED_PRECONDITION, "'%s' is not possible while %s",
                         trigger_name(trigger), status_name(from));
    }
    workload->status = (Coffer__V1__WorkloadStatus)transition->to;
    workload->status_code = arena_strdup(update->arena, detail ? detail->code : "");
    workload->status_reason = arena_printf(update->arena, "%.*s", EVENT_MESSAGE_MAX,
                                           detail && detail->message ? detail->message : "");
    workload->deadline_at_ms = deadline_for(update->scheduler, transition->to);
    if (transition->to == STATUS_RUNNING)
        workload->n_containers_down = 0;
    change_workload_event(&update->change, workload, transition->kind, source, detail);
    return NULL;
}

void workload_new_generation(Coffer__V1__Workload *workload)
{
    workload->generation++;
    workload->guest_sign_public = (ProtobufCBinaryData){0};
    workload->guest_box_public = (ProtobufCBinaryData){0};
    workload->n_containers_down = 0;
    workload->n_stages = 0;
    workload->stage_counter = 0;
    workload->health_counter = 0;
    workload->launched_at_ms = 0;
    workload->next_attempt_at_ms = 0;
    workload->deadline_at_ms = 0;
}

void workload_plan_retry(struct scheduler *scheduler, Coffer__V1__Workload *workload)
{
    int64_t now_ms = clock_wall_ms(scheduler->clock);
    int64_t backoff_ms = (int64_t)scheduler->config->restart_backoff_ms;

    if (workload->launched_at_ms && now_ms - workload->launched_at_ms > RAN_WELL_MS)
        workload->restarts = 0;
    workload->next_attempt_at_ms = 0;
    if (workload->restarts >= scheduler->config->restart_max)
        return;
    for (uint32_t i = 0; i < workload->restarts && backoff_ms < RETRY_CAP_MS; i++)
        backoff_ms *= 2;
    workload->next_attempt_at_ms = now_ms + (backoff_ms < RETRY_CAP_MS ? backoff_ms : RETRY_CAP_MS);
}

ProtobufCBinaryData bytes_copy(struct arena *arena, ProtobufCBinaryData bytes)
{
    return arena_bytes(arena, bytes.data, bytes.len);
}

bool bytes_equal(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}
