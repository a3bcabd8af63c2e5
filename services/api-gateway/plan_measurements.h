/* What a verifier would expect of a workload's VM, from the image's signed image.json. */
#pragma once

#include "services/api-gateway/gateway.h"

/* Adds to *ret_list, for that vCPU count, {"vcpus", "cpuModel", "guestFeatures" (hex),
 * "measurement" (hex)} of each CPU model that the document has. Nothing for an image that is gone;
 * the signature is for the owner to check, who has the key. */
struct error *plan_measurements(struct request *request, const char *image_version, uint32_t vcpus,
                                json_t *ret_list) _must_check_;
