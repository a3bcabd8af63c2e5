/* struct manifest -> canonical bytes. */
#include <openssl/evp.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/manifest/check.h"

static struct error *set_once(json_t *object, const char *what, const char *key, json_t *value)
{
    if (json_object_get(object, key)) {
        json_decref(value);
        return error_new(ERROR_INVALID_ARGUMENT, "%s '%s' is given twice", what, key);
    }
    if (json_object_set_new(object, key, value) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "%s '%s' is not UTF-8", what, key);
    return NULL;
}

static json_t *hex_new(const uint8_t data[32])
{
    char text[65];

    hex_encode(data, 32, text);
    return json_string(text);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A sorted list without duplicates. */
static struct error *add_list(json_t *root, const char *key, const char *const *texts, size_t n)
{
    _cleanup_free_ const char **sorted = xmemdup(texts, n * sizeof(*texts));
    json_t *list = json_array();

    json_object_set_new(root, key, list);
    qsort(sorted, n, sizeof(*sorted), compare_texts);
    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(sorted[i - 1], sorted[i]) == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "%s '%s' is given twice", key, sorted[i]);
        json_array_append_new(list, json_string(sorted[i]));
    }
    return NULL;
}

static struct error *add_hashes(json_t *root, const char *key, const struct manifest_hash *hashes,
                                size_t n)
{
    json_t *object = json_object();
    struct error *err = NULL;

    json_object_set_new(root, key, object);
    for (size_t i = 0; !err && i < n; i++)
        err = set_once(object, key, hashes[i].name, hex_new(hashes[i].sha256));
    return err;
}

static struct error *add_services(json_t *root, const struct manifest *manifest)
{
    json_t *object = json_object();
    struct error *err = NULL;

    json_object_set_new(root, "services", object);
    for (size_t i = 0; !err && i < manifest->n_services; i++) {
        const struct manifest_service *service = &manifest->services[i];
        err = set_once(object, "services", service->name,
                       json_pack("{s:s, s:s}", "digest", service->digest, "image", service->image));
    }
    return err;
}

static struct error *add_registry_cas(json_t *root, const struct manifest *manifest)
{
    json_t *object = json_object();
    struct error *err = NULL;

    json_object_set_new(root, "registry_cas", object);
    for (size_t i = 0; !err && i < manifest->n_registry_cas; i++)
        err = set_once(object, "registry_cas", manifest->registry_cas[i].name,
                       json_string(manifest->registry_cas[i].text));
    return err;
}

static void add_plain(json_t *root, const struct manifest *manifest)
{
    json_object_set_new(root, "schema", json_string(MANIFEST_SCHEMA));
    json_object_set_new(root, "compose_sha256", hex_new(manifest->compose_sha256));
    json_object_set_new(root, "image_version", json_string(manifest->image_version));
    json_object_set_new(root, "owner_keys", json_array());
    json_object_set_new(root, "authority",
                        json_pack("{s:o}", "sign", hex_new(manifest->authority_sign)));
    json_object_set_new(
        root, "acme",
        json_pack("{s:s, s:s}", "directory", manifest->acme_directory, "ca", manifest->acme_ca));
    json_object_set_new(root, "policy",
                        json_pack("{s:s, s:s, s:s}", "egress", manifest->policy_egress, "logs",
                                  manifest->policy_logs, "storage", manifest->policy_storage));
    json_object_set_new(root, "public",
                        json_pack("{s:s, s:I}", "service", manifest->public_service, "port",
                                  (json_int_t)manifest->public_port));
}

static struct error *add_lists(json_t *root, const struct manifest *manifest)
{
    struct error *err = add_list(root, "env", manifest->env, manifest->n_env);

    if (!err)
        err = add_list(root, "domains", manifest->domains, manifest->n_domains);
    if (!err)
        err = add_list(root, "registries", manifest->registries, manifest->n_registries);
    if (!err)
        err = add_hashes(root, "files", manifest->files, manifest->n_files);
    if (!err)
        err = add_hashes(root, "secret_files", manifest->secret_files, manifest->n_secret_files);
    if (!err)
        err = add_services(root, manifest);
    if (!err)
        err = add_registry_cas(root, manifest);
    return err;
}

/* A path that is both plain and secret would leave open which of the two the guest writes. */
static struct error *check_overlap(const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->n_files; i++)
        for (size_t j = 0; j < manifest->n_secret_files; j++)
            if (strcmp(manifest->files[i].name, manifest->secret_files[j].name) == 0)
                return error_new(ERROR_INVALID_ARGUMENT, "file '%s' is both plain and secret",
                                 manifest->files[i].name);
    return NULL;
}

struct error *manifest_write(const struct manifest *manifest, struct buffer *ret_json)
{
    _cleanup_(json_decrefp) json_t *root = json_object();
    _cleanup_buffer_ struct buffer json = {0};
    struct error *err = manifest_check(manifest);

    if (!err)
        err = check_overlap(manifest);
    if (!err)
        err = add_lists(root, manifest);
    if (err)
        return error_wrap(err, "manifest");
    add_plain(root, manifest);
    err = canonical_json(root, &json);
    if (err)
        return error_wrap(err, "manifest");
    if (json.size > MANIFEST_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "manifest has %zu bytes, at most %d allowed",
                         json.size, MANIFEST_MAX);
    buffer_add(ret_json, json.data, json.size);
    return NULL;
}

void manifest_hash(const void *json, size_t size, uint8_t ret_sha256[MANIFEST_SHA256_SIZE])
{
    if (EVP_Digest(json, size, ret_sha256, NULL, EVP_sha256(), NULL) != 1)
        abort();
}
