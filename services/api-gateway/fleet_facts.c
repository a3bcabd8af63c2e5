#include "services/api-gateway/fleet_facts.h"

#include <dirent.h>

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "services/api-gateway/read_cache.h"
#include "shared/attestation/image.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/store/keys.h"

enum { FLEET_JSON_MAX = 4 * 1024 * 1024, HOSTS_MAX = 4096, VERSIONS_MAX = 256 };

static struct error *load_json(const char *path, json_t **ret_json)
{
    _cleanup_buffer_ struct buffer text = {0};
    json_error_t where;
    struct error *err = file_read(path, FLEET_JSON_MAX, &text);

    if (err)
        return err;
    json_t *json = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &where);
    if (!json)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' line %d: %s", path, where.line, where.text);
    *ret_json = json;
    return NULL;
}

static struct error *key_of(const json_t *root, const char *name, uint8_t ret_key[32])
{
    const char *text = json_string_value(json_object_get(root, name));

    if (!text)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is missing", name);
    return error_wrap(hex_decode(text, ret_key, 32), "'%s'", name);
}

struct error *fleet_load(const char *dir, struct fleet *ret_fleet)
{
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", dir);
    _cleanup_(json_decrefp) json_t *root = NULL;
    struct fleet fleet = {0};
    struct error *err = load_json(path, &root);

    err = err ?: key_of(root, "authority_sign_public", fleet.authority_sign);
    err = err ?: key_of(root, "authority_box_public", fleet.authority_box);
    if (err)
        return error_wrap(err, "fleet facts '%s'", path);
    const char *domain = json_string_value(json_object_get(root, "workload_domain"));
    if (!domain || !manifest_domain_is_valid(domain))
        return error_new(ERROR_INVALID_ARGUMENT, "fleet facts '%s': 'workload_domain' is no domain",
                         path);
    fleet.workload_domain = xstrdup(domain);
    *ret_fleet = fleet;
    return NULL;
}

void fleet_done(struct fleet *fleet)
{
    free(fleet->workload_domain);
    *fleet = (struct fleet){0};
}

static void read_trust(const json_t *root, struct arena *arena, struct fleet_facts *facts)
{
    json_t *cas = json_object_get(root, "registry_cas");
    const json_t *acme = json_object_get(root, "acme");
    struct manifest_text *list =
        arena_alloc(arena, (json_object_size(cas) + 1) * sizeof(struct manifest_text));
    const char *server;
    json_t *pem;

    facts->acme_directory =
        arena_strdup(arena, json_string_value(json_object_get(acme, "directory")));
    facts->acme_ca = arena_strdup(arena, json_string_value(json_object_get(acme, "ca")));
    json_object_foreach(cas, server, pem)
    {
        list[facts->n_registry_cas++] = (struct manifest_text){
            arena_strdup(arena, server), arena_strdup(arena, json_string_value(pem))};
    }
    facts->registry_cas = list;
}

struct error *fleet_facts_load(const struct gateway *gateway, struct arena *arena,
                               struct fleet_facts *ret_facts)
{
    _cleanup_(json_decrefp) json_t *root = NULL;
    struct fleet_facts facts = {.acme_directory = "", .acme_ca = ""};

    if (*gateway->config->trust_file) {
        struct error *err = load_json(gateway->config->trust_file, &root);
        if (err) /* ours, not the caller's */
            return error_recode(error_wrap(err, "trust anchors"), ERROR_INTERNAL);
        read_trust(root, arena, &facts);
    }
    memcpy(facts.authority_sign, gateway->fleet.authority_sign, sizeof(facts.authority_sign));
    *ret_facts = facts;
    return NULL;
}

struct versions {
    struct gateway *gateway;
    struct arena *arena;
    const char **names;
    size_t n;
};

static void add_version(struct versions *versions, const char *name)
{
    if (versions->n == VERSIONS_MAX || !manifest_version_is_valid(name))
        return;
    for (size_t i = 0; i < versions->n; i++)
        if (strcmp(versions->names[i], name) == 0)
            return;
    versions->names[versions->n++] = arena_strdup(versions->arena, name);
}

static inline void dir_close(DIR *dir)
{
    closedir(dir);
}
DEFINE_CLEANUP(DIR *, dir_close)

static void add_folder(struct versions *versions)
{
    const char *path = versions->gateway->config->images_dir;
    _cleanup_(dir_closep) DIR *dir = *path ? opendir(path) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            add_version(versions, entry->d_name);
}

static struct error *add_host(struct versions *versions, const struct store_record *record)
{
    void *host = NULL;

    if (!record->version)
        return NULL;
    struct error *err = bus_unpack(&coffer__v1__host__descriptor, record->value.data,
                                   record->value.len, versions->arena, &host);
    if (err)
        return error_recode(error_wrap(err, "record '%s'", record->key), ERROR_INTERNAL);
    const Coffer__V1__HostHeartbeat *heartbeat = ((Coffer__V1__Host *)host)->heartbeat;
    for (size_t i = 0; heartbeat && i < heartbeat->n_images; i++)
        if (heartbeat->images[i]->ready)
            add_version(versions, heartbeat->images[i]->version);
    return NULL;
}

/* Records "family" + name of all names, with one question. */
static struct error *load_family(struct versions *versions, const char *family,
                                 const char *const *names, size_t n,
                                 struct store_record **ret_records)
{
    const char **keys = arena_alloc(versions->arena, (n + 1) * sizeof(*keys));

    for (size_t i = 0; i < n; i++)
        keys[i] = arena_printf(versions->arena, "%s%s", family, names[i]);
    *ret_records = arena_alloc(versions->arena, (n + 1) * sizeof(**ret_records));
    return store_get_many(versions->gateway->store, keys, n, versions->arena, *ret_records);
}

static struct error *add_hosts(struct versions *versions)
{
    struct store_record *records = NULL;
    const char **ids;
    size_t n = 0;
    struct error *err =
        read_cache_members(versions->gateway, KEY_HOSTS, HOSTS_MAX, versions->arena, &ids, &n);

    err = err ?: load_family(versions, KEY_HOST, ids, n, &records);
    for (size_t i = 0; !err && i < n; i++)
        err = add_host(versions, &records[i]);
    return err;
}

static int compare_newest_first(const void *a, const void *b)
{
    return strverscmp(*(const char *const *)b, *(const char *const *)a);
}

static struct error *is_enabled(struct versions *versions, const struct store_record *record,
                                bool *ret_enabled)
{
    void *artifact = NULL;

    if (!record->version)
        return NULL;
    struct error *err = bus_unpack(&coffer__v1__artifact__descriptor, record->value.data,
                                   record->value.len, versions->arena, &artifact);
    if (err)
        return error_recode(error_wrap(err, "record '%s'", record->key), ERROR_INTERNAL);
    *ret_enabled = ((Coffer__V1__Artifact *)artifact)->enabled;
    return NULL;
}

static struct error *keep_enabled(struct versions *versions)
{
    struct store_record *records = NULL;
    size_t kept = 0;
    struct error *err = load_family(versions, KEY_ARTIFACT, versions->names, versions->n, &records);

    for (size_t i = 0; !err && i < versions->n; i++) {
        bool enabled = false;
        err = is_enabled(versions, &records[i], &enabled);
        if (enabled)
            versions->names[kept++] = versions->names[i];
    }
    if (!err)
        versions->n = kept;
    return err;
}

/* Drops what has no signed image.json: nobody could verify it. */
static struct error *keep_signed(struct versions *versions)
{
    size_t kept = 0;

    for (size_t i = 0; i < versions->n; i++) {
        _cleanup_buffer_ struct buffer json = {0};
        struct error *err =
            image_load(versions->gateway, versions->names[i], versions->arena, &json);
        if (!err)
            versions->names[kept++] = versions->names[i];
        else if (error_get_code(err) != ERROR_NOT_FOUND)
            return err;
        error_free(err);
    }
    versions->n = kept;
    return NULL;
}

struct error *images_list(struct gateway *gateway, struct arena *arena, const char ***ret_versions,
                          size_t *ret_n)
{
    struct versions versions = {
        .gateway = gateway,
        .arena = arena,
        .names = arena_alloc(arena, VERSIONS_MAX * sizeof(char *)),
    };
    struct error *err = add_hosts(&versions);

    add_folder(&versions);
    err = err ?: keep_enabled(&versions);
    err = err ?: keep_signed(&versions);
    if (err)
        return err;
    qsort(versions.names, versions.n, sizeof(char *), compare_newest_first);
    *ret_versions = versions.names;
    *ret_n = versions.n;
    return NULL;
}

static struct error *load_from_folder(const struct gateway *gateway, const char *version,
                                      struct buffer *ret_json)
{
    _cleanup_free_ char *path = xasprintf("%s/%s/image.json", gateway->config->images_dir, version);

    if (!*gateway->config->images_dir)
        return error_new(ERROR_NOT_FOUND, "no image '%s'", version);
    return file_read(path, IMAGE_JSON_MAX, ret_json);
}

struct error *image_load(struct gateway *gateway, const char *version, struct arena *arena,
                         struct buffer *ret_json)
{
    if (!manifest_version_is_valid(version))
        return error_new(ERROR_NOT_FOUND, "no such image");
    struct error *err =
        read_cache_bytes(gateway, arena_printf(arena, "%s%s", KEY_IMAGE, version), arena, ret_json);
    if (err || ret_json->size)
        return err;
    err = load_from_folder(gateway, version, ret_json);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return error_new(ERROR_NOT_FOUND, "no guest image '%s'", version);
}
