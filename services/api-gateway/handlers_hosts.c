/* Hosts ("metal instances" in the existing system), for operators. */
#include "schemas/host.pb-c.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/list_page.h"
#include "services/api-gateway/records.h"
#include "services/api-gateway/scheduler_call.h"
#include "shared/store/keys.h"

enum { HOSTS_MAX = 4096, ON_HOST_MAX = 65536, ID_MAX_BYTES = 63, CHIP_ID_MAX = 64 };

static const struct refusal delete_refusals[] = {
    {ERROR_FAILED_PRECONDITION, 412, "METAL_INSTANCE_MANAGING_WORKLOADS"},
    {ERROR_ABORTED, 412, "METAL_INSTANCE_ALIVE"},
    {ERROR_OK, 0, NULL},
};

static const char *state_name(Coffer__V1__HostStatus status)
{
    static const char *const names[] = {
        [COFFER__V1__HOST_STATUS__HOST_STATUS_UNSPECIFIED] = "unknown",
        [COFFER__V1__HOST_STATUS__JOINING] = "joining",
        [COFFER__V1__HOST_STATUS__READY] = "ready",
        [COFFER__V1__HOST_STATUS__SUSPECT] = "suspect",
        [COFFER__V1__HOST_STATUS__LOST] = "lost",
    };

    return (size_t)status < ELEMENTSOF(names) ? names[status] : "unknown";
}

static void set_text(json_t *json, const char *name, const char *value)
{
    json_object_set_new(json, name, json_text(value, strlen(value)));
}

static void set_time(json_t *json, const char *name, int64_t at_ms)
{
    char formatted[CLOCK_TEXT_SIZE];

    clock_format(at_ms, formatted);
    json_object_set_new(json, name, json_string(formatted));
}

static void set_sum(json_t *json, const char *name, uint64_t reserved, uint64_t total,
                    uint64_t used)
{
    json_object_set_new(json, name,
                        json_pack("{s:I, s:I, s:I}", "reserved", (json_int_t)reserved, "total",
                                  (json_int_t)total, "used", (json_int_t)used));
}

/* reserved: kept for the host itself; used: by workloads. */
static void set_resources(json_t *json, const Coffer__V1__Host *host)
{
    static const Coffer__V1__Resources none = COFFER__V1__RESOURCES__INIT;
    const Coffer__V1__HostHeartbeat *heartbeat = host->heartbeat;
    const Coffer__V1__Resources *total = heartbeat && heartbeat->total ? heartbeat->total : &none;
    const Coffer__V1__Resources *kept =
        heartbeat && heartbeat->reserved ? heartbeat->reserved : &none;
    const Coffer__V1__Resources *used = host->used ?: &none;

    set_sum(json, "memoryMb", kept->memory_mib, total->memory_mib, used->memory_mib);
    set_sum(json, "cpus", kept->cpus, total->cpus, used->cpus);
    set_sum(json, "diskSpaceGb", kept->disk_gib, total->disk_gib, used->disk_gib);
    json_object_set_new(json, "gpus", json_integer(total->gpus));
    json_object_set_new(json, "gpusUsed", json_integer(used->gpus));
}

static json_t *images_to_json(const Coffer__V1__HostHeartbeat *heartbeat)
{
    json_t *images = json_array();

    for (size_t i = 0; i < heartbeat->n_images; i++) {
        const Coffer__V1__ImageState *image = heartbeat->images[i];
        json_t *item = json_object();
        set_text(item, "version", image->version);
        json_object_set_new(item, "ready", json_boolean(image->ready));
        set_text(item, "reason", image->reason);
        json_array_append_new(images, item);
    }
    return images;
}

/* What its agent says of itself. There is no token in it: hosts have keys on the bus instead. */
static void set_agent(json_t *json, const Coffer__V1__HostHeartbeat *heartbeat)
{
    char chip[2 * CHIP_ID_MAX + 1] = "";

    if (heartbeat->chip_id.len <= CHIP_ID_MAX)
        hex_encode(heartbeat->chip_id.data, heartbeat->chip_id.len, chip);
    set_text(json, "agentVersion", heartbeat->agent_version);
    set_text(json, "publicIp", heartbeat->public_address);
    set_text(json, "domain", heartbeat->public_address);
    set_text(json, "tee", heartbeat->tee);
    set_text(json, "chipId", chip);
    set_text(json, "cpuModel", heartbeat->cpu_model);
    set_text(json, "hypervisor", heartbeat->hypervisor);
    json_object_set_new(json, "vms", json_integer((json_int_t)heartbeat->n_vms));
    json_object_set_new(json, "images", images_to_json(heartbeat));
}

static json_t *host_to_json(const Coffer__V1__Host *host)
{
    static const Coffer__V1__HostHeartbeat silent = COFFER__V1__HOST_HEARTBEAT__INIT;
    json_t *json = json_object();

    set_text(json, "metalInstanceId", host->host_id);
    set_text(json, "hostname", host->host_id);
    set_text(json, "state", state_name(host->status));
    json_object_set_new(json, "eligible", json_boolean(host->eligible));
    set_resources(json, host);
    set_agent(json, host->heartbeat ?: &silent);
    set_time(json, "createdAt", host->first_seen_at_ms);
    set_time(json, "updatedAt", host->last_seen_at_ms);
    set_time(json, "lastSeenAt", host->last_seen_at_ms);
    return json;
}

static void check_state(struct list_query *query, const char *state)
{
    for (int i = 0; state && i <= COFFER__V1__HOST_STATUS__LOST; i++)
        if (strcmp(state_name((Coffer__V1__HostStatus)i), state) == 0)
            return;
    if (state)
        list_query_find(query, "state", "there is no such state",
                        "write joining, ready, suspect or lost");
}

struct error *on_hosts(struct request *request, struct response *ret_response)
{
    static const char *const arguments[] = {"state", NULL};
    struct list_query query;
    void **hosts;
    size_t n = 0;
    size_t found = 0;

    list_query_read(request, arguments, &query);
    const char *state = list_query_text(&query, "state");
    check_state(&query, state);
    struct error *err = list_query_result(&query);
    err = err
              ?: records_load_all(request, KEY_HOSTS, KEY_HOST, &coffer__v1__host__descriptor,
                                  HOSTS_MAX, &hosts, &n);
    if (err)
        return err;
    struct list_item *items = arena_alloc(request->arena, (n + 1) * sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        const Coffer__V1__Host *host = hosts[i];
        if (!state || strcmp(state_name(host->status), state) == 0)
            items[found++] = (struct list_item){.key = "", .id = host->host_id, .what = host};
    }
    items = list_page(request, ret_response, &query, list_by_key, items, &found);
    ret_response->json = json_array();
    for (size_t i = 0; i < found; i++)
        json_array_append_new(ret_response->json, host_to_json(items[i].what));
    return NULL;
}

/* With the ids of its workloads. */
struct error *on_host(struct request *request, struct response *ret_response)
{
    const char *id = request->parameter;
    void *host = NULL;
    const char **ids;
    size_t n;
    struct error *err =
        name_is_valid(id) ? record_load(request, KEY_HOST, id, &coffer__v1__host__descriptor, &host)
                          : NULL;

    if (!err && !host)
        err = error_new(ERROR_NOT_FOUND, "no such host");
    err = err
              ?: store_members(request->gateway->store,
                               arena_printf(request->arena, "%s%s", KEY_WORKLOADS_ON, id),
                               ON_HOST_MAX, request->arena, &ids, &n);
    if (err)
        return err;
    ret_response->json = host_to_json(host);
    json_t *workloads = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(workloads, json_string(ids[i]));
    json_object_set_new(ret_response->json, "workloads", workloads);
    return NULL;
}

struct error *on_host_delete(struct request *request, struct response *ret_response)
{
    Coffer__V1__HostRequest message = COFFER__V1__HOST_REQUEST__INIT;
    void *done = NULL;
    struct error *err =
        form_read_object(request, "metalInstanceId", ID_MAX_BYTES, &message.host_id);

    if (err)
        return err;
    message.request_id = (char *)idempotency_request_id(request);
    message.audit = audit_hand_over(request, message.host_id);
    err =
        scheduler_ask(request, "svc.scheduler.host.delete", &message.base, delete_refusals, &done);
    if (err)
        return err;
    audit_handed_over(request, ((const Coffer__V1__Empty *)done)->audited);
    ret_response->json = json_object();
    return NULL;
}
