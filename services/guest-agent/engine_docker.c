/* Docker: the CLI for logins, compose v2 for the project, the Engine API for everything else. */
#include <jansson.h>
#include <unistd.h>

#include "services/guest-agent/compose_overlay.h"
#include "services/guest-agent/docker_api.h"
#include "services/guest-agent/engine.h"
#include "services/guest-agent/engine_words.h"
#include "services/guest-agent/log_frames.h"
#include "services/guest-agent/names.h"
#include "services/guest-agent/process.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/file.h"

#define TOOL_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PROJECT_FILTER                                                                             \
    "%7B%22label%22%3A%5B%22com.docker.compose.project%3D" ENGINE_PROJECT "%22%5D%7D"

enum {
    LOGIN_TIMEOUT_MS = 30 * 1000,
    PULL_TIMEOUT_MS = 15 * 60 * 1000,
    UP_TIMEOUT_MS = 5 * 60 * 1000,
    MODEL_TIMEOUT_MS = 60 * 1000,
    LIST_MAX = 2 * 1024 * 1024,
    ENVIRONMENT_MAX = 300,
    CALL_MAX = 24, /* words of a call of compose, with the final NULL */
};

struct engine_docker {
    struct engine base;
    char *docker;
    char *compose;
    char *socket;
    char *state;
    char *variables[5]; /* PATH, HOME, DOCKER_CONFIG, DOCKER_HOST, COMPOSE_DISABLE_ENV_FILE */
};

static struct engine_docker *docker_of(struct engine *engine)
{
    return (struct engine_docker *)engine;
}

static struct error *docker_wait_ready(struct engine *engine, int timeout_ms)
{
    const struct engine_docker *docker = docker_of(engine);
    int64_t end = clock_monotonic_ms(clock_system()) + timeout_ms;

    for (;;) {
        _cleanup_buffer_ struct buffer body = {0};
        struct error *err = docker_api_get(docker->socket, "/_ping", 1024, &body);
        if (!err)
            return NULL;
        if (clock_monotonic_ms(clock_system()) >= end)
            return error_wrap(err, "wait for docker");
        error_free(err);
        usleep(50 * 1000);
    }
}

static struct error *docker_load_image(struct engine *engine, const char *path)
{
    _cleanup_buffer_ struct buffer body = {0};
    struct error *err =
        docker_api_post_file(docker_of(engine)->socket, "/images/load?quiet=1", path, &body);

    /* Docker answers 200 and tells the failure in the body. */
    if (!err && strstr(buffer_text(&body), "\"error\""))
        err = error_new(ERROR_INTERNAL, "docker: %.1000s", buffer_text(&body));
    return error_wrap(err, "load '%s'", path);
}

/* The tool's own environment, then the project's. */
static void environment_for(const struct engine_docker *docker, const char *const *more,
                            const char *ret_environment[ENVIRONMENT_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < ELEMENTSOF(docker->variables); i++)
        ret_environment[n++] = docker->variables[i];
    for (; more && *more && n < ENVIRONMENT_MAX - 1; more++)
        ret_environment[n++] = *more;
    ret_environment[n] = NULL;
}

static void trim_end(char *text)
{
    size_t length = strlen(text);

    while (length && strchr(" \r\n", text[length - 1]))
        text[--length] = '\0';
}

/* An exit other than 0 becomes an error with the tool's words. */
static struct error *run_tool(struct process_options *options, const struct scrub *scrub,
                              struct process_result *result)
{
    struct error *err = process_run(options, result);
    _cleanup_free_ char *clean = scrub_text(scrub, buffer_text(&result->errors));

    trim_end(clean);
    if (err)
        return result->errors.size ? error_wrap(err, "%s", engine_last_words(clean)) : err;
    if (result->exit_code == 0)
        return NULL;
    return error_new(engine_words_code(clean), "%s", engine_last_words(clean));
}

static struct error *docker_login(struct engine *engine, const char *server, const char *username,
                                  const char *password)
{
    const struct engine_docker *docker = docker_of(engine);
    const char *argv[] = {docker->docker,
                          "login",
                          "--username",
                          username,
                          "--password-stdin",
                          registry_is_docker_hub(server) ? NULL : server,
                          NULL};
    const char *environment[ENVIRONMENT_MAX];
    _cleanup_process_result_ struct process_result result = {0};
    _cleanup_(scrub_done) struct scrub scrub = {0};
    struct process_options options = {.argv = argv,
                                      .environment = environment,
                                      .input = password,
                                      .output_max = 64 * 1024,
                                      .timeout_ms = LOGIN_TIMEOUT_MS};

    if (username[0] == '-' || !username[0])
        return error_new(ERROR_INVALID_ARGUMENT, "the user name for '%s' is not valid", server);
    environment_for(docker, NULL, environment);
    scrub_add(&scrub, password);
    return run_tool(&options, &scrub, &result);
}

static void docker_forget_logins(struct engine *engine)
{
    _cleanup_free_ char *path = xasprintf("%s/config.json", docker_of(engine)->state);

    unlink(path);
}

static void filter_line(void *data, const char *line)
{
    const struct engine_project *project = data;
    _cleanup_free_ char *clean = scrub_text(project->scrub, line);

    project->on_line(project->data, clean);
}

/*
 * How every call of compose begins; returns how many words. Left to itself, compose takes its own
 * settings (COMPOSE_PROFILES, DOCKER_HOST ...) and defaults from a file ".env" in the project's
 * folder, where the user's uploaded files lie. It is told to read an empty one.
 */
static size_t begin_call(const struct engine_docker *docker, const char *argv[CALL_MAX])
{
    const char *const words[] = {docker->compose, "--ansi",         "never",       "--env-file",
                                 "/dev/null",     "--project-name", ENGINE_PROJECT};

    memcpy(argv, words, sizeof(words));
    return ELEMENTSOF(words);
}

static struct error *run_compose(struct engine *engine, const struct engine_project *project,
                                 const char *const *words, int timeout_ms,
                                 struct process_result *result)
{
    const struct engine_docker *docker = docker_of(engine);
    const char *environment[ENVIRONMENT_MAX];
    const char *argv[CALL_MAX] = {0};
    size_t n = begin_call(docker, argv);

    argv[n++] = "--project-directory";
    argv[n++] = project->directory;
    argv[n++] = "--file"; /* named, so that no other is looked for, nor an override */
    argv[n++] = project->compose;
    if (project->overlay) {
        argv[n++] = "--file";
        argv[n++] = project->overlay;
    }
    while (*words && n < ELEMENTSOF(argv) - 1)
        argv[n++] = *words++;
    environment_for(docker, project->environment, environment);
    struct process_options options = {
        .argv = argv,
        .environment = environment,
        .output_max = ENGINE_MODEL_MAX,
        .timeout_ms = timeout_ms,
        .on_line = project->on_line ? filter_line : NULL,
        .data = (void *)project,
    };
    return run_tool(&options, project->scrub, result);
}

static struct error *docker_pull(struct engine *engine, const struct engine_project *project)
{
    static const char *const words[] = {"pull", "--policy", "missing", NULL};
    _cleanup_process_result_ struct process_result result = {0};

    return run_compose(engine, project, words, PULL_TIMEOUT_MS, &result);
}

static struct error *docker_model(struct engine *engine, const struct engine_project *project,
                                  struct buffer *ret_json)
{
    static const char *const words[] = {"config", "--format", "json", NULL};
    _cleanup_process_result_ struct process_result result = {0};
    struct error *err = run_compose(engine, project, words, MODEL_TIMEOUT_MS, &result);

    if (!err)
        buffer_add(ret_json, result.output.data, result.output.size);
    return err;
}

static struct error *docker_up(struct engine *engine, const struct engine_project *project)
{
    static const char *const words[] = {"up",    "--detach",     "--no-build", "--pull",
                                        "never", "--quiet-pull", NULL};
    _cleanup_process_result_ struct process_result result = {0};

    return run_compose(engine, project, words, UP_TIMEOUT_MS, &result);
}

/* By the project's name alone: the values that its files need are wiped by then. */
static struct error *docker_stop(struct engine *engine, int grace_seconds)
{
    const struct engine_docker *docker = docker_of(engine);
    _cleanup_free_ char *grace = xasprintf("%d", grace_seconds);
    const char *argv[CALL_MAX] = {0};
    size_t n = begin_call(docker, argv);
    const char *environment[ENVIRONMENT_MAX];
    _cleanup_process_result_ struct process_result result = {0};
    struct process_options options = {.argv = argv,
                                      .environment = environment,
                                      .output_max = 64 * 1024,
                                      .timeout_ms = (grace_seconds + 60) * 1000};

    argv[n++] = "stop";
    argv[n++] = "--timeout";
    argv[n++] = grace;
    environment_for(docker, NULL, environment);
    return run_tool(&options, NULL, &result);
}

static struct error *get_json(const struct engine_docker *docker, const char *path,
                              json_t **ret_json)
{
    _cleanup_buffer_ struct buffer body = {0};
    struct error *err = docker_api_get(docker->socket, path, LIST_MAX, &body);

    if (err)
        return err;
    json_t *json = json_loadb(buffer_text(&body), body.size, 0, NULL);
    if (!json)
        return error_new(ERROR_INTERNAL, "docker's answer is not JSON");
    *ret_json = json;
    return NULL;
}

static void json_done(json_t **json)
{
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_done)

static const char *text_at(const json_t *object, const char *name, struct arena *arena)
{
    return arena_strdup(arena, json_string_value(json_object_get(object, name)));
}

static struct error *docker_image_digests(struct engine *engine, const char *image,
                                          struct arena *arena, const char ***ret_digests,
                                          size_t *ret_n)
{
    _cleanup_json_ json_t *json = NULL;
    _cleanup_free_ char *path = xasprintf("/images/%s/json", image);
    const json_t *names;
    const json_t *name;
    size_t i;

    if (strspn(image, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@-") !=
            strlen(image) ||
        strstr(image, ".."))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.200s' is not an image reference", image);
    struct error *err = get_json(docker_of(engine), path, &json);
    if (err)
        return error_wrap(err, "image '%s'", image);
    names = json_object_get(json, "RepoDigests");
    const char **digests = arena_alloc(arena, (json_array_size(names) + 1) * sizeof(*digests));
    size_t n = 0;
    json_array_foreach(names, i, name)
    {
        const char *at = json_is_string(name) ? strchr(json_string_value(name), '@') : NULL;
        if (at)
            digests[n++] = arena_strdup(arena, at + 1);
    }
    *ret_digests = digests;
    *ret_n = n;
    return NULL;
}

static bool policy_restarts(const char *policy, int exit_code)
{
    if (strcmp(policy, "always") == 0 || strcmp(policy, "unless-stopped") == 0)
        return true;
    return strcmp(policy, "on-failure") == 0 && exit_code != 0;
}

static void read_container(const json_t *json, struct arena *arena, struct engine_container *out)
{
    const json_t *state = json_object_get(json, "State");
    const json_t *config = json_object_get(json, "Config");
    const json_t *labels = json_object_get(config, "Labels");
    const json_t *policy = json_object_get(json_object_get(json, "HostConfig"), "RestartPolicy");
    const char *name = text_at(json, "Name", arena);

    out->id = text_at(json, "Id", arena);
    out->name = name[0] == '/' ? name + 1 : name;
    out->service = text_at(labels, "com.docker.compose.service", arena);
    out->image = text_at(config, "Image", arena);
    out->image_id = text_at(json, "Image", arena);
    out->state = text_at(state, "Status", arena);
    out->health = text_at(json_object_get(state, "Health"), "Status", arena);
    out->error = text_at(state, "Error", arena);
    out->exit_code = (int)json_integer_value(json_object_get(state, "ExitCode"));
    out->restarts = (unsigned)json_integer_value(json_object_get(json, "RestartCount"));
    out->restarts_itself = policy_restarts(text_at(policy, "Name", arena), out->exit_code);
    out->ours = overlay_is_ours(out->service);
}

static struct error *inspect(const struct engine_docker *docker, const char *id,
                             struct arena *arena, struct engine_container *ret_container)
{
    _cleanup_json_ json_t *json = NULL;
    _cleanup_free_ char *path = xasprintf("/containers/%s/json", id);
    struct error *err = get_json(docker, path, &json);

    if (!err)
        read_container(json, arena, ret_container);
    return err;
}

static struct error *docker_containers(struct engine *engine, struct arena *arena,
                                       struct engine_container **ret_containers, size_t *ret_n)
{
    const struct engine_docker *docker = docker_of(engine);
    _cleanup_json_ json_t *list = NULL;
    const json_t *item;
    size_t i;
    size_t n = 0;
    struct error *err = get_json(docker, "/containers/json?all=1&filters=" PROJECT_FILTER, &list);

    if (err)
        return error_wrap(err, "list containers");
    struct engine_container *containers =
        arena_alloc(arena, ENGINE_CONTAINERS_MAX * sizeof(*containers));
    json_array_foreach(list, i, item)
    {
        const char *id = json_string_value(json_object_get(item, "Id"));
        if (!id || n == ENGINE_CONTAINERS_MAX)
            continue;
        err = inspect(docker, id, arena, &containers[n]);
        if (err && error_get_code(err) != ERROR_NOT_FOUND)
            return error_wrap(err, "inspect a container");
        n += err == NULL; /* one that went away meanwhile is not there */
        error_free(err);
    }
    *ret_containers = containers;
    *ret_n = n;
    return NULL;
}

static bool frames_from_stream(void *data, const void *bytes, size_t size)
{
    return log_frames_add(data, bytes, size);
}

static struct error *docker_logs(struct engine *engine, const struct engine_log_query *query,
                                 engine_log_fn on_line, void *data)
{
    struct log_frames frames = {.on_line = on_line, .data = data};
    _cleanup_free_ char *tail = query->tail ? xasprintf("%u", query->tail) : xstrdup("all");
    _cleanup_free_ char *path = xasprintf(
        "/containers/%s/logs?timestamps=1&stdout=%d&stderr=%d&follow=%d&tail=%s&since=%lld.%09lld",
        query->id, query->standard_output, query->standard_error, query->follow, tail,
        (long long)(query->since_ns / 1000000000), (long long)(query->since_ns % 1000000000));
    struct error *err = docker_api_stream(docker_of(engine)->socket, path, frames_from_stream,
                                          &frames, query->stop);

    if (!err)
        log_frames_end(&frames);
    log_frames_done(&frames);
    return error_wrap(err, "logs");
}

static void docker_free(struct engine *engine)
{
    struct engine_docker *docker = docker_of(engine);

    free(docker->docker);
    free(docker->compose);
    free(docker->socket);
    free(docker->state);
    for (size_t i = 0; i < ELEMENTSOF(docker->variables); i++)
        free(docker->variables[i]);
    free(docker);
}

static const struct engine_ops docker_ops = {
    .name = "docker",
    .wait_ready = docker_wait_ready,
    .load_image = docker_load_image,
    .login = docker_login,
    .forget_logins = docker_forget_logins,
    .pull = docker_pull,
    .model = docker_model,
    .up = docker_up,
    .stop = docker_stop,
    .image_digests = docker_image_digests,
    .containers = docker_containers,
    .logs = docker_logs,
    .free = docker_free,
};

struct error *engine_docker_new(const struct engine_docker_options *options,
                                struct engine **ret_engine)
{
    struct error *err = dir_make(options->state, 0700);

    if (err)
        return err;
    struct engine_docker *docker = xnew(struct engine_docker);
    docker->base.ops = &docker_ops;
    docker->docker = xstrdup(options->docker);
    docker->compose = xstrdup(options->compose);
    docker->socket = xstrdup(options->socket);
    docker->state = xstrdup(options->state);
    docker->variables[0] = xstrdup(TOOL_PATH);
    docker->variables[1] = xasprintf("HOME=%s", options->state);
    docker->variables[2] = xasprintf("DOCKER_CONFIG=%s", options->state);
    docker->variables[3] = xasprintf("DOCKER_HOST=unix://%s", options->socket);
    docker->variables[4] = xstrdup("COMPOSE_DISABLE_ENV_FILE=1");
    *ret_engine = &docker->base;
    return NULL;
}

void engine_free(struct engine *engine)
{
    if (engine)
        engine->ops->free(engine);
}
