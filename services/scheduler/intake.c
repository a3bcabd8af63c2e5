#include "services/scheduler/intake.h"

#include "services/scheduler/workloads.h"

static void answer(struct bus_call *call, const struct creation *creation)
{
    Coffer__V1__WorkloadReply *reply = call->out;

    reply->workload = creation->workload;
    reply->audited = creation->audited;
    bus_call_answer(call, creation->err);
}

static void flush(void *data)
{
    struct scheduler *scheduler = data;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct creation creations[INTAKE_MAX];
    struct intake intake = scheduler->intake;

    scheduler->intake = (struct intake){0};
    for (size_t i = 0; i < intake.n; i++)
        creations[i] = (struct creation){.request = intake.calls[i]->in};
    workloads_create(scheduler, creations, intake.n, arena);
    for (size_t i = 0; i < intake.n; i++)
        answer(intake.calls[i], &creations[i]);
}

struct error *intake_create(struct scheduler *scheduler, struct bus_call *call)
{
    struct intake *intake = &scheduler->intake;
    size_t size = call->message->size;
    struct bus_call *kept = bus_call_keep(call);

    if (!kept)
        return workload_create(scheduler, call->in, call->arena, call->out);
    intake->calls[intake->n++] = kept;
    intake->bytes += size;
    bool later = intake->n > 1 || bus_call_later(kept, flush, scheduler);
    if (!later || intake->n == INTAKE_MAX || intake->bytes >= INTAKE_BYTES_MAX)
        flush(scheduler);
    return NULL;
}

void intake_done(struct intake *intake)
{
    for (size_t i = 0; i < intake->n; i++)
        bus_call_drop(intake->calls[i]);
    *intake = (struct intake){0};
}
