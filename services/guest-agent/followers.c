#include "services/guest-agent/followers.h"

#include <pthread.h>

#include "shared/base/alloc.h"

enum { STACK_SIZE = 256 * 1024 };

struct follower {
    struct followers *all;
    char id[65]; /* "": a free place */
    char *source;
    int64_t last_ns;
    pthread_t thread;
    bool has_thread;
    atomic_bool ended;
};

struct followers {
    struct engine *engine;
    struct logs *logs;
    atomic_bool stop;
    struct follower places[ENGINE_CONTAINERS_MAX];
};

struct followers *followers_new(struct engine *engine, struct logs *logs)
{
    struct followers *followers = xnew(struct followers);

    followers->engine = engine;
    followers->logs = logs;
    return followers;
}

static void join(struct follower *follower)
{
    if (follower->has_thread)
        pthread_join(follower->thread, NULL);
    follower->has_thread = false;
}

void followers_free(struct followers *followers)
{
    if (!followers)
        return;
    atomic_store(&followers->stop, true);
    for (size_t i = 0; i < ENGINE_CONTAINERS_MAX; i++) {
        join(&followers->places[i]);
        free(followers->places[i].source);
    }
    free(followers);
}

static bool on_line(void *data, int64_t at_ns, bool standard_error, const char *text, size_t size)
{
    struct follower *follower = data;

    follower->last_ns = at_ns;
    logs_add(follower->all->logs, follower->source, at_ns / 1000000, standard_error, text, size);
    return !atomic_load(&follower->all->stop);
}

static void *follow(void *data)
{
    struct follower *follower = data;
    const struct engine_log_query query = {
        .id = follower->id,
        .since_ns = follower->last_ns ? follower->last_ns + 1 : 0,
        .standard_output = true,
        .standard_error = true,
        .follow = true,
        .stop = &follower->all->stop,
    };

    /* Docker away or container gone: the next update looks again. */
    error_free(engine_logs(follower->all->engine, &query, on_line, follower));
    atomic_store(&follower->ended, true);
    return NULL;
}

static void start(struct follower *follower)
{
    pthread_attr_t attributes;

    join(follower);
    atomic_store(&follower->ended, false);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    follower->has_thread = pthread_create(&follower->thread, &attributes, follow, follower) == 0;
    pthread_attr_destroy(&attributes);
}

static bool is_listed(const char *id, const struct engine_container *containers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(containers[i].id, id) == 0)
            return true;
    }
    return false;
}

static void release_gone(struct followers *followers, const struct engine_container *containers,
                         size_t n)
{
    for (size_t i = 0; i < ENGINE_CONTAINERS_MAX; i++) {
        struct follower *follower = &followers->places[i];
        if (!follower->id[0] || is_listed(follower->id, containers, n))
            continue;
        if (follower->has_thread && !atomic_load(&follower->ended))
            continue;
        join(follower);
        free(follower->source);
        *follower = (struct follower){0};
    }
}

static struct follower *place_of(struct followers *followers,
                                 const struct engine_container *container, bool *ret_new)
{
    struct follower *free_place = NULL;

    for (size_t i = 0; i < ENGINE_CONTAINERS_MAX; i++) {
        struct follower *follower = &followers->places[i];
        if (strcmp(follower->id, container->id) == 0) {
            *ret_new = false;
            return follower;
        }
        if (!follower->id[0] && !free_place)
            free_place = follower;
    }
    if (!free_place)
        return NULL;
    *ret_new = true;
    free_place->all = followers;
    free_place->source = xstrdup(container->service);
    snprintf(free_place->id, sizeof(free_place->id), "%s", container->id);
    return free_place;
}

void followers_update(struct followers *followers, const struct engine_container *containers,
                      size_t n)
{
    release_gone(followers, containers, n);
    for (size_t i = 0; i < n; i++) {
        bool is_new;
        struct follower *follower = place_of(followers, &containers[i], &is_new);
        if (!follower || strcmp(containers[i].state, "created") == 0) {
            /* Nothing to read before it has run. */
            if (follower && is_new) {
                free(follower->source);
                *follower = (struct follower){0};
            }
            continue;
        }
        bool runs = strcmp(containers[i].state, "running") == 0;
        if (is_new || (runs && atomic_load(&follower->ended)))
            start(follower);
    }
}
