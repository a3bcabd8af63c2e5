/*
 * The container engine as a port: Docker with compose v2 (engine_docker.c), and a fake for tests.
 *
 * Errors carry the tool's own last words, secrets taken out. UNAVAILABLE and DEADLINE_EXCEEDED may
 * go away by themselves; UNAUTHENTICATED, NOT_FOUND and others will not. All functions may be
 * called from any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "services/guest-agent/scrub.h"
#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define ENGINE_PROJECT        "app"
#define ENGINE_CONTAINERS_MAX 64
#define ENGINE_MODEL_MAX      (4 * 1024 * 1024)

struct engine;

/* One compose project: the user's file and, when overlay is not NULL, ours. */
struct engine_project {
    const char *directory; /* relative paths in the user's file start here */
    const char *compose;   /* path of the user's file */
    const char *overlay;
    const char *const *environment; /* NULL-terminated "NAME=value": for interpolation only */
    const struct scrub *scrub;
    void (*on_line)(void *data, const char *line); /* progress, scrubbed; NULL: not wanted */
    void *data;
};

struct engine_container {
    const char *id;
    const char *name;
    const char *service;
    const char *image;
    const char *image_id;
    const char *state;  /* docker's word */
    const char *health; /* "" without a check */
    const char *error;  /* docker's words on why it did not start; "" none */
    int exit_code;
    unsigned restarts;
    bool restarts_itself; /* its restart policy will bring it back */
    bool ours;            /* Caddy or attester */
};

struct engine_log_query {
    const char *id;   /* of the container */
    int64_t since_ns; /* only later lines; 0: from the start */
    unsigned tail;    /* only the newest lines; 0: all */
    bool standard_output;
    bool standard_error;
    bool follow;             /* until the container ends, *stop, or the engine goes away */
    const atomic_bool *stop; /* NULL: cannot be stopped */
};

/* False ends the reading. text is not NUL-terminated and has no line end. */
typedef bool (*engine_log_fn)(void *data, int64_t at_ns, bool standard_error, const char *text,
                              size_t size);

struct engine_ops {
    const char *name;
    struct error *(*wait_ready)(struct engine *engine, int timeout_ms);
    struct error *(*load_image)(struct engine *engine, const char *path);
    struct error *(*login)(struct engine *engine, const char *server, const char *username,
                           const char *password);
    void (*forget_logins)(struct engine *engine);
    struct error *(*pull)(struct engine *engine, const struct engine_project *project);
    struct error *(*model)(struct engine *engine, const struct engine_project *project,
                           struct buffer *ret_json);
    struct error *(*up)(struct engine *engine, const struct engine_project *project);
    struct error *(*stop)(struct engine *engine, int grace_seconds);
    struct error *(*image_digests)(struct engine *engine, const char *image, struct arena *arena,
                                   const char ***ret_digests, size_t *ret_n);
    struct error *(*containers)(struct engine *engine, struct arena *arena,
                                struct engine_container **ret_containers, size_t *ret_n);
    struct error *(*logs)(struct engine *engine, const struct engine_log_query *query,
                          engine_log_fn on_line, void *data);
    void (*free)(struct engine *engine);
};

struct engine {
    const struct engine_ops *ops;
};

struct engine_docker_options {
    const char *docker;  /* path of the docker program */
    const char *compose; /* path of the compose v2 plugin, run by itself */
    const char *socket;  /* of the engine */
    const char *state;   /* a folder of ours in memory for logins */
};
struct error *engine_docker_new(const struct engine_docker_options *options,
                                struct engine **ret_engine) _must_check_;
void engine_free(struct engine *engine);
DEFINE_CLEANUP(struct engine *, engine_free)

/* The engine answers, within timeout_ms. */
static inline _must_check_ struct error *engine_wait_ready(struct engine *engine, int timeout_ms)
{
    return engine->ops->wait_ready(engine, timeout_ms);
}

/* An image archive, as docker save writes it. */
static inline _must_check_ struct error *engine_load_image(struct engine *engine, const char *path)
{
    return engine->ops->load_image(engine, path);
}

/* The password goes to the tool's standard input only. "" is Docker Hub. */
static inline _must_check_ struct error *engine_login(struct engine *engine, const char *server,
                                                      const char *username, const char *password)
{
    return engine->ops->login(engine, server, username, password);
}

static inline void engine_forget_logins(struct engine *engine)
{
    engine->ops->forget_logins(engine);
}

static inline _must_check_ struct error *engine_pull(struct engine *engine,
                                                     const struct engine_project *project)
{
    return engine->ops->pull(engine, project);
}

/* The merged, interpolated model as JSON, as compose itself sees it; holds secret values. */
static inline _must_check_ struct error *
engine_model(struct engine *engine, const struct engine_project *project, struct buffer *ret_json)
{
    return engine->ops->model(engine, project, ret_json);
}

/* Detached; nothing is built or pulled any more. */
static inline _must_check_ struct error *engine_up(struct engine *engine,
                                                   const struct engine_project *project)
{
    return engine->ops->up(engine, project);
}

static inline _must_check_ struct error *engine_stop(struct engine *engine, int grace_seconds)
{
    return engine->ops->stop(engine, grace_seconds);
}

/* "sha256:…" of each repository that the local image came from. */
static inline _must_check_ struct error *
engine_image_digests(struct engine *engine, const char *image, struct arena *arena,
                     const char ***ret_digests, size_t *ret_n)
{
    return engine->ops->image_digests(engine, image, arena, ret_digests, ret_n);
}

/* The project's containers, at most ENGINE_CONTAINERS_MAX. */
static inline _must_check_ struct error *engine_containers(struct engine *engine,
                                                           struct arena *arena,
                                                           struct engine_container **ret_containers,
                                                           size_t *ret_n)
{
    return engine->ops->containers(engine, arena, ret_containers, ret_n);
}

/* Lines one by one, oldest first, in this thread. */
static inline _must_check_ struct error *engine_logs(struct engine *engine,
                                                     const struct engine_log_query *query,
                                                     engine_log_fn on_line, void *data)
{
    return engine->ops->logs(engine, query, on_line, data);
}
