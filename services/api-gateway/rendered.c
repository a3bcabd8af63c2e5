#include "services/api-gateway/rendered.h"

#include <inttypes.h>
#include <time.h>

#include "schemas/host.pb-c.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/workloads.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

enum { JSON_FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(15), BATCH = 256 };

const char *rendered_text(const struct rendered *rendered, enum rendered_text text)
{
    return (const char *)rendered + rendered->text_at[text];
}

const char *rendered_json(const struct rendered *rendered)
{
    return (const char *)rendered + rendered->json_at;
}

bool host_address_now(struct gateway *gateway, const char *host, char ret_address[ADDRESS_SIZE])
{
    char name[STORE_CACHE_NAME_MAX];

    read_cache_name(KEY_HOST, host, name);
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, name);
    if (value)
        memcpy(ret_address, value->data, value->size);
    return value != NULL;
}

static struct error *read_address(const struct store_record *record, struct arena *arena,
                                  char ret_address[ADDRESS_SIZE])
{
    void *message = NULL;
    struct error *err = NULL;

    *ret_address = '\0';
    if (record->version)
        err = bus_unpack(&coffer__v1__host__descriptor, record->value.data, record->value.len,
                         arena, &message);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    const Coffer__V1__Host *host = message;
    if (host && host->heartbeat && strlen(host->heartbeat->public_address) < ADDRESS_SIZE)
        strcpy(ret_address, host->heartbeat->public_address);
    return NULL;
}

static struct error *load_address(struct gateway *gateway, const char *host,
                                  char ret_address[ADDRESS_SIZE])
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    char name[STORE_CACHE_NAME_MAX];
    struct store_record record;

    read_cache_name(KEY_HOST, host, name);
    const struct store_ticket ticket = store_cache_ticket(gateway->cache, name);
    struct error *err = store_get(gateway->store, name, arena, &record);
    err = err ?: read_address(&record, arena, ret_address);
    if (err)
        return err;
    size_t size = strlen(ret_address) + 1;
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cached_new(size, record.version);
    memcpy(value->data, ret_address, size);
    store_cache_put(gateway->cache, name, &ticket, value);
    return NULL;
}

/* After a heartbeat everybody wants the same address: one asks, the others find it then. None waits
 * long: who asks may be held up by a store that is away. */
struct error *host_address(struct gateway *gateway, const char *host,
                           char ret_address[ADDRESS_SIZE])
{
    struct timespec end;

    if (host_address_now(gateway, host, ret_address))
        return NULL;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec++;
    bool locked = pthread_mutex_timedlock(&gateway->host_lock, &end) == 0;
    struct error *err = NULL;
    if (!host_address_now(gateway, host, ret_address))
        err = load_address(gateway, host, ret_address);
    if (locked)
        pthread_mutex_unlock(&gateway->host_lock);
    return err;
}

/* Not the key of any record, so nothing but time drops it. */
#define RECENT_ADDRESS "recent-address:"
enum { RECENT_MS = 1000 };

struct recent {
    int64_t at_ms;
    char address[ADDRESS_SIZE];
};

static bool recent_now(struct gateway *gateway, const char *name, struct recent *ret_recent)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, name);

    if (value)
        memcpy(ret_recent, value->data, sizeof(*ret_recent));
    return value && clock_monotonic_ms(clock_system()) - ret_recent->at_ms < RECENT_MS;
}

struct error *host_address_recent(struct gateway *gateway, const char *host,
                                  char ret_address[ADDRESS_SIZE])
{
    char name[STORE_CACHE_NAME_MAX];
    struct recent recent = {0};

    read_cache_name(RECENT_ADDRESS, host, name);
    if (!recent_now(gateway, name, &recent)) {
        const struct store_ticket ticket = store_cache_ticket(gateway->cache, name);
        struct error *err = host_address(gateway, host, recent.address);
        if (err)
            return err;
        recent.at_ms = clock_monotonic_ms(clock_system());
        _cleanup_(store_cached_unrefp) struct store_cached *value =
            store_cached_new(sizeof(recent), (uint64_t)recent.at_ms);
        memcpy(value->data, &recent, sizeof(recent));
        store_cache_put(gateway->cache, name, &ticket, value);
    }
    memcpy(ret_address, recent.address, ADDRESS_SIZE);
    return NULL;
}

struct store_cached *rendered_now(struct gateway *gateway, const char *id, bool complete)
{
    char name[STORE_CACHE_NAME_MAX];
    char address[ADDRESS_SIZE] = "";

    read_cache_name(KEY_WORKLOAD, id, name);
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, name);
    if (!value)
        return NULL;
    const struct rendered *rendered = rendered_of(value);
    const char *host = rendered_text(rendered, RENDERED_HOST);
    if (complete && !rendered->complete)
        return NULL;
    if (*host && !host_address_now(gateway, host, address))
        return NULL;
    if (strcmp(address, rendered_text(rendered, RENDERED_ADDRESS)) != 0)
        return NULL;
    return TAKE_PTR(value);
}

static char *dump(const json_t *json)
{
    return json_dumps(json, JSON_FLAGS);
}

/* {list part} and {manifest part} become one object. input NULL: a tombstone has none. */
static struct error *add_manifest(struct request *request, const struct store_record *input,
                                  struct buffer *json)
{
    _cleanup_(json_decrefp) json_t *part = json_object();
    Coffer__V1__WorkloadInput *message = NULL;
    struct manifest *manifest = NULL;
    void *place = NULL;

    if (!input->version)
        return NULL;
    struct error *err = bus_unpack(&coffer__v1__workload_input__descriptor, input->value.data,
                                   input->value.len, request->arena, &place);
    message = place;
    err = err
              ?: manifest_parse(message->manifest.data, message->manifest.len, request->arena,
                                &manifest);
    if (err)
        return error_recode(error_wrap(err, "record '%s'", input->key), ERROR_INTERNAL);
    workload_json_add_manifest(part, manifest);
    json_object_set_new(part, "dockerCompose",
                        json_text(message->compose.data, message->compose.len));
    _cleanup_free_ char *text = dump(part);
    json->size--; /* the brace */
    buffer_add_text(json, ",");
    buffer_add_text(json, text + 1);
    return NULL;
}

static struct store_cached *assemble(const Coffer__V1__Workload *workload, const char *address,
                                     const struct rendered *facts, const struct buffer *json)
{
    const char *const texts[RENDERED_TEXTS_] = {
        workload->workload_id,   workload->account_id, workload->name, workload->domain,
        workload->image_version, workload->host_id,    address,
    };
    size_t size = sizeof(struct rendered) + json->size;

    for (size_t i = 0; i < RENDERED_TEXTS_; i++)
        size += strlen(texts[i]) + 1;
    /* of two of one version the complete one is to stay */
    struct store_cached *value = store_cached_new(size, 2 * facts->version + facts->complete);
    struct rendered *rendered = (struct rendered *)value->data;
    *rendered = *facts;
    size_t at = sizeof(*rendered);
    for (size_t i = 0; i < RENDERED_TEXTS_; i++) {
        rendered->text_at[i] = (uint32_t)at;
        at += (size_t)(stpcpy((char *)value->data + at, texts[i]) + 1 - (char *)value->data) - at;
    }
    rendered->json_at = (uint32_t)at;
    memcpy(value->data + at, json->data, json->size);
    return value;
}

/* input NULL: without the manifest's part. */
static struct error *render(struct request *request, const struct store_record *record,
                            const struct store_record *input, struct store_cached **ret_value)
{
    _cleanup_buffer_ struct buffer json = {0};
    char address[ADDRESS_SIZE] = "";
    char digest[9];
    void *message = NULL;
    struct error *err = bus_unpack(&coffer__v1__workload__descriptor, record->value.data,
                                   record->value.len, request->arena, &message);

    if (err)
        return error_recode(error_wrap(err, "record '%s'", record->key), ERROR_INTERNAL);
    const Coffer__V1__Workload *workload = message;
    if (*workload->host_id)
        error_free(host_address(request->gateway, workload->host_id, address)); /* only a help */
    _cleanup_(json_decrefp) json_t *object = workload_to_json_at(workload, address);
    _cleanup_free_ char *text = dump(object);
    buffer_add_text(&json, text);
    struct rendered facts = {.version = record->version,
                             .created_at_ms = workload->created_at_ms,
                             .status = workload->status,
                             .complete = input != NULL,
                             .list_size = (uint32_t)json.size - 1};
    etag_digest(json.data, json.size, facts.list_digest);
    err = input ? add_manifest(request, input, &json) : NULL;
    if (err)
        return err;
    facts.json_size = (uint32_t)json.size;
    etag_digest(json.data, json.size, digest);
    snprintf(facts.etag, sizeof(facts.etag), "\"%" PRIu64 "-%" PRIu64 "-%s\"", workload->generation,
             workload->event_sequence, digest);
    *ret_value = assemble(workload, address, &facts, &json);
    return NULL;
}

/* For one of another address than its host's now: it cannot be put over without. */
static void forget_moved(struct gateway *gateway, const char *name)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, name);

    if (value)
        store_cache_forget(gateway->cache, name);
}

/* What is kept counts again once the address of its host is known. */
static struct store_cached *after_heartbeat(struct gateway *gateway, const char *name,
                                            const char *id, bool complete)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, name);
    char address[ADDRESS_SIZE];

    if (!value || !*rendered_text(rendered_of(value), RENDERED_HOST))
        return NULL;
    error_free(host_address(gateway, rendered_text(rendered_of(value), RENDERED_HOST), address));
    return rendered_now(gateway, id, complete);
}

static struct error *load(struct request *request, const char *id, struct store_cached **ret_value)
{
    struct gateway *gateway = request->gateway;
    struct store_record records[2];
    char name[STORE_CACHE_NAME_MAX];

    read_cache_name(KEY_WORKLOAD, id, name);
    *ret_value = rendered_now(gateway, id, true) ?: after_heartbeat(gateway, name, id, true);
    if (*ret_value)
        return NULL;
    forget_moved(gateway, name);
    const char *const keys[] = {name, arena_printf(request->arena, "%s%s", KEY_WORKLOAD_INPUT, id)};
    const struct store_ticket ticket = store_cache_ticket(gateway->cache, name);
    struct error *err = store_get_many(gateway->store, keys, 2, request->arena, records);
    if (err || !records[0].version)
        return err;
    err = render(request, &records[0], &records[1], ret_value);
    if (!err)
        store_cache_put(gateway->cache, name, &ticket, *ret_value);
    return err;
}

struct error *rendered_load(struct request *request, const char *id,
                            struct store_cached **ret_value)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value = NULL;
    struct error *err = name_is_valid(id) ? load(request, id, &value) : NULL;

    if (err)
        return err;
    if (!value ||
        strcmp(rendered_text(rendered_of(value), RENDERED_ACCOUNT), request->account) != 0)
        return error_new(ERROR_NOT_FOUND, "no such workload");
    audit_about(request, id);
    *ret_value = TAKE_PTR(value);
    return NULL;
}

/* Those of a batch that memory does not know: n of them, at the places given. */
static struct error *load_missing(struct request *request, const char *const *ids,
                                  const size_t *places, size_t n, struct store_cached **values)
{
    struct gateway *gateway = request->gateway;
    struct arena *arena = request->arena;
    const char **keys = arena_alloc(arena, (n + 1) * sizeof(*keys));
    struct store_ticket *tickets = arena_alloc(arena, (n + 1) * sizeof(*tickets));
    struct store_record *records = arena_alloc(arena, (n + 1) * sizeof(*records));

    for (size_t i = 0; i < n; i++) {
        keys[i] = arena_printf(arena, "%s%s", KEY_WORKLOAD, ids[places[i]]);
        forget_moved(gateway, keys[i]);
        tickets[i] = store_cache_ticket(gateway->cache, keys[i]);
    }
    struct error *err = store_get_many(gateway->store, keys, n, arena, records);
    for (size_t i = 0; !err && i < n; i++) {
        if (!records[i].version)
            continue; /* deleted between the two reads */
        err = render(request, &records[i], NULL, &values[places[i]]);
        if (!err)
            store_cache_put(gateway->cache, keys[i], &tickets[i], values[places[i]]);
    }
    return err;
}

static struct error *load_batch(struct request *request, const char *const *ids, size_t n,
                                struct store_cached **values)
{
    struct gateway *gateway = request->gateway;
    size_t missing[BATCH];
    size_t n_missing = 0;

    for (size_t i = 0; i < n; i++) {
        char name[STORE_CACHE_NAME_MAX];
        read_cache_name(KEY_WORKLOAD, ids[i], name);
        values[i] =
            rendered_now(gateway, ids[i], false) ?: after_heartbeat(gateway, name, ids[i], false);
        if (!values[i])
            missing[n_missing++] = i;
    }
    return n_missing ? load_missing(request, ids, missing, n_missing, values) : NULL;
}

struct error *rendered_load_many(struct request *request, const char *const *ids, size_t n,
                                 struct store_cached **ret_values, size_t *ret_n)
{
    struct error *err = NULL;

    *ret_n = 0;
    memset(ret_values, 0, n * sizeof(*ret_values));
    for (size_t i = 0; !err && i < n; i += BATCH)
        err = load_batch(request, ids + i, n - i < BATCH ? n - i : BATCH, ret_values + i);
    for (size_t i = 0; i < n; i++)
        if (ret_values[i])
            ret_values[(*ret_n)++] = ret_values[i];
    return err;
}
