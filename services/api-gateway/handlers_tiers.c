/* Workload tiers: the sizes that can be had, and what they cost. */
#include "schemas/catalog.pb-c.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/change_once.h"
#include "services/api-gateway/create_input.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/kept_answer.h"
#include "services/api-gateway/list_page.h"
#include "services/api-gateway/money.h"
#include "services/api-gateway/read_cache.h"
#include "services/api-gateway/workload_ask.h"
#include "shared/store/keys.h"

enum { ID_MAX_BYTES = 63 };

static json_t *text(const char *value)
{
    return json_text(value, strlen(value));
}

static json_t *tier_to_json(const Coffer__V1__WorkloadTier *tier)
{
    static const Coffer__V1__Resources none = COFFER__V1__RESOURCES__INIT;
    const Coffer__V1__Resources *size = tier->resources ?: &none;

    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "tierId", text(tier->tier_id), "name",
                     text(tier->name), "cpus", (json_int_t)size->cpus, "gpus",
                     (json_int_t)size->gpus, "memoryMb", (json_int_t)size->memory_mib, "diskGb",
                     (json_int_t)size->disk_gib, "cost", usd_to_json(tier->usd_micros_per_minute));
}

static struct error *load_tiers(struct request *request, Coffer__V1__WorkloadTiers **ret_tiers,
                                uint64_t *ret_version)
{
    struct store_record record;
    void *message = NULL;
    struct error *err = store_get(request->gateway->store, KEY_TIERS, request->arena, &record);

    if (!err && record.version)
        err = error_recode(bus_unpack(&coffer__v1__workload_tiers__descriptor, record.value.data,
                                      record.value.len, request->arena, &message),
                           ERROR_INTERNAL);
    *ret_tiers = message;
    *ret_version = record.version;
    return err;
}

/* The page of those that match, cheapest first. */
static struct list_item *select_tiers(struct request *request, struct response *response,
                                      const struct list_query *query,
                                      const Coffer__V1__WorkloadTiers *all, size_t *ret_n)
{
    size_t max = all ? all->n_tiers : 0;
    struct list_item *items = arena_alloc(request->arena, (max + 1) * sizeof(*items));
    const char *name = list_query_text(query, "name");
    size_t n = 0;

    for (size_t i = 0; i < max; i++) {
        const Coffer__V1__WorkloadTier *tier = all->tiers[i];
        if (!name || strcmp(tier->name, name) == 0)
            items[n++] = (struct list_item){
                .key = list_key_of_number(request->arena, tier->usd_micros_per_minute),
                .id = tier->tier_id,
                .what = tier};
    }
    *ret_n = n;
    return list_page(request, response, query, list_by_key, items, ret_n);
}

/* Its ETag is the version of all tiers: what If-Match of an update takes. */
bool on_tiers_now(struct request *request, struct response *ret_response)
{
    return kept_answer_now(request, ret_response, KEY_TIERS);
}

struct error *on_tiers(struct request *request, struct response *ret_response)
{
    static const char *const arguments[] = {"name", NULL};
    const struct store_ticket ticket = store_cache_ticket(request->gateway->cache, KEY_TIERS);
    Coffer__V1__WorkloadTiers *all = NULL;
    struct list_query query;
    char tag[ETAG_SIZE];
    uint64_t version = 0;
    size_t n = 0;

    list_query_read(request, arguments, &query);
    struct error *err = list_query_result(&query);
    err = err ?: load_tiers(request, &all, &version);
    if (err)
        return err;
    const struct list_item *items = select_tiers(request, ret_response, &query, all, &n);
    etag_of_version(version, tag);
    if (etag_answer(request, ret_response, tag))
        return NULL;
    ret_response->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ret_response->json, tier_to_json(items[i].what));
    kept_answer_put(request, ret_response, KEY_TIERS, &ticket, version, tag);
    return NULL;
}

static char *new_id(const struct request *request)
{
    char id[UUID_TEXT_SIZE];

    idempotency_make_id(request, id);
    return arena_strdup(request->arena, id);
}

/* One of the ways to change a tier. */
struct way {
    const char *subject;
    bool with_id;   /* of a tier that there is */
    bool judges_it; /* by If-Match */
};

/* What the caller believes the tiers are: compared here to find which of his tags it is, and by the
 * scheduler when it changes them. NULL: whatever they are. */
static struct error *read_expected(struct request *request, const struct way *way,
                                   Coffer__V1__TiersExpectation **ret_expected)
{
    const char *header = http_header(request, MHD_HTTP_HEADER_IF_MATCH);
    Coffer__V1__WorkloadTiers *all;
    uint64_t version;

    *ret_expected = NULL;
    if (!way->judges_it || !header || strcmp(header, "*") == 0)
        return NULL;
    struct error *err = load_tiers(request, &all, &version);
    err = err ?: etag_check_version(request, version);
    if (err)
        return err;
    *ret_expected = arena_alloc(request->arena, sizeof(**ret_expected));
    coffer__v1__tiers_expectation__init(*ret_expected);
    (*ret_expected)->version = version;
    return NULL;
}

/* With an id: all of a tier; without: a new one. */
static struct error *read_tier(struct request *request, const json_t *body, bool with_id,
                               Coffer__V1__WorkloadTier *tier, Coffer__V1__Resources *size)
{
    struct form form;
    const json_t *gpus = json_object_get(body, "gpus");

    form_init(&form, request, body);
    tier->tier_id =
        with_id ? (char *)form_text(&form, "tierId", true, ID_MAX_BYTES) : new_id(request);
    tier->name = (char *)form_name(&form, "name", true, NAME_MAX_BYTES);
    size->cpus = (uint32_t)form_uint(&form, "cpus", 1, CPUS_MAX, 0);
    size->gpus = (uint32_t)form_uint(&form, "gpus", 0, GPUS_MAX, 0);
    size->memory_mib = form_uint(&form, "memoryMb", MEMORY_MIN_MIB, MEMORY_MAX_MIB, 0);
    size->disk_gib = form_uint(&form, "diskGb", DISK_MIN_GIB, DISK_MAX_GIB, 0);
    if (with_id && (!gpus || json_is_null(gpus))) /* all is given anew: nothing said is no wish */
        form_find(&form, "gpus", "'gpus' is missing", "give how many, or 0");
    tier->usd_micros_per_minute = form_usd(&form, "cost");
    tier->resources = size;
    return form_close(&form);
}

static struct error *ask(struct request *request, const char *subject,
                         const ProtobufCMessage *message, void **ret_reply)
{
    struct error *err =
        refusal_explain(request, scheduler_ask(request, subject, message, NULL, ret_reply));

    read_cache_forget(request->gateway, KEY_TIERS, "");
    return err;
}

static struct error *write_tier(struct request *request, const json_t *body, const struct way *way,
                                struct response *ret_response)
{
    Coffer__V1__WorkloadTier tier = COFFER__V1__WORKLOAD_TIER__INIT;
    Coffer__V1__Resources size = COFFER__V1__RESOURCES__INIT;
    void *written = NULL;
    struct error *err = read_tier(request, body, way->with_id, &tier, &size);

    err = err ?: read_expected(request, way, &tier.if_match);
    if (err)
        return err;
    if (way->with_id)
        audit_about(request, tier.tier_id);
    tier.request_id = (char *)idempotency_request_id(request);
    tier.audit = audit_hand_over(request, tier.tier_id);
    err = ask(request, way->subject, &tier.base, &written);
    if (err)
        return err;
    audit_handed_over(request, ((const Coffer__V1__WorkloadTier *)written)->audited);
    audit_about(request, ((const Coffer__V1__WorkloadTier *)written)->tier_id);
    ret_response->json = tier_to_json(written);
    return NULL;
}

struct error *on_tier_create(struct request *request, struct response *ret_response)
{
    static const struct way way = {"svc.scheduler.tier.create", false, false};
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct error *err = http_json(request, &body);

    return err ?: write_tier(request, body, &way, ret_response);
}

static struct error *try_update(struct request *request, const json_t *body,
                                struct response *ret_response)
{
    return write_tier(request, body, &(struct way){"svc.scheduler.tier.update", true, true},
                      ret_response);
}

/* The scheduler knows it again, and answers what there is. */
static struct error *repeat_update(struct request *request, const json_t *body,
                                   struct response *ret_response)
{
    return write_tier(request, body, &(struct way){"svc.scheduler.tier.update", true, false},
                      ret_response);
}

struct error *on_tier_update(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct error *err = http_json(request, &body);

    return err ?: change_once(request, body, try_update, repeat_update, ret_response);
}

static struct error *try_delete(struct request *request, const json_t *body,
                                struct response *ret_response)
{
    static const struct way way = {"svc.scheduler.tier.delete", true, true};
    Coffer__V1__WorkloadTierRequest message = COFFER__V1__WORKLOAD_TIER_REQUEST__INIT;
    void *done = NULL;
    struct error *err = form_object(request, body, "tierId", ID_MAX_BYTES, &message.tier_id);

    err = err ?: read_expected(request, &way, &message.if_match);
    if (err)
        return err;
    message.request_id = (char *)idempotency_request_id(request);
    message.audit = audit_hand_over(request, message.tier_id);
    err = ask(request, way.subject, &message.base, &done);
    if (err)
        return err;
    audit_handed_over(request, ((const Coffer__V1__Empty *)done)->audited);
    ret_response->json = json_object();
    return NULL;
}

static struct error *answer_deleted(struct request *request, const json_t *body,
                                    struct response *ret_response)
{
    audit_about(request, json_string_value(json_object_get(body, "tierId")) ?: "");
    ret_response->json = json_object();
    return NULL;
}

struct error *on_tier_delete(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct error *err = http_json(request, &body);

    return err ?: change_once(request, body, try_delete, answer_deleted, ret_response);
}
