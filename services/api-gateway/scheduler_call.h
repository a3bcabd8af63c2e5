/* Asking the scheduler, and what its refusals mean on one route. */
#pragma once

#include "services/api-gateway/http.h"
#include "shared/bus/bus.h"

/* The reason of an error that says no more than that it did not answer, or not what was asked. */
#define SCHEDULER_AWAY "scheduler_away"

/* Where the table of problem.c is too general. */
struct refusal {
    enum error_code code;
    unsigned status;
    const char *kind;
};

/* The reply type is that of the subject's row. Refusals end with ERROR_OK; NULL: none are special.
 * The reply lives in the request's arena. */
struct error *scheduler_ask(struct request *request, const char *subject,
                            const ProtobufCMessage *message, const struct refusal *refusals,
                            void **ret_reply) _must_check_;
