#include "services/guest-agent/boot_internal.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"

/* One stage. Only errors that may go away by themselves are tried again. */
struct stage {
    const char *name;
    boot_stage_fn run;
    const char *code;  /* when the stage does not know better */
    unsigned attempts; /* 0: for ever */
    int backoff_ms;    /* doubled each time */
    int backoff_max_ms;
    const char *waiting; /* the state's name while it is tried again */
    const char *back_to; /* NULL: the stage itself */
};

static const struct stage stages[] = {
    {"config", boot_config, "config_disk_malformed", 30, 200, 1000, "config disk", NULL},
    {"leaf", boot_leaf, "leaf_unreachable", 0, 100, 2000, "bus away", NULL},
    {"challenge", boot_challenge, "challenge_refused", 0, 500, 5000, "scheduler away", NULL},
    {"attest", boot_attest, "attest_refused", 20, 500, 5000, "scheduler away", "challenge"},
    {"release", boot_release, "bundle_malformed", 1, 0, 0, NULL, NULL},
    {"login", boot_login, "login_failed", 4, 1000, 5000, "registry away", NULL},
    {"pull", boot_pull, "pull_failed", 4, 2000, 8000, "registry away", NULL},
    {"lint", boot_lint, "compose_refused", 1, 0, 0, NULL, NULL},
    {"up", boot_up, "up_failed", 3, 1000, 4000, "docker away", NULL},
    {"certificate", boot_certificate, "certificate_failed", 1, 0, 0, NULL, NULL},
    {"running", boot_running, "internal", 1, 0, 0, NULL, NULL},
};

struct boot *boot_new(const struct boot_ports *ports)
{
    struct boot *boot = xnew(struct boot);

    boot->ports = *ports;
    return boot;
}

void boot_free(struct boot *boot)
{
    if (!boot)
        return;
    error_free(boot_join_loader(boot));
    error_free(boot_join_lint(boot));
    release_free(boot->release);
    app_free(boot->app);
    if (boot->answer_arena)
        arena_free(boot->answer_arena);
    if (boot->lint_arena)
        arena_free(boot->lint_arena);
    if (boot->arena)
        arena_free(boot->arena);
    free(boot->domain);
    bus_free(boot->bus);
    free(boot);
}

const char *boot_failure_code(const struct boot *boot)
{
    return boot->failure_code;
}

struct bus *boot_bus(struct boot *boot)
{
    return boot->bus;
}

static int64_t now_ms(const struct boot *boot)
{
    return clock_monotonic_ms(boot->ports.clock);
}

static size_t index_of(const char *name)
{
    size_t i = 0;

    while (strcmp(stages[i].name, name) != 0)
        i++;
    return i;
}

bool boot_may_go_away(const struct error *err)
{
    switch (error_get_code(err)) {
    case ERROR_UNAVAILABLE:
    case ERROR_DEADLINE_EXCEEDED:
    case ERROR_ABORTED:
        return true;
    default:
        return false;
    }
}

static void tell_done(struct boot *boot, const struct stage *stage, int64_t began_ms)
{
    const struct uplink_stage told = {
        .stage = stage->name,
        .duration_ms = (uint32_t)(now_ms(boot) - began_ms),
        .started_ms = began_ms,
    };
    char duration[24];

    snprintf(duration, sizeof(duration), "%u", told.duration_ms);
    log_info("stage done", "stage", stage->name, "duration_ms", duration);
    uplink_say_stage(boot->ports.uplink, &told);
}

void boot_tell_failure(struct boot *boot, const char *stage, const char *code, const char *detail,
                       int64_t began_ms)
{
    const struct uplink_stage told = {
        .stage = stage,
        .code = code,
        .detail = detail,
        .duration_ms = (uint32_t)(now_ms(boot) - began_ms),
        .started_ms = began_ms,
    };

    log_error("stage failed", "stage", stage, "reason_code", code, "error", detail);
    uplink_say_stage(boot->ports.uplink, &told);
}

/* Says it, also when the failure is that nothing of the host's may be trusted: the hints still say
 * whom to tell. */
static void give_up(struct boot *boot, const struct stage *stage, struct error *err,
                    int64_t began_ms)
{
    boot->failure_code = boot->code ? boot->code : stage->code;
    boot_tell_failure(boot, boot->failed_stage ? boot->failed_stage : stage->name,
                      boot->failure_code, error_text(err), began_ms);
    error_free(err);
    uplink_speak_anyway(boot->ports.uplink);
    engine_forget_logins(boot->ports.engine);
    if (boot->config)
        log_failure(LOG_LEVEL_WARNING, "cannot tell anybody", boot_connect(boot));
}

static void log_waiting(const struct stage *stage, unsigned tries, struct error *err)
{
    _cleanup_free_ char *state = xasprintf("waiting: %s", stage->waiting);

    /* The first few and then fewer: a wait of hours is no reason for a long log. */
    if (tries <= 3 || tries % 20 == 0)
        log_warning(state, "stage", stage->name, "error", error_text(err));
    error_free(err);
}

static int backoff_ms(const struct stage *stage, unsigned tries)
{
    int ms = stage->backoff_ms;

    for (unsigned i = 1; i < tries && ms < stage->backoff_max_ms; i++)
        ms *= 2;
    return ms < stage->backoff_max_ms ? ms : stage->backoff_max_ms;
}

bool boot_run(struct boot *boot)
{
    unsigned tries[ELEMENTSOF(stages)] = {0};
    int64_t began[ELEMENTSOF(stages)] = {0};

    for (size_t i = 0; i < ELEMENTSOF(stages);) {
        const struct stage *stage = &stages[i];
        began[i] = tries[i] ? began[i] : now_ms(boot);
        boot->code = NULL;
        struct error *err = stage->run(boot);
        if (!err) {
            tell_done(boot, stage, began[i]);
            i++;
            continue;
        }
        if (error_get_code(err) == ERROR_CANCELLED) {
            error_free(err);
            return false;
        }
        tries[i]++;
        if (!boot_may_go_away(err) || (stage->attempts && tries[i] >= stage->attempts)) {
            give_up(boot, stage, err, began[i]);
            return false;
        }
        log_waiting(stage, tries[i], err);
        if (!boot->ports.pause(boot->ports.data, backoff_ms(stage, tries[i])))
            return false;
        i = stage->back_to ? index_of(stage->back_to) : i;
    }
    return true;
}
