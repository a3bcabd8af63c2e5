/*
 * What compose is started with, told by a program in its place: nothing that the user uploaded, and
 * nothing of our own environment, may choose compose's settings.
 */
#include "services/guest-agent/engine.h"

#include <sys/stat.h>

#include "services/guest-agent/test_support.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/file.h"

/* Keeps its words, its whole environment and its folder's files, by line, in its HOME. */
static const char program_text[] = "#!/bin/sh\n"
                                   "printf '<%s>' \"$@\" > \"$HOME/words\"\n"
                                   "tr '\\0' '\\n' < /proc/$$/environ > \"$HOME/environment\"\n"
                                   "echo '{}'\n";

struct call_world {
    char dir[64];
    char *state;
    char *program;
    struct engine *engine;
};

static int setup(void **state)
{
    struct call_world *world = xnew(struct call_world);

    snprintf(world->dir, sizeof(world->dir), "/tmp/test_compose_call.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->state = xasprintf("%s/docker", world->dir);
    world->program = xasprintf("%s/compose", world->dir);
    support_check(file_write_atomic(world->program, program_text, strlen(program_text), 0700));
    const struct engine_docker_options options = {.docker = "/nowhere/docker",
                                                  .compose = world->program,
                                                  .socket = "/nowhere/docker.sock",
                                                  .state = world->state};
    support_check(engine_docker_new(&options, &world->engine));
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct call_world *world = *state;
    _cleanup_free_ char *clean = xasprintf("rm -r '%s'", world->dir);

    engine_free(world->engine);
    assert_int_equal(system(clean), 0);
    free(world->state);
    free(world->program);
    free(world);
    return 0;
}

static void expect_kept(const struct call_world *world, const char *name, const char *expected)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", world->state, name);
    _cleanup_buffer_ struct buffer text = {0};

    support_check(file_read(path, 64 * 1024, &text));
    assert_string_equal(buffer_text(&text), expected);
}

static const struct engine_project user_project = {.directory = "/f", .compose = "/c.yaml"};
static const struct engine_project whole_project = {
    .directory = "/f", .compose = "/c.yaml", .overlay = "/o.json"};

static struct error *call_model(struct engine *engine)
{
    _cleanup_buffer_ struct buffer json = {0};

    return engine_model(engine, &user_project, &json);
}

static struct error *call_whole_model(struct engine *engine)
{
    _cleanup_buffer_ struct buffer json = {0};

    return engine_model(engine, &whole_project, &json);
}

static struct error *call_pull(struct engine *engine)
{
    return engine_pull(engine, &user_project);
}

static struct error *call_up(struct engine *engine)
{
    return engine_up(engine, &whole_project);
}

static struct error *call_stop(struct engine *engine)
{
    return engine_stop(engine, 9);
}

#define BEGIN "<--ansi><never><--env-file></dev/null><--project-name><app>"
#define FILES "<--project-directory></f><--file></c.yaml>"

static void test_every_call_names_its_files_and_an_empty_env_file(void **state)
{
    static const struct {
        struct error *(*call)(struct engine *engine);
        const char *words;
    } table[] = {
        {call_model, BEGIN FILES "<config><--format><json>"},
        {call_whole_model, BEGIN FILES "<--file></o.json><config><--format><json>"},
        {call_pull, BEGIN FILES "<pull><--policy><missing>"},
        {call_up, BEGIN FILES "<--file></o.json><up><--detach><--no-build><--pull><never>"
                              "<--quiet-pull>"},
        {call_stop, BEGIN "<stop><--timeout><9>"},
    };
    struct call_world *world = *state;

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        support_check(table[i].call(world->engine));
        expect_kept(world, "words", table[i].words);
    }
}

/* Ours stand first: of a name given twice, programs take the first. */
static void test_the_environment_is_made_from_nothing(void **state)
{
    struct call_world *world = *state;
    static const char *const variables[] = {"FILES=/f", "TOKEN=two words", NULL};
    const struct engine_project project = {
        .directory = "/f", .compose = "/c.yaml", .environment = variables};
    _cleanup_free_ char *ours =
        xasprintf("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=%s\n"
                  "DOCKER_CONFIG=%s\nDOCKER_HOST=unix:///nowhere/docker.sock\n"
                  "COMPOSE_DISABLE_ENV_FILE=1\n",
                  world->state, world->state);
    _cleanup_free_ char *all = xasprintf("%sFILES=/f\nTOKEN=two words\n", ours);

    setenv("COMPOSE_PROFILES", "debug", 1);
    setenv("COMPOSE_ENV_FILES", "/f/.env", 1);
    support_check(engine_up(world->engine, &project));
    expect_kept(world, "environment", all);
    support_check(engine_stop(world->engine, 9));
    expect_kept(world, "environment", ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_call_names_its_files_and_an_empty_env_file,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_environment_is_made_from_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
