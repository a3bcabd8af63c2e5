#include "services/api-gateway/guest_call.h"

#include "shared/bus/subject.h"

/* Counters of two copies of the gateway, or of two threads, may overtake each other on the way. */
enum { ORDER_TRIES = 4 };

struct error *guest_verify(const struct bus_message *message, const ProtobufCBinaryData *public_key,
                           struct arena *arena)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    uint8_t *signature = NULL;
    size_t size = 0;

    if (public_key->len != SIGN_KEY_SIZE)
        return error_new(ERROR_PERMISSION_DENIED, "the guest has no attested key");
    if (!message->signature || !message->counter)
        return error_new(ERROR_PERMISSION_DENIED, "not signed");
    struct error *err = base64_decode_new(message->signature, SIGN_SIZE, &signature, &size);
    if (err)
        return error_recode(err, ERROR_PERMISSION_DENIED);
    uint8_t *copy = arena_memdup(arena, signature, size);
    free(signature);
    if (size != SIGN_SIZE)
        return error_new(ERROR_PERMISSION_DENIED, "malformed signature");
    bus_signed_bytes(message->subject, message->counter, message->data, message->size, &bytes);
    return sign_verify(public_key->data, bytes.data, bytes.size, copy);
}

static struct error *ask(struct request *request, const char *subject,
                         const ProtobufCMessage *question,
                         const ProtobufCMessageDescriptor *answer_type, void **ret_answer,
                         struct bus_message *ret_message)
{
    struct gateway *gateway = request->gateway;
    struct error *err = NULL;

    for (int i = 0; i < ORDER_TRIES; i++) {
        error_free(err);
        err = bus_call(gateway->bus, subject, question, answer_type, request->id,
                       &gateway->signer.base, GUEST_TIMEOUT_MS, request->arena, ret_answer,
                       ret_message);
        if (error_get_code(err) != ERROR_PERMISSION_DENIED)
            return err;
    }
    return error_recode(error_wrap(err, "the guest refused"), ERROR_UNAVAILABLE);
}

static struct error *call_checked(struct request *request, const Coffer__V1__Workload *workload,
                                  const char *verb, const ProtobufCMessage *question,
                                  const ProtobufCMessageDescriptor *answer_type, void **ret_answer)
{
    char subject[SUBJECT_MAX];
    struct bus_message message = {0};
    void *answer = NULL;
    struct error *err = subject_build(subject, "cmd", "guest", workload->host_id,
                                      workload->workload_id, verb, NULL);

    if (err)
        return error_recode(err, ERROR_INTERNAL);
    err = ask(request, subject, question, answer_type, &answer, &message);
    if (err)
        return error_set_reason(err, GUEST_AWAY);
    err = guest_verify(&message, &workload->guest_sign_public, request->arena);
    if (err) {
        metrics_add(&request->gateway->metrics, &request->gateway->metrics.untrusted_answers);
        return error_recode(error_wrap(err, "the answer is not the attested guest's"),
                            ERROR_DATA_LOSS);
    }
    *ret_answer = answer;
    return NULL;
}

struct error *guest_call(struct request *request, const Coffer__V1__Workload *workload,
                         const char *verb, const ProtobufCMessage *question,
                         const ProtobufCMessageDescriptor *answer_type, void **ret_answer)
{
    struct limits *limits = &request->gateway->limits;

    if (!*workload->host_id || workload->guest_sign_public.len != SIGN_KEY_SIZE)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the workload is %s: its guest is not attested (yet)",
                         workload_status_name(workload->status));
    struct error *err = limits_enter(limits, request->account, LIMIT_GUEST_CALLS);
    if (err)
        return http_refuse(request, 429, "TOO_MANY_REQUESTS", err);
    err = call_checked(request, workload, verb, question, answer_type, ret_answer);
    limits_leave(limits, request->account, LIMIT_GUEST_CALLS);
    return err;
}
