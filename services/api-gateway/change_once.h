/*
 * A change by the scheduler that is asked for again since its answer was lost. What it did is
 * there, and perhaps changed again by others; so nothing is judged any more, neither If-Match nor
 * whether the request makes sense over what it made itself: the answer is what there is.
 */
#pragma once

#include "services/api-gateway/http.h"

/* Answers one request; see http.h. */
typedef struct error *(*change_step)(struct request *request, const json_t *body,
                                     struct response *ret_response);

/* Attempts the change unless it was done; whether it was is also asked when it is refused, since
 * the first try may have been on its way until then. body may be NULL where the steps know. */
struct error *change_once(struct request *request, const json_t *body, change_step attempt,
                          change_step answer_done, struct response *ret_response) _must_check_;
