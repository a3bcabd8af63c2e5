/*
 * Which guest image versions new workloads may name. What lies in the images folder when a
 * scheduler starts is enabled unless an operator has disabled it; what is put there later waits
 * for an operator, or for the next start. Running workloads are never concerned.
 */
#pragma once

#include "schemas/catalog.pb-c.h"
#include "services/scheduler/records.h"

/* Enables every image of the folder that has no record yet; at the start. */
struct error *artifacts_adopt(struct scheduler *scheduler) _must_check_;

/*
 * What is so already stays as it is. To enable, the signed image.json must be there: NOT_FOUND,
 * or PERMISSION_DENIED for a signature that is not the release key's. To disable, a record is
 * enough. Lives in the arena; audited: the entry that came with it is in the audit trail.
 */
struct error *artifact_set(struct scheduler *scheduler, const Coffer__V1__ArtifactRequest *request,
                           bool enabled, struct arena *arena,
                           Coffer__V1__Artifact **ret_artifact) _must_check_;

/* NOT_FOUND, reason "no_image", unless new workloads may name it. */
struct error *artifact_check(struct scheduler *scheduler, const char *version,
                             struct arena *arena) _must_check_;

/* The same of its record that was read already. */
struct error *artifact_check_record(const struct store_record *record, const char *version,
                                    struct arena *arena) _must_check_;
