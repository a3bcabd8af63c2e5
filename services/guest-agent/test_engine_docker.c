/*
 * The engine port on a real Docker with compose v2. Skipped where there is none, or no image to run
 * (debian:trixie-slim, as ./dev makes it). COFFER_TEST_COMPOSE names the compose v2 program.
 */
#include "services/guest-agent/engine.h"

#include <sys/stat.h>

#include "services/guest-agent/docker_api.h"
#include "services/guest-agent/model.h"
#include "services/guest-agent/test_support.h"
#include "shared/base/clock.h"
#include "shared/base/file.h"

#define SOCKET        "/var/run/docker.sock"
#define IMAGE         "debian:trixie-slim"
#define PLUGIN        "/usr/libexec/docker/cli-plugins/docker-compose"
#define DOCKER_BINARY "/usr/bin/docker"

enum { SKIP = 77 };

static const char compose_text[] =
    "services:\n"
    "  web:\n"
    "    image: " IMAGE "\n"
    "    environment: {TOKEN: \"${TOKEN}\", PLAIN: \"a$$b\"}\n"
    "    command: [sh, -c, 'cat ${FILES}/app.conf; echo out; echo err >&2; exec sleep 100']\n"
    "    volumes: [\"${FILES}/app.conf:${FILES}/app.conf:ro\"]\n"
    "  job:\n"
    "    image: " IMAGE "\n"
    "    command: [sh, -c, 'echo last words; exit 7']\n";

struct world {
    char dir[64];
    char *compose;
    char *files;
    char *variables[3];
    struct engine *engine;
    struct scrub scrub;
    struct engine_project project;
    struct buffer lines;
};

static const char *compose_program(void)
{
    const char *named = getenv("COFFER_TEST_COMPOSE");

    return named ? named : PLUGIN;
}

static const char *docker_program(void)
{
    return access(DOCKER_BINARY, X_OK) == 0 ? DOCKER_BINARY : "/usr/local/bin/docker";
}

static bool can_run(void)
{
    _cleanup_buffer_ struct buffer body = {0};
    struct error *err = docker_api_get(SOCKET, "/images/" IMAGE "/json", 1024 * 1024, &body);
    bool found = !err && access(compose_program(), X_OK) == 0;

    error_free(err);
    return found;
}

static void on_tool_line(void *data, const char *line)
{
    struct world *world = data;

    buffer_printf(&world->lines, "%s\n", line);
}

static void write_text(const char *path, const char *text)
{
    support_check(file_write_atomic(path, text, strlen(text), 0644));
}

static int setup(void **state)
{
    struct world *world = xnew(struct world);

    snprintf(world->dir, sizeof(world->dir), "/tmp/test_engine_docker.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    assert_int_equal(chmod(world->dir, 0755), 0);
    _cleanup_free_ char *logins = xasprintf("%s/docker", world->dir);
    _cleanup_free_ char *conf = xasprintf("%s/files/app.conf", world->dir);
    world->files = xasprintf("%s/files", world->dir);
    world->compose = xasprintf("%s/compose.yaml", world->dir);
    support_check(dir_make(world->files, 0755));
    write_text(conf, "conf-line\n");
    write_text(world->compose, compose_text);
    const struct engine_docker_options options = {.docker = docker_program(),
                                                  .compose = compose_program(),
                                                  .socket = SOCKET,
                                                  .state = logins};
    support_check(engine_docker_new(&options, &world->engine));
    world->variables[0] = xasprintf("FILES=%s", world->files);
    world->variables[1] = xstrdup("TOKEN=canary-value");
    scrub_add(&world->scrub, "canary-value");
    world->project = (struct engine_project){
        .directory = world->files,
        .compose = world->compose,
        .environment = (const char *const *)world->variables,
        .scrub = &world->scrub,
        .on_line = on_tool_line,
        .data = world,
    };
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    _cleanup_free_ char *clean = xasprintf("FILES=x TOKEN=x %s -p " ENGINE_PROJECT
                                           " -f %s down -v -t 0 --remove-orphans >/dev/null 2>&1;"
                                           "rm -r '%s'",
                                           compose_program(), world->compose, world->dir);

    engine_free(world->engine);
    assert_int_equal(system(clean), 0);
    buffer_done(&world->lines);
    scrub_done(&world->scrub);
    free(world->variables[0]);
    free(world->variables[1]);
    free(world->compose);
    free(world->files);
    free(world);
    return 0;
}

static void test_the_model_is_interpolated_and_bound_to_the_manifest(void **state)
{
    struct world *world = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer json = {0};
    struct manifest_service services[] = {{"job", IMAGE, "unpinned"}, {"web", IMAGE, "unpinned"}};
    const struct manifest manifest = {
        .public_service = "web", .services = services, .n_services = 2};
    struct model_facts facts;

    support_check(engine_wait_ready(world->engine, 1000));
    support_check(engine_model(world->engine, &world->project, &json));
    assert_non_null(strstr(buffer_text(&json), "canary-value"));
    assert_non_null(strstr(buffer_text(&json), "a$$b"));
    support_check(model_read(buffer_text(&json), json.size, &manifest, arena, &facts));
    assert_int_equal(facts.n_networks, 1);
    assert_string_equal(facts.networks[0], "default");
    services[0].image = "other:1";
    support_refused(model_read(buffer_text(&json), json.size, &manifest, arena, &facts),
                    ERROR_PERMISSION_DENIED);
}

/* Neither defaults nor settings of compose: it is a file as any other. */
static void test_an_uploaded_dotenv_is_only_a_file(void **state)
{
    struct world *world = *state;
    _cleanup_buffer_ struct buffer json = {0};
    _cleanup_free_ char *dotenv = xasprintf("%s/.env", world->files);

    write_text(dotenv, "COMPOSE_PROFILES=debug\nCOMPOSE_PROJECT_NAME=other\nLEVEL=from-dotenv\n");
    write_text(world->compose, "services:\n"
                               "  web: {image: x, environment: {LEVEL: \"${LEVEL:-default}\"}}\n"
                               "  tool: {image: y, profiles: [debug]}\n");
    support_check(engine_model(world->engine, &world->project, &json));
    assert_null(strstr(buffer_text(&json), "from-dotenv"));
    assert_null(strstr(buffer_text(&json), "\"tool\""));
    assert_null(strstr(buffer_text(&json), "other"));
    assert_non_null(strstr(buffer_text(&json), "\"default\""));
}

static void test_a_broken_project_is_refused_in_composes_words_without_secrets(void **state)
{
    struct world *world = *state;
    _cleanup_buffer_ struct buffer json = {0};

    write_text(world->compose, "services:\n  web:\n    image: x\n    ports: [\"${TOKEN}\"]\n");
    struct error *err = engine_model(world->engine, &world->project, &json);
    assert_non_null(err);
    assert_null(strstr(error_text(err), "canary"));
    assert_non_null(strstr(error_text(err), "[secret]"));
    error_free(err);
}

static const struct engine_container *find(const struct engine_container *containers, size_t n,
                                           const char *service)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(containers[i].service, service) == 0)
            return &containers[i];
    }
    fail_msg("no container of service '%s'", service);
    return NULL;
}

/* The containers once the job has ended. */
static const struct engine_container *await_job(struct world *world, struct arena *arena,
                                                struct engine_container **ret_all, size_t *ret_n)
{
    int64_t end = clock_monotonic_ms(clock_system()) + 60000;

    for (;;) {
        support_check(engine_containers(world->engine, arena, ret_all, ret_n));
        const struct engine_container *job = find(*ret_all, *ret_n, "job");
        if (strcmp(job->state, "exited") == 0 || clock_monotonic_ms(clock_system()) > end)
            return job;
        usleep(50 * 1000);
    }
}

struct seen {
    struct buffer text;
    int64_t last_ns;
};

static bool on_log(void *data, int64_t at_ns, bool standard_error, const char *text, size_t size)
{
    struct seen *seen = data;

    buffer_printf(&seen->text, "%s:%.*s\n", standard_error ? "err" : "out", (int)size, text);
    assert_true(at_ns > seen->last_ns);
    seen->last_ns = at_ns;
    return true;
}

static void test_containers_run_log_and_end(void **state)
{
    struct world *world = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct engine_container *all;
    size_t n;

    support_check(engine_up(world->engine, &world->project));
    const struct engine_container *job = await_job(world, arena, &all, &n);
    assert_int_equal(n, 2);
    assert_string_equal(job->state, "exited");
    assert_int_equal(job->exit_code, 7);
    assert_false(job->restarts_itself);
    const struct engine_container *web = find(all, n, "web");
    assert_string_equal(web->state, "running");
    assert_string_equal(web->image, IMAGE);
    assert_string_equal(web->name, ENGINE_PROJECT "-web-1");
    assert_false(web->ours);

    struct seen seen = {0};
    const struct engine_log_query job_logs = {
        .id = job->id, .standard_output = true, .standard_error = true, .tail = 5};
    support_check(engine_logs(world->engine, &job_logs, on_log, &seen));
    assert_string_equal(buffer_text(&seen.text), "out:last words\n");
    buffer_done(&seen.text);

    seen.last_ns = 0;
    const struct engine_log_query errors = {.id = web->id, .standard_error = true};
    support_check(engine_logs(world->engine, &errors, on_log, &seen));
    assert_string_equal(buffer_text(&seen.text), "err:err\n");
    const struct engine_log_query later = {
        .id = web->id, .standard_error = true, .since_ns = seen.last_ns + 1};
    support_check(engine_logs(world->engine, &later, on_log, &seen));
    assert_string_equal(buffer_text(&seen.text), "err:err\n"); /* nothing twice */
    buffer_done(&seen.text);

    support_check(engine_stop(world->engine, 0));
    support_check(engine_containers(world->engine, arena, &all, &n));
    assert_string_equal(find(all, n, "web")->state, "exited");
}

static void test_failures_carry_dockers_words_and_a_class(void **state)
{
    struct world *world = *state;

    write_text(world->compose,
               "services: {web: {image: \"127.0.0.1:1/none:1\"}}\n"); /* nobody listens there */
    struct error *err = engine_pull(world->engine, &world->project);
    assert_int_equal(error_get_code(err), ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_text(err), "connection refused"));
    error_free(err);

    err = engine_login(world->engine, "127.0.0.1:1", "user", "hunter2hunter2");
    assert_non_null(err);
    assert_null(strstr(error_text(err), "hunter2"));
    error_free(err);

    support_refused(engine_up(world->engine, &world->project), ERROR_NOT_FOUND);
    _cleanup_free_ char *archive = xasprintf("%s/compose.yaml", world->dir);
    err = engine_load_image(world->engine, archive);
    assert_non_null(err); /* not an archive */
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_model_is_interpolated_and_bound_to_the_manifest,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_uploaded_dotenv_is_only_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_broken_project_is_refused_in_composes_words_without_secrets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_containers_run_log_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures_carry_dockers_words_and_a_class, setup,
                                        teardown),
    };

    if (!can_run())
        return SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
