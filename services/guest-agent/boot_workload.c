/* The stages from the release on: login, pull, lint, up, certificate, running. */
#include <unistd.h>

#include "services/guest-agent/boot_internal.h"
#include "services/guest-agent/caddy_config.h"
#include "services/guest-agent/caddy_words.h"
#include "services/guest-agent/certificate.h"
#include "services/guest-agent/compose_overlay.h"
#include "services/guest-agent/gpus.h"
#include "services/guest-agent/model.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/base/memory.h"
#include "shared/compose/lint.h"

enum {
    ENGINE_WAIT_MS = 300 * 1000,
    CERTIFICATE_DEADLINE_MS = 300 * 1000,
    CADDY_LOOK_MS = 5000,
    PROBE_FAST_MS = 100,
    PROBE_SLOW_MS = 2000,
};

static void *load_image(void *data)
{
    struct boot *boot = data;
    _cleanup_free_ char *path = xasprintf("%s/platform.tar", boot->ports.images_dir);
    struct error *err = engine_wait_ready(boot->ports.engine, ENGINE_WAIT_MS);

    boot->loader_error = err ? err : engine_load_image(boot->ports.engine, path);
    return NULL;
}

void boot_start_loader(struct boot *boot)
{
    if (boot->has_loader || boot->image_loaded)
        return;
    boot->has_loader = pthread_create(&boot->loader, NULL, load_image, boot) == 0;
    if (!boot->has_loader)
        load_image(boot);
}

struct error *boot_join_loader(struct boot *boot)
{
    if (boot->has_loader)
        pthread_join(boot->loader, NULL);
    boot->image_loaded = boot->has_loader && !boot->loader_error;
    boot->has_loader = false;
    return TAKE_PTR(boot->loader_error);
}

struct error *boot_login(struct boot *boot)
{
    boot->code = "engine_unavailable";
    struct error *err = engine_wait_ready(boot->ports.engine, ENGINE_WAIT_MS);

    boot->code = NULL;
    for (size_t i = 0; !err && i < boot->release->n_registries; i++) {
        const struct release_registry *registry = &boot->release->registries[i];
        err = engine_login(boot->ports.engine, registry->server, registry->username,
                           registry->password);
        err =
            error_wrap(err, "log in to '%s'", registry->server[0] ? registry->server : "docker.io");
        if (err && registry->platform) {
            /* Ours only spares the limits of a public registry: without it, it may still go. */
            log_failure(LOG_LEVEL_WARNING, "platform login failed", TAKE_PTR(err));
        }
    }
    return err;
}

/* A bar that moves is for a terminal; on the console and in the log it only costs time. */
static bool is_motion(const char *line)
{
    static const char *const words[] = {
        "[=", "[>", "Pulling fs layer", "Verifying Checksum", "Download complete", " Waiting"};

    for (size_t i = 0; i < ELEMENTSOF(words); i++) {
        if (strstr(line, words[i]))
            return true;
    }
    return false;
}

static void log_tool_line(void *data, const char *line)
{
    if (is_motion(line))
        return;
    log_info("compose", "stage", data, "line", line);
}

static struct engine_project project_of(const struct boot *boot, const char *overlay,
                                        const char *stage)
{
    return (struct engine_project){
        .directory = boot->app->files,
        .compose = boot->app->compose,
        .overlay = overlay,
        .environment = (const char *const *)boot->app->environment,
        .scrub = &boot->app->scrub,
        .on_line = stage ? log_tool_line : NULL,
        .data = (void *)stage,
    };
}

static struct error *check_digest(struct boot *boot, const struct manifest_service *service)
{
    const char **digests;
    size_t n;

    if (strcmp(service->digest, "unpinned") == 0)
        return NULL;
    boot->code = "digest_mismatch";
    struct error *err =
        engine_image_digests(boot->ports.engine, service->image, boot->arena, &digests, &n);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(digests[i], service->digest) == 0)
            return NULL;
    }
    return error_new(ERROR_PERMISSION_DENIED, "image '%s' of service '%s' is not %s",
                     service->image, service->name, service->digest);
}

struct error *boot_pull(struct boot *boot)
{
    const struct engine_project project = project_of(boot, NULL, "pull");
    const struct manifest *manifest = boot->config->manifest;
    struct error *err = engine_pull(boot->ports.engine, &project);

    if (err)
        return err;
    /* Whatever compose reads from here on, it finds no login. */
    engine_forget_logins(boot->ports.engine);
    for (size_t i = 0; !err && i < manifest->n_services; i++)
        err = check_digest(boot, &manifest->services[i]);
    return err;
}

static const char **file_paths(const struct boot *boot, struct arena *arena, size_t *ret_n)
{
    const struct manifest *manifest = boot->config->manifest;
    size_t total = manifest->n_files + manifest->n_secret_files;
    const char **paths = arena_alloc(arena, (total + 1) * sizeof(*paths));
    size_t n = 0;

    for (size_t i = 0; i < manifest->n_files; i++)
        paths[n++] = manifest->files[i].name;
    for (size_t i = 0; i < manifest->n_secret_files; i++)
        paths[n++] = manifest->secret_files[i].name;
    *ret_n = n;
    return paths;
}

static struct compose_options lint_options(const struct boot *boot, struct arena *arena)
{
    const struct manifest *manifest = boot->config->manifest;
    struct compose_options options = {
        .public_service = manifest->public_service,
        .public_port = manifest->public_port,
        .env = manifest->env,
        .n_env = manifest->n_env,
        .files_dir = boot->app->files,
    };

    options.files = file_paths(boot, arena, &options.n_files);
    return options;
}

static struct error *refuse_findings(struct boot *boot, const struct findings *findings)
{
    if (!findings->n)
        return NULL;
    _cleanup_free_ char *text = findings_to_text(findings);
    _cleanup_free_ char *clean = scrub_text(&boot->app->scrub, text);
    return error_new(ERROR_PERMISSION_DENIED, "%.3500s", clean);
}

static struct error *lint_model(struct boot *boot, const struct buffer *json, bool with_ours)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct findings *findings = arena_alloc(arena, sizeof(*findings));
    struct compose_options options = lint_options(boot, arena);

    options.with_ours = with_ours;
    struct error *err =
        compose_lint_model(buffer_text(json), json->size, &options, arena, findings);
    return err ? err : refuse_findings(boot, findings);
}

struct error *boot_lint_text(struct boot *boot)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct findings *findings = arena_alloc(arena, sizeof(*findings));
    const struct compose_options options = lint_options(boot, arena);

    boot->failed_stage = "lint";
    boot->code = "compose_refused";
    compose_lint((const char *)boot->config->compose, boot->config->compose_size, &options, arena,
                 findings, NULL);
    struct error *err = refuse_findings(boot, findings);
    if (err)
        return err;
    boot->failed_stage = NULL;
    boot->code = NULL;
    return NULL;
}

/* The user's file by itself: nothing in it may bear a name of ours, so that merging cannot change
 * what is ours. */
static struct error *lint_users_file(struct boot *boot)
{
    const struct engine_project project = project_of(boot, NULL, NULL);
    _cleanup_buffer_ struct buffer json = {0};
    struct model_facts facts = {0};
    struct error *err = engine_model(boot->ports.engine, &project, &json);

    if (!err)
        err = lint_model(boot, &json, false);
    if (!err)
        err =
            model_read(buffer_text(&json), json.size, boot->config->manifest, boot->arena, &facts);
    boot->networks = facts.networks;
    boot->n_networks = facts.n_networks;
    return err;
}

static struct error *write_caddy_config(struct boot *boot)
{
    const struct manifest *manifest = boot->config->manifest;
    const struct release *release = boot->release;
    _cleanup_buffer_ struct buffer json = {0};
    const struct caddy_config config = {
        .domain = release->domain,
        .more_domains = manifest->domains,
        .n_more_domains = manifest->n_domains,
        .public_service = manifest->public_service,
        .public_port = manifest->public_port,
        .acme_directory = release->acme_directory,
        .acme_eab_key_id = release->acme_eab_key_id,
        .acme_eab_mac_key = release->acme_eab_mac_key,
        .has_acme_ca = boot->app->acme_ca != NULL,
    };

    struct error *err = caddy_config_write(&config, &json);
    if (!err)
        err = file_write_atomic(boot->app->caddy_config, json.data, json.size, 0400);
    return err;
}

static struct error *write_overlay(struct boot *boot)
{
    _cleanup_buffer_ struct buffer json = {0};
    struct overlay overlay = {
        .image_version = boot->ports.image_version,
        .domain = boot->release->domain,
        .caddy_config = boot->app->caddy_config,
        .acme_ca = boot->app->acme_ca,
        .manifest = boot->app->manifest,
        .collateral = boot->app->collateral,
        .collateral_at_ms = boot->config->collateral_at_ms,
        .tee = boot->ports.tee->ops->name,
        .tee_device = boot->ports.tee_device,
        .vcpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
        .cpu_model = "",
        .networks = boot->networks,
        .n_networks = boot->n_networks,
    };

    if (boot->ports.gpus)
        overlay.gpu_nodes = gpus_nodes(boot->ports.gpus, &overlay.n_gpu_nodes);
    overlay_write(&overlay, &json);
    return app_write_overlay(boot->app, json.data, json.size);
}

static struct error *lint_project(struct boot *boot)
{
    struct error *err = lint_users_file(boot);

    if (!err)
        err = write_caddy_config(boot);
    if (!err)
        err = write_overlay(boot);
    if (err)
        return err;
    const struct engine_project project = project_of(boot, boot->app->overlay, NULL);
    _cleanup_buffer_ struct buffer json = {0};
    err = engine_model(boot->ports.engine, &project, &json);
    return err ? err : lint_model(boot, &json, true);
}

static void *lint_thread(void *data)
{
    struct boot *boot = data;

    boot->lint_error = lint_project(boot);
    return NULL;
}

void boot_start_lint(struct boot *boot)
{
    boot->lint_arena = arena_new();
    boot->has_lint = pthread_create(&boot->lint, NULL, lint_thread, boot) == 0;
    if (!boot->has_lint)
        lint_thread(boot);
}

struct error *boot_join_lint(struct boot *boot)
{
    if (boot->has_lint)
        pthread_join(boot->lint, NULL);
    boot->has_lint = false;
    return TAKE_PTR(boot->lint_error);
}

struct error *boot_lint(struct boot *boot)
{
    return boot_join_lint(boot);
}

struct error *boot_up(struct boot *boot)
{
    const struct engine_project project = project_of(boot, boot->app->overlay, "up");
    struct error *err = boot_join_loader(boot);

    if (err) {
        /* Docker was late: tried again along with this stage. */
        if (boot_may_go_away(err))
            boot_start_loader(boot);
        return err;
    }
    err = engine_up(boot->ports.engine, &project);
    if (err)
        return err;
    /* The containers have what they need; nobody else needs it any more. */
    app_forget_secrets(boot->app);
    release_free(TAKE_PTR(boot->release));
    boot->up_ms = clock_monotonic_ms(boot->ports.clock);
    monitor_watch_project(boot->ports.monitor, boot->domain);
    return NULL;
}

static bool take_problem(void *data, int64_t at_ns, bool standard_error, const char *text,
                         size_t size)
{
    char **problem = data;
    char *found = caddy_problem(text, size);

    (void)at_ns, (void)standard_error;
    if (found) {
        free(*problem);
        *problem = found;
    }
    return true;
}

/* The newest reason that Caddy gives; NULL: none. Caller frees. */
static char *ask_caddy(struct boot *boot)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct engine_container *containers;
    char *problem = NULL;
    size_t n = 0;

    monitor_containers(boot->ports.monitor, arena, &containers, &n);
    for (size_t i = 0; i < n; i++) {
        const struct engine_log_query query = {
            .id = containers[i].id, .tail = 30, .standard_output = true, .standard_error = true};
        if (strcmp(containers[i].service, OVERLAY_PROXY) == 0)
            error_free(engine_logs(boot->ports.engine, &query, take_problem, &problem));
    }
    return problem;
}

/* Told once, with Caddy's words; Caddy goes on trying, and so do we. */
static void tell_no_certificate(struct boot *boot, const char *problem)
{
    if (boot->certificate_told)
        return;
    boot->certificate_told = true;
    boot_tell_failure(boot, "certificate", "certificate_failed",
                      problem ? problem : "Caddy has no certificate yet and gives no reason",
                      boot->up_ms);
}

static struct error *check_lost(struct boot *boot)
{
    _cleanup_free_ char *lost =
        monitor_lost_container(boot->ports.monitor, boot->config->manifest->public_service);

    if (!lost)
        return NULL;
    boot->code = "container_exited";
    boot->failed_stage = "up";
    return error_new(ERROR_FAILED_PRECONDITION, "%s", lost);
}

struct error *boot_certificate(struct boot *boot)
{
    int64_t next_look = boot->up_ms + CADDY_LOOK_MS;

    for (;;) {
        struct certificate certificate;
        struct error *err = boot->ports.probe(boot->ports.data, boot->domain, &certificate);
        if (!err) {
            monitor_set_certificate(boot->ports.monitor, &certificate, NULL);
            return NULL;
        }
        error_free(err);
        err = check_lost(boot);
        if (err)
            return err;
        int64_t now = clock_monotonic_ms(boot->ports.clock);
        if (now >= next_look) {
            next_look = now + CADDY_LOOK_MS;
            _cleanup_free_ char *problem = ask_caddy(boot);
            if (problem)
                monitor_set_certificate(boot->ports.monitor, NULL, problem);
            if (now - boot->up_ms >= CERTIFICATE_DEADLINE_MS)
                tell_no_certificate(boot, problem);
        }
        bool late = now - boot->up_ms > 60 * 1000;
        if (!boot->ports.pause(boot->ports.data, late ? PROBE_SLOW_MS : PROBE_FAST_MS))
            return error_new(ERROR_CANCELLED, "the program ends");
    }
}

struct error *boot_running(struct boot *boot)
{
    /* Copies of the user's files lie in the folder; these are not needed any more. */
    boot->config = NULL;
    boot->networks = NULL;
    arena_free(TAKE_PTR(boot->lint_arena));
    arena_free(TAKE_PTR(boot->arena));
    memory_trim();
    return NULL;
}
