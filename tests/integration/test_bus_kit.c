#include "tests/integration/test_bus_kit.h"

#include <time.h>

#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"

void check(struct error *err)
{
    if (!err)
        return;
    fail_msg("%s (%s)", error_text(err), error_origin(err));
    abort(); /* not reached: cmocka does not declare that a failure never returns */
}

void expect_code(struct error *err, enum error_code code)
{
    if (error_get_code(err) != code)
        fail_msg("expected %s, got %s: %s", error_code_name(code),
                 error_code_name(error_get_code(err)), error_text(err));
    error_free(err);
}

bool is_nats(void)
{
    return strcmp(BACKEND, "nats") == 0;
}

static struct bus *connect_as(const struct bus_fixture *fixture, const char *name)
{
    char inbox[64];
    struct bus *bus = NULL;

    snprintf(inbox, sizeof(inbox), "_INBOX.%s.w1", name); /* a prefix of several tokens */
    const struct bus_options options = {.url = fixture->url, .name = name, .inbox_prefix = inbox};
    check(bus_connect(&options, false, &bus));
    return bus;
}

int bus_setup(void **state)
{
    struct bus_fixture *fixture = xnew(struct bus_fixture);

    *state = fixture;
    if (!is_nats()) {
        fixture->server_side = bus_memory_new();
        fixture->client = bus_memory_attach(fixture->server_side);
    } else {
        check(nats_server_init(&fixture->server, 0));
        fixture->config = xasprintf("listen: 127.0.0.1:%d\nmax_payload: 1114112\n"
                                    "jetstream { store_dir: \"%s/store\" }\n",
                                    fixture->server.port, fixture->server.dir);
        check(nats_server_start(&fixture->server, fixture->config));
        snprintf(fixture->url, sizeof(fixture->url), "nats://127.0.0.1:%d", fixture->server.port);
        fixture->server_side = connect_as(fixture, "host-agent-h1");
        fixture->client = connect_as(fixture, "scheduler");
    }
    check(bus_ensure_streams(fixture->server_side));
    check(bus_ensure_streams(fixture->server_side)); /* again: nothing changes */
    return 0;
}

int bus_teardown(void **state)
{
    struct bus_fixture *fixture = *state;

    bus_free(fixture->client);
    bus_free(fixture->server_side);
    if (is_nats())
        nats_server_done(&fixture->server);
    free(fixture->config);
    free(fixture);
    return 0;
}

void seen_wait(struct seen *seen, size_t count)
{
    struct timespec deadline;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&seen->lock);
    while (seen->count < count && rc == 0)
        rc = pthread_cond_timedwait(&seen->changed, &seen->lock, &deadline);
    size_t got = seen->count;
    pthread_mutex_unlock(&seen->lock);
    if (got < count)
        fail_msg("saw %zu of %zu", got, count);
}

size_t seen_note(struct seen *seen, const struct bus_message *message, uint64_t number)
{
    pthread_mutex_lock(&seen->lock);
    size_t n = seen->count;
    if (n < SEEN_MAX) {
        snprintf(seen->subjects[n], sizeof(seen->subjects[n]), "%s", message->subject);
        seen->numbers[n] = number;
        seen->deliveries[n] = message->deliveries;
        seen->count++;
    }
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
    return n + 1;
}

void seen_enter(struct seen *seen)
{
    const struct timespec moment = {.tv_nsec = 200000};

    if (atomic_exchange(&seen->inside, true))
        seen->overlapped = true;
    nanosleep(&moment, NULL);
    seen->inside = false;
}

static struct error *on_heartbeat(void *state, struct bus_call *call)
{
    const Coffer__V1__HostHeartbeat *heartbeat = call->in;

    seen_enter(state);
    seen_note(state, call->message, heartbeat->sequence);
    return NULL;
}

/* Answers by what the request asks for. */
static struct error *on_workload(void *state, struct bus_call *call)
{
    const Coffer__V1__WorkloadRequest *request = call->in;
    Coffer__V1__WorkloadReply *reply = call->out;
    struct seen *seen = state;

    seen_enter(seen);
    seen_note(seen, call->message, 0);
    if (strcmp(request->workload_id, "missing") == 0)
        return error_set_reason(
            error_new(ERROR_NOT_FOUND, "no workload '%s'\r\nsecond line", request->workload_id),
            "gone\r\nlong ago");
    if (strcmp(request->workload_id, "broken") == 0)
        return error_set_reason(error_new(ERROR_INTERNAL, "redis password is wrong"), "secret");
    if (strcmp(request->workload_id, "busy") == 0)
        return error_new(ERROR_UNAVAILABLE, "not the leader");
    call->reply_signer = seen->signer;
    reply->workload = arena_alloc(call->arena, sizeof(*reply->workload));
    coffer__v1__workload__init(reply->workload);
    reply->workload->workload_id = request->workload_id;
    reply->workload->status_reason =
        arena_strdup(call->arena, call->message->request_id ?: "no request id");
    return NULL;
}

const struct bus_handler heartbeat_row = {"hb.host.*", &coffer__v1__host_heartbeat__descriptor,
                                          NULL, on_heartbeat, NULL};
const struct bus_handler workload_row = {
    "svc.scheduler.workload.stop", &coffer__v1__workload_request__descriptor,
    &coffer__v1__workload_reply__descriptor, on_workload, NULL};
const struct bus_handler queue_row = {"hb.host.*", &coffer__v1__host_heartbeat__descriptor, NULL,
                                      on_heartbeat, "group"};

void send_heartbeat(struct bus *bus, const char *subject, uint64_t sequence)
{
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;

    heartbeat.sequence = sequence;
    check(bus_send(bus, subject, &heartbeat.base, NULL, NULL, 0));
}

struct error *call_workload(struct bus *bus, const char *id, struct arena *arena,
                            Coffer__V1__WorkloadReply **ret_reply, struct bus_message *ret_message)
{
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    void *out = NULL;

    request.workload_id = (char *)id;
    struct error *err = bus_call(bus, "svc.scheduler.workload.stop", &request.base,
                                 &coffer__v1__workload_reply__descriptor, "r-1", NULL, WAIT_MS,
                                 arena, &out, ret_message);
    if (!err)
        *ret_reply = out;
    return err;
}

enum bus_ack on_source(void *state, const struct bus_message *message)
{
    struct seen *seen = state;

    seen_enter(seen);
    size_t n = seen_note(seen, message, message->stream_sequence);
    if (n == seen->nak_at) {
        seen->nak_at = 0;
        return BUS_NAK;
    }
    return n % 7 == 0 ? BUS_TERM : BUS_ACK;
}
