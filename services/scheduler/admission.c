#include "services/scheduler/admission.h"

#include <ctype.h>

#include "services/scheduler/secrets.h"
#include "shared/base/encode.h"

enum {
    NAME_MAX_BYTES = 128,
    ACCOUNT_MAX_BYTES = 128,
    CPUS_MAX = 64,
    MEMORY_MIN_MIB = 256,
    MEMORY_MAX_MIB = 4 * 1024 * 1024,
    DISK_MIN_GIB = 1,
    DISK_MAX_GIB = 64 * 1024,
    GPUS_MAX = 16,
};

/* RFC 1123 host name with at least one dot, lower case. */
static bool domain_is_valid(const char *domain)
{
    size_t label = 0;
    size_t labels = 1;

    if (strlen(domain) > 253)
        return false;
    for (const char *at = domain; *at; at++) {
        if (*at == '.') {
            if (!label || at[-1] == '-')
                return false;
            label = 0;
            labels++;
        } else if (islower((unsigned char)*at) || isdigit((unsigned char)*at) ||
                   (*at == '-' && label)) {
            if (++label > 63)
                return false;
        } else {
            return false;
        }
    }
    return label && labels > 1 && domain[strlen(domain) - 1] != '-';
}

static struct error *check_owner(const Coffer__V1__CreateWorkloadRequest *request)
{
    if (!name_is_valid(request->workload_id))
        return error_new(ERROR_INVALID_ARGUMENT, "workload id must match [a-z0-9-]{1,63}");
    if (!request->account_id[0] || strlen(request->account_id) > ACCOUNT_MAX_BYTES)
        return error_new(ERROR_INVALID_ARGUMENT, "account id is missing or too long");
    return NULL;
}

static struct error *check_names(const Coffer__V1__CreateWorkloadRequest *request)
{
    if (strlen(request->name) > NAME_MAX_BYTES)
        return error_new(ERROR_INVALID_ARGUMENT, "name is longer than %d bytes", NAME_MAX_BYTES);
    if (!domain_is_valid(request->domain))
        return error_new(ERROR_INVALID_ARGUMENT, "domain '%.253s' is not a host name",
                         request->domain);
    return NULL;
}

struct error *admission_check_resources(const Coffer__V1__Resources *resources)
{
    if (!resources)
        return error_new(ERROR_INVALID_ARGUMENT, "resources are missing");
    if (resources->cpus < 1 || resources->cpus > CPUS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "cpus must be 1 to %d", CPUS_MAX);
    if (resources->memory_mib < MEMORY_MIN_MIB || resources->memory_mib > MEMORY_MAX_MIB)
        return error_new(ERROR_INVALID_ARGUMENT, "memory must be %d to %d MiB", MEMORY_MIN_MIB,
                         MEMORY_MAX_MIB);
    if (resources->disk_gib < DISK_MIN_GIB || resources->disk_gib > DISK_MAX_GIB)
        return error_new(ERROR_INVALID_ARGUMENT, "disk must be %d to %d GiB", DISK_MIN_GIB,
                         DISK_MAX_GIB);
    if (resources->gpus > GPUS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "gpus must be at most %d", GPUS_MAX);
    return NULL;
}

static const struct manifest_hash *find_file(const struct manifest *manifest, const char *path)
{
    for (size_t i = 0; i < manifest->n_files; i++)
        if (strcmp(manifest->files[i].name, path) == 0)
            return &manifest->files[i];
    return NULL;
}

static struct error *check_files(const Coffer__V1__CreateWorkloadRequest *request,
                                 const struct manifest *manifest)
{
    if (request->n_files > MANIFEST_FILES_MAX || request->n_files != manifest->n_files)
        return error_new(ERROR_INVALID_ARGUMENT, "%zu files, the manifest names %zu",
                         request->n_files, manifest->n_files);
    for (size_t i = 0; i < request->n_files; i++) {
        const Coffer__V1__File *file = request->files[i];
        const struct manifest_hash *expected = find_file(manifest, file->path);
        uint8_t digest[SHA256_SIZE];
        sha256(file->content.data, file->content.len, digest);
        if (!expected || memcmp(expected->sha256, digest, sizeof(digest)) != 0)
            return error_new(ERROR_INVALID_ARGUMENT, "file '%.255s' is not the manifest's",
                             file->path);
        for (size_t k = 0; k < i; k++)
            if (strcmp(request->files[k]->path, file->path) == 0)
                return error_new(ERROR_INVALID_ARGUMENT, "file '%.255s' is there twice",
                                 file->path);
    }
    return NULL;
}

static struct error *check_manifest(const struct scheduler *scheduler,
                                    const Coffer__V1__CreateWorkloadRequest *request,
                                    const struct manifest *manifest)
{
    const char *directory = scheduler->platform.acme_directory;
    uint8_t digest[SHA256_SIZE];

    if (request->compose.len > MANIFEST_COMPOSE_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "compose text is larger than %d bytes",
                         MANIFEST_COMPOSE_MAX);
    sha256(request->compose.data, request->compose.len, digest);
    if (memcmp(digest, manifest->compose_sha256, sizeof(digest)) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "compose text is not the manifest's");
    if (strcmp(request->image_version, manifest->image_version) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "image version '%.64s' is not the manifest's",
                         request->image_version);
    if (memcmp(manifest->authority_sign, scheduler->authority.sign.public, SIGN_KEY_SIZE) != 0)
        return error_new(ERROR_FAILED_PRECONDITION, "the manifest names another release authority");
    if (directory[0] && strcmp(directory, manifest->acme_directory) != 0)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the manifest's ACME directory is not this platform's, '%s'", directory);
    return NULL;
}

struct error *admission_check_secrets(const struct scheduler *scheduler, const char *workload_id,
                                      ProtobufCBinaryData sealed)
{
    _cleanup_buffer_ struct buffer plain = {0};
    char context[sizeof(SECRETS_CONTEXT) + 64];

    if (!sealed.len)
        return NULL;
    if (sealed.len > SEALED_SECRETS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "secrets are larger than %d bytes",
                         SEALED_SECRETS_MAX);
    snprintf(context, sizeof(context), "%s%s", SECRETS_CONTEXT, workload_id);
    struct error *err =
        box_opener_open(scheduler->authority.opener, context, sealed.data, sealed.len, &plain);
    if (!err)
        return NULL;
    error_free(err);
    return error_new(ERROR_INVALID_ARGUMENT,
                     "the secrets are not sealed to this release authority for this workload");
}

struct error *admission_check_content(const struct scheduler *scheduler,
                                      const Coffer__V1__CreateWorkloadRequest *request,
                                      struct arena *arena, struct manifest **ret_manifest)
{
    struct manifest *manifest;
    struct error *err = check_names(request);

    if (!err && request->manifest.len > MANIFEST_MAX)
        err = error_new(ERROR_INVALID_ARGUMENT, "manifest is larger than %d bytes", MANIFEST_MAX);
    if (err)
        return err;
    err = manifest_parse(request->manifest.data, request->manifest.len, arena, &manifest);
    err = err ?: check_manifest(scheduler, request, manifest);
    err = err ?: check_files(request, manifest);
    err = err ?: images_check(scheduler->images, request->image_version);
    if (!err)
        *ret_manifest = manifest;
    return err;
}

struct error *admission_check(const struct scheduler *scheduler,
                              const Coffer__V1__CreateWorkloadRequest *request, struct arena *arena,
                              struct manifest **ret_manifest)
{
    struct error *err = check_owner(request);

    err = err ?: admission_check_resources(request->resources);
    err = err ?: admission_check_secrets(scheduler, request->workload_id, request->sealed_secrets);
    return err ?: admission_check_content(scheduler, request, arena, ret_manifest);
}
