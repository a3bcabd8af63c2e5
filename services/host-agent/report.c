#include "services/host-agent/report.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"
#include "shared/bus/subject.h"

#define PUBLISH_TIMEOUT_MS 5000
#define RETRY_MS           1000

struct reporter {
    struct reporter_options options;
    char instance[UUID_TEXT_SIZE];
    uint64_t sequence;
    char heartbeat_subject[SUBJECT_MAX];
    char sample_subject[SUBJECT_MAX];
    char change_subject[SUBJECT_MAX];

    pthread_t beat_thread, flush_thread;
    bool started;
    atomic_bool stopping;
    pthread_mutex_t lock; /* for stop_signal */
    pthread_cond_t stop_signal;
};

static const Coffer__V1__VmState wire_states[] = {
    [VM_STARTING] = COFFER__V1__VM_STATE__VM_STARTING,
    [VM_RUNNING] = COFFER__V1__VM_STATE__VM_RUNNING,
    [VM_STOPPED] = COFFER__V1__VM_STATE__VM_STOPPED,
    [VM_FAILED] = COFFER__V1__VM_STATE__VM_FAILED,
};

static Coffer__V1__Resources *resources_new(struct arena *arena, uint32_t cpus, uint64_t memory_mib,
                                            uint64_t disk_gib)
{
    Coffer__V1__Resources *resources = arena_alloc(arena, sizeof(*resources));

    coffer__v1__resources__init(resources);
    resources->cpus = cpus;
    resources->memory_mib = memory_mib;
    resources->disk_gib = disk_gib;
    return resources;
}

Coffer__V1__Vm *report_vm(const struct vm_status *status, struct arena *arena)
{
    const struct vm_facts *facts = &status->facts;
    Coffer__V1__Vm *vm = arena_alloc(arena, sizeof(*vm));

    coffer__v1__vm__init(vm);
    vm->workload_id = arena_strdup(arena, facts->workload_id);
    vm->generation = facts->generation;
    vm->state = wire_states[status->state];
    vm->reason = arena_strdup(arena, status->reason);
    vm->resources = resources_new(arena, facts->cpus, facts->memory_mib, facts->disk_gib);
    vm->address = arena_strdup(arena, status->address);
    vm->started_at_ms = status->started_at_ms;
    return vm;
}

struct error *report_change(struct spool *spool, struct clock *clock,
                            const struct vm_status *status, const char *tail)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__VmChanged message = COFFER__V1__VM_CHANGED__INIT;
    _cleanup_free_ char *id = xasprintf("%s.%" PRIu64 ".%" PRIu64, status->facts.workload_id,
                                        status->facts.generation, status->sequence);

    message.vm = report_vm(status, arena);
    message.at_ms = clock_wall_ms(clock);
    message.console_tail = arena_strdup(arena, tail);
    size_t size = coffer__v1__vm_changed__get_packed_size(&message);
    uint8_t *packed = arena_alloc(arena, size + 1);
    coffer__v1__vm_changed__pack(&message, packed);
    return spool_add(spool, id, packed, size);
}

static void add_vms(const struct reporter *reporter, struct arena *arena,
                    Coffer__V1__HostHeartbeat *beat)
{
    size_t n;
    struct vm_status *statuses = vms_copy(reporter->options.vms, &n);

    beat->vms = arena_alloc(arena, (n + 1) * sizeof(*beat->vms));
    for (size_t i = 0; i < n; i++)
        beat->vms[i] = report_vm(&statuses[i], arena);
    beat->n_vms = n;
    vm_statuses_free(statuses, n);
}

static void add_images(const struct reporter *reporter, struct arena *arena,
                       Coffer__V1__HostHeartbeat *beat)
{
    size_t n;
    _cleanup_free_ struct image_state *states =
        image_cache_copy_states(reporter->options.images, &n);

    beat->images = arena_alloc(arena, (n + 1) * sizeof(*beat->images));
    for (size_t i = 0; i < n; i++) {
        Coffer__V1__ImageState *image = arena_alloc(arena, sizeof(*image));
        coffer__v1__image_state__init(image);
        image->version = arena_strdup(arena, states[i].version);
        image->root_hash = arena_strdup(arena, states[i].root_hash);
        image->ready = states[i].ready;
        image->reason = arena_strdup(arena, states[i].reason);
        beat->images[i] = image;
    }
    beat->n_images = n;
}

static struct error *add_machine(const struct reporter *reporter, struct arena *arena,
                                 Coffer__V1__HostHeartbeat *beat)
{
    const struct reporter_options *o = &reporter->options;
    struct hypervisor_host host;
    struct inventory inventory;
    struct error *err = hypervisor_describe(o->hypervisor, &host);

    if (!err)
        err = inventory_read("", o->state_dir, &o->limits, &inventory);
    if (err)
        return err;
    beat->hypervisor = arena_strdup(arena, host.version);
    beat->total = resources_new(arena, inventory.cpus, inventory.memory_mib, inventory.disk_gib);
    beat->reserved = resources_new(arena, inventory.reserved_cpus, inventory.reserved_memory_mib,
                                   inventory.reserved_disk_gib);
    return NULL;
}

struct error *reporter_beat(struct reporter *reporter)
{
    const struct reporter_options *o = &reporter->options;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__HostHeartbeat beat = COFFER__V1__HOST_HEARTBEAT__INIT;

    /* an agent that has not asked libvirt yet must not say "no VMs" */
    if (!vms_is_settled(o->vms))
        return NULL;
    struct error *err = add_machine(reporter, arena, &beat);
    if (err)
        return error_wrap(err, "heartbeat");
    add_vms(reporter, arena, &beat);
    add_images(reporter, arena, &beat);
    beat.host_id = (char *)o->host_id;
    beat.agent_version = (char *)COFFER_VERSION;
    beat.agent_instance = reporter->instance;
    beat.public_address = (char *)o->public_address;
    beat.tee = (char *)o->tee;
    beat.cpu_model = (char *)o->cpu_model;
    if (o->chip_id)
        beat.chip_id = arena_bytes(arena, o->chip_id, 64);
    beat.sent_at_ms = clock_wall_ms(o->clock);
    beat.sequence = ++reporter->sequence;
    return error_wrap(
        bus_send(o->bus, reporter->heartbeat_subject, &beat.base, NULL, NULL, PUBLISH_TIMEOUT_MS),
        "heartbeat");
}

struct error *reporter_sample(struct reporter *reporter)
{
    const struct reporter_options *o = &reporter->options;
    Coffer__V1__HostSample message = COFFER__V1__HOST_SAMPLE__INIT;
    struct host_sample sample;
    size_t n;
    struct error *err = inventory_sample("", o->state_dir, &sample);

    if (err)
        return error_wrap(err, "sample");
    struct vm_status *statuses = vms_copy(o->vms, &n);
    vm_statuses_free(statuses, n);
    message.at_ms = clock_wall_ms(o->clock);
    message.load1 = sample.load1;
    message.memory_total_bytes = sample.memory_total;
    message.memory_used_bytes = sample.memory_used;
    message.disk_total_bytes = sample.disk_total;
    message.disk_used_bytes = sample.disk_used;
    message.vms = (uint32_t)n;
    return error_wrap(
        bus_send(o->bus, reporter->sample_subject, &message.base, NULL, NULL, PUBLISH_TIMEOUT_MS),
        "sample");
}

/* Never accepted, however often it is sent: it must not hold up the rest. */
static bool is_hopeless(const struct error *err)
{
    enum error_code code = error_get_code(err);

    return code == ERROR_INVALID_ARGUMENT || code == ERROR_RESOURCE_EXHAUSTED;
}

struct error *reporter_flush(struct reporter *reporter)
{
    const struct reporter_options *o = &reporter->options;

    for (;;) {
        _cleanup_buffer_ struct buffer data = {0};
        _cleanup_free_ char *id = NULL;
        if (atomic_load(&reporter->stopping) || !spool_peek(o->spool, &id, &data))
            return NULL;
        const struct bus_message message = {.subject = reporter->change_subject,
                                            .data = data.data,
                                            .size = data.size,
                                            .type = "coffer.v1.VmChanged",
                                            .message_id = id};
        struct error *err = bus_publish_durable(o->bus, &message, PUBLISH_TIMEOUT_MS);
        if (err && !is_hopeless(err))
            return error_wrap(err, "publish '%s'", id);
        log_failure(LOG_LEVEL_ERROR, "a message was refused and dropped", err);
        spool_drop(o->spool, id);
    }
}

struct error *reporter_new(const struct reporter_options *options, struct reporter **ret_reporter)
{
    _cleanup_(reporter_freep) struct reporter *reporter = xnew(struct reporter);
    const char *h = options->host_id;

    reporter->options = *options;
    uuid_generate_text(reporter->instance);
    pthread_mutex_init(&reporter->lock, NULL);
    pthread_cond_init(&reporter->stop_signal, NULL);
    struct error *err = subject_build(reporter->heartbeat_subject, "hb", "host", h, NULL);
    if (!err)
        err = subject_build(reporter->sample_subject, "stat", "host", h, NULL);
    if (!err)
        err = subject_build(reporter->change_subject, "src", "host", h, "vm", NULL);
    if (err)
        return err;
    *ret_reporter = TAKE_PTR(reporter);
    return NULL;
}

void reporter_free(struct reporter *reporter)
{
    if (!reporter)
        return;
    reporter_stop(reporter);
    pthread_cond_destroy(&reporter->stop_signal);
    pthread_mutex_destroy(&reporter->lock);
    free(reporter);
}

/* Waits; true when it is time to end. */
static bool pause_for(struct reporter *reporter, int ms)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += ms / 1000;
    pthread_mutex_lock(&reporter->lock);
    while (!atomic_load(&reporter->stopping))
        if (pthread_cond_timedwait(&reporter->stop_signal, &reporter->lock, &limit))
            break;
    pthread_mutex_unlock(&reporter->lock);
    return atomic_load(&reporter->stopping);
}

/* The first beat comes as soon as there is something to say; then every five seconds. */
static void *run_beats(void *data)
{
    struct reporter *reporter = data;

    for (unsigned turn = 0;; turn++) {
        while (!vms_is_settled(reporter->options.vms))
            if (pause_for(reporter, RETRY_MS))
                return NULL;
        log_failure(LOG_LEVEL_WARNING, "cannot report", reporter_beat(reporter));
        if (turn % (REPORT_SAMPLE_MS / REPORT_HEARTBEAT_MS) == 0)
            log_failure(LOG_LEVEL_WARNING, "cannot report", reporter_sample(reporter));
        if (pause_for(reporter, REPORT_HEARTBEAT_MS))
            return NULL;
    }
}

static void *run_flushes(void *data)
{
    struct reporter *reporter = data;
    bool failing = false;

    while (!atomic_load(&reporter->stopping)) {
        if (!spool_wait(reporter->options.spool, REPORT_HEARTBEAT_MS))
            continue;
        struct error *err = reporter_flush(reporter);
        if (!err != !failing) /* said once when it begins and once when it ends */
            log_event(LOG_LEVEL_WARNING,
                      err ? "messages wait for the bus" : "the bus takes messages", "error",
                      err ? error_text(err) : NULL, NULL);
        failing = err != NULL;
        error_free(err);
        if (failing && pause_for(reporter, RETRY_MS))
            break;
    }
    return NULL;
}

struct error *reporter_start(struct reporter *reporter)
{
    int rc = pthread_create(&reporter->beat_thread, NULL, run_beats, reporter);

    if (rc)
        return error_errno(rc, "start the heartbeat thread");
    rc = pthread_create(&reporter->flush_thread, NULL, run_flushes, reporter);
    if (!rc) {
        reporter->started = true;
        return NULL;
    }
    atomic_store(&reporter->stopping, true);
    pthread_join(reporter->beat_thread, NULL);
    return error_errno(rc, "start the spool thread");
}

void reporter_stop(struct reporter *reporter)
{
    if (!reporter || !reporter->started)
        return;
    pthread_mutex_lock(&reporter->lock);
    atomic_store(&reporter->stopping, true);
    pthread_cond_broadcast(&reporter->stop_signal);
    pthread_mutex_unlock(&reporter->lock);
    spool_wake(reporter->options.spool);
    pthread_join(reporter->beat_thread, NULL);
    pthread_join(reporter->flush_thread, NULL);
    reporter->started = false;
}
