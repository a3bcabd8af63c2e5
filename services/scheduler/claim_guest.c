/* src.guest.<h>.<w>.stage and .health: what the guest says of itself. */
#include "services/scheduler/claim.h"

enum { STAGES_MAX = 32, CONTAINERS_MAX = 64 };

/* The stages in order, what each moves, and whether one may fail without being the end. */
static const struct stage {
    const char *name;
    bool before_release; /* the guest has no attested key yet: informative only */
    bool moves;
    enum trigger trigger;
    bool only_warns;
} stages[] = {
    {.name = "config", .before_release = true},
    {.name = "leaf", .before_release = true},
    {.name = "challenge", .before_release = true},
    {.name = "attest", .before_release = true},
    {.name = "release", .before_release = true},
    {.name = "login"},
    {.name = "pull"},
    {.name = "lint"},
    {.name = "up", .moves = true, .trigger = TRIGGER_UP},
    {.name = "certificate", .moves = true, .trigger = TRIGGER_CERTIFICATE, .only_warns = true},
    {.name = "running", .moves = true, .trigger = TRIGGER_CERTIFICATE},
};

static const struct stage *find_stage(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(stages); i++)
        if (strcmp(stages[i].name, name) == 0)
            return &stages[i];
    return NULL;
}

static struct error *stale(struct update *update, const struct claim *claim, const char *detail)
{
    scheduler_count(update->scheduler, COUNTER_STALE_CLAIM, claim->message->subject, detail);
    update->skip = true;
    return NULL;
}

static bool seen_before(const Coffer__V1__Workload *workload, const Coffer__V1__GuestStage *in)
{
    for (size_t i = 0; i < workload->n_stages; i++)
        if (workload->stages[i]->at_ms == in->at_ms &&
            strcmp(workload->stages[i]->stage, in->stage) == 0)
            return true;
    return false;
}

static void remember_stage(struct update *update, const Coffer__V1__GuestStage *in)
{
    Coffer__V1__Workload *workload = update->workload;
    struct arena *arena = update->arena;
    Coffer__V1__StageTime *entry = arena_alloc(arena, sizeof(*entry));
    Coffer__V1__StageTime **list = arena_alloc(arena, (workload->n_stages + 1) * sizeof(*list));

    if (workload->n_stages >= STAGES_MAX)
        return;
    coffer__v1__stage_time__init(entry);
    entry->stage = in->stage;
    entry->at_ms = in->at_ms;
    entry->duration_ms = in->duration_ms;
    if (workload->n_stages)
        memcpy(list, workload->stages, workload->n_stages * sizeof(*list));
    list[workload->n_stages++] = entry;
    workload->stages = list;
}

static struct error *stage_failed(struct update *update, const struct stage *stage,
                                  const Coffer__V1__GuestStage *in)
{
    Coffer__V1__Workload *workload = update->workload;
    const struct event_detail detail = {
        .code = in->code[0] ? arena_printf(update->arena, "%.64s", in->code)
                            : arena_printf(update->arena, "%s_failed", stage->name),
        .message = in->detail,
        .stage = stage->name,
        .duration_ms = in->duration_ms,
    };

    if (stage->only_warns) {
        change_workload_event(&update->change, workload, "warning", SOURCE_GUEST, &detail);
        return NULL;
    }
    /* Owner's or operator's to fix: the same again would fail again. */
    workload->next_attempt_at_ms = 0;
    return workload_move(update, TRIGGER_STAGE_FAILED, SOURCE_GUEST, &detail);
}

static struct error *stage_done(struct update *update, const struct stage *stage,
                                const Coffer__V1__GuestStage *in)
{
    Coffer__V1__Workload *workload = update->workload;
    const struct event_detail detail = {.stage = stage->name, .duration_ms = in->duration_ms};

    change_workload_event(&update->change, workload, "stage", SOURCE_GUEST, &detail);
    if (workload->deadline_at_ms)
        workload->deadline_at_ms = clock_wall_ms(update->scheduler->clock) +
                                   (int64_t)update->scheduler->config->boot_deadline_ms;
    /* Degraded stays so until the guest says that it is healthy. */
    if (!stage->moves || !fsm_find(stage->trigger, SOURCE_GUEST, (enum status)workload->status))
        return NULL;
    return workload_move(update, stage->trigger, SOURCE_GUEST, &detail);
}

/* Of this generation and, once there is one, of this boot. */
static bool stage_is_current(const Coffer__V1__Workload *workload, const struct stage *stage,
                             const Coffer__V1__GuestStage *in)
{
    if (in->generation != workload->generation)
        return false;
    return in->boot_number == workload->boot_number ||
           (stage->before_release && in->boot_number == 0 && workload->guest_sign_public.len == 0);
}

struct error *claim_stage(struct update *update, void *data)
{
    const struct claim *claim = data;
    const Coffer__V1__GuestStage *in = claim->in;
    Coffer__V1__Workload *workload = update->workload;
    const struct stage *stage = find_stage(in->stage);
    bool is_signed;
    struct error *err = claim_check_place(update, claim);

    if (err)
        return err;
    if (!stage) {
        scheduler_count(update->scheduler, COUNTER_MALFORMED_CLAIM, claim->message->subject,
                        "unknown stage");
        return error_new(ERROR_INVALID_ARGUMENT, "unknown stage '%.64s'", in->stage);
    }
    if (!stage_is_current(workload, stage, in))
        return stale(update, claim, "of another generation or boot");
    err = claim_check_signature(update, claim, &workload->stage_counter, &is_signed);
    if (err)
        return err;
    if (!is_signed && !stage->before_release) {
        scheduler_count(update->scheduler, COUNTER_FORGED_CLAIM, claim->message->subject,
                        "a stage after the release, without an attested guest");
        return error_new(ERROR_PERMISSION_DENIED, "unsigned stage '%s'", stage->name);
    }
    /* After the end of the boot its last words add nothing. */
    update->skip = seen_before(workload, in) ||
                   !fsm_find(TRIGGER_STAGE_FAILED, SOURCE_GUEST, (enum status)workload->status);
    if (update->skip)
        return NULL;
    remember_stage(update, in);
    return in->failed ? stage_failed(update, stage, in) : stage_done(update, stage, in);
}

static bool is_down(const Coffer__V1__Container *container)
{
    bool finished = strcmp(container->state, "exited") == 0 && container->exit_code == 0;

    return (strcmp(container->state, "running") != 0 && !finished) ||
           strcmp(container->health, "unhealthy") == 0;
}

static void name_containers_down(struct update *update, const Coffer__V1__GuestHealth *in)
{
    Coffer__V1__Workload *workload = update->workload;
    char **names = arena_alloc(update->arena, (in->n_containers + 1) * sizeof(*names));
    size_t n = 0;

    for (size_t i = 0; i < in->n_containers; i++)
        if (is_down(in->containers[i]))
            names[n++] = arena_printf(update->arena, "%.128s", in->containers[i]->name);
    workload->containers_down = names;
    workload->n_containers_down = n;
}

static struct error *health_changed(struct update *update, const Coffer__V1__GuestHealth *in)
{
    enum trigger trigger = in->healthy ? TRIGGER_HEALTHY : TRIGGER_UNHEALTHY;
    const struct event_detail detail = {
        .code = in->healthy ? "" : "containers_down",
        .message = arena_printf(update->arena, "%.1024s", in->healthy ? "" : in->reason),
    };
    enum status status = (enum status)update->workload->status;

    /* Healthy without a certificate is not running yet; a certificate that is not there yet is
     * what awaitingCert says already. */
    bool undecided = in->healthy
                         ? !in->certificate_not_after_ms
                         : status == STATUS_AWAITING_CERT && !update->workload->n_containers_down;
    if (undecided || !fsm_find(trigger, SOURCE_GUEST, status))
        return NULL;
    return workload_move(update, trigger, SOURCE_GUEST, &detail);
}

struct error *claim_health(struct update *update, void *data)
{
    const struct claim *claim = data;
    const Coffer__V1__GuestHealth *in = claim->in;
    Coffer__V1__Workload *workload = update->workload;
    bool is_signed;
    struct error *err = claim_check_place(update, claim);

    if (err)
        return err;
    if (in->n_containers > CONTAINERS_MAX) {
        scheduler_count(update->scheduler, COUNTER_MALFORMED_CLAIM, claim->message->subject,
                        "too many containers");
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d containers", CONTAINERS_MAX);
    }
    if (in->boot_number != workload->boot_number)
        return stale(update, claim, "of another boot");
    err = claim_check_signature(update, claim, &workload->health_counter, &is_signed);
    if (err)
        return err;
    if (!is_signed) {
        scheduler_count(update->scheduler, COUNTER_FORGED_CLAIM, claim->message->subject,
                        "health without an attested guest");
        return error_new(ERROR_PERMISSION_DENIED, "unsigned health");
    }
    name_containers_down(update, in);
    return health_changed(update, in);
}
