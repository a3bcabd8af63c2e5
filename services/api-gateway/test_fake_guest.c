#include "services/api-gateway/test_fake_guest.h"

#include "schemas/guest.pb-c.h"
#include "services/api-gateway/guest_call.h"

static struct error *guest_sign(struct bus_signer *base, const char *subject, const void *data,
                                size_t size, uint64_t *ret_counter, uint8_t ret_signature[64])
{
    struct guest *guest = (struct guest *)base;
    _cleanup_buffer_ struct buffer bytes = {0};

    *ret_counter = ++guest->counter;
    bus_signed_bytes(subject, *ret_counter, data, size, &bytes);
    return sign_bytes(guest->key, bytes.data, bytes.size, ret_signature);
}

static struct error *take_question(struct guest *guest, struct bus_call *call)
{
    const ProtobufCBinaryData gateway = {32, (uint8_t *)guest->fixture->gateway_key.public};
    _cleanup_(error_freep) struct error *err = guest_verify(call->message, &gateway, call->arena);

    guest->asked++;
    guest->question_was_signed = !err && call->message->counter > guest->last_question;
    guest->last_question = call->message->counter;
    if (guest->refuse) {
        guest->refuse--;
        return error_new(ERROR_PERMISSION_DENIED, "out of order");
    }
    if (guest->key)
        call->reply_signer = &guest->signer;
    return NULL;
}

static struct error *on_stats(void *state, struct bus_call *call)
{
    Coffer__V1__GuestSample *sample = call->out;
    Coffer__V1__CpuSample *cpu = arena_alloc(call->arena, sizeof(*cpu));
    Coffer__V1__DiskSample *disk = arena_alloc(call->arena, sizeof(*disk));

    sample->memory_total_bytes = 4096;
    sample->memory_used_bytes = 1024;
    coffer__v1__cpu_sample__init(cpu);
    cpu->name = "cpu0";
    cpu->usage_percent = 12.5;
    sample->cpus = arena_memdup(call->arena, &cpu, sizeof(cpu));
    sample->n_cpus = 1;
    coffer__v1__disk_sample__init(disk);
    disk->name = "vda";
    disk->mount_point = "/";
    disk->filesystem = "ext4";
    sample->disks = arena_memdup(call->arena, &disk, sizeof(disk));
    sample->n_disks = 1;
    return take_question(state, call);
}

static struct error *on_containers(void *state, struct bus_call *call)
{
    Coffer__V1__ContainersReply *reply = call->out;
    Coffer__V1__Container *container = arena_alloc(call->arena, sizeof(*container));

    coffer__v1__container__init(container);
    container->name = "cvm-web-1";
    container->service = "web";
    container->state = "running";
    reply->containers = arena_memdup(call->arena, &container, sizeof(container));
    reply->n_containers = 1;
    return take_question(state, call);
}

static struct error *on_logs(void *state, struct bus_call *call)
{
    const Coffer__V1__LogsRequest *request = call->in;
    Coffer__V1__LogsReply *reply = call->out;
    Coffer__V1__LogLine *line = arena_alloc(call->arena, sizeof(*line));
    struct guest *guest = state;

    snprintf(guest->source, sizeof(guest->source), "%s/%s/%d/%u", request->source, request->stream,
             request->tail, request->max_lines);
    coffer__v1__log_line__init(line);
    line->text = (ProtobufCBinaryData){5, (uint8_t *)"a\xff\xffz\0"};
    reply->lines = arena_memdup(call->arena, &line, sizeof(line));
    reply->n_lines = 1;
    return take_question(state, call);
}

#define SUBJECT "cmd.guest." TEST_HOST "." TEST_WORKLOAD
static const struct bus_handler guest_rows[] = {
    {SUBJECT ".stats", &coffer__v1__guest_query__descriptor, &coffer__v1__guest_sample__descriptor,
     on_stats, NULL},
    {SUBJECT ".containers", &coffer__v1__guest_query__descriptor,
     &coffer__v1__containers_reply__descriptor, on_containers, NULL},
    {SUBJECT ".logs", &coffer__v1__logs_request__descriptor, &coffer__v1__logs_reply__descriptor,
     on_logs, NULL},
};

void guest_start(struct fixture *f, struct guest *guest, const char *account)
{
    *guest = (struct guest){.signer = {guest_sign}, .key = &f->guest_key, .fixture = f};
    put_workload(f, TEST_WORKLOAD, account, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(guest_rows); i++)
        assert_null(bus_subscribe(f->peer, &guest_rows[i], guest_rows[i].subject, guest,
                                  &f->subscriptions[f->n_subscriptions++]));
}
