/* Hosts that have what they were told to start, until they are told to stop it. */
#include "tests/bench/stage_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/bus/subject.h"

struct stage_host {
    char id[24];
    pthread_mutex_t lock;
    char vms[STAGE_VMS_OF_HOST][40];
    size_t n_vms;
};

const char *stage_host_id(const struct stage *stage, size_t i)
{
    return stage->hosts[i].id;
}

void stage_hosts_init(struct stage *stage)
{
    stage->hosts = xnew_array(struct stage_host, stage->n_hosts);
    for (size_t i = 0; i < stage->n_hosts; i++) {
        snprintf(stage->hosts[i].id, sizeof(stage->hosts[i].id), "h%zu", i);
        pthread_mutex_init(&stage->hosts[i].lock, NULL);
    }
}

static struct stage_host *host_of(struct stage *stage, const struct bus_call *call)
{
    char id[24];

    (void)subject_token(call->message->subject, 2, id, sizeof(id));
    return &stage->hosts[strtoul(id + 1, NULL, 10) % stage->n_hosts];
}

static void answer(struct bus_call *call, char *workload_id, uint64_t generation,
                   Coffer__V1__VmState vm_state)
{
    Coffer__V1__VmReply *reply = call->out;

    reply->vm = arena_alloc(call->arena, sizeof(*reply->vm));
    coffer__v1__vm__init(reply->vm);
    reply->vm->workload_id = workload_id;
    reply->vm->generation = generation;
    reply->vm->state = vm_state;
}

static struct error *on_start(void *state, struct bus_call *call)
{
    struct stage *stage = state;
    const Coffer__V1__StartVmRequest *request = call->in;
    struct stage_host *host = host_of(stage, call);

    pthread_mutex_lock(&host->lock);
    if (host->n_vms < STAGE_VMS_OF_HOST)
        snprintf(host->vms[host->n_vms++], sizeof(host->vms[0]), "%s", request->workload_id);
    pthread_mutex_unlock(&host->lock);
    answer(call, request->workload_id, request->generation, COFFER__V1__VM_STATE__VM_RUNNING);
    atomic_fetch_add(&stage->launched, 1);
    return NULL;
}

static struct error *on_stop(void *state, struct bus_call *call)
{
    const Coffer__V1__StopVmRequest *request = call->in;
    struct stage_host *host = host_of(state, call);

    pthread_mutex_lock(&host->lock);
    for (size_t i = 0; i < host->n_vms; i++)
        if (strcmp(host->vms[i], request->workload_id) == 0) {
            memmove(host->vms[i], host->vms[--host->n_vms], sizeof(host->vms[0]));
            break;
        }
    pthread_mutex_unlock(&host->lock);
    answer(call, request->workload_id, request->generation, COFFER__V1__VM_STATE__VM_STOPPED);
    return NULL;
}

static void fill_vms(struct stage_host *host, struct arena *arena,
                     Coffer__V1__HostHeartbeat *heartbeat)
{
    pthread_mutex_lock(&host->lock);
    heartbeat->vms = arena_alloc(arena, (host->n_vms + 1) * sizeof(*heartbeat->vms));
    for (size_t i = 0; i < host->n_vms; i++) {
        Coffer__V1__Vm *vm = arena_alloc(arena, sizeof(*vm));
        coffer__v1__vm__init(vm);
        vm->workload_id = arena_strdup(arena, host->vms[i]);
        vm->generation = 1;
        vm->state = COFFER__V1__VM_STATE__VM_RUNNING;
        heartbeat->vms[heartbeat->n_vms++] = vm;
    }
    pthread_mutex_unlock(&host->lock);
}

static void beat(struct stage *stage, struct stage_host *host)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__Resources total = COFFER__V1__RESOURCES__INIT;
    Coffer__V1__ImageState image = COFFER__V1__IMAGE_STATE__INIT;
    Coffer__V1__ImageState *images[] = {&image};
    char subject[64];

    image.version = (char *)STAGE_IMAGE;
    image.ready = true;
    total.cpus = STAGE_CPUS * STAGE_VMS_OF_HOST;
    total.memory_mib = 1024 * STAGE_VMS_OF_HOST;
    total.disk_gib = 100000;
    heartbeat.host_id = host->id;
    heartbeat.total = &total;
    heartbeat.images = images;
    heartbeat.n_images = 1;
    heartbeat.tee = (char *)"software";
    heartbeat.public_address = (char *)"192.0.2.1";
    fill_vms(host, arena, &heartbeat);
    snprintf(subject, sizeof(subject), "hb.host.%s", host->id);
    error_free(bus_send(stage->fleet, subject, &heartbeat.base, NULL, NULL, 1000));
}

static void *heart_main(void *data)
{
    struct stage *stage = data;
    long pause_ns = STAGE_HEARTBEAT_S * 1000000000L / (long)stage->n_hosts;

    while (!atomic_load(&stage->ending))
        for (size_t i = 0; i < stage->n_hosts && !atomic_load(&stage->ending); i++) {
            beat(stage, &stage->hosts[i]);
            nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
        }
    return NULL;
}

void stage_hosts_start(struct stage *stage)
{
    static const struct bus_handler start = {"cmd.host.*.start",
                                             &coffer__v1__start_vm_request__descriptor,
                                             &coffer__v1__vm_reply__descriptor, on_start, NULL};
    static const struct bus_handler stop = {"cmd.host.*.stop",
                                            &coffer__v1__stop_vm_request__descriptor,
                                            &coffer__v1__vm_reply__descriptor, on_stop, NULL};

    stage->fleet = stage_connect(stage, "ops");
    must(bus_subscribe(stage->fleet, &start, start.subject, stage, &stage->starts));
    must(bus_subscribe(stage->fleet, &stop, stop.subject, stage, &stage->stops));
    for (size_t i = 0; i < stage->n_hosts; i++)
        beat(stage, &stage->hosts[i]);
    int rc = pthread_create(&stage->heart, NULL, heart_main, stage);
    if (rc != 0)
        give_up(error_errno(rc, "start a thread"));
}

void stage_hosts_end(struct stage *stage)
{
    atomic_store(&stage->ending, true);
    pthread_join(stage->heart, NULL);
    bus_unsubscribe(stage->starts);
    bus_unsubscribe(stage->stops);
    bus_free(stage->fleet);
    free(stage->hosts);
}
