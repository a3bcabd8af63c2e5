/* What a create must satisfy before anything is written: sizes, names, and that manifest, compose
 * text, files, image and secrets belong together. */
#pragma once

#include "services/scheduler/records.h"
#include "shared/manifest/manifest.h"

/* INVALID_ARGUMENT or FAILED_PRECONDITION with what is wrong, NOT_FOUND: the image version. The
 * manifest lives in the arena. */
struct error *admission_check(const struct scheduler *scheduler,
                              const Coffer__V1__CreateWorkloadRequest *request, struct arena *arena,
                              struct manifest **ret_manifest) _must_check_;

/* The same without account, size and secrets: what an update brings anew. */
struct error *admission_check_content(const struct scheduler *scheduler,
                                      const Coffer__V1__CreateWorkloadRequest *request,
                                      struct arena *arena,
                                      struct manifest **ret_manifest) _must_check_;

/* That the release authority can open this box for this workload. "" is fine: no secrets. */
struct error *admission_check_secrets(const struct scheduler *scheduler, const char *workload_id,
                                      ProtobufCBinaryData sealed) _must_check_;

/* That a VM can have this size at all. NULL is refused too. */
struct error *admission_check_resources(const Coffer__V1__Resources *resources) _must_check_;
