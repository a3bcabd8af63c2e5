/* One pass over the VMs: from what is wanted and what libvirt says to what to do next. */
#include "services/host-agent/console.h"
#include "services/host-agent/vm_internal.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"

#define SCAN_EVERY_MS     10000
#define TOMBSTONE_KEEP_MS (24LL * 3600 * 1000)

/* The domains libvirt has, for one pass. */
struct domains {
    struct hypervisor_domain *items;
    size_t n;
};

static const struct hypervisor_domain *domain_of(const struct domains *domains,
                                                 const char *workload_id)
{
    for (size_t i = 0; i < domains->n; i++)
        if (strcmp(domains->items[i].facts.workload_id, workload_id) == 0)
            return &domains->items[i];
    return NULL;
}

struct error *vms_commit(struct vms *vms, const struct vm_plan *plan)
{
    const char *workload_id = plan->record.facts.workload_id;
    struct error *err = NULL;

    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, workload_id);
    if (!vm || vm->revision != plan->revision)
        err = error_new(ERROR_ABORTED, "a newer command for '%s' came", workload_id);
    if (!err)
        err = journal_save(vms->options.journal, &plan->record);
    if (!err) {
        vm_record_done(&vm->record);
        vm_record_copy(&vm->record, &plan->record);
        if (vm->record.state != VM_RUNNING)
            vm->address[0] = '\0';
    }
    pthread_mutex_unlock(&vms->lock);
    return err;
}

/* Said first, journalled second: a kill in between says it again under the same number. */
static struct error *change(struct vms *vms, struct vm_plan *plan, enum vm_state state,
                            const char *reason)
{
    struct vm_record *record = &plan->record;
    _cleanup_free_ char *path =
        journal_path(vms->options.journal, record->facts.workload_id, "console.log");
    _cleanup_free_ char *tail =
        state == VM_FAILED ? console_tail_text(path, VM_TAIL_MAX) : xstrdup("");
    struct vm vm = {0};
    struct vm_status status;

    free(record->reason);
    record->reason = xstrdup(reason);
    record->state = state;
    record->carried_out = true;
    record->sequence++;
    record->changed_at_ms = clock_wall_ms(vms->options.clock);
    vm.record = *record;
    vm_status_of(&vm, &status);
    struct error *err = vms->options.changed(vms->options.data, &status, tail);
    vm_status_done(&status);
    return err ? err : vms_commit(vms, plan);
}

static struct error *destroy(struct vms *vms, const char *workload_id)
{
    if (vms->options.channel)
        sp_channel_remove(vms->options.channel, workload_id);
    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, workload_id);
    if (vm)
        vm->served = false;
    pthread_mutex_unlock(&vms->lock);
    return hypervisor_destroy(vms->options.hypervisor, workload_id);
}

static struct error *fail(struct vms *vms, struct vm_plan *plan, const char *reason)
{
    const char *workload_id = plan->record.facts.workload_id;
    struct error *err = change(vms, plan, VM_FAILED, reason);

    log_warning("vm failed", "workload", workload_id, "reason", reason);
    return err ? err : journal_drop_order(vms->options.journal, workload_id);
}

static struct error *started(struct vms *vms, struct vm_plan *plan)
{
    plan->record.started_at_ms = clock_wall_ms(vms->options.clock);
    struct error *err = change(vms, plan, VM_RUNNING, "");

    log_info("vm started", "workload", plan->record.facts.workload_id);
    return err ? err : journal_drop_order(vms->options.journal, plan->record.facts.workload_id);
}

static struct error *load_order(struct vms *vms, const struct vm_plan *plan,
                                struct vm_order *ret_order)
{
    const struct vm_facts *facts = &plan->record.facts;
    struct error *err = journal_load_order(vms->options.journal, facts->workload_id, ret_order);

    if (!err && ret_order->generation != facts->generation)
        err = error_new(ERROR_NOT_FOUND, "the order on disk is of another generation");
    return err;
}

/* What may go away by itself is tried again at the next pass; anything else is the VM's failure. */
static bool is_passing(const struct error *err)
{
    enum error_code code = error_get_code(err);

    return code == ERROR_UNAVAILABLE || code == ERROR_ABORTED;
}

static struct error *launch(struct vms *vms, struct vm_plan *plan)
{
    _cleanup_order_ struct vm_order order = {0};
    struct error *err = load_order(vms, plan, &order);

    if (!err)
        err = vm_launch(vms, plan, &order);
    if (!err)
        return started(vms, plan);
    if (is_passing(err))
        return err;
    _cleanup_(error_freep) struct error *reason = err;
    return fail(vms, plan, error_text(reason));
}

static void set_address(struct vms *vms, const char *workload_id, const char *address)
{
    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, workload_id);
    if (vm && vm->record.state == VM_RUNNING)
        snprintf(vm->address, sizeof(vm->address), "%s", address);
    pthread_mutex_unlock(&vms->lock);
}

/* A VM whose start was carried out: is it still there? */
static struct error *watch(struct vms *vms, struct vm_plan *plan,
                           const struct hypervisor_domain *domain)
{
    const char *workload_id = plan->record.facts.workload_id;
    bool runs = domain && domain->state == DOMAIN_RUNNING &&
                domain->facts.generation == plan->record.facts.generation;

    if (plan->record.state == VM_RUNNING && runs) {
        if (!plan->served)
            vm_serve_channel(vms, &plan->record);
        set_address(vms, workload_id, domain->address);
        return NULL;
    }
    struct error *err = NULL;
    if (plan->record.state == VM_RUNNING)
        err = fail(vms, plan,
                   domain && domain->end_reason[0] ? domain->end_reason
                                                   : "the virtual machine is gone");
    if (!err && domain)
        err = destroy(vms, workload_id);
    return err;
}

static struct error *work_run(struct vms *vms, struct vm_plan *plan,
                              const struct hypervisor_domain *domain)
{
    if (plan->record.carried_out)
        return watch(vms, plan, domain);
    /* killed between start and journal: it runs already */
    if (domain && domain->state == DOMAIN_RUNNING &&
        domain->facts.generation == plan->record.facts.generation)
        return started(vms, plan);
    struct error *err = domain ? destroy(vms, plan->record.facts.workload_id) : NULL;
    return err ? err : launch(vms, plan);
}

/* Asks the guest once; true while it may still take its time. */
static bool shutting_down(struct vms *vms, const struct vm_plan *plan,
                          const struct hypervisor_domain *domain)
{
    const char *workload_id = plan->record.facts.workload_id;

    if (!domain || domain->state != DOMAIN_RUNNING ||
        clock_monotonic_ms(vms->options.clock) >= plan->stop_at_ms)
        return false;
    if (plan->shutdown_sent)
        return true;
    struct error *err = hypervisor_shutdown(vms->options.hypervisor, workload_id);
    bool asked = !err;
    log_failure(LOG_LEVEL_WARNING, "shut down", err);
    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, workload_id);
    if (vm && vm->revision == plan->revision)
        vm->shutdown_sent = asked;
    pthread_mutex_unlock(&vms->lock);
    return asked;
}

/* Stop and delete. */
static struct error *work_end(struct vms *vms, struct vm_plan *plan,
                              const struct hypervisor_domain *domain)
{
    const char *workload_id = plan->record.facts.workload_id;
    struct error *err = NULL;

    if (plan->record.carried_out && !domain)
        return NULL;
    if (shutting_down(vms, plan, domain))
        return NULL;
    if (domain)
        err = destroy(vms, workload_id);
    if (!err)
        err = plan->record.wish == VM_WISH_DELETE
                  ? journal_remove_files(vms->options.journal, workload_id)
                  : journal_drop_order(vms->options.journal, workload_id);
    if (!err && !plan->record.carried_out) {
        err = change(vms, plan, VM_STOPPED, "");
        log_info("vm stopped", "workload", workload_id);
    }
    return err;
}

static struct error *work_on(struct vms *vms, struct vm_plan *plan, const struct domains *domains)
{
    const struct hypervisor_domain *domain = domain_of(domains, plan->record.facts.workload_id);
    struct error *err = plan->record.wish == VM_WISH_RUN ? work_run(vms, plan, domain)
                                                         : work_end(vms, plan, domain);

    if (error_get_code(err) == ERROR_ABORTED) { /* overtaken: the next pass knows more */
        error_free(err);
        return NULL;
    }
    return error_wrap(err, "vm '%s'", plan->record.facts.workload_id);
}

/* A running domain without a record: the journal was lost, the domain says what it is. */
static struct error *adopt(struct vms *vms, const struct hypervisor_domain *domain)
{
    _cleanup_record_ struct vm_record record = {
        .wish = VM_WISH_RUN, .carried_out = true, .state = VM_RUNNING, .reason = xstrdup("")};

    vm_facts_copy(&record.facts, &domain->facts);
    record.started_at_ms = record.changed_at_ms = clock_wall_ms(vms->options.clock);
    log_warning("adopting a VM without a record", "workload", domain->facts.workload_id);
    pthread_mutex_lock(&vms->lock);
    struct error *err = NULL;
    if (!vms_find(vms, domain->facts.workload_id)) {
        err = journal_save(vms->options.journal, &record);
        if (!err)
            vms_add(vms, &record);
    }
    pthread_mutex_unlock(&vms->lock);
    return err;
}

static struct error *adopt_strays(struct vms *vms, const struct domains *domains)
{
    struct error *err = NULL;

    for (size_t i = 0; i < domains->n && !err; i++) {
        const struct hypervisor_domain *domain = &domains->items[i];
        pthread_mutex_lock(&vms->lock);
        bool known = vms_find(vms, domain->facts.workload_id) != NULL;
        pthread_mutex_unlock(&vms->lock);
        if (known)
            continue;
        if (domain->state == DOMAIN_RUNNING)
            err = adopt(vms, domain);
        else
            err = hypervisor_destroy(vms->options.hypervisor, domain->facts.workload_id);
    }
    return err;
}

static struct vm_plan *copy_plans(struct vms *vms, size_t *ret_n)
{
    pthread_mutex_lock(&vms->lock);
    struct vm_plan *plans = xnew_array(struct vm_plan, vms->n + 1);
    for (size_t i = 0; i < vms->n; i++) {
        const struct vm *vm = vms->vms[i];
        plans[i] = (struct vm_plan){.revision = vm->revision,
                                    .shutdown_sent = vm->shutdown_sent,
                                    .served = vm->served,
                                    .stop_at_ms = vm->stop_at_ms};
        vm_record_copy(&plans[i].record, &vm->record);
    }
    *ret_n = vms->n;
    pthread_mutex_unlock(&vms->lock);
    return plans;
}

static struct error *expire(struct vms *vms, const struct vm_plan *plan)
{
    int64_t age = clock_wall_ms(vms->options.clock) - plan->record.changed_at_ms;

    if (plan->record.wish != VM_WISH_DELETE || !plan->record.carried_out || age < TOMBSTONE_KEEP_MS)
        return NULL;
    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, plan->record.facts.workload_id);
    struct error *err = NULL;
    if (vm && vm->revision == plan->revision) {
        err = journal_remove(vms->options.journal, plan->record.facts.workload_id);
        if (!err)
            vms_forget(vms, plan->record.facts.workload_id);
    }
    pthread_mutex_unlock(&vms->lock);
    return err;
}

static struct error *first_error(struct error *first, struct error *next)
{
    if (!first)
        return next;
    error_free(next);
    return first;
}

static struct error *work_on_all(struct vms *vms, const struct domains *domains)
{
    struct error *first = NULL;
    size_t n;
    struct vm_plan *plans = copy_plans(vms, &n);

    for (size_t i = 0; i < n; i++) {
        first = first_error(first, expire(vms, &plans[i]));
        first = first_error(first, work_on(vms, &plans[i], domains));
        vm_record_done(&plans[i].record);
    }
    free(plans);
    return first;
}

static int by_id(const void *a, const void *b)
{
    const struct ingress_route *x = a, *y = b;

    return strcmp(x->workload_id, y->workload_id);
}

static struct error *apply_ingress(struct vms *vms)
{
    size_t n, n_routes = 0;
    struct vm_status *statuses = vms_copy(vms, &n);
    _cleanup_free_ struct ingress_route *routes = xnew_array(struct ingress_route, n + 1);

    for (size_t i = 0; i < n; i++) {
        const struct vm_status *status = &statuses[i];
        if (status->state != VM_RUNNING || !status->address[0])
            continue;
        routes[n_routes++] =
            (struct ingress_route){.workload_id = status->facts.workload_id,
                                   .address = status->address,
                                   .domains = (const char *const *)status->facts.domains,
                                   .n_domains = status->facts.n_domains};
    }
    if (n_routes)
        qsort(routes, n_routes, sizeof(*routes), by_id);
    struct error *err = ingress_apply(vms->options.ingress, routes, n_routes);
    vm_statuses_free(statuses, n);
    return err;
}

static struct error *rotate_consoles(struct vms *vms)
{
    size_t n;
    struct vm_status *statuses = vms_copy(vms, &n);
    struct error *first = NULL;

    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *path =
            journal_path(vms->options.journal, statuses[i].facts.workload_id, "console.log");
        if (statuses[i].state == VM_RUNNING)
            first = first_error(first, console_rotate(path));
    }
    vm_statuses_free(statuses, n);
    return first;
}

static struct error *scan_images(struct vms *vms)
{
    int64_t now = clock_monotonic_ms(vms->options.clock);

    if (now < vms->next_scan_ms)
        return NULL;
    vms->next_scan_ms = now + SCAN_EVERY_MS;
    return image_cache_scan(vms->options.images);
}

static bool is_known(void *data, const char *workload_id)
{
    return vms_find(data, workload_id) != NULL;
}

/* After the first look at libvirt: what neither journal nor libvirt knows was half-made. */
static struct error *settle(struct vms *vms)
{
    struct error *err = NULL;

    pthread_mutex_lock(&vms->lock);
    if (!vms->settled)
        err = journal_sweep(vms->options.journal, is_known, vms);
    vms->settled = true;
    pthread_mutex_unlock(&vms->lock);
    return err;
}

struct error *vm_work(struct vms *vms)
{
    struct domains domains = {0};
    struct error *first = hypervisor_list(vms->options.hypervisor, &domains.items, &domains.n);

    if (first)
        return first_error(first, scan_images(vms));
    first = adopt_strays(vms, &domains);
    first = first_error(first, work_on_all(vms, &domains));
    hypervisor_domains_free(domains.items, domains.n);
    first = first_error(first, settle(vms));
    first = first_error(first, apply_ingress(vms));
    first = first_error(first, rotate_consoles(vms));
    return first_error(first, scan_images(vms));
}
