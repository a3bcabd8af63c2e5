#include "cli/wait.h"

#include "cli/command.h"
#include "cli/stages.h"
#include "cli/stream_gap.h"
#include "shared/base/alloc.h"

struct waiting {
    const struct wait_options *options;
    struct stages stages;
    bool running;
    bool late;
    char *code;
    char *failure;
};

/* What its owner can do about it; the first code that is a prefix counts. */
static const struct {
    const char *code;
    const char *advice;
} advices[] = {
    {"pull_failed", "check the image's name and that --registry gives credentials for its server"},
    {"digest_mismatch",
     "the registry serves another image than the digest names: name the new one"},
    {"compose_refused", "coffer plan shows what the compose file must not do"},
    {"container_", "coffer logs WORKLOAD --container NAME shows what it said last"},
    {"containers_", "coffer logs WORKLOAD --container NAME shows what it said last"},
    {"certificate_", "coffer domains ls WORKLOAD shows whether its name leads to it"},
    {"no_host", "a smaller size, or wait until there is room: coffer plan explains"},
    {"no_image", "coffer images ls shows the versions that there are"},
    {"attest_", "the host could not prove itself: it is the operator's turn"},
    {"host_", "it is started elsewhere by itself: coffer events WORKLOAD -f"},
};

static const char *advice_for(const char *code)
{
    for (size_t i = 0; i < ELEMENTSOF(advices); i++)
        if (strncmp(code, advices[i].code, strlen(advices[i].code)) == 0)
            return advices[i].advice;
    return "coffer events WORKLOAD and coffer logs WORKLOAD say more";
}

static const char *detail(const json_t *event, const char *name)
{
    return json_string_value(json_object_get(json_object_get(event, "details"), name)) ?: "";
}

static json_int_t detail_number(const json_t *event, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(event, "details"), name));
}

/* Somebody else stopped or deleted it meanwhile: it will not run. */
static bool ends_the_wait(const char *kind)
{
    static const char *const kinds[] = {"stopping", "stopped", "deleting", "deleted"};

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static void fail(struct waiting *waiting, const char *code, const char *why)
{
    waiting->code = xstrdup(code);
    waiting->failure = xstrdup(why);
}

static bool on_event(void *data, const char *name, _unused_ const char *id, const char *text)
{
    struct waiting *waiting = data;
    _cleanup_(json_decrefp) json_t *event = json_loads(text, 0, NULL);
    const char *kind = detail(event, "kind");
    json_int_t generation = detail_number(event, "generation");

    if (strcmp(name, STREAM_GAP) == 0 || generation < waiting->options->generation)
        return true;
    const char *why = detail(event, strcmp(kind, "error") == 0 ? "error" : "message");
    stages_line(&waiting->stages, kind, detail(event, "stage"), detail_number(event, "durationMs"),
                why);
    stages_stage(&waiting->stages, kind);
    waiting->running = strcmp(kind, "running") == 0;
    if (strcmp(kind, "error") == 0)
        fail(waiting, detail(event, "code"), why);
    else if (ends_the_wait(kind))
        fail(waiting, "", kind);
    return !waiting->running && !waiting->failure;
}

static bool on_tick(void *data, _unused_ bool open)
{
    struct waiting *waiting = data;
    int64_t limit = (int64_t)waiting->options->timeout_s * 1000;

    stages_tick(&waiting->stages);
    waiting->late = limit && stages_elapsed_ms(&waiting->stages) >= limit;
    return !waiting->late;
}

static struct error *verdict(const struct waiting *waiting)
{
    const char *id = waiting->options->workload;

    if (waiting->late)
        return error_new(ERROR_DEADLINE_EXCEEDED,
                         "the workload does not run yet after %u s; coffer events %s -f goes on",
                         waiting->options->timeout_s, id);
    if (!waiting->failure)
        return NULL;
    return error_new(ERROR_FAILED_PRECONDITION,
                     "the workload did not come up: %s%s%s%s\n  what to do: %s\n  WORKLOAD is %s",
                     waiting->failure, *waiting->code ? " (" : "", waiting->code,
                     *waiting->code ? ")" : "", advice_for(waiting->code), id);
}

struct error *wait_until_running(struct client *client, const struct wait_options *options)
{
    struct waiting waiting = {.options = options};
    FILE *out = options->quiet_stdout ? stderr : stdout;
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s/events", options->workload);
    const struct client_stream stream = {
        .path = path, .on_event = on_event, .on_tick = on_tick, .data = &waiting};

    stages_start(&waiting.stages, out, isatty(fileno(out)), clock_system());
    stages_stage(&waiting.stages, "asked for");
    struct error *err = client_follow_stream(client, &stream);
    stages_end(&waiting.stages);
    err = err ?: verdict(&waiting);
    free(waiting.code);
    free(waiting.failure);
    return err;
}
