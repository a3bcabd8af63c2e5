/* GET /workloads/list out of rendered workloads: nothing is written as JSON again. */
#pragma once

#include "services/api-gateway/list_query.h"
#include "services/api-gateway/rendered.h"

/* What the list takes; wrong values become findings of the query. */
void workload_list_read(struct request *request, struct list_query *ret_query);

/* The page of those that are the account's, exist and match. Refers to the values no longer than
 * the call. */
void workload_list_answer(struct request *request, struct response *response,
                          struct list_query *query, struct store_cached *const *values, size_t n);
