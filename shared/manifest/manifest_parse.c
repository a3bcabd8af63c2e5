/* Canonical bytes -> struct manifest. */
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/manifest/check.h"

/* A cursor over one object: every member is taken once, and none may be left. */
struct object {
    const json_t *json;
    const char *name;
    size_t n_taken;
    struct arena *arena;
    struct error *err; /* the first failure sticks */
};

static void fail(struct object *object, const char *key, const char *why)
{
    if (!object->err)
        object->err = error_new(ERROR_INVALID_ARGUMENT, "%s%s%s: %s", object->name,
                                *object->name ? "." : "", key, why);
}

static const json_t *take(struct object *object, const char *key, json_type type)
{
    const json_t *value = json_object_get(object->json, key);

    if (!value) {
        fail(object, key, "missing");
        return NULL;
    }
    object->n_taken++;
    if (json_typeof(value) != type) {
        fail(object, key, "wrong type");
        return NULL;
    }
    return value;
}

static const char *take_text(struct object *object, const char *key)
{
    const json_t *value = take(object, key, JSON_STRING);

    return arena_strdup(object->arena, value ? json_string_value(value) : "");
}

static void take_hash(struct object *object, const char *key, uint8_t ret_hash[32])
{
    _cleanup_free_ char *again = NULL;
    const char *text = take_text(object, key);
    struct error *err = hex_decode(text, ret_hash, 32);

    if (!err)
        again = hex_encode_new(ret_hash, 32);
    if (err || strcmp(text, again) != 0)
        fail(object, key, "not 64 lower-case hex digits");
    error_free(err);
}

static struct object take_object(struct object *parent, const char *key)
{
    static const char empty_name[] = "";
    const json_t *value = take(parent, key, JSON_OBJECT);

    return (struct object){
        .json = value,
        .name = value ? arena_printf(parent->arena, "%s", key) : empty_name,
        .arena = parent->arena,
        .err = value ? NULL : error_new(ERROR_INVALID_ARGUMENT, "%s: not an object", key),
    };
}

/* Nothing may be left; hands a failure to the parent. */
static void finish(struct object *object, struct object *parent)
{
    if (!object->err && object->n_taken != json_object_size(object->json))
        fail(object, "*", "unknown member");
    if (parent->err)
        error_free(object->err);
    else
        parent->err = object->err;
    object->err = NULL;
}

static size_t check_size(struct object *object, const char *key, size_t n, size_t max)
{
    if (n <= max)
        return n;
    fail(object, key, "too many");
    return 0;
}

static const char **take_list(struct object *object, const char *key, size_t max, size_t *ret_n)
{
    const json_t *list = take(object, key, JSON_ARRAY);
    size_t n = check_size(object, key, list ? json_array_size(list) : 0, max);
    const char **texts = arena_alloc(object->arena, (n + 1) * sizeof(*texts));

    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        texts[i] = arena_strdup(object->arena, text);
        if (!text)
            fail(object, key, "not a list of texts");
        else if (i && strcmp(texts[i - 1], texts[i]) >= 0)
            fail(object, key, "not sorted, or with duplicates");
    }
    *ret_n = n;
    return texts;
}

/* Keys of an object in the arena, so that each can be taken. */
static const char **keys_of(struct object *object, size_t max, size_t *ret_n)
{
    size_t n = check_size(object, "*", json_object_size(object->json), max);
    const char **keys = arena_alloc(object->arena, (n + 1) * sizeof(*keys));
    void *member = n ? json_object_iter((json_t *)object->json) : NULL;

    for (size_t i = 0; member; i++) {
        keys[i] = arena_strdup(object->arena, json_object_iter_key(member));
        member = json_object_iter_next((json_t *)object->json, member);
    }
    *ret_n = n;
    return keys;
}

static struct manifest_hash *take_hashes(struct object *parent, const char *key, size_t max,
                                         size_t *ret_n)
{
    struct object object = take_object(parent, key);
    const char **keys = keys_of(&object, max, ret_n);
    struct manifest_hash *hashes = arena_alloc(parent->arena, (*ret_n + 1) * sizeof(*hashes));

    for (size_t i = 0; i < *ret_n; i++) {
        hashes[i].name = keys[i];
        take_hash(&object, keys[i], hashes[i].sha256);
    }
    finish(&object, parent);
    return hashes;
}

static void take_services(struct object *parent, struct manifest *manifest)
{
    struct object object = take_object(parent, "services");
    const char **keys = keys_of(&object, MANIFEST_SERVICES_MAX, &manifest->n_services);

    manifest->services =
        arena_alloc(parent->arena, (manifest->n_services + 1) * sizeof(*manifest->services));
    for (size_t i = 0; i < manifest->n_services; i++) {
        struct object service = take_object(&object, keys[i]);
        manifest->services[i] = (struct manifest_service){
            .name = keys[i],
            .image = take_text(&service, "image"),
            .digest = take_text(&service, "digest"),
        };
        finish(&service, &object);
    }
    finish(&object, parent);
}

static void take_registry_cas(struct object *parent, struct manifest *manifest)
{
    struct object object = take_object(parent, "registry_cas");
    const char **keys = keys_of(&object, MANIFEST_REGISTRIES_MAX, &manifest->n_registry_cas);

    manifest->registry_cas = arena_alloc(parent->arena, (manifest->n_registry_cas + 1) *
                                                            sizeof(*manifest->registry_cas));
    for (size_t i = 0; i < manifest->n_registry_cas; i++) {
        manifest->registry_cas[i].name = keys[i];
        manifest->registry_cas[i].text = take_text(&object, keys[i]);
    }
    finish(&object, parent);
}

static void take_small_objects(struct object *root, struct manifest *manifest)
{
    struct object acme = take_object(root, "acme");
    manifest->acme_directory = take_text(&acme, "directory");
    manifest->acme_ca = take_text(&acme, "ca");
    finish(&acme, root);

    struct object authority = take_object(root, "authority");
    take_hash(&authority, "sign", manifest->authority_sign);
    finish(&authority, root);

    struct object policy = take_object(root, "policy");
    manifest->policy_egress = take_text(&policy, "egress");
    manifest->policy_logs = take_text(&policy, "logs");
    manifest->policy_storage = take_text(&policy, "storage");
    finish(&policy, root);

    struct object public = take_object(root, "public");
    manifest->public_service = take_text(&public, "service");
    json_int_t port = json_integer_value(take(&public, "port", JSON_INTEGER));
    if (port < 1 || port > 65535)
        fail(&public, "port", "not in 1..65535");
    manifest->public_port = (uint32_t)port;
    finish(&public, root);
}

static void take_root(struct object *root, struct manifest *manifest)
{
    size_t n_owner_keys = 0;

    if (strcmp(take_text(root, "schema"), MANIFEST_SCHEMA) != 0)
        fail(root, "schema", "not '" MANIFEST_SCHEMA "'");
    take_hash(root, "compose_sha256", manifest->compose_sha256);
    manifest->image_version = take_text(root, "image_version");
    manifest->env = take_list(root, "env", MANIFEST_ENV_MAX, &manifest->n_env);
    manifest->domains = take_list(root, "domains", MANIFEST_DOMAINS_MAX, &manifest->n_domains);
    manifest->registries =
        take_list(root, "registries", MANIFEST_REGISTRIES_MAX, &manifest->n_registries);
    take_list(root, "owner_keys", 0, &n_owner_keys);
    manifest->files = take_hashes(root, "files", MANIFEST_FILES_MAX, &manifest->n_files);
    manifest->secret_files =
        take_hashes(root, "secret_files", MANIFEST_SECRET_FILES_MAX, &manifest->n_secret_files);
    take_services(root, manifest);
    take_registry_cas(root, manifest);
    take_small_objects(root, manifest);
}

/* The one way from a manifest to bytes is manifest_write(): what it would not write, or otherwise,
 * is refused. */
static struct error *check_again(const struct manifest *manifest, const void *json, size_t size)
{
    _cleanup_buffer_ struct buffer again = {0};
    struct error *err = manifest_write(manifest, &again);

    if (!err && (again.size != size || memcmp(again.data, json, size) != 0))
        err = error_new(ERROR_INVALID_ARGUMENT, "not canonical JSON (RFC 8785)");
    return err;
}

struct error *manifest_parse(const void *json, size_t size, struct arena *arena,
                             struct manifest **ret_manifest)
{
    struct manifest *manifest = arena_alloc(arena, sizeof(*manifest));
    json_error_t where;

    if (size > MANIFEST_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "manifest has %zu bytes, at most %d allowed", size,
                         MANIFEST_MAX);
    _cleanup_(json_decrefp) json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "manifest is not a JSON object: %s",
                         root ? "another type" : where.text);
    struct object object = {.json = root, .name = "", .arena = arena};
    take_root(&object, manifest);
    if (!object.err && object.n_taken != json_object_size(root))
        fail(&object, "*", "unknown member");
    if (!object.err)
        object.err = check_again(manifest, json, size);
    if (object.err)
        return error_wrap(object.err, "manifest");
    *ret_manifest = manifest;
    return NULL;
}
