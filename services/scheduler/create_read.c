/* What a group of creates reads. */
#include "services/scheduler/create_round.h"
#include "services/scheduler/done_request.h"

static struct error *know_hosts(struct scheduler *scheduler)
{
    struct host_ids *known = &scheduler->host_ids;
    _cleanup_(arena_freep) struct arena *arena = NULL;

    if (known->known)
        return NULL;
    arena = arena_new();
    struct error *err =
        store_members(scheduler->store, KEY_HOSTS, HOSTS_MAX, arena, &known->ids, &known->n);
    if (err)
        return err;
    arena_free(known->arena);
    known->arena = TAKE_PTR(arena);
    known->known = true;
    return NULL;
}

/* What a round asks the store for, in one question; a key that several places need, once. */
struct reading {
    const char **keys;
    size_t n_keys;
    size_t *of; /* per place of the round's records, which key; SIZE_MAX: none */
    size_t n;
};

static struct reading reading_new(struct arena *arena, size_t n)
{
    return (struct reading){.keys = arena_alloc(arena, n * sizeof(const char *)),
                            .of = arena_alloc(arena, n * sizeof(size_t)),
                            .n = n};
}

static void ask(struct reading *reading, size_t place, const char *key)
{
    reading->of[place] = reading->n_keys;
    reading->keys[reading->n_keys++] = key;
}

/* Most items of a round want the same few image versions. */
static void ask_artifact(struct round *round, struct reading *reading, size_t item)
{
    const char *version = round->items[item]->creation->request->image_version;

    for (size_t i = 0; i < item; i++) {
        if (strcmp(round->items[i]->creation->request->image_version, version) != 0)
            continue;
        reading->of[item * RECORDS_OF_ITEM + OF_ARTIFACT] =
            reading->of[i * RECORDS_OF_ITEM + OF_ARTIFACT];
        return;
    }
    ask(reading, item * RECORDS_OF_ITEM + OF_ARTIFACT,
        arena_printf(round->arena, "%s%s", KEY_ARTIFACT, version));
}

static void ask_done(struct round *round, struct reading *reading, size_t item)
{
    const char *request_id = round->items[item]->creation->request->request_id;
    size_t place = item * RECORDS_OF_ITEM + OF_DONE;

    round->items[item]->done = *request_id ? &round->records[place] : NULL;
    reading->of[place] = SIZE_MAX;
    if (*request_id)
        ask(reading, place, done_request_key(round->arena, request_id));
}

static void ask_items(struct round *round, struct reading *reading)
{
    for (size_t i = 0; i < round->n; i++) {
        const Coffer__V1__CreateWorkloadRequest *request = round->items[i]->creation->request;
        ask(reading, i * RECORDS_OF_ITEM + OF_WORKLOAD,
            arena_printf(round->arena, "%s%s", KEY_WORKLOAD, request->workload_id));
        ask(reading, i * RECORDS_OF_ITEM + OF_DOMAIN,
            arena_printf(round->arena, "%s%s", KEY_DOMAIN, request->domain));
        ask_artifact(round, reading, i);
        ask_done(round, reading, i);
    }
}

/* Those that are remembered are there already. */
static void ask_hosts(struct round *round, struct reading *reading, size_t first,
                      uint64_t *ret_tickets)
{
    const struct host_ids *known = &round->scheduler->host_ids;

    for (size_t i = 0; i < known->n; i++) {
        const char *key = arena_printf(round->arena, "%s%s", KEY_HOST, known->ids[i]);
        struct store_record *record = &round->records[first + i];
        *record =
            host_memory_recall(&round->scheduler->host_memory, key, round->arena, &ret_tickets[i]);
        reading->of[first + i] = SIZE_MAX;
        if (!record->version)
            ask(reading, first + i, key);
    }
}

static struct error *read_now(struct round *round, const struct reading *reading)
{
    struct store_record *records =
        arena_alloc(round->arena, (reading->n_keys + 1) * sizeof(*records));
    struct error *err = store_get_many(round->scheduler->store, reading->keys, reading->n_keys,
                                       round->arena, records);

    for (size_t i = 0; !err && i < reading->n; i++)
        if (reading->of[i] != SIZE_MAX)
            round->records[i] = records[reading->of[i]];
    return err;
}

static void keep_hosts(struct round *round, const struct reading *reading, size_t first,
                       const uint64_t *tickets)
{
    for (size_t i = first; i < reading->n; i++)
        if (reading->of[i] != SIZE_MAX)
            host_memory_keep(&round->scheduler->host_memory, &round->records[i],
                             tickets[i - first]);
}

struct error *round_read(struct round *round)
{
    struct arena *arena = round->arena;
    struct error *err = know_hosts(round->scheduler);
    size_t n_hosts = round->scheduler->host_ids.n;
    size_t tiers_at = round->n * RECORDS_OF_ITEM;
    size_t hosts_at = tiers_at + 1;

    if (err)
        return err;
    struct reading reading = reading_new(arena, hosts_at + n_hosts);
    uint64_t *tickets = arena_alloc(arena, (n_hosts + 1) * sizeof(*tickets));
    round->records = arena_alloc(arena, reading.n * sizeof(*round->records));
    ask_items(round, &reading);
    ask(&reading, tiers_at, KEY_TIERS);
    ask_hosts(round, &reading, hosts_at, tickets);
    err = read_now(round, &reading);
    if (err)
        return err;
    keep_hosts(round, &reading, hosts_at, tickets);
    err = tiers_read(&round->records[tiers_at], arena, &round->tiers);
    return err ?: fleet_read(&round->records[hosts_at], n_hosts, arena, &round->fleet);
}
