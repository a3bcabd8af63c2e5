#include "services/guest-agent/handlers.h"

#include "schemas/common.pb-c.h"
#include "schemas/guest.pb-c.h"
#include "services/guest-agent/messages.h"
#include "shared/bus/subject.h"

enum { LINES_MAX = 1000, REPLY_BYTES_MAX = 900 * 1024 };

/* Only what the guard let through gets a signed answer. */
static struct error *admit(struct handlers *handlers, struct bus_call *call, int64_t issued_at_ms)
{
    struct error *err = command_guard_check(&handlers->guard, call->message, issued_at_ms);

    if (!err)
        call->reply_signer = &handlers->identity->signer;
    return err;
}

static struct error *on_stats(void *state, struct bus_call *call)
{
    struct handlers *handlers = state;
    const Coffer__V1__GuestQuery *query = call->in;
    struct stats stats = {0};
    int64_t at_ms = 0;
    struct error *err = admit(handlers, call, query->issued_at_ms);

    if (err)
        return err;
    if (!monitor_sample(handlers->monitor, &stats, &at_ms))
        return error_new(ERROR_UNAVAILABLE, "no sample yet");
    fill_sample(call->out, &stats, at_ms, uplink_boot_number(handlers->uplink), call->arena);
    stats_done(&stats);
    return NULL;
}

static struct error *on_containers(void *state, struct bus_call *call)
{
    struct handlers *handlers = state;
    const Coffer__V1__GuestQuery *query = call->in;
    Coffer__V1__ContainersReply *reply = call->out;
    struct engine_container *containers;
    struct error *err = admit(handlers, call, query->issued_at_ms);

    if (err)
        return err;
    monitor_containers(handlers->monitor, call->arena, &containers, &reply->n_containers);
    reply->containers = messages_of_containers(containers, reply->n_containers, call->arena);
    return NULL;
}

/* Lines of a container as they come from the engine; too many end the reading. */
struct collected {
    struct arena *arena;
    struct log_line *lines;
    size_t n;
    size_t max;
    size_t bytes;
};

static bool collect(void *data, int64_t at_ns, bool standard_error, const char *text, size_t size)
{
    struct collected *all = data;

    size = size < LOGS_LINE_MAX ? size : LOGS_LINE_MAX;
    all->bytes += size + 64;
    if (all->n == all->max || all->bytes > REPLY_BYTES_MAX)
        return false;
    all->lines[all->n++] = (struct log_line){.at_ms = at_ns / 1000000,
                                             .standard_error = standard_error,
                                             .text = arena_memdup(all->arena, text, size),
                                             .size = size};
    return true;
}

/* By container name, else by service name. */
static const struct engine_container *find(const struct engine_container *containers, size_t n,
                                           const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(containers[i].name, name) == 0)
            return &containers[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(containers[i].service, name) == 0)
            return &containers[i];
    }
    return NULL;
}

static struct error *read_container_logs(struct handlers *handlers,
                                         const Coffer__V1__LogsRequest *request,
                                         struct collected *all)
{
    struct engine_container *containers;
    size_t n;

    monitor_containers(handlers->monitor, all->arena, &containers, &n);
    const struct engine_container *container = find(containers, n, request->source);
    if (!container)
        return error_new(ERROR_NOT_FOUND, "no container '%.100s'", request->source);
    const struct engine_log_query query = {
        .id = container->id,
        .tail = request->tail ? (unsigned)all->max : 0,
        .standard_output = strcmp(request->stream, "stderr") != 0,
        .standard_error = strcmp(request->stream, "stdout") != 0,
    };
    return engine_logs(handlers->engine, &query, collect, all);
}

static struct error *on_logs(void *state, struct bus_call *call)
{
    struct handlers *handlers = state;
    const Coffer__V1__LogsRequest *request = call->in;
    Coffer__V1__LogsReply *reply = call->out;
    size_t max =
        request->max_lines && request->max_lines < LINES_MAX ? request->max_lines : LINES_MAX;
    struct collected all = {.arena = call->arena, .max = max};
    struct error *err = admit(handlers, call, request->issued_at_ms);

    if (err)
        return err;
    if (strcmp(request->source, LOGS_OWN) == 0) {
        logs_own(handlers->logs, request->tail, max, call->arena, &all.lines, &all.n);
    } else {
        all.lines = arena_alloc(call->arena, (max + 1) * sizeof(*all.lines));
        err = read_container_logs(handlers, request, &all);
    }
    if (err)
        return err;
    reply->n_lines = all.n;
    reply->lines = messages_of_lines(all.lines, all.n, call->arena);
    return NULL;
}

static struct error *on_stop(void *state, struct bus_call *call)
{
    struct handlers *handlers = state;
    const Coffer__V1__GuestQuery *query = call->in;
    struct error *err = admit(handlers, call, query->issued_at_ms);

    if (!err)
        handlers->stop(handlers->data);
    return err;
}

const struct bus_handler guest_handlers[] = {
    {"stats", &coffer__v1__guest_query__descriptor, &coffer__v1__guest_sample__descriptor, on_stats,
     NULL},
    {"containers", &coffer__v1__guest_query__descriptor, &coffer__v1__containers_reply__descriptor,
     on_containers, NULL},
    {"logs", &coffer__v1__logs_request__descriptor, &coffer__v1__logs_reply__descriptor, on_logs,
     NULL},
    {"stop", &coffer__v1__guest_query__descriptor, &coffer__v1__empty__descriptor, on_stop, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

struct error *handlers_subscribe(struct handlers *handlers, struct bus *bus, const char *host_id,
                                 const char *workload_id,
                                 struct bus_subscription *ret_subscriptions[GUEST_HANDLERS])
{
    for (size_t i = 0; guest_handlers[i].subject; i++) {
        char subject[SUBJECT_MAX];
        struct error *err = subject_build(subject, "cmd", "guest", host_id, workload_id,
                                          guest_handlers[i].subject, NULL);
        if (!err)
            err = bus_subscribe(bus, &guest_handlers[i], subject, handlers, &ret_subscriptions[i]);
        if (err)
            return error_wrap(err, "subscribe '%s'", guest_handlers[i].subject);
    }
    return NULL;
}
