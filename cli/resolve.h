/* Workloads by id or by name, as people call them. */
#pragma once

#include "cli/client.h"

/* An id stays itself. A name must belong to exactly one workload of the account: NOT_FOUND, or
 * INVALID_ARGUMENT listing the ids. Caller frees. */
struct error *workload_resolve(struct client *client, const char *id_or_name,
                               char **ret_id) _must_check_;

/* The workloads that have the text in their names, or all where the gateway cannot choose. The
 * array is the caller's. */
struct error *workloads_by_name(struct client *client, const char *name,
                                json_t **ret_list) _must_check_;
