#include "services/guest-agent/engine_fake.h"

#include <pthread.h>

#include "shared/base/alloc.h"

static struct engine_fake *fake_of(struct engine *engine)
{
    return (struct engine_fake *)engine;
}

/* Images are loaded, and the project is linted, beside the other calls. */
static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;

static struct error *note(struct engine_fake *fake, char *call)
{
    size_t word = strcspn(call, " ");

    bool fails = fake->fail_call && strlen(fake->fail_call) == word &&
                 strncmp(fake->fail_call, call, word) == 0;

    pthread_mutex_lock(&calls_lock);
    if (fake->n_calls < ENGINE_FAKE_CALLS)
        fake->calls[fake->n_calls++] = call;
    fails = fails && fake->fail_times != 0;
    if (fails && fake->fail_times > 0)
        fake->fail_times--;
    pthread_mutex_unlock(&calls_lock);
    return fails ? error_new(fake->fail_code, "%s", fake->fail_text) : NULL;
}

static void note_environment(struct engine_fake *fake, const struct engine_project *project)
{
    struct buffer lines = {0};

    for (const char *const *at = project->environment; at && *at; at++)
        buffer_printf(&lines, "%s\n", *at);
    pthread_mutex_lock(&calls_lock);
    free(fake->environment);
    fake->environment = buffer_take_text(&lines);
    pthread_mutex_unlock(&calls_lock);
}

static struct error *fake_wait_ready(struct engine *engine, int timeout_ms)
{
    (void)engine, (void)timeout_ms;
    return NULL;
}

static struct error *fake_load_image(struct engine *engine, const char *path)
{
    return note(fake_of(engine), xasprintf("load %s", path));
}

static struct error *fake_login(struct engine *engine, const char *server, const char *username,
                                const char *password)
{
    return note(fake_of(engine), xasprintf("login %s %s %s", server, username, password));
}

static void fake_forget_logins(struct engine *engine)
{
    error_free(note(fake_of(engine), xstrdup("forget")));
}

static struct error *fake_pull(struct engine *engine, const struct engine_project *project)
{
    note_environment(fake_of(engine), project);
    return note(fake_of(engine), xstrdup("pull"));
}

static struct error *fake_model(struct engine *engine, const struct engine_project *project,
                                struct buffer *ret_json)
{
    struct engine_fake *fake = fake_of(engine);
    const char *json =
        project->overlay && fake->merged_model ? fake->merged_model : fake->user_model;

    note_environment(fake, project);
    struct error *err = note(fake, xasprintf("model %s", project->overlay ? "merged" : "user"));
    if (!err)
        buffer_add_text(ret_json, json);
    return err;
}

static struct error *fake_up(struct engine *engine, const struct engine_project *project)
{
    note_environment(fake_of(engine), project);
    return note(fake_of(engine), xstrdup("up"));
}

static struct error *fake_stop(struct engine *engine, int grace_seconds)
{
    return note(fake_of(engine), xasprintf("stop %d", grace_seconds));
}

static struct error *fake_image_digests(struct engine *engine, const char *image,
                                        struct arena *arena, const char ***ret_digests,
                                        size_t *ret_n)
{
    struct engine_fake *fake = fake_of(engine);

    (void)arena;
    *ret_digests = fake->digests;
    *ret_n = fake->n_digests;
    return note(fake, xasprintf("digests %s", image));
}

static struct error *fake_containers(struct engine *engine, struct arena *arena,
                                     struct engine_container **ret_containers, size_t *ret_n)
{
    struct engine_fake *fake = fake_of(engine);

    *ret_containers = arena_memdup(arena, fake->containers, sizeof(fake->containers));
    *ret_n = fake->n_containers;
    return NULL;
}

static struct error *fake_logs(struct engine *engine, const struct engine_log_query *query,
                               engine_log_fn on_line, void *data)
{
    struct engine_fake *fake = fake_of(engine);

    (void)query;
    for (size_t i = 0; i < fake->n_log_lines; i++) {
        if (!on_line(data, (int64_t)(i + 1) * 1000000, i % 2 == 1, fake->log_lines[i],
                     strlen(fake->log_lines[i])))
            break;
    }
    return NULL;
}

static void fake_free(struct engine *engine)
{
    (void)engine;
}

static const struct engine_ops fake_ops = {
    .name = "fake",
    .wait_ready = fake_wait_ready,
    .load_image = fake_load_image,
    .login = fake_login,
    .forget_logins = fake_forget_logins,
    .pull = fake_pull,
    .model = fake_model,
    .up = fake_up,
    .stop = fake_stop,
    .image_digests = fake_image_digests,
    .containers = fake_containers,
    .logs = fake_logs,
    .free = fake_free,
};

void engine_fake_init(struct engine_fake *fake)
{
    *fake = (struct engine_fake){.base = {&fake_ops}};
}

void engine_fake_done(struct engine_fake *fake)
{
    for (size_t i = 0; i < fake->n_calls; i++)
        free(fake->calls[i]);
    free(fake->environment);
}

size_t engine_fake_count(const struct engine_fake *fake, const char *call)
{
    size_t n = 0;

    pthread_mutex_lock(&calls_lock);
    for (size_t i = 0; i < fake->n_calls; i++)
        n += strncmp(fake->calls[i], call, strlen(call)) == 0;
    pthread_mutex_unlock(&calls_lock);
    return n;
}
