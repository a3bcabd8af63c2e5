#include "services/scheduler/release.h"

#include <inttypes.h>
#include <openssl/rand.h>

#include "services/scheduler/appraisal.h"
#include "services/scheduler/bundle.h"
#include "shared/base/log.h"

struct challenge {
    const char *host_id;
    uint64_t generation;
    uint8_t nonce[NONCE_SIZE];
};

static struct error *check_place(struct scheduler *scheduler, const char *host_id,
                                 const char *workload_id, const Coffer__V1__Workload *workload)
{
    if (workload && workload->host_id[0] && strcmp(workload->host_id, host_id) == 0)
        return NULL;
    scheduler_count(scheduler, COUNTER_FORGED_CLAIM, workload_id,
                    "a boot on a host that does not have the workload");
    return error_new(ERROR_PERMISSION_DENIED, "workload '%s' is not on host '%s'", workload_id,
                     host_id);
}

static void put_boot(struct update *update, const struct challenge *challenge)
{
    Coffer__V1__BootRecord boot = COFFER__V1__BOOT_RECORD__INIT;
    const Coffer__V1__Workload *workload = update->workload;

    boot.generation = workload->generation;
    boot.boot_number = workload->boot_number;
    boot.nonce = arena_bytes(update->arena, challenge->nonce, NONCE_SIZE);
    boot.issued_at_ms = clock_wall_ms(update->scheduler->clock);
    change_put(&update->change, KEY_BOOT, workload->workload_id, UINT64_MAX, &boot.base, 0);
}

/* A new boot: the keys of the one before speak for nothing any more. */
static void begin_boot(Coffer__V1__Workload *workload)
{
    if (workload->guest_sign_public.len)
        workload->n_stages = 0;
    workload->boot_number++;
    workload->guest_sign_public = (ProtobufCBinaryData){0};
    workload->guest_box_public = (ProtobufCBinaryData){0};
    workload->stage_counter = 0;
    workload->health_counter = 0;
}

static struct error *challenge_update(struct update *update, void *data)
{
    const struct challenge *challenge = data;
    Coffer__V1__Workload *workload = update->workload;
    struct error *err = NULL;

    if (!workload || strcmp(workload->host_id, challenge->host_id) != 0)
        return error_new(ERROR_ABORTED, "the workload has moved");
    if (workload->generation != challenge->generation)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "generation %" PRIu64 " is over, the workload has %" PRIu64,
                         challenge->generation, workload->generation);
    /* Its host was silent for a while: the guest asks again when that has been sorted out. */
    if (workload->status == COFFER__V1__WORKLOAD_STATUS__WAITING)
        return error_new(ERROR_UNAVAILABLE, "the workload waits: %s", workload->status_reason);
    begin_boot(workload);
    if (!workload->launched_at_ms)
        workload->launched_at_ms = clock_wall_ms(update->scheduler->clock);
    if (workload->status != COFFER__V1__WORKLOAD_STATUS__STARTING)
        err = workload_move(update, TRIGGER_CHALLENGE, SOURCE_GUEST, NULL);
    if (!err)
        put_boot(update, challenge);
    return err;
}

struct error *release_challenge(struct scheduler *scheduler, const char *host_id,
                                const char *workload_id,
                                const Coffer__V1__ChallengeRequest *request, struct arena *arena,
                                Coffer__V1__ChallengeReply *reply)
{
    struct challenge challenge = {.host_id = host_id, .generation = request->generation};
    Coffer__V1__Workload *workload;
    uint64_t version;
    struct error *err = record_load(scheduler, KEY_WORKLOAD, workload_id,
                                    &coffer__v1__workload__descriptor, arena, &workload, &version);

    err = err ?: check_place(scheduler, host_id, workload_id, workload);
    if (err)
        return err;
    if (RAND_bytes(challenge.nonce, sizeof(challenge.nonce)) != 1)
        return error_openssl("make a nonce");
    err = workload_update(scheduler, workload_id, challenge_update, &challenge, arena, &workload);
    if (err)
        return err;
    reply->boot_number = workload->boot_number;
    reply->nonce = arena_bytes(arena, challenge.nonce, NONCE_SIZE);
    return NULL;
}

/* One attempt at a release. */
struct attempt {
    struct scheduler *scheduler;
    struct arena *arena;
    const char *workload_id;
    const Coffer__V1__AttestRequest *request;
    Coffer__V1__Workload *workload;
    Coffer__V1__BootRecord *boot;
    uint64_t boot_version;
    const char *code;
    const char *message;
    struct appraisal appraisal;
};

static struct error *refusal(const struct attempt *attempt, enum error_code code)
{
    scheduler_count(attempt->scheduler, COUNTER_REFUSED_RELEASE, attempt->workload_id,
                    attempt->message);
    return error_new(code, "%s: %s", attempt->code, attempt->message);
}

/* Told once per boot: whoever repeats old requests cannot fill the event stream. */
static struct error *warn_update(struct update *update, void *data)
{
    struct attempt *attempt = data;
    Coffer__V1__BootRecord *boot;
    uint64_t version;
    struct error *err =
        record_load(update->scheduler, KEY_BOOT, attempt->workload_id,
                    &coffer__v1__boot_record__descriptor, update->arena, &boot, &version);

    update->skip = err || !update->workload || !boot || boot->warned;
    if (update->skip)
        return err;
    boot->warned = true;
    change_put(&update->change, KEY_BOOT, attempt->workload_id, version, &boot->base, 0);
    change_workload_event(&update->change, update->workload, "warning", SOURCE_SCHEDULER,
                          &(struct event_detail){.code = attempt->code,
                                                 .message = attempt->message,
                                                 .stage = "attest"});
    return NULL;
}

/* An old or repeated request: refused, the boot that is going on is not touched. ABORTED tells an
 * honest guest that was too slow to begin again with a new challenge. */
static struct error *refuse_warning(struct attempt *attempt, enum error_code result,
                                    const char *code, const char *message)
{
    attempt->code = code;
    attempt->message = message;
    struct error *err = workload_update(attempt->scheduler, attempt->workload_id, warn_update,
                                        attempt, attempt->arena, NULL);
    return err ?: refusal(attempt, result);
}

static struct error *error_update(struct update *update, void *data)
{
    const struct attempt *attempt = data;
    Coffer__V1__Workload *workload = update->workload;
    const struct event_detail detail = {
        .code = attempt->code, .message = attempt->message, .stage = "attest"};

    update->skip = !workload || workload->boot_number != attempt->request->boot_number ||
                   workload->status != COFFER__V1__WORKLOAD_STATUS__STARTING;
    if (update->skip)
        return NULL;
    workload->next_attempt_at_ms = 0;
    change_delete(&update->change, KEY_BOOT, workload->workload_id, UINT64_MAX);
    return workload_move(update, TRIGGER_RELEASE_REFUSED, SOURCE_SCHEDULER, &detail);
}

/* Evidence of the current boot that does not hold: this boot ends in error, and its record with it,
 * so that better evidence of the same boot has nothing to answer to. */
static struct error *refuse_error(struct attempt *attempt)
{
    attempt->code = attempt->appraisal.code;
    attempt->message = attempt->appraisal.message;
    struct error *err = workload_update(attempt->scheduler, attempt->workload_id, error_update,
                                        attempt, attempt->arena, NULL);
    return err ?: refusal(attempt, ERROR_PERMISSION_DENIED);
}

static struct error *load(struct attempt *attempt, const char *host_id)
{
    struct scheduler *scheduler = attempt->scheduler;
    const Coffer__V1__AttestRequest *request = attempt->request;
    uint64_t version;
    struct error *err = record_load(scheduler, KEY_WORKLOAD, attempt->workload_id,
                                    &coffer__v1__workload__descriptor, attempt->arena,
                                    &attempt->workload, &version);

    err = err ?: check_place(scheduler, host_id, attempt->workload_id, attempt->workload);
    if (!err && (request->nonce.len != NONCE_SIZE || request->box_public.len != SEAL_KEY_SIZE ||
                 request->sign_public.len != SIGN_KEY_SIZE))
        err = error_new(ERROR_INVALID_ARGUMENT, "nonce and keys must be 32 bytes each");
    return err
               ?: record_load(scheduler, KEY_BOOT, attempt->workload_id,
                              &coffer__v1__boot_record__descriptor, attempt->arena, &attempt->boot,
                              &attempt->boot_version);
}

static bool boot_is_current(const struct attempt *attempt)
{
    const Coffer__V1__BootRecord *boot = attempt->boot;

    return boot && boot->boot_number == attempt->request->boot_number &&
           boot->boot_number == attempt->workload->boot_number &&
           boot->generation == attempt->workload->generation;
}

static bool same_keys(const struct attempt *attempt)
{
    return bytes_equal(attempt->boot->box_public, attempt->request->box_public) &&
           bytes_equal(attempt->boot->sign_public, attempt->request->sign_public);
}

static bool is_live(const Coffer__V1__Workload *workload)
{
    return workload->status == COFFER__V1__WORKLOAD_STATUS__STARTING ||
           workload->status == COFFER__V1__WORKLOAD_STATUS__AWAITING_CERT ||
           workload->status == COFFER__V1__WORKLOAD_STATUS__RUNNING ||
           workload->status == COFFER__V1__WORKLOAD_STATUS__DEGRADED;
}

/* A boot gets its secrets while it starts; who lost the answer may ask for it as long as it lives.
 * The deadline counts also where no pass has noticed yet that it is over. */
static struct error *check_status(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                                  bool repeated)
{
    int64_t deadline_ms = workload->deadline_at_ms;
    bool starts = workload->status == COFFER__V1__WORKLOAD_STATUS__STARTING &&
                  (!deadline_ms || clock_wall_ms(scheduler->clock) < deadline_ms);

    if (workload->status == COFFER__V1__WORKLOAD_STATUS__WAITING) /* as for a challenge */
        return error_new(ERROR_UNAVAILABLE, "the workload waits: %s", workload->status_reason);
    if (repeated ? is_live(workload) : starts)
        return NULL;
    scheduler_count(scheduler, COUNTER_REFUSED_RELEASE, workload->workload_id,
                    "an attestation of a boot that is over");
    return error_new(ERROR_FAILED_PRECONDITION, "nothing is released any more, the workload is %s",
                     status_name((enum status)workload->status));
}

/* The fence: number, nonce, who has had the bundle of this boot, and whether it still boots. */
static struct error *check_fence(struct attempt *attempt)
{
    bool repeated = attempt->boot && attempt->boot->box_public.len;

    if (!boot_is_current(attempt))
        return refuse_warning(attempt, ERROR_ABORTED, "boot_number_stale",
                              "an attestation of a boot that is not the current one");
    if (!bytes_equal(attempt->boot->nonce, attempt->request->nonce))
        return refuse_warning(attempt, ERROR_PERMISSION_DENIED, "nonce_wrong",
                              "an attestation with a nonce that was not given to this boot");
    if (repeated && !same_keys(attempt))
        return refuse_warning(attempt, ERROR_PERMISSION_DENIED, "nonce_used",
                              "a second attestation of this boot with other guest keys");
    struct error *err = check_status(attempt->scheduler, attempt->workload, repeated);
    if (err || repeated)
        return err;
    if (clock_wall_ms(attempt->scheduler->clock) - attempt->boot->issued_at_ms > NONCE_LIFE_MS)
        return refuse_warning(attempt, ERROR_ABORTED, "nonce_expired",
                              "the nonce is older than 60 s");
    return NULL;
}

/* Record and boot change together; whoever raised the boot number meanwhile wins. */
static struct error *release_update(struct update *update, void *data)
{
    struct attempt *attempt = data;
    Coffer__V1__Workload *workload = update->workload;
    const Coffer__V1__AttestRequest *request = attempt->request;
    const struct appraisal *appraisal = &attempt->appraisal;

    if (!workload || workload->boot_number != request->boot_number ||
        workload->generation != attempt->boot->generation)
        return error_new(ERROR_FAILED_PRECONDITION, "another boot has begun meanwhile");
    struct error *err = check_status(update->scheduler, workload, false);
    if (err)
        return err;
    attempt->boot->box_public = request->box_public;
    attempt->boot->sign_public = request->sign_public;
    change_put(&update->change, KEY_BOOT, attempt->workload_id, attempt->boot_version,
               &attempt->boot->base, 0);
    workload->guest_box_public = request->box_public;
    workload->guest_sign_public = request->sign_public;
    workload->measurement =
        arena_bytes(update->arena, appraisal->measurement, sizeof(appraisal->measurement));
    workload->evidence_kind = arena_strdup(update->arena, appraisal->evidence_kind);
    workload->image_root = arena_strdup(update->arena, appraisal->root_hash);
    change_workload_event(&update->change, workload, "stage", SOURCE_SCHEDULER,
                          &(struct event_detail){
                              .stage = "verified",
                              .message = workload->evidence_kind,
                              .measurement = workload->measurement,
                              .manifest_sha256 = workload->manifest_sha256,
                          });
    return NULL;
}

struct error *release_attest(struct scheduler *scheduler, const char *host_id,
                             const char *workload_id, const Coffer__V1__AttestRequest *request,
                             struct arena *arena, Coffer__V1__AttestReply *reply)
{
    struct attempt attempt = {
        .scheduler = scheduler, .arena = arena, .workload_id = workload_id, .request = request};
    struct error *err = load(&attempt, host_id);

    err = err ?: check_fence(&attempt);
    err = err ?: appraise(scheduler, attempt.workload, request, arena, &attempt.appraisal);
    if (err)
        return err;
    bool repeated = attempt.boot->box_public.len != 0;
    if (attempt.appraisal.code[0])
        return refuse_error(&attempt);
    if (!repeated)
        err = workload_update(scheduler, workload_id, release_update, &attempt, arena, NULL);
    if (err)
        return err;
    log_info("secrets released", "workload", workload_id, "host", host_id, "evidence",
             attempt.appraisal.evidence_kind);
    return bundle_make(scheduler, attempt.workload, request, arena, reply);
}
