#include "services/host-agent/hypervisor.h"

#include "shared/base/alloc.h"

struct error *hypervisor_open(const struct hypervisor_options *options,
                              struct hypervisor **ret_hypervisor)
{
    if (strcmp(options->uri, "memory:") != 0)
        return hypervisor_libvirt_open(options, ret_hypervisor);
    *ret_hypervisor = hypervisor_memory_new(options);
    return NULL;
}

void hypervisor_free(struct hypervisor *hypervisor)
{
    if (hypervisor)
        hypervisor->ops->free(hypervisor);
}

void hypervisor_domain_done(struct hypervisor_domain *domain)
{
    vm_facts_done(&domain->facts);
}

void hypervisor_domains_free(struct hypervisor_domain *domains, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hypervisor_domain_done(&domains[i]);
    free(domains);
}
