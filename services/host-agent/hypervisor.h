/*
 * The hypervisor as a port: libvirt (hypervisor_libvirt.c) and in memory (hypervisor_memory.c)
 * pass one contract test. A domain is known by its workload id; what it is, it carries itself.
 * Functions may be called from any thread and may block as long as libvirt does; the agent calls
 * them from its worker only.
 */
#pragma once

#include "services/host-agent/domain_xml.h"

enum domain_state {
    DOMAIN_RUNNING,
    DOMAIN_OFF,     /* defined, not running: never started, or ended by itself or by us */
    DOMAIN_CRASHED, /* the machine under it failed */
};

struct hypervisor_domain {
    struct vm_facts facts;
    enum domain_state state;
    char address[16];       /* IPv4; "" before DHCP */
    const char *end_reason; /* why it is off, static; "" when it runs */
};

struct hypervisor_host {
    uint32_t cpus;
    uint64_t memory_mib;
    char version[96]; /* "libvirt 11.3.0, qemu 10.0.2 (tcg)" */
    enum domain_virt virt;
};

/* Something changed with this workload's domain; NULL: with any. From any thread; must not block.
 */
typedef void (*hypervisor_changed_fn)(void *data, const char *workload_id);

struct hypervisor;

struct hypervisor_ops {
    const char *name;
    struct error *(*start)(struct hypervisor *hypervisor, const struct domain_spec *spec);
    struct error *(*shutdown)(struct hypervisor *hypervisor, const char *workload_id);
    struct error *(*destroy)(struct hypervisor *hypervisor, const char *workload_id);
    struct error *(*find)(struct hypervisor *hypervisor, const char *workload_id,
                          struct hypervisor_domain *ret_domain);
    struct error *(*list)(struct hypervisor *hypervisor, struct hypervisor_domain **ret_domains,
                          size_t *ret_n);
    struct error *(*describe)(struct hypervisor *hypervisor, struct hypervisor_host *ret_host);
    void (*free)(struct hypervisor *hypervisor);
};

struct hypervisor {
    const struct hypervisor_ops *ops;
};

struct hypervisor_options {
    const char *uri;               /* "memory:" or a libvirt URI */
    const char *kvm;               /* "auto": when libvirt offers it; "yes": or refuse; "no" */
    hypervisor_changed_fn changed; /* may be NULL */
    void *changed_data;
};

/* Does not need libvirtd to be there yet: every call connects again when it must. */
struct error *hypervisor_open(const struct hypervisor_options *options,
                              struct hypervisor **ret_hypervisor) _must_check_;
struct error *hypervisor_libvirt_open(const struct hypervisor_options *options,
                                      struct hypervisor **ret_hypervisor) _must_check_;
struct hypervisor *hypervisor_memory_new(const struct hypervisor_options *options);
void hypervisor_free(struct hypervisor *hypervisor);
DEFINE_CLEANUP(struct hypervisor *, hypervisor_free)

/* Defines and starts. ALREADY_EXISTS: a domain of this workload is defined. When it fails, nothing
 * stays defined. spec->virt and filter_spoofing are the backend's to choose. */
static inline _must_check_ struct error *hypervisor_start(struct hypervisor *hypervisor,
                                                          const struct domain_spec *spec)
{
    return hypervisor->ops->start(hypervisor, spec);
}

/* Asks the guest to end (power button). NOT_FOUND; FAILED_PRECONDITION: it does not run. */
static inline _must_check_ struct error *hypervisor_shutdown(struct hypervisor *hypervisor,
                                                             const char *workload_id)
{
    return hypervisor->ops->shutdown(hypervisor, workload_id);
}

/* Ends it at once and forgets the definition. Nothing there is success. */
static inline _must_check_ struct error *hypervisor_destroy(struct hypervisor *hypervisor,
                                                            const char *workload_id)
{
    return hypervisor->ops->destroy(hypervisor, workload_id);
}

/* NOT_FOUND. Caller: hypervisor_domain_done(). */
static inline _must_check_ struct error *hypervisor_find(struct hypervisor *hypervisor,
                                                         const char *workload_id,
                                                         struct hypervisor_domain *ret_domain)
{
    return hypervisor->ops->find(hypervisor, workload_id, ret_domain);
}

/* Ours only; foreign domains are left out. Caller: hypervisor_domains_free(). */
static inline _must_check_ struct error *hypervisor_list(struct hypervisor *hypervisor,
                                                         struct hypervisor_domain **ret_domains,
                                                         size_t *ret_n)
{
    return hypervisor->ops->list(hypervisor, ret_domains, ret_n);
}

static inline _must_check_ struct error *hypervisor_describe(struct hypervisor *hypervisor,
                                                             struct hypervisor_host *ret_host)
{
    return hypervisor->ops->describe(hypervisor, ret_host);
}

void hypervisor_domain_done(struct hypervisor_domain *domain);
void hypervisor_domains_free(struct hypervisor_domain *domains, size_t n);

/* What a test does from outside to a VM of the in-memory hypervisor. */
void hypervisor_memory_crash(struct hypervisor *hypervisor, const char *workload_id);
void hypervisor_memory_set_address(struct hypervisor *hypervisor, const char *workload_id,
                                   const char *address);
/* The next starts fail with this text; NULL: they work again. Text must outlive its use. */
void hypervisor_memory_fail_starts(struct hypervisor *hypervisor, const char *text);
