#include "services/scheduler/allowance.h"

#include <assert.h>
#include <inttypes.h>

enum { BUSY_ATTEMPTS = 8 };

void change_init(struct change *change, struct scheduler *scheduler, struct arena *arena)
{
    *change = (struct change){.scheduler = scheduler, .arena = arena};
}

static ProtobufCBinaryData pack(struct arena *arena, const ProtobufCMessage *message)
{
    ProtobufCBinaryData packed = {.len = protobuf_c_message_get_packed_size(message)};

    packed.data = arena_alloc(arena, packed.len ? packed.len : 1);
    protobuf_c_message_pack(message, packed.data);
    return packed;
}

/* Room for one more: lists double whenever they are full, from 8 on. */
static void *grown(struct arena *arena, void *list, size_t n, size_t size)
{
    bool full = n == 0 || (n >= 8 && (n & (n - 1)) == 0);

    assert(n < CHANGE_PARTS_MAX);
    if (!full)
        return list;
    void *larger = arena_alloc(arena, (n < 8 ? 8 : 2 * n) * size);
    if (n)
        memcpy(larger, list, n * size);
    return larger;
}
#define GROW(change, list, n)                                                                      \
    ((change)->list = grown((change)->arena, (change)->list, (change)->n, sizeof(*(change)->list)))

static struct store_write *add_write(struct change *change, const char *prefix, const char *id,
                                     uint64_t expected)
{
    GROW(change, writes, n_writes);
    struct store_write *write = &change->writes[change->n_writes++];
    *write = (struct store_write){.key = arena_printf(change->arena, "%s%s", prefix, id),
                                  .expected_version = expected};
    return write;
}

void change_put(struct change *change, const char *prefix, const char *id, uint64_t expected,
                const ProtobufCMessage *message, int64_t expire_ms)
{
    struct store_write *write = add_write(change, prefix, id, expected);

    write->value = pack(change->arena, message);
    write->expire_ms = expire_ms;
}

void change_put_bytes(struct change *change, const char *prefix, const char *id, uint64_t expected,
                      const void *data, size_t size)
{
    add_write(change, prefix, id, expected)->value = arena_bytes(change->arena, data, size);
}

void change_delete(struct change *change, const char *prefix, const char *id, uint64_t expected)
{
    add_write(change, prefix, id, expected);
}

void change_index(struct change *change, const char *set, const char *id, const char *member,
                  bool remove)
{
    GROW(change, edits, n_edits);
    change->edits[change->n_edits++] = (struct store_index_edit){
        .set = arena_printf(change->arena, "%s%s", set, id),
        .member = arena_strdup(change->arena, member),
        .remove = remove,
    };
}

void change_list(struct change *change, const struct store_list_edit *edit)
{
    GROW(change, lists, n_lists);
    change->lists[change->n_lists++] = *edit;
}

void change_add(struct change *change, const struct change *other)
{
    for (size_t i = 0; i < other->n_writes; i++) {
        GROW(change, writes, n_writes);
        change->writes[change->n_writes++] = other->writes[i];
    }
    for (size_t i = 0; i < other->n_edits; i++) {
        GROW(change, edits, n_edits);
        change->edits[change->n_edits++] = other->edits[i];
    }
    for (size_t i = 0; i < other->n_outbox; i++) {
        GROW(change, outbox, n_outbox);
        change->outbox[change->n_outbox++] = other->outbox[i];
    }
    for (size_t i = 0; i < other->n_lists; i++)
        change_list(change, &other->lists[i]);
    for (size_t i = 0; i < other->n_deltas; i++) {
        GROW(change, deltas, n_deltas);
        change->deltas[change->n_deltas++] = other->deltas[i];
    }
}

void change_count(struct change *change, const Coffer__V1__Workload *workload, bool less)
{
    GROW(change, deltas, n_deltas);
    struct usage_delta *delta = &change->deltas[change->n_deltas++];
    *delta = (struct usage_delta){.account_id = workload->account_id, .less = less};
    usage_add(&delta->usage, workload->resources, workload->usd_micros_per_minute);
}

static struct error *commit(const struct change *change)
{
    return store_commit(change->scheduler->store, &(struct store_change){
                                                      .writes = change->writes,
                                                      .n_writes = change->n_writes,
                                                      .edits = change->edits,
                                                      .n_edits = change->n_edits,
                                                      .outbox = change->outbox,
                                                      .n_outbox = change->n_outbox,
                                                      .lists = change->lists,
                                                      .n_lists = change->n_lists,
                                                      .term = change->scheduler->term,
                                                  });
}

/* Also of one that failed: it may have been old, or happen yet. */
static void forget_hosts(const struct change *change)
{
    for (size_t i = 0; i < change->n_writes; i++)
        host_memory_forget(&change->scheduler->host_memory, change->writes[i].key);
}

struct error *change_commit(struct change *change)
{
    struct ledger *ledger = &change->scheduler->ledger;
    struct error *err;

    if (!change->n_writes && !change->n_edits && !change->n_outbox && !change->n_lists)
        return NULL;
    if (!change->n_deltas) {
        err = commit(change);
        forget_hosts(change);
        return err;
    }
    ledger_begin(ledger);
    err = commit(change);
    forget_hosts(change);
    ledger_end(ledger, change->deltas, change->n_deltas,
               !err                                   ? LEDGER_DONE
               : error_get_code(err) == ERROR_ABORTED ? LEDGER_NOTHING
                                                      : LEDGER_IN_DOUBT);
    return err;
}

struct error *change_repeat(struct error *(*attempt)(void *data), void *data)
{
    struct error *err = NULL;

    for (int i = 0; i < BUSY_ATTEMPTS; i++) {
        error_free(err);
        err = attempt(data);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return error_recode(err, ERROR_UNAVAILABLE);
}

static void add_outbox(struct change *change, char *id, char *subject,
                       const ProtobufCMessage *message)
{
    GROW(change, outbox, n_outbox);
    change->outbox[change->n_outbox++] = (struct store_outbox_entry){
        .id = id,
        .subject = subject,
        .type = message->descriptor->name,
        .payload = pack(change->arena, message),
    };
}

static char *text_or_empty(struct arena *arena, const char *text)
{
    return arena_printf(arena, "%.*s", EVENT_MESSAGE_MAX, text ? text : "");
}

void change_workload_event(struct change *change, Coffer__V1__Workload *workload, const char *kind,
                           enum source source, const struct event_detail *detail)
{
    static const struct event_detail none = {0};
    Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;
    struct arena *arena = change->arena;

    detail = detail ? detail : &none;
    event.workload_id = workload->workload_id;
    event.account_id = workload->account_id;
    event.sequence = ++workload->event_sequence;
    event.kind = (char *)kind;
    event.at_ms = clock_wall_ms(change->scheduler->clock);
    event.status = workload->status;
    event.host_id = workload->host_id;
    event.generation = workload->generation;
    event.boot_number = workload->boot_number;
    event.stage = text_or_empty(arena, detail->stage);
    event.duration_ms = detail->duration_ms;
    event.code = text_or_empty(arena, detail->code);
    event.message = text_or_empty(arena, detail->message);
    event.measurement = detail->measurement;
    event.manifest_sha256 = detail->manifest_sha256;
    event.source = (char *)source_name(source);
    add_outbox(change, arena_printf(arena, "%s.%" PRIu64, workload->workload_id, event.sequence),
               arena_printf(arena, "evt.workload.%s.%s", workload->workload_id, kind), &event.base);
    change_list(change,
                &(struct store_list_edit){
                    .key = arena_printf(arena, "%s%s", KEY_EVENTS_OF, workload->workload_id),
                    .value = change->outbox[change->n_outbox - 1].payload,
                    .max_length = EVENTS_KEPT,
                    .expire_ms = workload->status == COFFER__V1__WORKLOAD_STATUS__DELETED
                                     ? (int64_t)change->scheduler->config->tombstone_ms
                                     : 0,
                });
}

void change_host_event(struct change *change, Coffer__V1__Host *host, const char *kind,
                       const char *message)
{
    Coffer__V1__HostEvent event = COFFER__V1__HOST_EVENT__INIT;
    struct arena *arena = change->arena;

    event.host_id = host->host_id;
    event.sequence = ++host->event_sequence;
    event.kind = (char *)kind;
    event.at_ms = clock_wall_ms(change->scheduler->clock);
    event.message = text_or_empty(arena, message);
    event.total = host->heartbeat ? host->heartbeat->total : NULL;
    /* A host that was removed and is back counts from 1 again: not the same message. */
    add_outbox(change,
               arena_printf(arena, "host.%s.%" PRId64 ".%" PRIu64, host->host_id,
                            host->first_seen_at_ms, event.sequence),
               arena_printf(arena, "evt.host.%s.%s", host->host_id, kind), &event.base);
}

static struct error *attempt(struct update *update, const char *id, update_fn function, void *data)
{
    uint64_t version;
    struct error *err =
        record_load(update->scheduler, KEY_WORKLOAD, id, &coffer__v1__workload__descriptor,
                    update->arena, &update->workload, &version);

    if (err)
        return err;
    change_init(&update->change, update->scheduler, update->arena);
    update->skip = false;
    update->is_final = false;
    update->expire_ms = 0;
    bool counted = update->workload && usage_counts(update->workload);
    err = function(update, data);
    if (err || update->skip || !update->workload)
        return err;
    if (usage_counts(update->workload) != counted)
        change_count(&update->change, update->workload, counted);
    update->workload->updated_at_ms = clock_wall_ms(update->scheduler->clock);
    change_put(&update->change, KEY_WORKLOAD, id, version, &update->workload->base,
               update->expire_ms);
    return change_commit(&update->change);
}

struct error *workload_update(struct scheduler *scheduler, const char *id, update_fn function,
                              void *data, struct arena *arena, Coffer__V1__Workload **ret_workload)
{
    struct update update = {.scheduler = scheduler, .arena = arena};
    struct error *err = NULL;

    for (int i = 0; i < BUSY_ATTEMPTS; i++) {
        error_free(err);
        err = attempt(&update, id, function, data);
        if (error_get_code(err) != ERROR_ABORTED || update.is_final)
            break;
    }
    if (error_get_code(err) == ERROR_ABORTED && !update.is_final)
        return error_recode(err, ERROR_UNAVAILABLE);
    if (err)
        return err;
    if (!update.skip)
        scheduler_kick_workload(scheduler, id);
    if (ret_workload)
        *ret_workload = update.workload;
    return NULL;
}
