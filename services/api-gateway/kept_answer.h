/* Whole answers that are the same for every caller, kept until the records they were made of
 * change (read_cache.h). Only for requests without a query. */
#pragma once

#include "services/api-gateway/etag.h"
#include "services/api-gateway/read_cache.h"

/* Answers from memory; false: only the store knows, or there is a query. */
bool kept_answer_now(struct request *request, struct response *response, const char *name);

/* Keeps the response's JSON, unless there was a query. tag NULL: one is made of the text, set, and
 * compared with If-None-Match. */
void kept_answer_put(struct request *request, struct response *response, const char *name,
                     const struct store_ticket *ticket, uint64_t version, const char *tag);
