#include "services/scheduler/secrets.h"

#include <openssl/crypto.h>

enum { SALT_SIZE = 32 };

struct error *secrets_open(struct scheduler *scheduler, const char *workload_id,
                           ProtobufCBinaryData sealed, struct arena *arena,
                           Coffer__V1__Secrets **ret_secrets)
{
    _cleanup_buffer_ struct buffer plain = {0};
    void *secrets;
    struct error *err = NULL;

    if (sealed.len)
        err = box_opener_open(scheduler->authority.opener,
                              arena_printf(arena, "%s%s", SECRETS_CONTEXT, workload_id),
                              sealed.data, sealed.len, &plain);
    err = err
              ?: bus_unpack(&coffer__v1__secrets__descriptor, plain.data, plain.size, arena,
                            &secrets);
    if (err)
        return error_wrap(err, "secrets of '%s'", workload_id);
    *ret_secrets = secrets;
    return NULL;
}

struct error *secrets_seal(struct scheduler *scheduler, const char *workload_id,
                           const Coffer__V1__Secrets *secrets, struct arena *arena,
                           ProtobufCBinaryData *ret_sealed)
{
    _cleanup_buffer_ struct buffer box = {0};
    size_t size = coffer__v1__secrets__get_packed_size(secrets);
    uint8_t *plain = arena_alloc(arena, size ? size : 1);

    *ret_sealed = (ProtobufCBinaryData){0};
    if (!size)
        return NULL;
    coffer__v1__secrets__pack(secrets, plain);
    struct error *err =
        seal_to(scheduler->authority.box.public,
                arena_printf(arena, "%s%s", SECRETS_CONTEXT, workload_id), plain, size, &box);
    if (err)
        return error_wrap(err, "seal the secrets of '%s'", workload_id);
    if (box.size > SEALED_SECRETS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "all secrets together are larger than %d bytes",
                         SEALED_SECRETS_MAX);
    *ret_sealed = arena_bytes(arena, box.data, box.size);
    return NULL;
}

static Coffer__V1__EnvironmentVariable *find_variable(const Coffer__V1__Secrets *secrets,
                                                      const char *name)
{
    for (size_t i = 0; i < secrets->n_environment; i++)
        if (strcmp(secrets->environment[i]->name, name) == 0)
            return secrets->environment[i];
    return NULL;
}

static Coffer__V1__Registry *find_registry(const Coffer__V1__Secrets *secrets, const char *server)
{
    for (size_t i = 0; i < secrets->n_registries; i++)
        if (strcmp(secrets->registries[i]->server, server) == 0)
            return secrets->registries[i];
    return NULL;
}

static Coffer__V1__SecretFile *find_file(const Coffer__V1__Secrets *secrets, const char *path)
{
    for (size_t i = 0; i < secrets->n_files; i++)
        if (strcmp(secrets->files[i]->path, path) == 0)
            return secrets->files[i];
    return NULL;
}

static struct error *add_environment(const struct manifest *manifest,
                                     const Coffer__V1__Secrets *stored,
                                     const Coffer__V1__Secrets *given, struct arena *arena,
                                     Coffer__V1__Secrets *secrets)
{
    secrets->environment =
        arena_alloc(arena, (manifest->n_env + 1) * sizeof(*secrets->environment));
    for (size_t i = 0; i < manifest->n_env; i++) {
        const char *name = manifest->env[i];
        Coffer__V1__EnvironmentVariable *variable =
            find_variable(given, name) ?: find_variable(stored, name);
        if (!variable)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the manifest names the environment variable '%s', and it has no "
                             "value yet",
                             name);
        secrets->environment[secrets->n_environment++] = variable;
    }
    return NULL;
}

static struct error *add_registries(const struct manifest *manifest,
                                    const Coffer__V1__Secrets *stored,
                                    const Coffer__V1__Secrets *given, struct arena *arena,
                                    Coffer__V1__Secrets *secrets)
{
    secrets->registries =
        arena_alloc(arena, (manifest->n_registries + 1) * sizeof(*secrets->registries));
    for (size_t i = 0; i < manifest->n_registries; i++) {
        const char *server = manifest->registries[i];
        Coffer__V1__Registry *registry =
            find_registry(given, server) ?: find_registry(stored, server);
        if (!registry)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the manifest names the registry '%s', and there is no account for "
                             "it yet",
                             server);
        secrets->registries[secrets->n_registries++] = registry;
    }
    return NULL;
}

static bool is_committed(const Coffer__V1__SecretFile *file, const struct manifest_hash *expected)
{
    _cleanup_buffer_ struct buffer salted = {0};
    uint8_t digest[SHA256_SIZE];

    if (file->salt.len != SALT_SIZE)
        return false;
    buffer_add(&salted, file->salt.data, file->salt.len);
    buffer_add(&salted, file->content.data, file->content.len);
    sha256(salted.data, salted.size, digest);
    return CRYPTO_memcmp(digest, expected->sha256, sizeof(digest)) == 0;
}

static struct error *add_files(const struct manifest *manifest, const Coffer__V1__Secrets *stored,
                               const Coffer__V1__Secrets *given, struct arena *arena,
                               Coffer__V1__Secrets *secrets)
{
    secrets->files = arena_alloc(arena, (manifest->n_secret_files + 1) * sizeof(*secrets->files));
    for (size_t i = 0; i < manifest->n_secret_files; i++) {
        const struct manifest_hash *expected = &manifest->secret_files[i];
        Coffer__V1__SecretFile *file =
            find_file(given, expected->name) ?: find_file(stored, expected->name);
        if (!file)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the manifest names the secret file '%s', and it has no content yet",
                             expected->name);
        if (!is_committed(file, expected))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "content or salt of the secret file '%s' is not the manifest's",
                             expected->name);
        secrets->files[secrets->n_files++] = file;
    }
    return NULL;
}

struct error *secrets_overlay(const struct manifest *manifest, const Coffer__V1__Secrets *stored,
                              const Coffer__V1__Secrets *given, struct arena *arena,
                              Coffer__V1__Secrets **ret_secrets)
{
    Coffer__V1__Secrets *secrets = arena_alloc(arena, sizeof(*secrets));

    coffer__v1__secrets__init(secrets);
    struct error *err = add_environment(manifest, stored, given, arena, secrets);
    err = err ?: add_registries(manifest, stored, given, arena, secrets);
    err = err ?: add_files(manifest, stored, given, arena, secrets);
    if (!err)
        *ret_secrets = secrets;
    return err;
}
