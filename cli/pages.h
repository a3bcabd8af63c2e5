/* Lists that come in pages. */
#pragma once

#include "cli/client.h"

/* GET of path (with its filters), at most limit items over as many pages as it takes; limit 0: all.
 * *ret_list is an array, the caller's. */
struct error *pages_get(struct client *client, const char *path, unsigned limit,
                        json_t **ret_list) _must_check_;
