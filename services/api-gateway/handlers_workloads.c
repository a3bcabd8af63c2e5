/* Workloads: read from the store, changed by asking the scheduler. */
#include "services/api-gateway/allowance.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/if_match.h"
#include "services/api-gateway/workload_ask.h"
#include "services/api-gateway/workloads.h"
#include "shared/store/keys.h"

enum { BATCH = 256 };

static struct error *add_batch(struct request *request, const char *const *keys, size_t n,
                               json_t *list)
{
    struct store_record *records = arena_alloc(request->arena, (n + 1) * sizeof(*records));
    struct error *err = store_get_many(request->gateway->store, keys, n, request->arena, records);

    for (size_t i = 0; !err && i < n; i++) {
        void *message = NULL;
        if (!records[i].version)
            continue; /* deleted between the two reads */
        err = bus_unpack(&coffer__v1__workload__descriptor, records[i].value.data,
                         records[i].value.len, request->arena, &message);
        const Coffer__V1__Workload *workload = message;
        if (workload && workload->status != COFFER__V1__WORKLOAD_STATUS__DELETED &&
            strcmp(workload->account_id, request->account) == 0)
            json_array_append_new(list, workload_to_json(request, workload));
    }
    return error_recode(error_wrap(err, "list"),
                        err && error_get_code(err) == ERROR_INVALID_ARGUMENT ? ERROR_INTERNAL
                                                                             : error_get_code(err));
}

struct error *on_list(struct request *request, struct response *ret_response)
{
    const char **ids;
    size_t n;
    struct error *err =
        store_members(request->gateway->store,
                      arena_printf(request->arena, "%s%s", KEY_WORKLOADS_OF, request->account),
                      WORKLOADS_MAX, request->arena, &ids, &n);

    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        ids[i] = arena_printf(request->arena, "%s%s", KEY_WORKLOAD, ids[i]);
    ret_response->json = json_array();
    for (size_t i = 0; !err && i < n; i += BATCH)
        err = add_batch(request, ids + i, n - i < BATCH ? n - i : BATCH, ret_response->json);
    return err;
}

static struct error *add_manifest(struct request *request, const char *id, json_t *json)
{
    Coffer__V1__WorkloadInput *input;
    struct manifest *manifest;
    struct error *err = workload_load_input(request, id, &input);

    if (error_get_code(err) == ERROR_NOT_FOUND) { /* a tombstone has none */
        error_free(err);
        return NULL;
    }
    err =
        err ?: manifest_parse(input->manifest.data, input->manifest.len, request->arena, &manifest);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    workload_json_add_manifest(json, manifest);
    json_object_set_new(json, "dockerCompose", json_text(input->compose.data, input->compose.len));
    return NULL;
}

struct error *on_get(struct request *request, struct response *ret_response)
{
    Coffer__V1__Workload *workload;
    struct error *err = workload_load(request, request->parameter, &workload);

    if (err)
        return err;
    ret_response->json = workload_to_json(request, workload);
    return add_manifest(request, workload->workload_id, ret_response->json);
}

/* The exact bytes: their SHA-256 is what the hardware reports. */
struct error *on_manifest(struct request *request, struct response *ret_response)
{
    Coffer__V1__WorkloadInput *input;
    Coffer__V1__Workload *workload;
    struct error *err = workload_load(request, request->parameter, &workload);

    err = err ?: workload_load_input(request, workload->workload_id, &input);
    if (err)
        return err;
    buffer_add(&ret_response->body, input->manifest.data, input->manifest.len);
    ret_response->content_type = "application/json";
    return NULL;
}

static struct error *load_events(struct request *request, const char *id, json_t *list)
{
    ProtobufCBinaryData *items;
    size_t n;
    struct error *err = store_list_range(request->gateway->store,
                                         arena_printf(request->arena, "%s%s", KEY_EVENTS_OF, id),
                                         EVENTS_MAX, request->arena, &items, &n);

    for (size_t i = n; !err && i > 0; i--) { /* kept newest first, told oldest first */
        void *event = NULL;
        err = bus_unpack(&coffer__v1__workload_event__descriptor, items[i - 1].data,
                         items[i - 1].len, request->arena, &event);
        if (!err)
            json_array_append_new(list, event_to_json(event));
        else
            err = error_recode(err, ERROR_INTERNAL);
    }
    return err;
}

struct error *on_events_list(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    Coffer__V1__Workload *workload;
    struct error *err = http_json(request, &body);

    err = err ?: workload_of_body(request, body, &workload);
    if (err)
        return err;
    json_t *events = json_array();
    ret_response->json = json_pack("{s:o}", "events", events);
    return load_events(request, workload->workload_id, events);
}

/* The scheduler checks the account again: it is the one that decides. */
static struct error *ask(struct request *request, const char *verb, bool uses_more,
                         struct response *ret_response)
{
    Coffer__V1__WorkloadRequest message = COFFER__V1__WORKLOAD_REQUEST__INIT;
    _cleanup_(json_decrefp) json_t *body = NULL;
    Coffer__V1__Workload *workload;
    struct error *err = http_json(request, &body);

    err = err ?: workload_of_body(request, body, &workload);
    if (err)
        return err;
    const char *reason = json_string_value(json_object_get(body, "reason"));
    if (reason && strlen(reason) > 256)
        return error_new(ERROR_INVALID_ARGUMENT, "'reason' is longer than 256 bytes");
    message.workload_id = workload->workload_id;
    message.account_id = request->account;
    message.reason = arena_strdup(request->arena, reason);
    err = if_match_read(request, workload, &message.if_match);
    if (!err && uses_more)
        err = allowance_load(request, &message.allowance);
    err = err
              ?: workload_ask(request,
                              arena_printf(request->arena, "svc.scheduler.workload.%s", verb),
                              &message.base, NULL, &workload);
    if (!err)
        ret_response->json = workload_to_json(request, workload);
    return err;
}

struct error *on_delete(struct request *request, struct response *ret_response)
{
    return ask(request, "delete", false, ret_response);
}

struct error *on_start(struct request *request, struct response *ret_response)
{
    return ask(request, "start", true, ret_response);
}

struct error *on_stop(struct request *request, struct response *ret_response)
{
    return ask(request, "stop", false, ret_response);
}
