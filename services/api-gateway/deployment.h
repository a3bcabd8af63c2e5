/* What a create, an update and a plan have in common: the image is looked for, the compose text
 * linted, the manifest made, and the parts of the message to the scheduler filled in. */
#pragma once

#include "schemas/workload.pb-c.h"
#include "services/api-gateway/create_input.h"

struct deployment {
    struct create_input input;
    ProtobufCBinaryData manifest; /* canonical bytes, in the arena; none with findings */
    uint8_t manifest_sha256[32];
    bool image_is_missing;
};

/* From deployment->input, which may have findings already; what is wrong is added to them. An
 * error is not the caller's fault. */
struct error *deployment_make(struct form *form, struct deployment *deployment) _must_check_;

/* INVALID_ARGUMENT when there are findings, in the existing system's words where it has them. */
struct error *deployment_result(struct form *form,
                                const struct deployment *deployment) _must_check_;

/* Parts of messages, in the arena. */
Coffer__V1__File **deployment_files(const struct deployment *deployment, struct arena *arena);
Coffer__V1__Resources *deployment_resources(const struct deployment *deployment,
                                            struct arena *arena);
ProtobufCBinaryData deployment_compose(const struct deployment *deployment);
/* The custom domain, or the platform's for this workload. */
char *deployment_domain(struct request *request, const struct deployment *deployment);

/* The scheduler's workload, with what its new manifest says. */
void deployment_answer(struct request *request, const struct deployment *deployment,
                       const Coffer__V1__Workload *workload, struct response *ret_response);

/* Refuses (413) what does not fit in a message to the scheduler. */
struct error *deployment_check_size(struct request *request, size_t packed_size) _must_check_;
