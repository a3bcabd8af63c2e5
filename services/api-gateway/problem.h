/* The error envelope, {ts, error, kind, findings?}, and the one table from error code to status. */
#pragma once

#include "services/api-gateway/http.h"

/* Fills the response; takes err, logs it when the details are not for the caller. */
void problem_response(struct request *request, struct error *err, struct response *ret_response);

/* A new array of {"rule", "where", "line", "what", "why", "fix"}. */
json_t *findings_to_json(const struct findings *findings);
