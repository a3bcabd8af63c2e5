#include "services/api-gateway/scheduler_call.h"

#include "services/api-gateway/gateway.h"
#include "shared/bus/subject.h"

struct error *scheduler_ask(struct request *request, const char *subject,
                            const ProtobufCMessage *message, const struct refusal *refusals,
                            void **ret_reply)
{
    void *reply = NULL;
    struct error *err =
        bus_call(request->gateway->bus, subject, message, subject_find(subject)->reply, request->id,
                 NULL, SCHEDULER_TIMEOUT_MS, request->arena, &reply, NULL);
    enum error_code code = error_get_code(err);

    for (const struct refusal *r = refusals; err && r && r->code != ERROR_OK; r++)
        if (r->code == code)
            return http_refuse(request, r->status, r->kind, err);
    if (code == ERROR_DATA_LOSS) /* what it has lost; the word is kept for what guests answer */
        return error_recode(err, ERROR_INTERNAL);
    if ((code == ERROR_UNAVAILABLE || code == ERROR_DEADLINE_EXCEEDED) && !*error_reason(err))
        return error_set_reason(err, SCHEDULER_AWAY);
    if (!err)
        *ret_reply = reply;
    return err;
}
