/* Restart: a new boot of the same workload, with its secrets or with new ones. */
#include "services/api-gateway/allowance.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/if_match.h"
#include "services/api-gateway/secrets.h"
#include "services/api-gateway/workload_ask.h"
#include "services/api-gateway/workloads.h"

static bool is_in(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void compare_names(struct form *form, const char *field, const char *const *given,
                          size_t n_given, const char *const *wanted, size_t n_wanted)
{
    struct arena *arena = form->request->arena;

    for (size_t i = 0; i < n_given; i++)
        if (!is_in(wanted, n_wanted, given[i]))
            form_find(form, field,
                      arena_printf(arena, "'%.80s' is not in the workload's manifest", given[i]),
                      "a restart keeps the manifest: use workloads/update for another one");
    for (size_t i = 0; i < n_wanted; i++)
        if (!is_in(given, n_given, wanted[i]))
            form_find(form, field, arena_printf(arena, "'%.80s' is missing", wanted[i]),
                      "new secrets replace the stored ones as a whole: give all of them");
}

static bool file_matches(const struct manifest *manifest, const struct secret_file *file)
{
    for (size_t i = 0; i < manifest->n_secret_files; i++)
        if (strcmp(manifest->secret_files[i].name, file->path) == 0)
            return memcmp(manifest->secret_files[i].sha256, file->commitment, 32) == 0;
    return false;
}

/* What the manifest names must be given again, and nothing else: its hash stays. */
static struct error *compare_with_manifest(struct form *form, const char *workload_id,
                                           const struct secrets *secrets)
{
    struct request *request = form->request;
    Coffer__V1__WorkloadInput *input;
    struct manifest *manifest;
    struct error *err = workload_load_input(request, workload_id, &input);

    if (err)
        return err;
    err = manifest_parse(input->manifest.data, input->manifest.len, request->arena, &manifest);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    compare_names(form, "envVars", secrets->env_names, secrets->n_env, manifest->env,
                  manifest->n_env);
    compare_names(form, "dockerCredentials", secrets->servers, secrets->n_registries,
                  manifest->registries, manifest->n_registries);
    if (secrets->n_files != manifest->n_secret_files)
        form_find(form, "secretFiles", "not the files of the workload's manifest",
                  "give every secret file again, with its salt");
    for (size_t i = 0; i < secrets->n_files; i++)
        if (!file_matches(manifest, &secrets->files[i]))
            form_find(form, "secretFiles", "a file is not the manifest's",
                      "give the same content and salt as at the create");
    return NULL;
}

static struct error *send_restart(struct request *request, const Coffer__V1__Workload *workload,
                                  const struct secrets *secrets, const char *reason,
                                  Coffer__V1__Workload **ret_workload)
{
    Coffer__V1__RestartWorkloadRequest message = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    struct error *err = if_match_read(request, workload, &message.if_match);

    err = err ?: allowance_load(request, &message.allowance);
    if (!err && secrets->given && !message.if_match) /* they match this manifest, not another */
        message.if_match = expectation_of(workload, request->arena);
    if (!err && secrets->given)
        err = secrets_seal(request->gateway, secrets, workload->workload_id, request->arena,
                           &message.sealed_secrets);
    if (err)
        return err;
    message.workload_id = workload->workload_id;
    message.account_id = request->account;
    message.reason = arena_strdup(request->arena, reason);
    message.request_id = (char *)idempotency_request_id(request);
    message.audit = audit_hand_over(request, workload->workload_id);
    return workload_ask(request, "svc.scheduler.workload.restart", &message.base, NULL,
                        ret_workload);
}

static struct error *try_restart(struct request *request, const json_t *body,
                                 struct response *ret_response)
{
    Coffer__V1__Workload *workload;
    struct secrets secrets;
    struct form form;
    struct error *err = workload_of_body(request, body, &workload);

    if (err)
        return err;
    form_init(&form, request, body);
    form_text(&form, "workloadId", true, 63);
    const char *reason = form_text(&form, "reason", false, 256);
    secrets_read(&form, "envVars", &secrets);
    form_finish(&form);
    if (secrets.given)
        err = compare_with_manifest(&form, workload->workload_id, &secrets);
    err = err ?: form_result(&form);
    err = err ?: send_restart(request, workload, &secrets, reason, &workload);
    if (!err)
        ret_response->json = workload_to_json(request, workload);
    return err;
}

static struct error *restart(struct request *request, const json_t *body,
                             struct response *ret_response)
{
    return if_match_repeat(request, body, try_restart, ret_response);
}

struct error *on_restart(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct error *err = http_json(request, &body);

    return err ?: change_once(request, body, restart, workload_answer, ret_response);
}
