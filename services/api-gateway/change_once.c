#include "services/api-gateway/change_once.h"

#include "services/api-gateway/idempotency.h"

static bool was_done_meanwhile(struct request *request)
{
    bool done = false;

    error_free(idempotency_was_done(request, &done)); /* what refused the attempt is told */
    return done;
}

struct error *change_once(struct request *request, const json_t *body, change_step attempt,
                          change_step answer_done, struct response *ret_response)
{
    bool done = false;
    struct error *err = idempotency_was_done(request, &done);

    if (err)
        return err;
    if (!done) {
        err = attempt(request, body, ret_response);
        if (!err || !was_done_meanwhile(request))
            return err;
        error_free(err);
        request->refused_status = 0; /* of the attempt */
        request->refused_kind = NULL;
    }
    return answer_done(request, body, ret_response);
}
