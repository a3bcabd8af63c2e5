/* Workloads by id or by name, as people call them. */
#pragma once

#include "cli/client.h"

/* An id stays itself. A name must belong to exactly one workload of the account: NOT_FOUND, or
 * INVALID_ARGUMENT listing the ids. Caller frees. */
struct error *workload_resolve(struct client *client, const char *id_or_name,
                               char **ret_id) _must_check_;
