/* Guest image versions that new workloads may name ("artifacts" in the existing system). */
#include "schemas/catalog.pb-c.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/kept_answer.h"
#include "services/api-gateway/list_page.h"
#include "services/api-gateway/read_cache.h"
#include "services/api-gateway/records.h"
#include "services/api-gateway/scheduler_call.h"
#include "services/api-gateway/semver.h"
#include "shared/store/keys.h"

enum { ARTIFACTS_MAX = 4096, VERSION_MAX = 64 };

static const struct refusal enable_refusals[] = {
    {ERROR_NOT_FOUND, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST"},
    {ERROR_OK, 0, NULL},
};

static json_t *artifact_to_json(const Coffer__V1__Artifact *artifact)
{
    char built[CLOCK_TEXT_SIZE];

    clock_format(artifact->built_at_ms, built);
    return json_pack("{s:o, s:s}", "version",
                     json_text(artifact->version, strlen(artifact->version)), "builtAt", built);
}

/* Semantic versions first, the highest first; then the others, the latest first. The key is when
 * it was built. */
static int compare(const struct list_item *a, const struct list_item *b)
{
    bool a_semver = semver_is_valid(a->id);
    bool b_semver = semver_is_valid(b->id);
    int order = a_semver && b_semver ? semver_compare(b->id, a->id) : b_semver - a_semver;

    return order ?: list_by_key_down(a, b);
}

static struct error *load_items(struct request *request, bool enabled, struct list_item **ret_items,
                                size_t *ret_n)
{
    void **artifacts;
    size_t n;
    struct error *err =
        records_load_all(request, KEY_ARTIFACTS, KEY_ARTIFACT, &coffer__v1__artifact__descriptor,
                         ARTIFACTS_MAX, &artifacts, &n);

    if (err)
        return err;
    *ret_items = arena_alloc(request->arena, (n + 1) * sizeof(**ret_items));
    for (size_t i = 0; i < n; i++) {
        const Coffer__V1__Artifact *artifact = artifacts[i];
        if (artifact->enabled == enabled)
            (*ret_items)[(*ret_n)++] = (struct list_item){
                .key = list_key_of_number(request->arena, (uint64_t)artifact->built_at_ms),
                .id = artifact->version,
                .what = artifact};
    }
    return NULL;
}

bool on_artifacts_now(struct request *request, struct response *ret_response)
{
    return kept_answer_now(request, ret_response, KEY_ARTIFACTS);
}

/* Only what can be used, unless the others are asked for. */
struct error *on_artifacts(struct request *request, struct response *ret_response)
{
    static const char *const arguments[] = {"enabled", NULL};
    const struct store_ticket ticket = store_cache_ticket(request->gateway->cache, KEY_ARTIFACTS);
    struct list_item *items = NULL;
    struct list_query query;
    bool enabled = true;
    size_t n = 0;

    list_query_read(request, arguments, &query);
    (void)list_query_bool(&query, "enabled", &enabled);
    struct error *err = list_query_result(&query);
    err = err ?: load_items(request, enabled, &items, &n);
    if (err)
        return err;
    items = list_page(request, ret_response, &query, compare, items, &n);
    ret_response->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ret_response->json, artifact_to_json(items[i].what));
    kept_answer_put(request, ret_response, KEY_ARTIFACTS, &ticket, 0, NULL);
    return NULL;
}

static struct error *check_semver(struct request *request, const char *version)
{
    if (!request->gateway->config->semver_only || semver_is_valid(version))
        return NULL;
    return http_refuse(request, 400, "ARTIFACT_VERSION_NOT_SEMVER",
                       error_new(ERROR_INVALID_ARGUMENT,
                                 "only semantic versions may be enabled here, such as 1.2.3"));
}

static struct error *ask(struct request *request, const char *subject, char *version,
                         const struct refusal *refusals, Coffer__V1__Artifact **ret_artifact)
{
    Coffer__V1__ArtifactRequest message = COFFER__V1__ARTIFACT_REQUEST__INIT;
    void *artifact = NULL;

    message.version = version;
    message.request_id = (char *)idempotency_request_id(request);
    message.audit = audit_hand_over(request, version);
    struct error *err = scheduler_ask(request, subject, &message.base, refusals, &artifact);
    read_cache_forget(request->gateway, KEY_ARTIFACTS, "");
    if (err)
        return err;
    *ret_artifact = artifact;
    audit_handed_over(request, (*ret_artifact)->audited);
    return NULL;
}

struct error *on_artifact_enable(struct request *request, struct response *ret_response)
{
    Coffer__V1__Artifact *artifact;
    char *version = NULL;
    struct error *err = form_read_object(request, "version", VERSION_MAX, &version);

    err = err ?: check_semver(request, version);
    err = err ?: ask(request, "svc.scheduler.artifact.enable", version, enable_refusals, &artifact);
    if (!err)
        ret_response->json = artifact_to_json(artifact);
    return err;
}

struct error *on_artifact_disable(struct request *request, struct response *ret_response)
{
    Coffer__V1__Artifact *artifact;
    char *version = NULL;
    struct error *err = form_read_object(request, "version", VERSION_MAX, &version);

    err = err ?: ask(request, "svc.scheduler.artifact.disable", version, NULL, &artifact);
    if (!err)
        ret_response->json = json_object();
    return err;
}
