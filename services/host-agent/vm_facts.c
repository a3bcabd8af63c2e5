#include "services/host-agent/vm_facts.h"

#include "shared/base/alloc.h"
#include "shared/base/encode.h"

void vm_facts_done(struct vm_facts *facts)
{
    free(facts->workload_id);
    free(facts->image_version);
    for (size_t i = 0; i < facts->n_domains; i++)
        free(facts->domains[i]);
    free(facts->domains);
    *facts = (struct vm_facts){0};
}

void vm_facts_copy(struct vm_facts *ret_facts, const struct vm_facts *from)
{
    *ret_facts = *from;
    ret_facts->workload_id = xstrdup(from->workload_id);
    ret_facts->image_version = xstrdup(from->image_version);
    ret_facts->domains = NULL;
    ret_facts->n_domains = 0;
    for (size_t i = 0; i < from->n_domains; i++)
        vm_facts_add_domain(ret_facts, from->domains[i]);
}

void vm_facts_add_domain(struct vm_facts *facts, const char *domain)
{
    facts->domains = xrealloc_array(facts->domains, facts->n_domains + 1, sizeof(char *));
    facts->domains[facts->n_domains++] = xstrdup(domain);
}

static bool label_is_valid(const char *label, size_t size)
{
    if (size < 1 || size > 63 || label[0] == '-' || label[size - 1] == '-')
        return false;
    return strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-") >= size;
}

bool hostname_is_valid(const char *text)
{
    if (!text || strlen(text) > 253)
        return false;
    for (;;) {
        size_t size = strcspn(text, ".");
        if (!label_is_valid(text, size))
            return false;
        if (!text[size])
            return true;
        text += size + 1;
    }
}

bool image_version_is_valid(const char *text)
{
    static const char alphabet[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = text ? strlen(text) : 0;

    return size >= 1 && size <= 64 && text[0] != '.' && strspn(text, alphabet) == size;
}

static struct error *check_sizes(const struct vm_facts *facts)
{
    if (facts->cpus < 1 || facts->cpus > VM_CPUS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "cpus must be 1 to %d", VM_CPUS_MAX);
    if (facts->memory_mib < 64 || facts->memory_mib > VM_MEMORY_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "memory must be 64 to %llu MiB", VM_MEMORY_MAX);
    if (facts->disk_gib < 1 || facts->disk_gib > VM_DISK_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "disk must be 1 to %llu GiB", VM_DISK_MAX);
    if (facts->gpus)
        return error_new(ERROR_INVALID_ARGUMENT, "this host has no GPU to give");
    return NULL;
}

struct error *vm_facts_check(const struct vm_facts *facts)
{
    if (!facts->workload_id || !name_is_valid(facts->workload_id))
        return error_new(ERROR_INVALID_ARGUMENT, "the workload id is not a valid name");
    if (facts->generation < 1 || facts->generation > INT64_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "the generation is out of range");
    if (!image_version_is_valid(facts->image_version))
        return error_new(ERROR_INVALID_ARGUMENT, "the image version is not a valid name");
    if (facts->n_domains > VM_DOMAINS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d domains", VM_DOMAINS_MAX);
    for (size_t i = 0; i < facts->n_domains; i++)
        if (!hostname_is_valid(facts->domains[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "domain %zu is not a host name", i);
    return check_sizes(facts);
}
