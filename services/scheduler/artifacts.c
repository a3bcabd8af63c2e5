#include "services/scheduler/artifacts.h"

#include "services/scheduler/audit.h"
#include "services/scheduler/done_request.h"
#include "shared/base/log.h"
#include "shared/manifest/manifest.h"

struct setting {
    struct scheduler *scheduler;
    const char *version;
    struct asked asked;
    bool enabled;
    struct arena *arena;
    Coffer__V1__Artifact *artifact;
    bool changed;
    bool audited;
};

static struct error *load(struct setting *setting, uint64_t *ret_version)
{
    return record_load(setting->scheduler, KEY_ARTIFACT, setting->version,
                       &coffer__v1__artifact__descriptor, setting->arena, &setting->artifact,
                       ret_version);
}

static struct error *check_image(const struct setting *setting)
{
    struct image *image;

    return images_find(setting->scheduler->images, setting->version, setting->arena, &image);
}

static void put(struct setting *setting, struct change *change, uint64_t record_version)
{
    struct scheduler *scheduler = setting->scheduler;
    Coffer__V1__Artifact *artifact = setting->artifact;

    if (!artifact) {
        artifact = setting->artifact = arena_alloc(setting->arena, sizeof(*artifact));
        coffer__v1__artifact__init(artifact);
        artifact->version = arena_strdup(setting->arena, setting->version);
        artifact->built_at_ms = images_written_at_ms(scheduler->images, setting->version);
        change_index(change, KEY_ARTIFACTS, "", setting->version, false);
    }
    artifact->enabled = setting->enabled;
    artifact->changed_at_ms = clock_wall_ms(scheduler->clock);
    change_put(change, KEY_ARTIFACT, setting->version, record_version, &artifact->base, 0);
}

static struct error *set(void *data)
{
    struct setting *setting = data;
    struct change change;
    uint64_t version;
    struct done_request before = {0};
    struct error *err =
        done_request_find(setting->scheduler, &setting->asked, setting->arena, &before);

    err = err ?: load(setting, &version);
    bool repeat = !err && before.done && setting->artifact;
    if (!err && !repeat && (setting->enabled || !setting->artifact))
        err = check_image(setting);
    if (err)
        return err;
    setting->changed =
        !repeat && (!setting->artifact || setting->artifact->enabled != setting->enabled);
    setting->audited = setting->changed ? setting->asked.audit != NULL : before.audited;
    if (!setting->changed)
        return NULL;
    change_init(&change, setting->scheduler, setting->arena);
    put(setting, &change, version);
    done_request_note(&change, &setting->asked, setting->version);
    return change_commit(&change);
}

struct error *artifact_set(struct scheduler *scheduler, const Coffer__V1__ArtifactRequest *request,
                           bool enabled, struct arena *arena, Coffer__V1__Artifact **ret_artifact)
{
    const char *version = request->version;
    struct setting setting = {.scheduler = scheduler,
                              .version = version,
                              .asked = {request->request_id, request->audit},
                              .enabled = enabled,
                              .arena = arena};

    if (!manifest_version_is_valid(version))
        return error_new(ERROR_NOT_FOUND, "no image version '%.64s'", version);
    struct error *err = audit_check(request->audit);
    err = err ?: change_repeat(set, &setting);
    if (err)
        return err;
    if (setting.changed)
        log_info(enabled ? "image enabled" : "image disabled", "version", version);
    setting.artifact->audited = setting.audited;
    *ret_artifact = setting.artifact;
    return NULL;
}

/* A file that is no image is told by images_publish(), and harms no other. */
static struct error *adopt(struct scheduler *scheduler, const char *name, struct arena *arena)
{
    struct setting setting = {
        .scheduler = scheduler, .version = name, .enabled = true, .arena = arena};
    struct change change;
    uint64_t version;
    struct error *err = load(&setting, &version);

    if (err || setting.artifact)
        return err;
    err = check_image(&setting);
    if (err) {
        error_free(err);
        return NULL;
    }
    change_init(&change, scheduler, arena);
    put(&setting, &change, version);
    return change_commit(&change);
}

struct error *artifacts_adopt(struct scheduler *scheduler)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char **versions;
    size_t n;
    struct error *err = images_versions(scheduler->images, arena, &versions, &n);

    for (size_t i = 0; !err && i < n; i++)
        err = adopt(scheduler, versions[i], arena);
    return error_wrap(err, "adopt images");
}

static struct error *check_enabled(const Coffer__V1__Artifact *artifact, const char *version)
{
    if (artifact && artifact->enabled)
        return NULL;
    struct error *err = error_new(ERROR_NOT_FOUND, "image version '%.64s' is not enabled", version);
    return error_set_reason(err, "no_image");
}

struct error *artifact_check(struct scheduler *scheduler, const char *version, struct arena *arena)
{
    struct setting setting = {.scheduler = scheduler, .version = version, .arena = arena};
    uint64_t record_version;
    struct error *err = load(&setting, &record_version);

    return err ?: check_enabled(setting.artifact, version);
}

struct error *artifact_check_record(const struct store_record *record, const char *version,
                                    struct arena *arena)
{
    void *artifact = NULL;
    struct error *err = NULL;

    if (record->version)
        err = record_read(record, &coffer__v1__artifact__descriptor, arena, &artifact);
    return err ?: check_enabled(artifact, version);
}
