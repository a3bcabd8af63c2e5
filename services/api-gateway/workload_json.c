/* Records and events as JSON, in the shape of the existing system and with what ours adds. */
#include "services/api-gateway/money.h"
#include "services/api-gateway/rendered.h"
#include "services/api-gateway/workloads.h"

static const char *const status_names[] = {
    [COFFER__V1__WORKLOAD_STATUS__WORKLOAD_STATUS_UNSPECIFIED] = "unknown",
    [COFFER__V1__WORKLOAD_STATUS__SCHEDULED] = "scheduled",
    [COFFER__V1__WORKLOAD_STATUS__WAITING] = "waiting",
    [COFFER__V1__WORKLOAD_STATUS__STARTING] = "starting",
    [COFFER__V1__WORKLOAD_STATUS__AWAITING_CERT] = "awaitingCert",
    [COFFER__V1__WORKLOAD_STATUS__RUNNING] = "running",
    [COFFER__V1__WORKLOAD_STATUS__DEGRADED] = "degraded",
    [COFFER__V1__WORKLOAD_STATUS__ERROR] = "error",
    [COFFER__V1__WORKLOAD_STATUS__STOPPING] = "stopping",
    [COFFER__V1__WORKLOAD_STATUS__STOPPED] = "stopped",
    [COFFER__V1__WORKLOAD_STATUS__DELETING] = "deleting",
    [COFFER__V1__WORKLOAD_STATUS__DELETED] = "deleted",
};

const char *workload_status_name(Coffer__V1__WorkloadStatus status)
{
    return (size_t)status < ELEMENTSOF(status_names) ? status_names[status] : "unknown";
}

static json_t *text(const char *value)
{
    return json_text(value, strlen(value));
}

static void set_time(json_t *json, const char *name, int64_t at_ms)
{
    char formatted[CLOCK_TEXT_SIZE];

    if (!at_ms)
        return;
    clock_format(at_ms, formatted);
    json_object_set_new(json, name, json_string(formatted));
}

static void set_hex(json_t *json, const char *name, const ProtobufCBinaryData *data)
{
    char hex[2 * 64 + 1];

    if (!data->len || data->len > 64)
        return;
    hex_encode(data->data, data->len, hex);
    json_object_set_new(json, name, json_string(hex));
}

static void set_resources(json_t *json, const Coffer__V1__Resources *resources)
{
    if (!resources)
        return;
    json_object_set_new(json, "memory", json_integer((json_int_t)resources->memory_mib));
    json_object_set_new(json, "cpus", json_integer(resources->cpus));
    json_object_set_new(json, "disk", json_integer((json_int_t)resources->disk_gib));
    json_object_set_new(json, "gpus", json_integer(resources->gpus));
}

static void set_stages(json_t *json, const Coffer__V1__Workload *workload)
{
    json_t *stages = json_array();

    for (size_t i = 0; i < workload->n_stages; i++) {
        const Coffer__V1__StageTime *stage = workload->stages[i];
        json_t *item = json_object();
        json_object_set_new(item, "stage", text(stage->stage));
        set_time(item, "at", stage->at_ms);
        json_object_set_new(item, "durationMs", json_integer(stage->duration_ms));
        json_array_append_new(stages, item);
    }
    json_object_set_new(json, "stages", stages);
}

/* Where DNS for its domain points: the host's public address. Clients of the existing system, where
 * a workload is always on a host, count on metalInstanceDomain. */
static void set_host(json_t *json, const Coffer__V1__Workload *workload, const char *address)
{
    json_object_set_new(json, "metalInstanceDomain", text(address));
    if (!*workload->host_id)
        return;
    json_object_set_new(json, "hostId", text(workload->host_id));
    json_object_set_new(json, "metalInstanceId", text(workload->host_id));
    if (*address)
        json_object_set_new(json, "ingressAddress", text(address));
}

static void set_state(json_t *json, const Coffer__V1__Workload *workload)
{
    json_object_set_new(json, "status", json_string(workload_status_name(workload->status)));
    json_object_set_new(json, "statusReason", text(workload->status_reason));
    json_object_set_new(json, "statusCode", text(workload->status_code));
    json_object_set_new(json, "bootNumber", json_integer((json_int_t)workload->boot_number));
    json_object_set_new(json, "generation", json_integer((json_int_t)workload->generation));
    json_object_set_new(json, "restarts", json_integer(workload->restarts));
    json_t *down = json_array();
    for (size_t i = 0; i < workload->n_containers_down; i++)
        json_array_append_new(down, text(workload->containers_down[i]));
    json_object_set_new(json, "containersDown", down);
    set_stages(json, workload);
}

json_t *workload_to_json_at(const Coffer__V1__Workload *workload, const char *address)
{
    json_t *json = json_object();

    json_object_set_new(json, "workloadId", text(workload->workload_id));
    json_object_set_new(json, "accountId", text(workload->account_id));
    json_object_set_new(json, "name", text(workload->name));
    json_object_set_new(json, "domain", text(workload->domain));
    json_object_set_new(json, "artifactsVersion", text(workload->image_version));
    json_object_set_new(json, "publicContainerName", text(workload->public_service));
    json_object_set_new(json, "publicContainerPort", json_integer(workload->public_port));
    set_resources(json, workload->resources);
    json_object_set_new(json, "usdCostPerMin", usd_to_json(workload->usd_micros_per_minute));
    set_hex(json, "manifestHash", &workload->manifest_sha256);
    set_hex(json, "measurement", &workload->measurement);
    json_object_set_new(json, "evidenceKind", text(workload->evidence_kind));
    set_state(json, workload);
    set_host(json, workload, address);
    set_time(json, "createdAt", workload->created_at_ms);
    set_time(json, "updatedAt", workload->updated_at_ms);
    set_time(json, "nextAttemptAt", workload->next_attempt_at_ms);
    return json;
}

json_t *workload_to_json(struct request *request, const Coffer__V1__Workload *workload)
{
    char address[ADDRESS_SIZE] = "";

    if (*workload->host_id) /* an address is a help, not a must */
        error_free(host_address_recent(request->gateway, workload->host_id, address));
    return workload_to_json_at(workload, address);
}

void workload_json_add_manifest(json_t *json, const struct manifest *manifest)
{
    json_t *env = json_array();
    json_t *files = json_array();
    json_t *secret_files = json_array();
    json_t *registries = json_array();

    for (size_t i = 0; i < manifest->n_env; i++)
        json_array_append_new(env, text(manifest->env[i]));
    for (size_t i = 0; i < manifest->n_files; i++)
        json_array_append_new(files, text(manifest->files[i].name));
    for (size_t i = 0; i < manifest->n_secret_files; i++)
        json_array_append_new(secret_files, text(manifest->secret_files[i].name));
    for (size_t i = 0; i < manifest->n_registries; i++)
        json_array_append_new(registries, text(manifest->registries[i]));
    json_object_set_new(json, "envVarNames", env);
    json_object_set_new(json, "fileNames", files);
    json_object_set_new(json, "secretFileNames", secret_files);
    json_object_set_new(json, "dockerRegistries", registries);
}

static void set_if(json_t *json, const char *name, const char *value)
{
    if (*value)
        json_object_set_new(json, name, text(value));
}

static json_t *details_to_json(const Coffer__V1__WorkloadEvent *event)
{
    json_t *json = json_object();

    json_object_set_new(json, "kind", text(event->kind));
    set_if(json, "stage", event->stage);
    set_if(json, "code", event->code);
    set_if(json, strcmp(event->kind, "error") == 0 ? "error" : "message", event->message);
    if (event->duration_ms)
        json_object_set_new(json, "durationMs", json_integer(event->duration_ms));
    json_object_set_new(json, "status", json_string(workload_status_name(event->status)));
    set_if(json, "hostId", event->host_id);
    set_if(json, "source", event->source);
    json_object_set_new(json, "generation", json_integer((json_int_t)event->generation));
    json_object_set_new(json, "bootNumber", json_integer((json_int_t)event->boot_number));
    set_hex(json, "measurement", &event->measurement);
    set_hex(json, "manifestHash", &event->manifest_sha256);
    return json;
}

json_t *event_to_json(const Coffer__V1__WorkloadEvent *event)
{
    json_t *json = json_object();
    char id[256];

    snprintf(id, sizeof(id), "%.200s.%llu", event->workload_id,
             (unsigned long long)event->sequence);
    json_object_set_new(json, "eventId", text(id));
    json_object_set_new(json, "workloadId", text(event->workload_id));
    json_object_set_new(json, "sequence", json_integer((json_int_t)event->sequence));
    set_time(json, "timestamp", event->at_ms);
    json_object_set_new(json, "details", details_to_json(event));
    return json;
}
