#include "services/api-gateway/webhook_queue_change.h"

#include <inttypes.h>

#include "services/api-gateway/json_record.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define ENDED_MS   (INT64_C(3600) * 1000)           /* until its event comes no more */
#define PENDING_MS (INT64_C(7) * 24 * 3600 * 1000)  /* far longer than all attempts take */
#define HISTORY_MS (INT64_C(30) * 24 * 3600 * 1000) /* from the latest change on */

enum { ENTRY_SLACK = 8 };

static const char *key_of(struct arena *arena, const char *family, const char *name)
{
    return arena_printf(arena, "%s%s", family, name);
}

struct error *webhook_state_load(struct store *store, const char *webhook, struct arena *arena,
                                 struct webhook_state *ret_state)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    uint64_t version = 0;
    struct error *err =
        json_record_load(store, key_of(arena, KEY_WEBHOOK_STATE, webhook), arena, &json, &version);

    if (err)
        return err;
    *ret_state = (struct webhook_state){
        .account = json_record_text(json, "account", arena),
        .pending = (uint64_t)json_integer_value(json_object_get(json, "pending")),
        .dropped = (uint64_t)json_integer_value(json_object_get(json, "dropped")),
        .failures = (unsigned)json_integer_value(json_object_get(json, "failures")),
        .next_ms = json_integer_value(json_object_get(json, "next_ms")),
        .version = version,
    };
    return NULL;
}

static struct store_write state_write(struct arena *arena, const struct queue *queue)
{
    const struct webhook_state *state = &queue->state;
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:I, s:I, s:i, s:I}", "account", state->account, "pending",
                  (json_int_t)state->pending, "dropped", (json_int_t)state->dropped, "failures",
                  (int)state->failures, "next_ms", (json_int_t)state->next_ms);

    return (struct store_write){.key = key_of(arena, KEY_WEBHOOK_STATE, queue->webhook),
                                .expected_version = state->version,
                                .value = json_record_value(arena, json),
                                .expire_ms = HISTORY_MS};
}

static bool parse_entry(const char *member, struct arena *arena, struct queue_entry *ret_entry)
{
    char name[DELIVERY_NAME_SIZE];
    char mark = 0;
    int64_t due_ms = 0;

    if (sscanf(member, "%" SCNd64 " %23s %c", &due_ms, name, &mark) != 3)
        return false;
    *ret_entry = (struct queue_entry){.member = member,
                                      .name = arena_strdup(arena, name),
                                      .due_ms = due_ms,
                                      .leased = mark == 'l'};
    return true;
}

struct error *queue_load_entries(struct store *store, struct arena *arena, struct queue *queue)
{
    const char **members = NULL;
    size_t n = 0;
    struct error *err = store_members(store, key_of(arena, KEY_WEBHOOK_QUEUE, queue->webhook),
                                      2 * WEBHOOK_PENDING_MAX, arena, &members, &n);

    if (err)
        return err;
    queue->room = n + ENTRY_SLACK;
    queue->entries = arena_alloc(arena, queue->room * sizeof(*queue->entries));
    for (size_t i = 0; i < n; i++)
        queue->n += parse_entry(members[i], arena, &queue->entries[queue->n]);
    return NULL;
}

struct error *queue_load(struct store *store, const char *webhook, struct arena *arena,
                         struct queue *ret_queue)
{
    *ret_queue = (struct queue){.webhook = webhook};
    struct error *err = webhook_state_load(store, webhook, arena, &ret_queue->state);

    return err ?: queue_load_entries(store, arena, ret_queue);
}

struct queue_change queue_change_new(struct arena *arena, size_t room)
{
    return (struct queue_change){
        .arena = arena,
        .writes = arena_alloc(arena, room * sizeof(struct store_write)),
        .edits = arena_alloc(arena, room * sizeof(struct store_index_edit)),
        .lists = arena_alloc(arena, room * sizeof(struct store_list_edit)),
        .room = room,
    };
}

static void add_edit(struct queue_change *change, const char *set, const char *member, bool remove)
{
    assert(change->n_edits < change->room);
    change->edits[change->n_edits++] =
        (struct store_index_edit){.set = set, .member = member, .remove = remove};
}

static void add_write(struct queue_change *change, struct store_write write)
{
    assert(change->n_writes < change->room);
    change->writes[change->n_writes++] = write;
}

void queue_put(struct queue_change *change, struct queue *queue, int64_t due_ms, const char *name,
               bool leased)
{
    const char *member =
        arena_printf(change->arena, "%013" PRId64 " %s %c", due_ms, name, leased ? 'l' : 'w');

    add_edit(change, key_of(change->arena, KEY_WEBHOOK_QUEUE, queue->webhook), member, false);
    if (!queue->entries)
        return;
    assert(queue->n < queue->room);
    queue->entries[queue->n++] =
        (struct queue_entry){.member = member, .name = name, .due_ms = due_ms, .leased = leased};
}

void queue_take(struct queue_change *change, const struct queue *queue, struct queue_entry *entry)
{
    entry->gone = true;
    add_edit(change, key_of(change->arena, KEY_WEBHOOK_QUEUE, queue->webhook), entry->member, true);
}

void queue_write(struct queue_change *change, const struct delivery_record *delivery,
                 uint64_t expected_version)
{
    add_write(change, (struct store_write){
                          .key = delivery_key(change->arena, delivery->webhook, delivery->name),
                          .expected_version = expected_version,
                          .value = delivery_value(delivery, change->arena),
                          .expire_ms = PENDING_MS});
}

void queue_end(struct queue_change *change, const struct delivery_record *delivery)
{
    struct delivery_record ended = *delivery;

    ended.body = "";
    ProtobufCBinaryData value = delivery_value(&ended, change->arena);
    add_write(change,
              (struct store_write){.key = delivery_key(change->arena, ended.webhook, ended.name),
                                   .expected_version = UINT64_MAX,
                                   .value = value,
                                   .expire_ms = ENDED_MS});
    assert(change->n_lists < change->room);
    change->lists[change->n_lists++] =
        (struct store_list_edit){.key = key_of(change->arena, KEY_WEBHOOK_HISTORY, ended.webhook),
                                 .value = value,
                                 .max_length = WEBHOOK_HISTORY_MAX,
                                 .expire_ms = HISTORY_MS};
}

/* While as many are leased as may be, nothing else can be done before one of them ends. */
void queue_recount(struct queue *queue)
{
    int64_t first = INT64_MAX;
    int64_t first_lease = INT64_MAX;
    size_t leased = 0;

    queue->state.pending = 0;
    for (size_t i = 0; i < queue->n; i++) {
        const struct queue_entry *entry = &queue->entries[i];
        if (entry->gone)
            continue;
        queue->state.pending++;
        leased += entry->leased;
        if (entry->due_ms < first)
            first = entry->due_ms;
        if (entry->leased && entry->due_ms < first_lease)
            first_lease = entry->due_ms;
    }
    queue->state.next_ms = leased >= WEBHOOK_AT_ONCE_MAX ? first_lease : first;
}

void queue_close(struct queue_change *change, const struct queue *queue, bool forget)
{
    struct store_write write = state_write(change->arena, queue);
    bool empty = queue->state.pending == 0;

    if (empty && forget)
        write.value = (ProtobufCBinaryData){0};
    add_write(change, write);
    add_edit(change, KEY_WEBHOOK_QUEUES, queue->webhook, empty);
}

struct error *queue_commit(struct store *store, const struct queue_change *change)
{
    return store_commit(store, &(struct store_change){.writes = change->writes,
                                                      .n_writes = change->n_writes,
                                                      .edits = change->edits,
                                                      .n_edits = change->n_edits,
                                                      .lists = change->lists,
                                                      .n_lists = change->n_lists});
}
