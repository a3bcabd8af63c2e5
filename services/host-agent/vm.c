#include "services/host-agent/vm.h"

#include <time.h>

#include "services/host-agent/config_disk.h"
#include "services/host-agent/console.h"
#include "services/host-agent/vm_internal.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

#define CREDENTIALS_MAX (64 * 1024)
#define GRACE_MAX_S     600
#define BUSY_WAIT_S     1
#define IDLE_WAIT_S     5

void vm_status_done(struct vm_status *status)
{
    vm_facts_done(&status->facts);
    free(status->reason);
    status->reason = NULL;
}

void vm_statuses_free(struct vm_status *statuses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        vm_status_done(&statuses[i]);
    free(statuses);
}

void vm_status_of(const struct vm *vm, struct vm_status *ret_status)
{
    *ret_status = (struct vm_status){
        .state = vm->record.state,
        .reason = xstrdup(vm->record.reason ?: ""),
        .started_at_ms = vm->record.started_at_ms,
        .sequence = vm->record.sequence,
    };
    memcpy(ret_status->address, vm->address, sizeof(vm->address));
    vm_facts_copy(&ret_status->facts, &vm->record.facts);
}

struct vm *vms_find(struct vms *vms, const char *workload_id)
{
    for (size_t i = 0; i < vms->n; i++)
        if (strcmp(vms->vms[i]->record.facts.workload_id, workload_id) == 0)
            return vms->vms[i];
    return NULL;
}

struct vm *vms_add(struct vms *vms, const struct vm_record *record)
{
    struct vm *vm = xnew(struct vm);

    vm_record_copy(&vm->record, record);
    vms->vms = xrealloc_array(vms->vms, vms->n + 1, sizeof(*vms->vms));
    vms->vms[vms->n++] = vm;
    return vm;
}

static void vm_free(struct vm *vm)
{
    vm_record_done(&vm->record);
    free(vm);
}

void vms_forget(struct vms *vms, const char *workload_id)
{
    for (size_t i = 0; i < vms->n; i++) {
        if (strcmp(vms->vms[i]->record.facts.workload_id, workload_id) != 0)
            continue;
        vm_free(vms->vms[i]);
        vms->vms[i] = vms->vms[--vms->n];
        return;
    }
}

char *vms_channel_path(const struct vms *vms, const char *workload_id)
{
    return xasprintf("%s/%s.sock", vms->channel_dir, workload_id);
}

static struct error *load(struct vms *vms)
{
    struct vm_record *records = NULL;
    struct error *problem = NULL;
    size_t n = 0;
    struct error *err = journal_load(vms->options.journal, &records, &n, &problem);

    log_failure(LOG_LEVEL_ERROR, "journal: a record was left out", problem);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        vms_add(vms, &records[i]);
        if (records[i].carried_out) /* killed before it could: it holds credentials */
            log_failure(LOG_LEVEL_WARNING, "journal",
                        journal_drop_order(vms->options.journal, records[i].facts.workload_id));
        vm_record_done(&records[i]);
    }
    free(records);
    return NULL;
}

struct error *vms_new(const struct vms_options *options, struct vms **ret_vms)
{
    _cleanup_(vms_freep) struct vms *vms = xnew(struct vms);

    vms->options = *options;
    vms->channel_dir = xasprintf("%s/sp", options->state_dir);
    pthread_mutex_init(&vms->lock, NULL);
    pthread_cond_init(&vms->woken, NULL);
    if (strlen(vms->channel_dir) + 70 > SP_CHANNEL_PATH_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "state folder '%s': the path is too long",
                         options->state_dir);
    struct error *err = dir_make(vms->channel_dir, 0700);
    if (!err)
        err = load(vms);
    if (err)
        return err;
    *ret_vms = TAKE_PTR(vms);
    return NULL;
}

void vms_free(struct vms *vms)
{
    if (!vms)
        return;
    for (size_t i = 0; i < vms->n; i++)
        vm_free(vms->vms[i]);
    free(vms->vms);
    free(vms->channel_dir);
    pthread_cond_destroy(&vms->woken);
    pthread_mutex_destroy(&vms->lock);
    free(vms);
}

static struct error *check_order(const struct vm_order *order)
{
    if (!order->manifest.size || order->manifest.size > CONFIG_DISK_MANIFEST)
        return error_new(ERROR_INVALID_ARGUMENT, "the manifest is empty or too long");
    if (!order->compose.size || order->compose.size > CONFIG_DISK_MANIFEST)
        return error_new(ERROR_INVALID_ARGUMENT, "the compose text is empty or too long");
    if (strlen(order->credentials) > CREDENTIALS_MAX || strlen(order->files_reference) > 200)
        return error_new(ERROR_INVALID_ARGUMENT, "credentials or files reference are too long");
    return NULL;
}

static struct error *stale(const struct vm *vm, uint64_t generation)
{
    return error_new(ERROR_FAILED_PRECONDITION,
                     "generation %llu of '%s' is older than %llu, which is here",
                     (unsigned long long)generation, vm->record.facts.workload_id,
                     (unsigned long long)vm->record.facts.generation);
}

/* With the lock held: the record as the command wants it, on disk and then in memory. */
static struct error *set_record(struct vms *vms, struct vm *vm, struct vm_record *record)
{
    record->changed_at_ms = clock_wall_ms(vms->options.clock);
    struct error *err = journal_save(vms->options.journal, record);

    if (err)
        return err;
    if (!vm)
        vm = vms_add(vms, record);
    vm_record_done(&vm->record);
    vm_record_copy(&vm->record, record);
    vm->revision++;
    vm->shutdown_sent = false;
    if (record->wish == VM_WISH_RUN)
        vm->address[0] = '\0';
    vms->awake = true;
    pthread_cond_broadcast(&vms->woken);
    return NULL;
}

static struct error *accept_start(struct vms *vms, struct vm *vm, const struct vm_facts *facts,
                                  const struct vm_order *order)
{
    _cleanup_record_ struct vm_record record = {
        .wish = VM_WISH_RUN, .state = VM_STARTING, .reason = xstrdup("")};

    if (!vm && vms->n >= VM_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d VMs on this host", VM_MAX);
    vm_facts_copy(&record.facts, facts);
    /* the order first: a record without its order would be a promise that cannot be kept */
    struct error *err = journal_save_order(vms->options.journal, facts->workload_id, order);
    if (!err)
        err = set_record(vms, vm, &record);
    return err;
}

struct error *vms_start(struct vms *vms, const struct vm_facts *facts, const struct vm_order *order,
                        struct vm_status *ret_status)
{
    struct error *err = vm_facts_check(facts);

    if (!err)
        err = check_order(order);
    if (err)
        return err;
    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, facts->workload_id);
    if (vm && facts->generation < vm->record.facts.generation)
        err = stale(vm, facts->generation);
    else if (!vm || facts->generation > vm->record.facts.generation)
        err = accept_start(vms, vm, facts, order);
    if (!err)
        vm_status_of(vms_find(vms, facts->workload_id), ret_status);
    pthread_mutex_unlock(&vms->lock);
    return err;
}

/* A workload that is not here: stopped, whatever its generation. */
static void absent_status(const char *workload_id, uint64_t generation,
                          struct vm_status *ret_status)
{
    *ret_status = (struct vm_status){.state = VM_STOPPED, .reason = xstrdup("")};
    ret_status->facts.workload_id = xstrdup(workload_id);
    ret_status->facts.generation = generation;
}

/* The generation of a stop becomes the VM's, so that what is said about it afterwards is seen as
 * the answer to it. */
static struct error *set_wish(struct vms *vms, struct vm *vm, uint64_t generation,
                              enum vm_wish wish, uint32_t grace_seconds)
{
    _cleanup_record_ struct vm_record record = {0};

    if (vm->record.facts.generation == generation && vm->record.wish >= wish)
        return NULL;
    vm_record_copy(&record, &vm->record);
    record.facts.generation = generation;
    record.wish = wish > record.wish ? wish : record.wish; /* what is deleted stays deleted */
    record.carried_out = false;
    struct error *err = set_record(vms, vm, &record);
    if (!err)
        vm->stop_at_ms = clock_monotonic_ms(vms->options.clock) +
                         (grace_seconds < GRACE_MAX_S ? grace_seconds : GRACE_MAX_S) * 1000LL;
    return err;
}

static struct error *end_command(struct vms *vms, const char *workload_id, uint64_t generation,
                                 enum vm_wish wish, uint32_t grace_seconds,
                                 struct vm_status *ret_status)
{
    struct error *err = NULL;

    if (!name_is_valid(workload_id) || generation < 1 || generation > INT64_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "workload id or generation is not valid");
    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, workload_id);
    if (!vm)
        absent_status(workload_id, generation, ret_status);
    else if (generation < vm->record.facts.generation)
        err = stale(vm, generation);
    else
        err = set_wish(vms, vm, generation, wish, grace_seconds);
    if (!err && vm)
        vm_status_of(vm, ret_status);
    pthread_mutex_unlock(&vms->lock);
    return err;
}

struct error *vms_stop(struct vms *vms, const char *workload_id, uint64_t generation,
                       uint32_t grace_seconds, struct vm_status *ret_status)
{
    return end_command(vms, workload_id, generation, VM_WISH_STOP, grace_seconds, ret_status);
}

struct error *vms_delete(struct vms *vms, const char *workload_id, uint64_t generation,
                         struct vm_status *ret_status)
{
    return end_command(vms, workload_id, generation, VM_WISH_DELETE, 0, ret_status);
}

struct vm_status *vms_copy(struct vms *vms, size_t *ret_n)
{
    pthread_mutex_lock(&vms->lock);
    struct vm_status *statuses = xnew_array(struct vm_status, vms->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < vms->n; i++) {
        const struct vm *vm = vms->vms[i];
        if (vm->record.wish != VM_WISH_DELETE || vm->record.state != VM_STOPPED)
            vm_status_of(vm, &statuses[n++]);
    }
    pthread_mutex_unlock(&vms->lock);
    *ret_n = n;
    return statuses;
}

struct error *vms_console(struct vms *vms, const char *workload_id, size_t max,
                          struct buffer *ret_text)
{
    if (!name_is_valid(workload_id))
        return error_new(ERROR_INVALID_ARGUMENT, "the workload id is not a valid name");
    pthread_mutex_lock(&vms->lock);
    bool known = vms_find(vms, workload_id) != NULL;
    pthread_mutex_unlock(&vms->lock);
    if (!known)
        return error_new(ERROR_NOT_FOUND, "no VM of '%s' on this host", workload_id);
    _cleanup_free_ char *path = journal_path(vms->options.journal, workload_id, "console.log");
    return console_tail(path, max < VM_CONSOLE_MAX ? max : VM_CONSOLE_MAX, ret_text);
}

bool vms_is_settled(struct vms *vms)
{
    pthread_mutex_lock(&vms->lock);
    bool settled = vms->settled;
    pthread_mutex_unlock(&vms->lock);
    return settled;
}

void vms_wake(void *data, _unused_ const char *workload_id)
{
    struct vms *vms = data;

    pthread_mutex_lock(&vms->lock);
    vms->awake = true;
    pthread_cond_broadcast(&vms->woken);
    pthread_mutex_unlock(&vms->lock);
}

/* Something is under way that the next pass may find ended. */
static bool is_busy(const struct vms *vms)
{
    bool busy = !vms->settled;

    for (size_t i = 0; i < vms->n; i++) {
        const struct vm_record *record = &vms->vms[i]->record;
        busy |= !record->carried_out || (record->state == VM_RUNNING && !vms->vms[i]->address[0]);
    }
    return busy;
}

void vms_wait(struct vms *vms)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    pthread_mutex_lock(&vms->lock);
    limit.tv_sec += is_busy(vms) ? BUSY_WAIT_S : IDLE_WAIT_S;
    while (!vms->awake)
        if (pthread_cond_timedwait(&vms->woken, &vms->lock, &limit))
            break;
    vms->awake = false;
    pthread_mutex_unlock(&vms->lock);
}
