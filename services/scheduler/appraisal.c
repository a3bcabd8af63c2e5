#include "services/scheduler/appraisal.h"

#include "services/scheduler/appraisal_gpus.h"
#include "services/scheduler/revocation.h"
#include "shared/attestation/binding.h"
#include "shared/attestation/tee.h"

enum { MEASUREMENTS_MAX = 256, GUEST_VMPL = 0 };

static void refuse(struct appraisal *appraisal, struct arena *arena, const char *check,
                   const char *message)
{
    snprintf(appraisal->code, sizeof(appraisal->code), "attest_%s", check);
    appraisal->message = arena_strdup(arena, message);
}

/* The software TEE counts only where this platform was told so by name. */
static const struct trust_roots *roots_for(const struct scheduler *scheduler,
                                           const Coffer__V1__Evidence *evidence)
{
    return strcmp(evidence->provider, "software") == 0 ? scheduler->development_roots
                                                       : scheduler->roots;
}

static void expected_report_data(const Coffer__V1__Workload *workload,
                                 const Coffer__V1__AttestRequest *request,
                                 uint8_t ret_report_data[BINDING_SIZE])
{
    uint8_t devices_hash[32];

    binding_boot(
        &(struct binding_boot){
            .workload_id = workload->workload_id,
            .boot_number = request->boot_number,
            .box_public = request->box_public.data,
            .sign_public = request->sign_public.data,
            .nonce = request->nonce.data,
            .manifest_sha256 = workload->manifest_sha256.data,
            .devices_hash = appraisal_gpus_hash(request->evidence, devices_hash),
        },
        ret_report_data);
}

static void take_verdict(struct appraisal *appraisal, const struct verify_result *result,
                         struct arena *arena)
{
    const struct verify_step *problem = verify_result_first_problem(result);

    appraisal->evidence_kind = result->development ? "sev-snp (software, development)" : "sev-snp";
    if (verify_result_verdict(result) == VERDICT_PASS && !problem)
        return;
    const char *id = problem ? problem->id : "incomplete";
    refuse(appraisal, arena, id,
           problem ? arena_printf(arena, "check '%s' failed: expected %.512s, found %.512s (%s)",
                                  id, problem->expected, problem->actual, problem->why)
                   : "the evidence was not checked completely");
}

static struct error *verify(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                            const Coffer__V1__AttestRequest *request, const uint8_t *chip_id,
                            const struct image *image, struct arena *arena,
                            struct appraisal *appraisal)
{
    const Coffer__V1__Evidence *evidence = request->evidence;
    uint8_t(*digests)[LAUNCH_DIGEST_SIZE] = arena_alloc(arena, MEASUREMENTS_MAX * sizeof(*digests));
    uint8_t report_data[BINDING_SIZE];
    struct verify_result result;

    expected_report_data(workload, request, report_data);
    const struct verify_policy policy = {
        .roots = roots_for(scheduler, evidence),
        .report_data = report_data,
        .host_data = workload->manifest_sha256.data,
        .measurements = (const uint8_t(*)[48])digests,
        .n_measurements =
            image_measurements_for(image, workload->resources->cpus, "", digests, MEASUREMENTS_MAX),
        .chip_ids = (const uint8_t(*)[CHIP_ID_SIZE])chip_id,
        .n_chip_ids = 1,
        .crl = scheduler->config->require_crl ? POLICY_CRL_REQUIRED : POLICY_CRL_SOFT,
        .vmpl = GUEST_VMPL,
        .at_ms = clock_wall_ms(scheduler->clock),
    };
    if (!policy.roots) {
        refuse(appraisal, arena, "software_tee", "a software TEE is not allowed on this platform");
        return NULL;
    }
    verify_result_init(&result);
    struct error *err =
        verify_snp(&policy, evidence->report.data, evidence->report.len,
                   evidence->certificates.data, evidence->certificates.len, &result);
    /* GPUs prove nothing beside a report that is not good: then nobody reads what they say. */
    if (!err && verify_result_verdict(&result) == VERDICT_PASS)
        err = appraisal_gpus(scheduler, workload, request, arena, &result);
    if (!err)
        take_verdict(appraisal, &result, arena);
    verify_result_done(&result);
    return err;
}

/* Also of evidence that is refused: what its list says is remembered. */
static struct error *check_remembered(struct scheduler *scheduler,
                                      const Coffer__V1__Evidence *evidence, struct arena *arena,
                                      struct appraisal *appraisal)
{
    const char *problem = NULL;
    struct error *err =
        revocation_check(scheduler, roots_for(scheduler, evidence), evidence, arena, &problem);

    if (!err && problem && !appraisal->code[0])
        refuse(appraisal, arena, "revocation", problem);
    return err;
}

static bool check_parts(const Coffer__V1__Workload *workload,
                        const Coffer__V1__AttestRequest *request, struct arena *arena,
                        struct appraisal *appraisal)
{
    const Coffer__V1__Evidence *evidence = request->evidence;
    const char *problem = evidence ? appraisal_gpus_problem(workload, evidence) : NULL;

    if (problem)
        refuse(appraisal, arena, "devices", problem);
    else if (!evidence || strcmp(evidence->tee, "sev-snp") != 0 ||
             evidence->certificates.len > TEE_CERTIFICATES_MAX)
        refuse(appraisal, arena, "format", "the evidence is not that of an SEV-SNP guest");
    else if (workload->manifest_sha256.len != SHA256_SIZE)
        refuse(appraisal, arena, "host_data", "there is no manifest on record");
    else
        return true;
    return false;
}

struct error *appraise(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                       const Coffer__V1__AttestRequest *request, struct arena *arena,
                       struct appraisal *ret_appraisal)
{
    uint8_t chip_id[CHIP_ID_SIZE];
    struct snp_report report;
    struct image *image;

    *ret_appraisal = (struct appraisal){.evidence_kind = ""};
    if (!check_parts(workload, request, arena, ret_appraisal))
        return NULL;
    if (!authority_find_chip(&scheduler->authority, workload->host_id, chip_id)) {
        refuse(ret_appraisal, arena, "chip", "its host is not enrolled");
        return NULL;
    }
    struct error *err = images_find(scheduler->images, workload->image_version, arena, &image);
    err = err ?: verify(scheduler, workload, request, chip_id, image, arena, ret_appraisal);
    err = err ?: check_remembered(scheduler, request->evidence, arena, ret_appraisal);
    if (err || ret_appraisal->code[0])
        return err;
    err = snp_report_parse(request->evidence->report.data, request->evidence->report.len, &report);
    if (err)
        return err;
    memcpy(ret_appraisal->measurement, report.measurement, sizeof(report.measurement));
    ret_appraisal->root_hash = image->root_hash;
    return NULL;
}
