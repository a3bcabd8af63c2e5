/* Workload tiers: the sizes that can be had, and what they cost. */
#include "schemas/catalog.pb-c.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/create_input.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/money.h"
#include "services/api-gateway/records.h"
#include "services/api-gateway/scheduler_call.h"
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

static int compare_cost(const void *left, const void *right)
{
    const Coffer__V1__WorkloadTier *a = *(Coffer__V1__WorkloadTier *const *)left;
    const Coffer__V1__WorkloadTier *b = *(Coffer__V1__WorkloadTier *const *)right;
    int order = (a->usd_micros_per_minute > b->usd_micros_per_minute) -
                (a->usd_micros_per_minute < b->usd_micros_per_minute);

    return order ?: strcmp(a->tier_id, b->tier_id);
}

struct error *on_tiers(struct request *request, struct response *ret_response)
{
    void *record = NULL;
    struct error *err =
        record_load(request, KEY_TIERS, "", &coffer__v1__workload_tiers__descriptor, &record);

    if (err)
        return err;
    ret_response->json = json_array();
    const Coffer__V1__WorkloadTiers *all = record;
    if (all && all->n_tiers)
        qsort(all->tiers, all->n_tiers, sizeof(*all->tiers), compare_cost);
    for (size_t i = 0; all && i < all->n_tiers; i++)
        json_array_append_new(ret_response->json, tier_to_json(all->tiers[i]));
    return NULL;
}

static char *new_id(const struct request *request)
{
    char id[UUID_TEXT_SIZE];

    idempotency_make_id(request, id);
    return arena_strdup(request->arena, id);
}

/* With an id: all of a tier; without: a new one. */
static struct error *read_tier(struct request *request, bool with_id,
                               Coffer__V1__WorkloadTier *tier, Coffer__V1__Resources *size)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct form form;
    struct error *err = http_json(request, &body);

    if (err)
        return err;
    form_init(&form, request, body);
    tier->tier_id =
        with_id ? (char *)form_text(&form, "tierId", true, ID_MAX_BYTES) : new_id(request);
    tier->name = (char *)form_text(&form, "name", true, NAME_MAX_BYTES);
    size->cpus = (uint32_t)form_uint(&form, "cpus", 1, CPUS_MAX, 0);
    size->gpus = (uint32_t)form_uint(&form, "gpus", 0, GPUS_MAX, 0);
    size->memory_mib = form_uint(&form, "memoryMb", MEMORY_MIN_MIB, MEMORY_MAX_MIB, 0);
    size->disk_gib = form_uint(&form, "diskGb", DISK_MIN_GIB, DISK_MAX_GIB, 0);
    tier->usd_micros_per_minute = form_usd(&form, "cost");
    tier->resources = size;
    form_finish(&form);
    return form_result(&form);
}

static struct error *write_tier(struct request *request, bool with_id, const char *subject,
                                struct response *ret_response)
{
    Coffer__V1__WorkloadTier tier = COFFER__V1__WORKLOAD_TIER__INIT;
    Coffer__V1__Resources size = COFFER__V1__RESOURCES__INIT;
    void *written = NULL;
    struct error *err = read_tier(request, with_id, &tier, &size);

    if (!err && with_id)
        audit_about(request, tier.tier_id);
    err = err ?: scheduler_ask(request, subject, &tier.base, NULL, &written);
    if (err)
        return err;
    audit_about(request, ((const Coffer__V1__WorkloadTier *)written)->tier_id);
    ret_response->json = tier_to_json(written);
    return NULL;
}

struct error *on_tier_create(struct request *request, struct response *ret_response)
{
    return write_tier(request, false, "svc.scheduler.tier.create", ret_response);
}

struct error *on_tier_update(struct request *request, struct response *ret_response)
{
    return write_tier(request, true, "svc.scheduler.tier.update", ret_response);
}

struct error *on_tier_delete(struct request *request, struct response *ret_response)
{
    Coffer__V1__WorkloadTierRequest message = COFFER__V1__WORKLOAD_TIER_REQUEST__INIT;
    struct error *err = form_read_object(request, "tierId", ID_MAX_BYTES, &message.tier_id);

    err = err ?: scheduler_ask(request, "svc.scheduler.tier.delete", &message.base, NULL, NULL);
    if (!err)
        ret_response->json = json_object();
    return err;
}
