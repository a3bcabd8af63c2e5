/*
 * What is fixed about a VM when it is ordered. The same facts stand in the order, in the journal
 * and in the metadata of the libvirt domain, so that any one of them is enough to know a VM.
 */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"

#define VM_DOMAINS_MAX 17 /* its own name and 16 custom ones */
#define VM_CPUS_MAX    64
#define VM_MEMORY_MAX  (4096ULL * 1024) /* MiB */
#define VM_DISK_MAX    (64ULL * 1024)   /* GiB */

struct vm_facts {
    char *workload_id;
    uint64_t generation;
    uint32_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint32_t gpus;
    char *image_version;
    uint8_t manifest_sha256[32];
    char **domains; /* names for the SNI proxy; the first is the workload's own */
    size_t n_domains;
};

void vm_facts_done(struct vm_facts *facts); /* leaves empty facts */
static inline void vm_facts_cleanup_(struct vm_facts *facts)
{
    vm_facts_done(facts);
}
#define _cleanup_facts_ _cleanup_(vm_facts_cleanup_)

void vm_facts_copy(struct vm_facts *ret_facts, const struct vm_facts *from);
void vm_facts_add_domain(struct vm_facts *facts, const char *domain);

/* Every text and number in its alphabet and range; INVALID_ARGUMENT names the first that is not.
 * Only facts that passed reach XML, paths or the proxy's configuration. */
struct error *vm_facts_check(const struct vm_facts *facts) _must_check_;

bool hostname_is_valid(const char *text);      /* RFC 1123 letters, lower case, at most 253 */
bool image_version_is_valid(const char *text); /* [A-Za-z0-9._-]{1,64}, not starting with '.' */
