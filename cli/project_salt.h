/*
 * The salts of a project's secret files. The manifest commits to SHA-256(salt || content), so a
 * salt must be unguessable; it must also be the same again for the same file of the same workload,
 * or an update that changes nothing would be another manifest and a new VM. So each follows from
 * this machine's key, the workload's id, the file's name and its content: two workloads with the
 * same file do not show that.
 */
#pragma once

#include "cli/project_input.h"

/* For the workload with this id. Nothing happens without secret files. */
struct error *project_salt(struct project_input *input, const char *workload_id) _must_check_;

/* For a new one. With secret files its id must be known beforehand: it goes into input->new_id, and
 * follows from gateway and --idempotency-key where there is one, so that another try is the same.
 */
struct error *project_salt_new(struct project_input *input, const char *url) _must_check_;
