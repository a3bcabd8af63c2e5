/*
 * The hypervisor over libvirt. One connection, made again when it breaks; lifecycle events come
 * over it on libvirt's own event loop, which runs on a thread of ours.
 */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>

#include "services/host-agent/hypervisor.h"
#include "shared/base/alloc.h"

struct libvirt_hypervisor {
    struct hypervisor base;
    char *uri;
    char *kvm;
    hypervisor_changed_fn changed;
    void *changed_data;

    pthread_mutex_t lock; /* connection, host */
    virConnectPtr connection;
    int event_id;
    enum domain_virt virt;
    bool filter_spoofing;

    pthread_t event_thread;
    atomic_bool stopping;
    int wake_timer;
};

DEFINE_CLEANUP(virDomainPtr, virDomainFree)
DEFINE_CLEANUP(virNWFilterPtr, virNWFilterFree)
DEFINE_CLEANUP(virConnectPtr, virConnectClose)

static struct libvirt_hypervisor *libvirt_of(struct hypervisor *hypervisor)
{
    return (struct libvirt_hypervisor *)hypervisor;
}

/* UNAVAILABLE is only what a later try may find mended: the connection, not the domain. */
static enum error_code code_of(const virError *error)
{
    switch (error->code) {
    case VIR_ERR_NO_DOMAIN:
        return ERROR_NOT_FOUND;
    case VIR_ERR_OPERATION_INVALID:
        return ERROR_FAILED_PRECONDITION;
    case VIR_ERR_DOM_EXIST:
        return ERROR_ALREADY_EXISTS;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_RPC:
        return ERROR_UNAVAILABLE;
    case VIR_ERR_SYSTEM_ERROR:
    case VIR_ERR_INTERNAL_ERROR:
        return error->domain == VIR_FROM_RPC || error->domain == VIR_FROM_REMOTE ? ERROR_UNAVAILABLE
                                                                                 : ERROR_INTERNAL;
    case VIR_ERR_OPERATION_TIMEOUT:
        return ERROR_DEADLINE_EXCEEDED;
    default:
        return ERROR_INTERNAL;
    }
}

/* libvirt keeps its last error per thread: it becomes ours before anything else is called. */
static struct error *libvirt_error(const char *what, const char *name)
{
    virErrorPtr last = virGetLastError();
    struct error *err = error_new(last ? code_of(last) : ERROR_INTERNAL, "%s '%s': libvirt: %s",
                                  what, name, last && last->message ? last->message : "no reason");

    virResetLastError();
    return err;
}

static void quiet(_unused_ void *data, _unused_ virErrorPtr error)
{
}

static void on_wake(_unused_ int timer, _unused_ void *data)
{
}

static void *run_events(void *data)
{
    struct libvirt_hypervisor *libvirt = data;

    while (!atomic_load(&libvirt->stopping))
        if (virEventRunDefaultImpl() < 0)
            usleep(100 * 1000);
    return NULL;
}

static int on_lifecycle(_unused_ virConnectPtr connection, virDomainPtr domain, _unused_ int event,
                        _unused_ int detail, void *data)
{
    struct libvirt_hypervisor *libvirt = data;
    const char *name = virDomainGetName(domain);
    size_t prefix = strlen(DOMAIN_NAME_PREFIX);

    if (name && strncmp(name, DOMAIN_NAME_PREFIX, prefix) == 0)
        libvirt->changed(libvirt->changed_data, name + prefix);
    return 0;
}

static bool offers_kvm(virConnectPtr connection)
{
    _cleanup_free_ char *capabilities =
        virConnectGetDomainCapabilities(connection, NULL, "x86_64", "q35", "kvm", 0);

    virResetLastError();
    return capabilities != NULL;
}

static struct error *choose_virt(struct libvirt_hypervisor *libvirt, virConnectPtr connection)
{
    const char *type = virConnectGetType(connection);

    if (type && strcasecmp(type, "test") == 0) {
        libvirt->virt = DOMAIN_VIRT_TEST;
        return NULL;
    }
    bool kvm = strcmp(libvirt->kvm, "no") != 0 && offers_kvm(connection);
    if (!kvm && strcmp(libvirt->kvm, "yes") == 0)
        return error_new(ERROR_FAILED_PRECONDITION, "libvirt offers no KVM on '%s'", libvirt->uri);
    libvirt->virt = kvm ? DOMAIN_VIRT_KVM : DOMAIN_VIRT_QEMU;
    return NULL;
}

static struct error *connect_(struct libvirt_hypervisor *libvirt)
{
    _cleanup_(virConnectClosep) virConnectPtr connection = virConnectOpen(libvirt->uri);
    if (!connection)
        return error_recode(libvirt_error("connect to", libvirt->uri), ERROR_UNAVAILABLE);
    struct error *err = choose_virt(libvirt, connection);
    if (err)
        return err;
    virConnectSetKeepAlive(connection, 5, 3);
    _cleanup_(virNWFilterFreep) virNWFilterPtr filter =
        virNWFilterLookupByName(connection, "clean-traffic");
    libvirt->filter_spoofing = filter != NULL;
    libvirt->event_id = -1;
    if (libvirt->changed)
        libvirt->event_id = virConnectDomainEventRegisterAny(
            connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), libvirt, NULL);
    virResetLastError();
    libvirt->connection = TAKE_PTR(connection);
    return NULL;
}

static void disconnect(struct libvirt_hypervisor *libvirt)
{
    if (!libvirt->connection)
        return;
    if (libvirt->event_id >= 0)
        virConnectDomainEventDeregisterAny(libvirt->connection, libvirt->event_id);
    virConnectClose(libvirt->connection);
    virResetLastError();
    libvirt->connection = NULL;
}

/* A reference to a connection that lives; the caller closes it. */
static struct error *get_connection(struct libvirt_hypervisor *libvirt,
                                    virConnectPtr *ret_connection)
{
    struct error *err = NULL;
    bool again = false;

    pthread_mutex_lock(&libvirt->lock);
    if (libvirt->connection && virConnectIsAlive(libvirt->connection) != 1)
        disconnect(libvirt);
    if (!libvirt->connection) {
        err = connect_(libvirt);
        again = !err;
    }
    if (!err) {
        virConnectRef(libvirt->connection);
        *ret_connection = libvirt->connection;
    }
    pthread_mutex_unlock(&libvirt->lock);
    if (again && libvirt->changed) /* events may have been missed */
        libvirt->changed(libvirt->changed_data, NULL);
    return err;
}

static struct error *get_domain(struct libvirt_hypervisor *libvirt, const char *workload_id,
                                virConnectPtr *ret_connection, virDomainPtr *ret_domain)
{
    _cleanup_free_ char *name = xasprintf(DOMAIN_NAME_PREFIX "%s", workload_id);
    struct error *err = get_connection(libvirt, ret_connection);

    if (err)
        return err;
    *ret_domain = virDomainLookupByName(*ret_connection, name);
    return *ret_domain ? NULL : libvirt_error("find domain", name);
}

static struct error *libvirt_start(struct hypervisor *hypervisor, const struct domain_spec *spec)
{
    struct libvirt_hypervisor *libvirt = libvirt_of(hypervisor);
    _cleanup_(virConnectClosep) virConnectPtr connection = NULL;
    _cleanup_(virDomainFreep) virDomainPtr domain = NULL;
    _cleanup_free_ char *xml = NULL;

    struct error *err = get_domain(libvirt, spec->facts->workload_id, &connection, &domain);
    if (!err)
        return error_new(ERROR_ALREADY_EXISTS, "domain of '%s' is defined already",
                         spec->facts->workload_id);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    struct domain_spec final = *spec;
    final.virt = libvirt->virt;
    final.filter_spoofing = libvirt->filter_spoofing;
    if ((err = domain_xml_new(&final, &xml)))
        return err;
    domain = virDomainDefineXML(connection, xml);
    if (!domain)
        return libvirt_error("define domain of", spec->facts->workload_id);
    if (virDomainCreate(domain) == 0)
        return NULL;
    err = libvirt_error("start domain of", spec->facts->workload_id);
    virDomainUndefine(domain);
    virResetLastError();
    return err;
}

static struct error *libvirt_shutdown(struct hypervisor *hypervisor, const char *workload_id)
{
    _cleanup_(virConnectClosep) virConnectPtr connection = NULL;
    _cleanup_(virDomainFreep) virDomainPtr domain = NULL;
    struct error *err = get_domain(libvirt_of(hypervisor), workload_id, &connection, &domain);

    if (err)
        return err;
    if (virDomainIsActive(domain) == 0)
        return error_new(ERROR_FAILED_PRECONDITION, "domain of '%s' does not run", workload_id);
    return virDomainShutdownFlags(domain, 0) < 0 ? libvirt_error("shut down", workload_id) : NULL;
}

static struct error *libvirt_destroy(struct hypervisor *hypervisor, const char *workload_id)
{
    _cleanup_(virConnectClosep) virConnectPtr connection = NULL;
    _cleanup_(virDomainFreep) virDomainPtr domain = NULL;
    struct error *err = get_domain(libvirt_of(hypervisor), workload_id, &connection, &domain);

    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    if (err)
        return err;
    if (virDomainIsActive(domain) == 1 && virDomainDestroy(domain) < 0 &&
        virDomainIsActive(domain) == 1)
        return libvirt_error("destroy", workload_id);
    virResetLastError();
    if (virDomainUndefine(domain) < 0) {
        err = libvirt_error("undefine", workload_id);
        if (error_get_code(err) != ERROR_NOT_FOUND)
            return err;
        error_free(err);
    }
    return NULL;
}

/* The newest lease of the domain's own address; none yet is "". */
static void read_address(virDomainPtr domain, char ret_address[16])
{
    virDomainInterfacePtr *interfaces = NULL;
    int n = virDomainInterfaceAddresses(domain, &interfaces,
                                        VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, 0);

    for (int i = 0; i < n; i++) {
        for (unsigned k = 0; k < interfaces[i]->naddrs; k++)
            if (interfaces[i]->addrs[k].type == VIR_IP_ADDR_TYPE_IPV4)
                snprintf(ret_address, 16, "%s", interfaces[i]->addrs[k].addr);
        virDomainInterfaceFree(interfaces[i]);
    }
    free(interfaces);
    virResetLastError();
}

static const char *end_reason(int state, int reason)
{
    if (state == VIR_DOMAIN_CRASHED)
        return "the virtual machine crashed";
    switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN:
        return "the guest powered off";
    case VIR_DOMAIN_SHUTOFF_DESTROYED:
        return "the virtual machine was destroyed";
    case VIR_DOMAIN_SHUTOFF_CRASHED:
        return "the virtual machine crashed";
    case VIR_DOMAIN_SHUTOFF_FAILED:
        return "the emulator failed";
    case VIR_DOMAIN_SHUTOFF_DAEMON:
        return "libvirt lost the virtual machine";
    default:
        return "the virtual machine is off";
    }
}

static void read_state(virDomainPtr domain, struct hypervisor_domain *ret_domain)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;

    virDomainGetState(domain, &state, &reason, 0);
    ret_domain->state = DOMAIN_RUNNING;
    ret_domain->end_reason = "";
    if (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED) {
        bool crashed = state == VIR_DOMAIN_CRASHED || reason == VIR_DOMAIN_SHUTOFF_CRASHED ||
                       reason == VIR_DOMAIN_SHUTOFF_FAILED;
        ret_domain->state = crashed ? DOMAIN_CRASHED : DOMAIN_OFF;
        ret_domain->end_reason = end_reason(state, reason);
        return;
    }
    read_address(domain, ret_domain->address);
}

static struct error *read_domain(virDomainPtr domain, struct hypervisor_domain *ret_domain)
{
    const char *name = virDomainGetName(domain);
    _cleanup_free_ char *metadata =
        virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DOMAIN_METADATA_URI, 0);

    *ret_domain = (struct hypervisor_domain){.end_reason = ""};
    if (!metadata)
        return libvirt_error("metadata of", name);
    struct error *err = domain_metadata_parse(name, metadata, &ret_domain->facts);
    if (!err)
        read_state(domain, ret_domain);
    return err;
}

static struct error *libvirt_find(struct hypervisor *hypervisor, const char *workload_id,
                                  struct hypervisor_domain *ret_domain)
{
    _cleanup_(virConnectClosep) virConnectPtr connection = NULL;
    _cleanup_(virDomainFreep) virDomainPtr domain = NULL;
    struct error *err = get_domain(libvirt_of(hypervisor), workload_id, &connection, &domain);

    return err ? err : read_domain(domain, ret_domain);
}

static struct error *libvirt_list(struct hypervisor *hypervisor,
                                  struct hypervisor_domain **ret_domains, size_t *ret_n)
{
    _cleanup_(virConnectClosep) virConnectPtr connection = NULL;
    struct error *err = get_connection(libvirt_of(hypervisor), &connection);
    virDomainPtr *all = NULL;

    if (err)
        return err;
    int n = virConnectListAllDomains(connection, &all, 0);
    if (n < 0)
        return libvirt_error("list domains of", libvirt_of(hypervisor)->uri);
    *ret_domains = xnew_array(struct hypervisor_domain, (size_t)n + 1);
    *ret_n = 0;
    for (int i = 0; i < n; i++) {
        /* a domain without our metadata is somebody else's, or was undefined just now */
        struct error *foreign = read_domain(all[i], &(*ret_domains)[*ret_n]);
        if (!foreign)
            (*ret_n)++;
        error_free(foreign);
        virDomainFree(all[i]);
    }
    free(all);
    return NULL;
}

static struct error *libvirt_describe(struct hypervisor *hypervisor,
                                      struct hypervisor_host *ret_host)
{
    static const char *const virt_names[] = {"tcg", "kvm", "test"};
    struct libvirt_hypervisor *libvirt = libvirt_of(hypervisor);
    _cleanup_(virConnectClosep) virConnectPtr connection = NULL;
    struct error *err = get_connection(libvirt, &connection);
    unsigned long library = 0, emulator = 0;
    virNodeInfo node = {0};

    if (err)
        return err;
    if (virNodeGetInfo(connection, &node) < 0)
        return libvirt_error("node of", libvirt->uri);
    virConnectGetLibVersion(connection, &library);
    virConnectGetVersion(connection, &emulator);
    virResetLastError();
    *ret_host = (struct hypervisor_host){
        .cpus = node.cpus, .memory_mib = node.memory / 1024, .virt = libvirt->virt};
    snprintf(ret_host->version, sizeof(ret_host->version),
             "libvirt %lu.%lu.%lu, %s %lu.%lu.%lu (%s)", library / 1000000, library / 1000 % 1000,
             library % 1000, libvirt->virt == DOMAIN_VIRT_TEST ? "test" : "qemu",
             emulator / 1000000, emulator / 1000 % 1000, emulator % 1000,
             virt_names[libvirt->virt]);
    return NULL;
}

static void libvirt_free(struct hypervisor *hypervisor)
{
    struct libvirt_hypervisor *libvirt = libvirt_of(hypervisor);

    pthread_mutex_lock(&libvirt->lock);
    disconnect(libvirt);
    pthread_mutex_unlock(&libvirt->lock);
    atomic_store(&libvirt->stopping, true);
    virEventUpdateTimeout(libvirt->wake_timer, 0);
    pthread_join(libvirt->event_thread, NULL);
    virEventRemoveTimeout(libvirt->wake_timer);
    pthread_mutex_destroy(&libvirt->lock);
    free(libvirt->uri);
    free(libvirt->kvm);
    free(libvirt);
}

static const struct hypervisor_ops libvirt_ops = {
    .name = "libvirt",
    .start = libvirt_start,
    .shutdown = libvirt_shutdown,
    .destroy = libvirt_destroy,
    .find = libvirt_find,
    .list = libvirt_list,
    .describe = libvirt_describe,
    .free = libvirt_free,
};

static void initialise_library(void)
{
    virInitialize();
    virSetErrorFunc(NULL, quiet);
    virEventRegisterDefaultImpl();
}

struct error *hypervisor_libvirt_open(const struct hypervisor_options *options,
                                      struct hypervisor **ret_hypervisor)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct libvirt_hypervisor *libvirt = xnew(struct libvirt_hypervisor);

    pthread_once(&once, initialise_library);
    libvirt->base.ops = &libvirt_ops;
    libvirt->uri = xstrdup(options->uri);
    libvirt->kvm = xstrdup(options->kvm);
    libvirt->changed = options->changed;
    libvirt->changed_data = options->changed_data;
    pthread_mutex_init(&libvirt->lock, NULL);
    libvirt->wake_timer = virEventAddTimeout(-1, on_wake, NULL, NULL);
    int rc = pthread_create(&libvirt->event_thread, NULL, run_events, libvirt);
    if (rc) {
        free(libvirt->uri);
        free(libvirt->kvm);
        free(libvirt);
        return error_errno(rc, "start the event thread");
    }
    *ret_hypervisor = &libvirt->base;
    return NULL;
}
