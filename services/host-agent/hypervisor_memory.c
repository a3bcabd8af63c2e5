/* A hypervisor that keeps its domains in a list: for tests and for the fleet plane without VMs. */
#include <pthread.h>

#include "services/host-agent/hypervisor.h"
#include "shared/base/alloc.h"

struct memory_hypervisor {
    struct hypervisor base;
    pthread_mutex_t lock;
    struct hypervisor_domain *domains;
    size_t n_domains;
    unsigned next_address;
    const char *failure;
    hypervisor_changed_fn changed;
    void *changed_data;
};

static struct memory_hypervisor *memory_of(struct hypervisor *hypervisor)
{
    return (struct memory_hypervisor *)hypervisor;
}

static struct hypervisor_domain *lookup(struct memory_hypervisor *memory, const char *workload_id)
{
    for (size_t i = 0; i < memory->n_domains; i++)
        if (strcmp(memory->domains[i].facts.workload_id, workload_id) == 0)
            return &memory->domains[i];
    return NULL;
}

static void notify(struct memory_hypervisor *memory, const char *workload_id)
{
    if (memory->changed)
        memory->changed(memory->changed_data, workload_id);
}

static struct error *not_found(const char *workload_id)
{
    return error_new(ERROR_NOT_FOUND, "no domain of '%s'", workload_id);
}

static void add(struct memory_hypervisor *memory, const struct domain_spec *spec)
{
    memory->domains =
        xrealloc_array(memory->domains, memory->n_domains + 1, sizeof(struct hypervisor_domain));
    struct hypervisor_domain *domain = &memory->domains[memory->n_domains++];

    *domain = (struct hypervisor_domain){.state = DOMAIN_RUNNING, .end_reason = ""};
    vm_facts_copy(&domain->facts, spec->facts);
    unsigned n = memory->next_address++;
    snprintf(domain->address, sizeof(domain->address), "192.0.2.%u", 10 + n % 200);
}

static struct error *memory_start(struct hypervisor *hypervisor, const struct domain_spec *spec)
{
    struct memory_hypervisor *memory = memory_of(hypervisor);
    _cleanup_free_ char *xml = NULL;
    struct error *err = domain_xml_new(spec, &xml); /* the same refusals as libvirt's backend */

    if (err)
        return err;
    pthread_mutex_lock(&memory->lock);
    if (memory->failure)
        err = error_new(ERROR_INTERNAL, "%s", memory->failure);
    else if (lookup(memory, spec->facts->workload_id))
        err = error_new(ERROR_ALREADY_EXISTS, "domain of '%s' is defined already",
                        spec->facts->workload_id);
    else
        add(memory, spec);
    pthread_mutex_unlock(&memory->lock);
    if (!err)
        notify(memory, spec->facts->workload_id);
    return err;
}

static struct error *end(struct memory_hypervisor *memory, const char *workload_id,
                         enum domain_state state, const char *reason)
{
    struct error *err = NULL;

    pthread_mutex_lock(&memory->lock);
    struct hypervisor_domain *domain = lookup(memory, workload_id);
    if (!domain)
        err = not_found(workload_id);
    else if (domain->state != DOMAIN_RUNNING)
        err = error_new(ERROR_FAILED_PRECONDITION, "domain of '%s' does not run", workload_id);
    if (!err) {
        domain->state = state;
        domain->end_reason = reason;
        domain->address[0] = '\0';
    }
    pthread_mutex_unlock(&memory->lock);
    if (!err)
        notify(memory, workload_id);
    return err;
}

static struct error *memory_shutdown(struct hypervisor *hypervisor, const char *workload_id)
{
    return end(memory_of(hypervisor), workload_id, DOMAIN_OFF, "the guest powered off");
}

static struct error *memory_destroy(struct hypervisor *hypervisor, const char *workload_id)
{
    struct memory_hypervisor *memory = memory_of(hypervisor);

    pthread_mutex_lock(&memory->lock);
    struct hypervisor_domain *domain = lookup(memory, workload_id);
    if (domain) {
        hypervisor_domain_done(domain);
        *domain = memory->domains[--memory->n_domains];
    }
    pthread_mutex_unlock(&memory->lock);
    return NULL;
}

static void copy_domain(struct hypervisor_domain *ret_domain, const struct hypervisor_domain *from)
{
    *ret_domain = *from;
    vm_facts_copy(&ret_domain->facts, &from->facts);
}

static struct error *memory_find(struct hypervisor *hypervisor, const char *workload_id,
                                 struct hypervisor_domain *ret_domain)
{
    struct memory_hypervisor *memory = memory_of(hypervisor);

    pthread_mutex_lock(&memory->lock);
    struct hypervisor_domain *domain = lookup(memory, workload_id);
    if (domain)
        copy_domain(ret_domain, domain);
    pthread_mutex_unlock(&memory->lock);
    return domain ? NULL : not_found(workload_id);
}

static struct error *memory_list(struct hypervisor *hypervisor,
                                 struct hypervisor_domain **ret_domains, size_t *ret_n)
{
    struct memory_hypervisor *memory = memory_of(hypervisor);

    pthread_mutex_lock(&memory->lock);
    *ret_n = memory->n_domains;
    *ret_domains = xnew_array(struct hypervisor_domain, *ret_n + 1);
    for (size_t i = 0; i < *ret_n; i++)
        copy_domain(&(*ret_domains)[i], &memory->domains[i]);
    pthread_mutex_unlock(&memory->lock);
    return NULL;
}

static struct error *memory_describe(_unused_ struct hypervisor *hypervisor,
                                     struct hypervisor_host *ret_host)
{
    *ret_host = (struct hypervisor_host){
        .cpus = 64, .memory_mib = 256 * 1024, .version = "memory", .virt = DOMAIN_VIRT_TEST};
    return NULL;
}

static void memory_free(struct hypervisor *hypervisor)
{
    struct memory_hypervisor *memory = memory_of(hypervisor);

    hypervisor_domains_free(memory->domains, memory->n_domains);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static const struct hypervisor_ops memory_ops = {
    .name = "memory",
    .start = memory_start,
    .shutdown = memory_shutdown,
    .destroy = memory_destroy,
    .find = memory_find,
    .list = memory_list,
    .describe = memory_describe,
    .free = memory_free,
};

struct hypervisor *hypervisor_memory_new(const struct hypervisor_options *options)
{
    struct memory_hypervisor *memory = xnew(struct memory_hypervisor);

    memory->base.ops = &memory_ops;
    pthread_mutex_init(&memory->lock, NULL);
    memory->changed = options->changed;
    memory->changed_data = options->changed_data;
    return &memory->base;
}

void hypervisor_memory_crash(struct hypervisor *hypervisor, const char *workload_id)
{
    error_free(
        end(memory_of(hypervisor), workload_id, DOMAIN_CRASHED, "the virtual machine crashed"));
}

void hypervisor_memory_set_address(struct hypervisor *hypervisor, const char *workload_id,
                                   const char *address)
{
    struct memory_hypervisor *memory = memory_of(hypervisor);

    pthread_mutex_lock(&memory->lock);
    struct hypervisor_domain *domain = lookup(memory, workload_id);
    if (domain)
        snprintf(domain->address, sizeof(domain->address), "%s", address);
    pthread_mutex_unlock(&memory->lock);
    notify(memory, workload_id);
}

void hypervisor_memory_fail_starts(struct hypervisor *hypervisor, const char *text)
{
    struct memory_hypervisor *memory = memory_of(hypervisor);

    pthread_mutex_lock(&memory->lock);
    memory->failure = text;
    pthread_mutex_unlock(&memory->lock);
}
