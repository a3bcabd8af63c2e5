#include "services/scheduler/appraisal_gpus.h"

#include "shared/nvidia/gpu_references.h"

const char *appraisal_gpus_problem(const Coffer__V1__Workload *workload,
                                   const Coffer__V1__Evidence *evidence)
{
    if (evidence->n_devices > GPU_DEVICES_MAX)
        return "evidence of more than 16 devices";
    for (size_t i = 0; i < evidence->n_devices; i++)
        if (evidence->devices[i].len > GPU_EVIDENCE_SIZE_MAX)
            return "evidence of a device is longer than 64 KiB";
    if (workload->resources->gpus && !evidence->n_devices)
        return "the workload has GPUs, and the guest shows none";
    if (!workload->resources->gpus && evidence->n_devices)
        return "the guest shows devices, and the workload has none";
    return NULL;
}

/* The bytes as received; at most GPU_DEVICES_MAX. */
static void list_devices(const Coffer__V1__Evidence *evidence,
                         struct binding_bytes ret_devices[GPU_DEVICES_MAX])
{
    for (size_t i = 0; i < evidence->n_devices; i++)
        ret_devices[i] =
            (struct binding_bytes){evidence->devices[i].data, evidence->devices[i].len};
}

const uint8_t *appraisal_gpus_hash(const Coffer__V1__Evidence *evidence, uint8_t room[32])
{
    struct binding_bytes devices[GPU_DEVICES_MAX];

    list_devices(evidence, devices);
    return binding_devices(devices, evidence->n_devices, room);
}

/* Read anew for each boot with GPUs: OCSP responses last for days, and the folder is renewed. What
 * an operator has to put right is no verdict about the guest. */
static struct error *load_references(const struct scheduler_config *config, struct arena *arena,
                                     struct gpu_references *references)
{
    if (!config->gpu_rims[0])
        return NULL;
    struct error *err = gpu_references_load(config->gpu_rims, arena, references);
    return error_wrap(error_recode(err, ERROR_UNAVAILABLE), "reference values of GPUs");
}

/* Roots of a development folder count for guests of the software TEE only. */
static const struct gpu_roots *roots_for(const struct scheduler *scheduler,
                                         const Coffer__V1__Evidence *evidence)
{
    bool development = scheduler->development_roots && strcmp(evidence->provider, "software") == 0;

    return development ? &scheduler->gpu_development_roots : &gpu_roots_nvidia;
}

struct error *appraisal_gpus(const struct scheduler *scheduler,
                             const Coffer__V1__Workload *workload,
                             const Coffer__V1__AttestRequest *request, struct arena *arena,
                             struct verify_result *result)
{
    const Coffer__V1__Evidence *evidence = request->evidence;
    struct gpu_references *references = arena_alloc(arena, sizeof(*references));
    struct binding_bytes devices[GPU_DEVICES_MAX];
    uint8_t nonces[GPU_DEVICES_MAX][SPDM_NONCE_SIZE], key_hash[32];
    struct gpu_policy policy = {
        .roots = roots_for(scheduler, evidence),
        .nonces = (const uint8_t(*)[SPDM_NONCE_SIZE])nonces,
        .n_gpus = workload->resources->gpus,
        .at_ms = clock_wall_ms(scheduler->clock),
        .accept_expired_rims = !scheduler->config->gpu_require_current_rims,
        .accept_no_revocation = !scheduler->config->gpu_require_ocsp,
    };

    if (!workload->resources->gpus)
        return NULL;
    struct error *err = load_references(scheduler->config, arena, references);
    if (err)
        return err;
    gpu_policy_use(&policy, references);
    binding_guest_keys(request->box_public.data, request->sign_public.data, key_hash);
    for (size_t i = 0; i < evidence->n_devices; i++)
        gpu_nonce(request->nonce.data, key_hash, (uint32_t)i, nonces[i]);
    list_devices(evidence, devices);
    return verify_gpus(&policy, devices, evidence->n_devices, result);
}

struct error *appraisal_gpus_check(const struct scheduler_config *config)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct gpu_references *references = arena_alloc(arena, sizeof(*references));

    if (!config->gpu_rims[0])
        return NULL;
    return error_wrap(gpu_references_load(config->gpu_rims, arena, references),
                      "SCHEDULER_GPU_RIMS");
}
