/* What a workload is already: an update takes from it whatever the request does not say. */
#pragma once

#include "schemas/workload.pb-c.h"
#include "services/api-gateway/http.h"
#include "shared/manifest/manifest.h"

/* All in the request's arena. */
struct kept {
    const Coffer__V1__Workload *workload;
    const Coffer__V1__WorkloadInput *input; /* compose text and plain files */
    const struct manifest *manifest; /* parsed from input; names and commitments of secrets */
};

/* Of the caller's workload {"workloadId": id} of the body, all as one commit left it. NOT_FOUND
 * also for another account's; UNAVAILABLE when it changes all the time. */
struct error *kept_of_body(struct request *request, const json_t *body,
                           struct kept *ret_kept) _must_check_;

/* As a read of this one workload shows it; new reference. */
json_t *kept_to_json(struct request *request, const struct kept *kept);

bool kept_has_env(const struct kept *kept, const char *name);
bool kept_has_file(const struct kept *kept, const char *path);
bool kept_has_secret_file(const struct kept *kept, const char *path);
