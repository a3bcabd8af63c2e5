/* Workloads: read from the store, changed by asking the scheduler. */
#include "services/api-gateway/allowance.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/if_match.h"
#include "services/api-gateway/rendered_list.h"
#include "services/api-gateway/workload_ask.h"
#include "services/api-gateway/workload_wait.h"
#include "services/api-gateway/workloads.h"
#include "shared/store/keys.h"

enum { WORKLOAD_ID_MAX = 63, REASON_MAX = 256 };

static const char *index_of(struct request *request)
{
    return arena_printf(request->arena, "%s%s", KEY_WORKLOADS_OF, request->account);
}

static void unref_all(struct store_cached *const *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_cached_unref(values[i]);
}

/* What the event loop puts together; larger ones would hold up everybody else. */
enum { LIST_NOW_MAX = 256 };

bool on_list_now(struct request *request, struct response *ret_response)
{
    struct list_query query;
    const char **ids;
    size_t n = 0;
    size_t found = 0;

    workload_list_read(request, &query);
    bool wrong = request->findings->n > 0;
    if (wrong)
        request->findings = NULL; /* on_list() finds them again */
    if (wrong ||
        !read_cache_members_now(request->gateway, index_of(request), request->arena, &ids, &n) ||
        n > LIST_NOW_MAX)
        return false;
    struct store_cached **values =
        arena_alloc(request->arena, (n + 1) * sizeof(struct store_cached *));
    while (found < n && (values[found] = rendered_now(request->gateway, ids[found], false)))
        found++;
    if (found == n)
        workload_list_answer(request, ret_response, &query, values, n);
    unref_all(values, found);
    return found == n;
}

struct error *on_list(struct request *request, struct response *ret_response)
{
    struct list_query query;
    const char **ids;
    size_t n = 0;
    size_t found = 0;

    workload_list_read(request, &query);
    struct error *err = list_query_result(&query);
    err = err
              ?: read_cache_members(request->gateway, index_of(request), WORKLOADS_MAX,
                                    request->arena, &ids, &n);
    if (err)
        return err;
    struct store_cached **values =
        arena_alloc(request->arena, (n + 1) * sizeof(struct store_cached *));
    err = rendered_load_many(request, ids, n, values, &found);
    if (!err)
        workload_list_answer(request, ret_response, &query, values, found);
    unref_all(values, found);
    return err;
}

static void answer_one(struct request *request, struct response *response,
                       const struct rendered *rendered)
{
    if (etag_answer(request, response, rendered->etag))
        return;
    buffer_add(&response->body, rendered_json(rendered), rendered->json_size);
    response->content_type = "application/json";
}

bool on_get_now(struct request *request, struct response *ret_response)
{
    if (http_query(request, "wait"))
        return false;
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        rendered_now(request->gateway, request->parameter, true);
    if (!value ||
        strcmp(rendered_text(rendered_of(value), RENDERED_ACCOUNT), request->account) != 0)
        return false;
    answer_one(request, ret_response, rendered_of(value));
    return true;
}

struct error *on_get(struct request *request, struct response *ret_response)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value = NULL;
    int wait_s = 0;
    struct error *err = wait_of_query(request, &wait_s);

    err = err ?: workload_wait(request, request->parameter, wait_s, &value);
    if (!err)
        answer_one(request, ret_response, rendered_of(value));
    return err;
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
    etag_answer_body(request, ret_response);
    return NULL;
}

struct events_query {
    const char *id;
    uint64_t after; /* a sequence; later ones are told */
    size_t limit;   /* 0: all that are kept */
    int wait_s;
    json_t *events;
    bool more;
};

/* 0 when it is not given. */
static uint64_t optional_uint(struct form *form, const char *name, uint64_t max)
{
    return form_value(form, name) ? form_uint(form, name, 1, max, 0) : 0;
}

static struct error *read_events_query(struct request *request, const json_t *body,
                                       struct events_query *query)
{
    struct form form;

    form_init(&form, request, body);
    form_text(&form, "workloadId", true, WORKLOAD_ID_MAX);
    query->after = form_uint(&form, "afterSequence", 0, INT64_MAX, 0);
    query->limit = (size_t)optional_uint(&form, "limit", EVENTS_MAX);
    query->wait_s = (int)optional_uint(&form, "wait", WAIT_MAX_S);
    form_finish(&form);
    return form_result(&form);
}

static struct error *add_event(struct request *request, const ProtobufCBinaryData *item,
                               struct events_query *query)
{
    void *place = NULL;
    struct error *err = bus_unpack(&coffer__v1__workload_event__descriptor, item->data, item->len,
                                   request->arena, &place);

    if (err)
        return error_recode(err, ERROR_INTERNAL);
    const Coffer__V1__WorkloadEvent *event = place;
    if (event->sequence <= query->after)
        return NULL;
    if (query->limit && json_array_size(query->events) == query->limit)
        query->more = true;
    else
        json_array_append_new(query->events, event_to_json(event));
    return NULL;
}

static struct error *load_events(struct request *request, void *state, bool *ret_done)
{
    struct events_query *query = state;
    ProtobufCBinaryData *items;
    size_t n;
    struct error *err = store_list_range(
        request->gateway->store, arena_printf(request->arena, "%s%s", KEY_EVENTS_OF, query->id),
        EVENTS_MAX, request->arena, &items, &n);

    json_array_clear(query->events);
    query->more = false;
    for (size_t i = n; !err && i > 0 && !query->more;
         i--) /* kept newest first, told oldest first */
        err = add_event(request, &items[i - 1], query);
    *ret_done = json_array_size(query->events) > 0;
    return err;
}

struct error *on_events_list(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct events_query query = {0};
    Coffer__V1__Workload *workload;
    struct error *err = http_json(request, &body);

    err = err ?: workload_of_body(request, body, &workload);
    err = err ?: read_events_query(request, body, &query);
    if (err)
        return err;
    query.id = workload->workload_id;
    query.events = json_array();
    ret_response->json = json_pack("{s:o}", "events", query.events);
    err = wait_until(request, query.id, query.wait_s, load_events, &query);
    if (!err && query.more) {
        const json_t *last = json_array_get(query.events, query.limit - 1);
        json_object_set(ret_response->json, "nextAfterSequence", json_object_get(last, "sequence"));
    }
    return err;
}

static struct error *read_wish(struct request *request, const json_t *body, const char **ret_reason)
{
    struct form form;

    form_init(&form, request, body);
    form_text(&form, "workloadId", true, WORKLOAD_ID_MAX);
    *ret_reason = form_text(&form, "reason", false, REASON_MAX);
    form_finish(&form);
    return form_result(&form);
}

/* The scheduler checks the account again: it is the one that decides. */
static struct error *ask(struct request *request, const json_t *body, const char *subject,
                         bool uses_more, struct response *ret_response)
{
    Coffer__V1__WorkloadRequest message = COFFER__V1__WORKLOAD_REQUEST__INIT;
    Coffer__V1__Workload *workload;
    const char *reason = NULL;
    struct error *err = workload_of_body(request, body, &workload);

    err = err ?: read_wish(request, body, &reason);
    if (err)
        return err;
    message.workload_id = workload->workload_id;
    message.account_id = request->account;
    message.reason = arena_strdup(request->arena, reason);
    message.request_id = (char *)idempotency_request_id(request);
    message.audit = audit_hand_over(request, workload->workload_id);
    err = if_match_read(request, workload, &message.if_match);
    if (!err && uses_more)
        err = allowance_load(request, &message.allowance);
    err = err ?: workload_ask(request, subject, &message.base, NULL, &workload);
    if (!err)
        ret_response->json = workload_to_json(request, workload);
    return err;
}

static struct error *try_delete(struct request *request, const json_t *body,
                                struct response *ret_response)
{
    return ask(request, body, "svc.scheduler.workload.delete", false, ret_response);
}

static struct error *try_start(struct request *request, const json_t *body,
                               struct response *ret_response)
{
    return ask(request, body, "svc.scheduler.workload.start", true, ret_response);
}

static struct error *try_stop(struct request *request, const json_t *body,
                              struct response *ret_response)
{
    return ask(request, body, "svc.scheduler.workload.stop", false, ret_response);
}

static struct error *change(struct request *request, change_step attempt,
                            struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct error *err = http_json(request, &body);

    return err ?: change_once(request, body, attempt, workload_answer, ret_response);
}

struct error *on_delete(struct request *request, struct response *ret_response)
{
    return change(request, try_delete, ret_response);
}

struct error *on_start(struct request *request, struct response *ret_response)
{
    return change(request, try_start, ret_response);
}

struct error *on_stop(struct request *request, struct response *ret_response)
{
    return change(request, try_stop, ret_response);
}
