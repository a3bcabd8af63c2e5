#include "services/scheduler/sources.h"

#include "services/scheduler/claim.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"
#include "shared/bus/subject.h"

static const struct {
    const char *pattern;
    update_fn function;
} kinds[] = {
    {"src.host.*.vm", claim_vm},
    {"src.guest.*.*.stage", claim_stage},
    {"src.guest.*.*.health", claim_health},
};

static update_fn find_kind(const char *subject)
{
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (subject_matches(kinds[i].pattern, subject))
            return kinds[i].function;
    return NULL;
}

static struct error *malformed(struct scheduler *scheduler, const struct bus_message *message,
                               const char *detail)
{
    scheduler_count(scheduler, COUNTER_MALFORMED_CLAIM, message->subject, detail);
    return error_new(ERROR_INVALID_ARGUMENT, "claim on '%s': %s", message->subject, detail);
}

static struct error *read_claim(struct scheduler *scheduler, struct arena *arena,
                                struct claim *claim)
{
    const struct bus_message *message = claim->message;
    const struct subject_row *row = subject_find(message->subject);
    bool from_guest = strncmp(message->subject, "src.guest.", 10) == 0;
    void *in;

    if (!row ||
        (message->type && message->type[0] && strcmp(message->type, row->message->name) != 0))
        return malformed(scheduler, message, "not the subject's message");
    struct error *err = bus_unpack(row->message, message->data, message->size, arena, &in);
    if (err) {
        error_free(err);
        return malformed(scheduler, message, "cannot be read");
    }
    claim->in = in;
    (void)subject_token(message->subject, 2, claim->host_id, sizeof(claim->host_id));
    if (from_guest) {
        (void)subject_token(message->subject, 3, claim->workload_id, sizeof(claim->workload_id));
    } else {
        const Coffer__V1__VmChanged *changed = in;
        if (!changed->vm || !name_is_valid(changed->vm->workload_id))
            return malformed(scheduler, message, "names no workload");
        snprintf(claim->workload_id, sizeof(claim->workload_id), "%s", changed->vm->workload_id);
    }
    return NULL;
}

static struct error *take(struct scheduler *scheduler, const struct bus_message *message,
                          struct arena *arena)
{
    struct claim claim = {.message = message};
    update_fn function = find_kind(message->subject);

    if (!function)
        return malformed(scheduler, message, "unknown kind");
    struct error *err = read_claim(scheduler, arena, &claim);
    return err ?: workload_update(scheduler, claim.workload_id, function, &claim, arena, NULL);
}

enum bus_ack source_consume(void *state, const struct bus_message *message)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct error *err = take(state, message, arena);
    enum error_code code = error_get_code(err);

    if (code == ERROR_OK)
        return BUS_ACK;
    if (code == ERROR_UNAVAILABLE || code == ERROR_DEADLINE_EXCEEDED) {
        log_failure(LOG_LEVEL_WARNING, "claim must wait", err);
        return BUS_NAK;
    }
    /* Refusals were logged where they were counted; a repetition is not worth a line. */
    log_failure(code == ERROR_INTERNAL || code == ERROR_DATA_LOSS ? LOG_LEVEL_ERROR
                                                                  : LOG_LEVEL_DEBUG,
                "claim not taken", err);
    return code == ERROR_ALREADY_EXISTS ? BUS_ACK : BUS_TERM;
}

struct error *sources_start(struct scheduler *scheduler)
{
    return bus_consume(scheduler->bus, "SOURCES", "scheduler", "src.>", source_consume, scheduler,
                       &scheduler->sources);
}
