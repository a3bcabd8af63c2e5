#include "services/guest-agent/release.h"

#include "schemas/boot.pb-c.h"
#include "services/guest-agent/config_disk.h"
#include "services/guest-agent/names.h"
#include "shared/base/alloc.h"

#define CONTEXT     "coffer/bundle/v1"
#define BOX_CONTEXT CONTEXT " " /* and the workload id */

enum {
    VARIABLES_MAX = 256,
    REGISTRIES_MAX = 16,
    PLATFORM_REGISTRIES_MAX = 4,
    FILES_MAX = 64,
    SALT_SIZE = 32,
};

void release_signed_bytes(const struct release_expectation *expectation,
                          const struct release_answer *answer, struct buffer *ret_bytes)
{
    const struct identity *identity = expectation->identity;
    uint8_t digest[32];

    sha256(answer->sealed, answer->sealed_size, digest);
    buffer_add(ret_bytes, CONTEXT, sizeof(CONTEXT)); /* with its NUL */
    buffer_add_lp(ret_bytes, expectation->workload_id, strlen(expectation->workload_id));
    buffer_add_u32be(ret_bytes, 8);
    buffer_add_u64be(ret_bytes, expectation->boot_number);
    buffer_add_lp(ret_bytes, answer->domain, strlen(answer->domain));
    buffer_add_lp(ret_bytes, identity->box.public, SEAL_KEY_SIZE);
    buffer_add_lp(ret_bytes, identity->sign.public, SIGN_KEY_SIZE);
    buffer_add_lp(ret_bytes, expectation->nonce, 32);
    buffer_add_lp(ret_bytes, digest, sizeof(digest));
}

static struct error *check_signature(const struct release_expectation *expectation,
                                     const struct release_answer *answer, const char **ret_code)
{
    _cleanup_buffer_ struct buffer bytes = {0};

    *ret_code = "bundle_malformed";
    if (answer->signature_size != SIGN_SIZE || !answer->sealed_size)
        return error_new(ERROR_INVALID_ARGUMENT, "the authority's answer is incomplete");
    *ret_code = "bundle_signature";
    release_signed_bytes(expectation, answer, &bytes);
    struct error *err = sign_verify(expectation->manifest->authority_sign, bytes.data, bytes.size,
                                    answer->signature);
    return error_wrap(err, "bundle is not signed by the manifest's authority for this boot");
}

static bool lists_fit(const Coffer__V1__Bundle *bundle)
{
    const Coffer__V1__Secrets *secrets = bundle->secrets;

    if (bundle->n_platform_registries > PLATFORM_REGISTRIES_MAX)
        return false;
    return !secrets || (secrets->n_environment <= VARIABLES_MAX &&
                        secrets->n_registries <= REGISTRIES_MAX && secrets->n_files <= FILES_MAX);
}

static bool in_list(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0)
            return true;
    }
    return false;
}

/* Exactly the variables that the manifest names, each once. */
static struct error *take_variables(const Coffer__V1__Secrets *secrets,
                                    const struct manifest *manifest, struct release *release)
{
    if (secrets->n_environment != manifest->n_env)
        return error_new(ERROR_PERMISSION_DENIED, "%zu environment values for %zu names",
                         secrets->n_environment, manifest->n_env);
    release->variables =
        arena_alloc(release->arena, (secrets->n_environment + 1) * sizeof(release->variables[0]));
    for (size_t i = 0; i < secrets->n_environment; i++) {
        const Coffer__V1__EnvironmentVariable *variable = secrets->environment[i];
        if (!in_list(manifest->env, manifest->n_env, variable->name) ||
            !variable_name_is_valid(variable->name))
            return error_new(ERROR_PERMISSION_DENIED,
                             "an environment value has a name that is not in the manifest");
        for (size_t k = 0; k < i; k++) {
            if (strcmp(release->variables[k].name, variable->name) == 0)
                return error_new(ERROR_PERMISSION_DENIED, "environment value '%s' is there twice",
                                 variable->name);
        }
        release->variables[release->n_variables++] =
            (struct release_variable){variable->name, variable->value};
    }
    return NULL;
}

static struct error *take_registry(const Coffer__V1__Registry *registry, bool platform,
                                   struct release *release)
{
    if (!registry_server_is_valid(registry->server))
        return error_new(ERROR_INVALID_ARGUMENT, "a registry server's name is not valid");
    release->registries[release->n_registries++] = (struct release_registry){
        registry->server, registry->username, registry->password, platform};
    return NULL;
}

static struct error *take_registries(const Coffer__V1__Bundle *bundle,
                                     const struct manifest *manifest, struct release *release)
{
    const Coffer__V1__Secrets *secrets = bundle->secrets;
    struct error *err = NULL;
    size_t n = bundle->n_platform_registries + (secrets ? secrets->n_registries : 0);

    release->registries = arena_alloc(release->arena, (n + 1) * sizeof(release->registries[0]));
    /* The user's come last: docker keeps one login a server, and the user's wins. */
    for (size_t i = 0; !err && i < bundle->n_platform_registries; i++)
        err = take_registry(bundle->platform_registries[i], true, release);
    for (size_t i = 0; !err && secrets && i < secrets->n_registries; i++) {
        if (!in_list(manifest->registries, manifest->n_registries, secrets->registries[i]->server))
            return error_new(ERROR_PERMISSION_DENIED, "registry '%.100s' is not in the manifest",
                             secrets->registries[i]->server);
        err = take_registry(secrets->registries[i], false, release);
    }
    return err;
}

static struct error *check_commitment(const Coffer__V1__SecretFile *file,
                                      const struct manifest *manifest)
{
    _cleanup_buffer_ struct buffer salted = {0};
    uint8_t digest[32];

    buffer_add(&salted, file->salt.data, file->salt.len);
    buffer_add(&salted, file->content.data, file->content.len);
    sha256(salted.data, salted.size, digest);
    for (size_t i = 0; i < manifest->n_secret_files; i++) {
        if (strcmp(manifest->secret_files[i].name, file->path) != 0)
            continue;
        if (CRYPTO_memcmp(manifest->secret_files[i].sha256, digest, sizeof(digest)) == 0)
            return NULL;
        return error_new(ERROR_PERMISSION_DENIED,
                         "secret file '%s' does not match the manifest's commitment", file->path);
    }
    return error_new(ERROR_PERMISSION_DENIED, "a secret file is not in the manifest");
}

static struct error *take_files(const Coffer__V1__Secrets *secrets, const struct manifest *manifest,
                                struct release *release)
{
    if (secrets->n_files != manifest->n_secret_files)
        return error_new(ERROR_PERMISSION_DENIED, "%zu secret files, the manifest names %zu",
                         secrets->n_files, manifest->n_secret_files);
    release->files =
        arena_alloc(release->arena, (secrets->n_files + 1) * sizeof(release->files[0]));
    for (size_t i = 0; i < secrets->n_files; i++) {
        const Coffer__V1__SecretFile *file = secrets->files[i];
        if (!config_path_is_valid(file->path) || file->salt.len != SALT_SIZE)
            return error_new(ERROR_INVALID_ARGUMENT, "a secret file's path or salt is not valid");
        struct error *err = check_commitment(file, manifest);
        if (err)
            return err;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(release->files[k].path, file->path) == 0)
                return error_new(ERROR_PERMISSION_DENIED, "secret file '%s' is there twice",
                                 file->path);
        }
        release->files[release->n_files++] =
            (struct release_file){file->path, file->content.data, file->content.len};
    }
    return NULL;
}

/* What the sealed part says must be what was asked and what the signature covers. */
static struct error *check_binding(const Coffer__V1__Bundle *bundle,
                                   const struct release_expectation *expectation,
                                   const struct release_answer *answer)
{
    const char *directory = expectation->manifest->acme_directory;

    if (bundle->boot_number != expectation->boot_number)
        return error_new(ERROR_PERMISSION_DENIED, "bundle is of boot %llu, this is boot %llu",
                         (unsigned long long)bundle->boot_number,
                         (unsigned long long)expectation->boot_number);
    if (strcmp(bundle->domain, answer->domain) != 0)
        return error_new(ERROR_PERMISSION_DENIED, "bundle is for another domain than its envelope");
    if (directory[0] && bundle->acme_directory[0] && strcmp(directory, bundle->acme_directory) != 0)
        return error_new(ERROR_PERMISSION_DENIED,
                         "bundle names another ACME directory than the manifest");
    return NULL;
}

static struct error *take_basics(const Coffer__V1__Bundle *bundle, const struct manifest *manifest,
                                 struct release *release)
{
    size_t key_size = bundle->gateway_sign_public.len;

    if (!lists_fit(bundle) || (key_size != 0 && key_size != SIGN_KEY_SIZE))
        return error_new(ERROR_INVALID_ARGUMENT, "bundle is over its limits");
    if (!domain_is_valid(bundle->domain))
        return error_new(ERROR_INVALID_ARGUMENT, "bundle's domain is not a host name");
    release->domain = bundle->domain;
    release->acme_directory =
        manifest->acme_directory[0] ? manifest->acme_directory : bundle->acme_directory;
    release->acme_eab_key_id = bundle->acme_eab_key_id;
    release->acme_eab_mac_key = bundle->acme_eab_mac_key;
    release->has_gateway = key_size != 0;
    if (release->has_gateway)
        memcpy(release->gateway_sign_public, bundle->gateway_sign_public.data, SIGN_KEY_SIZE);
    return NULL;
}

static struct error *take_secrets(const Coffer__V1__Bundle *bundle, const struct manifest *manifest,
                                  struct release *release)
{
    static const Coffer__V1__Secrets none = COFFER__V1__SECRETS__INIT;
    const Coffer__V1__Secrets *secrets = bundle->secrets ? bundle->secrets : &none;
    struct error *err = take_variables(secrets, manifest, release);

    if (!err)
        err = take_registries(bundle, manifest, release);
    return err ? err : take_files(secrets, manifest, release);
}

static struct error *open_bundle(const struct release_expectation *expectation,
                                 const struct release_answer *answer, struct arena *arena,
                                 Coffer__V1__Bundle **ret_bundle, const char **ret_code)
{
    _cleanup_free_ char *context = xasprintf("%s%s", BOX_CONTEXT, expectation->workload_id);
    _cleanup_buffer_ struct buffer plain = {0};
    void *message;

    *ret_code = "bundle_open";
    struct error *err = error_wrap(seal_open(&expectation->identity->box, context, answer->sealed,
                                             answer->sealed_size, &plain),
                                   "open the bundle");
    if (err)
        return err;
    *ret_code = "bundle_malformed";
    err = error_wrap(
        bus_unpack(&coffer__v1__bundle__descriptor, plain.data, plain.size, arena, &message),
        "bundle");
    if (!err)
        *ret_bundle = message;
    return err;
}

struct error *release_open(const struct release_expectation *expectation,
                           const struct release_answer *answer, struct release **ret_release,
                           const char **ret_code)
{
    _cleanup_(release_freep) struct release *release = xnew(struct release);
    Coffer__V1__Bundle *bundle = NULL;

    release->arena = arena_new();
    struct error *err = check_signature(expectation, answer, ret_code);
    if (!err)
        err = open_bundle(expectation, answer, release->arena, &bundle, ret_code);
    if (err)
        return err;
    *ret_code = "bundle_binding";
    err = check_binding(bundle, expectation, answer);
    if (err)
        return err;
    *ret_code = "bundle_malformed";
    err = take_basics(bundle, expectation->manifest, release);
    if (err)
        return err;
    *ret_code = "secrets_mismatch";
    err = take_secrets(bundle, expectation->manifest, release);
    if (!err)
        *ret_release = TAKE_PTR(release);
    return err;
}

void release_free(struct release *release)
{
    if (!release)
        return;
    arena_free(release->arena);
    free(release);
}
