/* A create request as it came: checked field by field, with everything secret in one place. */
#pragma once

#include "services/api-gateway/form.h"
#include "services/api-gateway/secrets.h"
#include "shared/project/project.h"

#define CREATE_FILES_TOTAL_MAX (16 * 1024 * 1024)

/* What can be asked for at all; also of a tier. */
enum {
    NAME_MAX_BYTES = 128,
    CPUS_MAX = 64,
    MEMORY_MIN_MIB = 512, /* what the guest image needs to come up */
    MEMORY_MAX_MIB = 4 * 1024 * 1024,
    DISK_MIN_GIB = 1,
    DISK_MAX_GIB = 64 * 1024,
    GPUS_MAX = 16,
};

/* Everything lives in the request's arena, which is wiped at its end. */
struct create_input {
    const char *workload_id;
    const char *name;
    const char *domain; /* custom, or NULL */
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint32_t cpus;
    uint32_t gpus;
    struct project project; /* files: the plain ones, then the secret ones */
    size_t n_plain_files;
    struct secrets secrets;
};

/* Adds a finding for every problem; what could be read is filled in nevertheless, so that the
 * compose text can be linted too. */
void create_input_read(struct form *form, struct create_input *ret_input);

/* The field "domain": none, or a custom name for the workload and its manifest. */
void create_input_read_domain(struct form *form, struct create_input *input);
void create_input_set_domain(struct arena *arena, const char *domain, struct create_input *input);
