#include "cli/verify_devices.h"

_Static_assert(POLICY_GPUS_MAX == GPU_DEVICES_MAX, "a policy can ask for all of them");

static const char why[] = "a device could be something else than it says";

static void add(struct verify_result *result, enum verdict verdict, const char *expected,
                const char *actual)
{
    verify_step_add(result, "devices", verdict, expected, actual, why);
}

/* As with key and freshness: report_data in words stands for what it commits to. */
static void check_bare(bool is_given, struct verify_result *result)
{
    if (is_given)
        add(result, VERDICT_PASS, "any, as report_data is given in words",
            "a bare report shows none");
    else
        add(result, VERDICT_UNKNOWN, "devices that the report commits to",
            "a bare report says nothing of devices");
}

static void check_none(const struct verify_reference *reference, bool wanted,
                       struct verify_result *result)
{
    if (wanted)
        add(result, VERDICT_UNKNOWN, "devices that the report commits to", "none are shown");
    else
        add(result, VERDICT_PASS,
            reference->any_gpus ? "any: how many is not given (--gpus)" : "no devices", "none");
}

/* Good devices beside a report that is not would prove nothing of this guest. */
static void check_bound(const struct verify_answer *answer, const struct verify_binding *binding,
                        struct verify_result *result)
{
    static const char expected[] = "devices that a verified report commits to";
    struct arena *arena = result->arena;
    size_t n = answer->n_devices;

    if (!binding->is_bound)
        add(result, VERDICT_UNKNOWN, expected,
            arena_printf(arena, "%zu, which nothing binds to this guest", n));
    else if (verify_result_verdict(result) != VERDICT_PASS)
        add(result, VERDICT_UNKNOWN, expected,
            arena_printf(arena, "%zu, bound by a report that is not verified: nothing is proven",
                         n));
    else
        add(result, VERDICT_PASS, expected, arena_printf(arena, "%zu", n));
}

static struct error *judge(const struct verify_reference *reference,
                           const struct verify_answer *answer, const struct verify_binding *binding,
                           struct verify_result *result)
{
    bool asked = binding->nonce_root != NULL;
    uint8_t nonces[GPU_DEVICES_MAX][SPDM_NONCE_SIZE];
    struct gpu_policy policy = {
        .roots = &reference->gpu_roots,
        .nonces = asked ? (const uint8_t(*)[SPDM_NONCE_SIZE])nonces : NULL,
        .any_number = reference->any_gpus,
        .n_gpus = reference->n_gpus,
        .at_ms = reference->policy.at_ms,
        .accept_expired_rims = reference->policy.gpus.accept_expired_rims,
        .accept_no_fwid = reference->policy.gpus.accept_unnamed_firmware,
        .accept_no_revocation = reference->policy.gpus.accept_unknown_revocation,
    };

    gpu_policy_use(&policy, &reference->rims);
    for (size_t i = 0; asked && i < answer->n_devices; i++)
        gpu_nonce(binding->nonce_root, binding->spki_sha256, (uint32_t)i, nonces[i]);
    return verify_gpus(&policy, answer->devices, answer->n_devices, result);
}

struct error *verify_devices(const struct verify_reference *reference,
                             const struct verify_answer *answer,
                             const struct verify_binding *binding, struct verify_result *result)
{
    bool wanted = !reference->any_gpus && reference->n_gpus > 0;

    if (answer->bare) {
        check_bare(binding->is_given, result);
        return NULL;
    }
    if (answer->n_devices == 0)
        check_none(reference, wanted, result);
    else
        check_bound(answer, binding, result);
    if (answer->n_devices == 0 && !wanted)
        return NULL;
    return judge(reference, answer, binding, result);
}
