#include "services/guest-agent/app.h"

#include <sys/stat.h>

#include "services/guest-agent/names.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

/* dir_make() with a mode that the umask does not narrow: containers' users walk through these. */
static struct error *make_parents(const char *base, const char *path)
{
    _cleanup_free_ char *part = xasprintf("%s/%s", base, path);

    for (char *at = part + strlen(base) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return error_errno(errno, "mkdir '%s'", part);
        if (chmod(part, 0755) < 0)
            return error_errno(errno, "chmod '%s'", part);
        *at = '/';
    }
    return NULL;
}

static struct error *write_below(const char *base, const char *path, const void *data, size_t size,
                                 mode_t mode)
{
    _cleanup_free_ char *target = xasprintf("%s/%s", base, path);
    struct stat present;
    struct error *err = make_parents(base, path);

    if (err)
        return err;
    if (lstat(target, &present) == 0 && S_ISDIR(present.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "file '%s' is also a folder of another file",
                         path);
    return file_write_atomic(target, data, size, mode);
}

static struct error *write_files(const struct app *app, const struct guest_config *config,
                                 const struct release *release)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < config->n_files; i++) {
        const struct config_file *file = &config->files[i];
        err = write_below(app->files, file->path, file->data, file->size, 0644);
    }
    for (size_t i = 0; !err && i < release->n_files; i++) {
        const struct release_file *file = &release->files[i];
        err = write_below(app->files, file->path, file->data, file->size, 0400);
    }
    return err;
}

static struct error *write_ours(const struct app *app, const struct guest_config *config)
{
    const char *ca = config->manifest->acme_ca;
    struct error *err =
        file_write_atomic(app->compose, config->compose, config->compose_size, 0600);

    if (!err)
        err = file_write_atomic(app->manifest, config->manifest_json, config->manifest_size, 0644);
    if (!err && app->collateral)
        err = file_write_atomic(app->collateral, config->collateral.data, config->collateral.size,
                                0644);
    if (!err && app->acme_ca)
        err = file_write_atomic(app->acme_ca, ca, strlen(ca), 0644);
    return err;
}

/* What the platform offers for interpolation, then the released values. */
static void take_environment(struct app *app, const struct guest_config *config,
                             const struct release *release)
{
    size_t n = 0;

    app->environment = xnew_array(char *, release->n_variables + 6);
    app->environment[n++] = xasprintf("FILES=%s", app->files);
    app->environment[n++] = xasprintf("COFFER_DOMAIN=%s", release->domain);
    app->environment[n++] = xasprintf("NILCC_DOMAIN=%s", release->domain);
    app->environment[n++] = xasprintf("NILCC_VERSION=%s", config->manifest->image_version);
    app->environment[n++] = xstrdup("NILCC_VM_TYPE=cpu");
    for (size_t i = 0; i < release->n_variables; i++) {
        const struct release_variable *variable = &release->variables[i];
        app->environment[n++] = xasprintf("%s=%s", variable->name, variable->value);
        scrub_add(&app->scrub, variable->value);
    }
    for (size_t i = 0; i < release->n_registries; i++)
        scrub_add(&app->scrub, release->registries[i].password);
    scrub_add(&app->scrub, release->acme_eab_mac_key);
}

static struct app *app_new(const char *run_dir, const struct guest_config *config)
{
    bool has_acme_ca = config->manifest->acme_ca[0] != '\0';
    struct app *app = xnew(struct app);

    app->root = xasprintf("%s/app", run_dir);
    app->files = xasprintf("%s/files", app->root);
    app->compose = xasprintf("%s/compose.yaml", app->root);
    app->overlay = xasprintf("%s/coffer.json", app->root);
    app->manifest = xasprintf("%s/manifest.json", app->root);
    app->collateral = config->collateral.size ? xasprintf("%s/collateral", app->root) : NULL;
    app->caddy_config = xasprintf("%s/caddy.json", app->root);
    app->acme_ca = has_acme_ca ? xasprintf("%s/acme-ca.pem", app->root) : NULL;
    return app;
}

struct error *app_create(const char *run_dir, const struct guest_config *config,
                         const struct release *release, struct app **ret_app)
{
    _cleanup_(app_freep) struct app *app = app_new(run_dir, config);

    struct error *err = dir_make(app->files, 0755);
    if (!err && chmod(app->files, 0755) < 0)
        err = error_errno(errno, "chmod '%s'", app->files);
    if (!err)
        err = write_ours(app, config);
    if (!err)
        err = write_files(app, config, release);
    if (err)
        return err;
    take_environment(app, config, release);
    *ret_app = TAKE_PTR(app);
    return NULL;
}

struct error *app_write_overlay(struct app *app, const void *json, size_t size)
{
    return file_write_atomic(app->overlay, json, size, 0600);
}

struct error *app_write_registry_cas(const char *folder, const struct manifest *manifest)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < manifest->n_registry_cas; i++) {
        const struct manifest_text *ca = &manifest->registry_cas[i];
        if (!registry_server_is_valid(ca->name) || strchr(ca->name, '/') || !ca->name[0])
            return error_new(ERROR_INVALID_ARGUMENT, "a registry CA's server name is not valid");
        _cleanup_free_ char *place = xasprintf("%s/%s", folder, ca->name);
        _cleanup_free_ char *path = xasprintf("%s/ca.crt", place);
        err = dir_make(place, 0755);
        if (!err)
            err = file_write_atomic(path, ca->text, strlen(ca->text), 0644);
    }
    return err;
}

void app_forget_secrets(struct app *app)
{
    for (char **variable = app->environment; variable && *variable; variable++) {
        OPENSSL_cleanse(*variable, strlen(*variable));
        free(*variable);
    }
    free(app->environment);
    app->environment = NULL;
    scrub_done(&app->scrub);
}

void app_free(struct app *app)
{
    if (!app)
        return;
    app_forget_secrets(app);
    free(app->root);
    free(app->files);
    free(app->compose);
    free(app->overlay);
    free(app->manifest);
    free(app->collateral);
    free(app->caddy_config);
    free(app->acme_ca);
    free(app);
}
