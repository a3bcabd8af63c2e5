#include "services/scheduler/claim.h"

#include <inttypes.h>

#include "shared/base/encode.h"

struct error *claim_check_place(struct update *update, const struct claim *claim)
{
    const Coffer__V1__Workload *workload = update->workload;

    if (workload && strcmp(workload->host_id, claim->host_id) == 0)
        return NULL;
    /* After a delete the last claims of its VM still arrive: late, not forged. */
    bool late = workload && workload->status == COFFER__V1__WORKLOAD_STATUS__DELETED;
    scheduler_count(update->scheduler, late ? COUNTER_STALE_CLAIM : COUNTER_FORGED_CLAIM,
                    claim->message->subject, "the workload is not on this host");
    return error_new(ERROR_PERMISSION_DENIED, "workload '%s' is not on host '%s'",
                     claim->workload_id, claim->host_id);
}

static struct error *forged(struct update *update, const struct claim *claim, const char *detail)
{
    scheduler_count(update->scheduler, COUNTER_FORGED_CLAIM, claim->message->subject, detail);
    return error_new(ERROR_PERMISSION_DENIED, "claim on '%s': %s", claim->message->subject, detail);
}

static struct error *verify(const Coffer__V1__Workload *workload, const struct bus_message *message)
{
    _cleanup_free_ uint8_t *signature = NULL;
    _cleanup_buffer_ struct buffer bytes = {0};
    size_t size;
    struct error *err = base64_decode_new(message->signature, SIGN_SIZE, &signature, &size);

    if (!err && size != SIGN_SIZE)
        err = error_new(ERROR_PERMISSION_DENIED, "signature is too short");
    if (err)
        return err;
    bus_signed_bytes(message->subject, message->counter, message->data, message->size, &bytes);
    return sign_verify(workload->guest_sign_public.data, bytes.data, bytes.size, signature);
}

struct error *claim_check_signature(struct update *update, const struct claim *claim,
                                    uint64_t *counter, bool *ret_signed)
{
    const Coffer__V1__Workload *workload = update->workload;
    const struct bus_message *message = claim->message;

    *ret_signed = workload->guest_sign_public.len == SIGN_KEY_SIZE;
    if (!*ret_signed)
        return NULL;
    if (!message->signature)
        return forged(update, claim, "unsigned, although the guest has attested");
    struct error *err = verify(workload, message);
    if (err) {
        error_free(err);
        return forged(update, claim, "not signed by the attested guest");
    }
    if (message->counter <= *counter) {
        scheduler_count(update->scheduler, COUNTER_STALE_CLAIM, message->subject,
                        "counter does not rise");
        return error_new(ERROR_ALREADY_EXISTS, "counter %" PRIu64 " was seen already",
                         message->counter);
    }
    *counter = message->counter;
    return NULL;
}
