#include "services/api-gateway/secrets.h"

#include <openssl/evp.h>

#include "schemas/workload.pb-c.h"
#include "services/api-gateway/idempotency.h"
#include "shared/manifest/manifest.h"

enum {
    ENV_VALUE_MAX = 128 * 1024,
    REGISTRIES_MAX = 16,
    CREDENTIAL_MAX = 8 * 1024,
    SECRETS_MAX = 512 * 1024, /* all of them: they travel in one message */
};

static void check_env(struct form *form, const char *field, const char *name, const json_t *value)
{
    const char *where = arena_printf(form->request->arena, "%s.%.80s", field, name);

    if (!manifest_env_is_valid(name))
        form_find(form, where, "not a name of an environment value",
                  "use letters, digits and '_', not beginning with a digit");
    else if (manifest_env_is_reserved(name))
        form_find(form, where, "this name belongs to the platform", "choose another name");
    if (!json_is_string(value))
        form_find(form, where, "the value is not a text", "write it in quotes");
    else if (json_string_length(value) > ENV_VALUE_MAX)
        form_find(form, where, "the value is longer than 128 KiB", "use a secret file");
}

static void read_env(struct form *form, const char *field, struct secrets *secrets)
{
    json_t *json = form_member(form, field, JSON_OBJECT, SECRETS_ENV_MAX);
    struct arena *arena = form->request->arena;
    size_t n = json_object_size(json);
    const char *name;
    json_t *value;

    secrets->given = secrets->given || json;
    secrets->env = arena_alloc(arena, (n + 1) * sizeof(*secrets->env));
    secrets->env_names = arena_alloc(arena, (n + 1) * sizeof(char *));
    json_object_foreach(json, name, value)
    {
        struct secret_pair *pair = &secrets->env[secrets->n_env];
        check_env(form, field, name, value);
        pair->name = arena_strdup(arena, name);
        pair->value = arena_strdup(arena, json_string_value(value));
        secrets->env_names[secrets->n_env++] = pair->name;
    }
}

/* Of an object inside the body: a misspelt name must not be ignored here either. */
static void find_unknown(struct form *form, const char *where, const json_t *item,
                         const char *const *names)
{
    struct arena *arena = form->request->arena;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)item, name, value)
    {
        const char *const *known = names;
        while (*known && strcmp(*known, name) != 0)
            known++;
        if (!*known)
            form_find(form, arena_printf(arena, "%s.%.64s", where, name),
                      arena_printf(arena, "there is no field '%.64s'", name),
                      "remove it, or correct its name");
    }
}

static const char *credential(struct form *form, const json_t *item, const char *name,
                              const char *where)
{
    const json_t *value = json_object_get(item, name);
    struct arena *arena = form->request->arena;

    if (!json_is_string(value) || !json_string_length(value) ||
        json_string_length(value) > CREDENTIAL_MAX)
        form_find(form, arena_printf(arena, "%s.%s", where, name),
                  arena_printf(arena, "'%s' is missing, empty, too long, or not a text", name),
                  "give it as a text");
    return arena_strdup(arena, json_string_value(value));
}

static void read_registry(struct form *form, const json_t *item, size_t index,
                          struct secret_registry *ret_registry)
{
    static const char *const names[] = {"server", "username", "password", NULL};
    struct arena *arena = form->request->arena;
    const char *where = arena_printf(arena, "dockerCredentials[%zu]", index);
    const json_t *server = json_object_get(item, "server");

    ret_registry->server = "docker.io"; /* as `docker login` without a server */
    if (json_string_length(server))
        ret_registry->server = arena_strdup(arena, json_string_value(server));
    if ((server && !json_is_string(server)) || !manifest_server_is_valid(ret_registry->server))
        form_find(form, arena_printf(arena, "%s.server", where), "not a registry",
                  "write host or host:port");
    ret_registry->username = credential(form, item, "username", where);
    ret_registry->password = credential(form, item, "password", where);
    find_unknown(form, where, item, names);
}

static void read_registries(struct form *form, struct secrets *secrets)
{
    json_t *json = form_member(form, "dockerCredentials", JSON_ARRAY, REGISTRIES_MAX);
    struct arena *arena = form->request->arena;
    size_t n = json_array_size(json);

    secrets->registries_given = json;
    secrets->given = secrets->given || json;
    secrets->registries = arena_alloc(arena, (n + 1) * sizeof(*secrets->registries));
    secrets->servers = arena_alloc(arena, (n + 1) * sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        struct secret_registry *registry = &secrets->registries[i];
        read_registry(form, json_array_get(json, i), i, registry);
        for (size_t j = 0; j < i; j++)
            if (strcmp(secrets->servers[j], registry->server) == 0)
                form_find(form, arena_printf(arena, "dockerCredentials[%zu].server", i),
                          "the server is given twice", "keep one");
        secrets->servers[i] = registry->server;
    }
    secrets->n_registries = n;
}

static void commit(struct secret_file *file)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(context, file->salt, sizeof(file->salt)) != 1 ||
        EVP_DigestUpdate(context, file->content, file->size) != 1 ||
        EVP_DigestFinal_ex(context, file->commitment, NULL) != 1)
        abort();
    EVP_MD_CTX_free(context);
}

/* The owner's own salt makes the manifest computable beforehand; without one, ours. */
static struct error *read_salt(const struct request *request, const json_t *item,
                               struct secret_file *file)
{
    const json_t *salt = json_object_get(item, "salt");

    if (!salt)
        return idempotency_make_salt(request, file->path, file->content, file->size, file->salt);
    return hex_decode(json_string_value(salt) ?: "", file->salt, sizeof(file->salt));
}

static struct error *read_content(const json_t *item, struct arena *arena, struct secret_file *file)
{
    const char *text = json_string_value(json_object_get(item, "content"));
    uint8_t *data;

    if (!text)
        return error_new(ERROR_INVALID_ARGUMENT, "'content' is missing");
    struct error *err = base64_decode_new(text, SECRETS_MAX, &data, &file->size);
    if (err)
        return err;
    file->content = arena_memdup(arena, data, file->size);
    OPENSSL_cleanse(data, file->size);
    free(data);
    return NULL;
}

static void read_file(struct form *form, const char *path, const json_t *item,
                      struct secrets *secrets)
{
    static const char *const names[] = {"content", "salt", NULL};
    struct secret_file *file = &secrets->files[secrets->n_files++];
    struct arena *arena = form->request->arena;
    const char *where = arena_printf(arena, "secretFiles.%.80s", path);

    file->path = arena_strdup(arena, path);
    file->content = (const uint8_t *)"";
    secrets->salted_by_us = secrets->salted_by_us || !json_object_get(item, "salt");
    struct error *err = read_content(item, arena, file);
    err = err ?: read_salt(form->request, item, file);
    if (err)
        form_find(form, where, error_text(err),
                  "give {\"content\": base64, \"salt\": 64 hex digits or nothing}");
    error_free(err);
    find_unknown(form, where, item, names);
    commit(file);
}

static void read_files(struct form *form, struct secrets *secrets)
{
    json_t *json = form_member(form, "secretFiles", JSON_OBJECT, SECRETS_FILES_MAX);
    const char *path;
    json_t *item;

    secrets->given = secrets->given || json;
    secrets->files =
        arena_alloc(form->request->arena, (json_object_size(json) + 1) * sizeof(*secrets->files));
    json_object_foreach(json, path, item) read_file(form, path, item, secrets);
}

static size_t total_size(const struct secrets *secrets)
{
    size_t total = 0;

    for (size_t i = 0; i < secrets->n_env; i++)
        total += strlen(secrets->env[i].name) + strlen(secrets->env[i].value) + 16;
    for (size_t i = 0; i < secrets->n_registries; i++)
        total +=
            strlen(secrets->registries[i].username) + strlen(secrets->registries[i].password) + 300;
    for (size_t i = 0; i < secrets->n_files; i++)
        total += secrets->files[i].size + 320;
    return total;
}

void secrets_read(struct form *form, const char *env_field, struct secrets *ret_secrets)
{
    *ret_secrets = (struct secrets){0};
    read_env(form, env_field, ret_secrets);
    read_registries(form, ret_secrets);
    read_files(form, ret_secrets);
    if (total_size(ret_secrets) > SECRETS_MAX)
        form_find(form, "secretFiles", "all secrets together are larger than 512 KiB",
                  "encrypt large data, and give only its key");
}

bool secrets_any(const struct secrets *secrets)
{
    return secrets->n_env || secrets->n_registries || secrets->n_files;
}

bool secrets_have_env(const struct secrets *secrets, const char *name)
{
    for (size_t i = 0; i < secrets->n_env; i++)
        if (strcmp(secrets->env_names[i], name) == 0)
            return true;
    return false;
}

bool secrets_have_file(const struct secrets *secrets, const char *path)
{
    for (size_t i = 0; i < secrets->n_files; i++)
        if (strcmp(secrets->files[i].path, path) == 0)
            return true;
    return false;
}

static void fill_env(const struct secrets *secrets, struct arena *arena, Coffer__V1__Secrets *out)
{
    out->environment = arena_alloc(arena, (secrets->n_env + 1) * sizeof(void *));
    for (size_t i = 0; i < secrets->n_env; i++) {
        Coffer__V1__EnvironmentVariable *item = arena_alloc(arena, sizeof(*item));
        coffer__v1__environment_variable__init(item);
        item->name = (char *)secrets->env[i].name;
        item->value = (char *)secrets->env[i].value;
        out->environment[out->n_environment++] = item;
    }
}

static void fill_registries(const struct secrets *secrets, struct arena *arena,
                            Coffer__V1__Secrets *out)
{
    out->registries = arena_alloc(arena, (secrets->n_registries + 1) * sizeof(void *));
    for (size_t i = 0; i < secrets->n_registries; i++) {
        Coffer__V1__Registry *item = arena_alloc(arena, sizeof(*item));
        coffer__v1__registry__init(item);
        item->server = (char *)secrets->registries[i].server;
        item->username = (char *)secrets->registries[i].username;
        item->password = (char *)secrets->registries[i].password;
        out->registries[out->n_registries++] = item;
    }
}

static void fill_files(const struct secrets *secrets, struct arena *arena, Coffer__V1__Secrets *out)
{
    out->files = arena_alloc(arena, (secrets->n_files + 1) * sizeof(void *));
    for (size_t i = 0; i < secrets->n_files; i++) {
        const struct secret_file *file = &secrets->files[i];
        Coffer__V1__SecretFile *item = arena_alloc(arena, sizeof(*item));
        coffer__v1__secret_file__init(item);
        item->path = (char *)file->path;
        item->content = (ProtobufCBinaryData){.len = file->size, .data = (uint8_t *)file->content};
        item->salt =
            (ProtobufCBinaryData){.len = sizeof(file->salt), .data = (uint8_t *)file->salt};
        out->files[out->n_files++] = item;
    }
}

struct error *secrets_seal(const struct gateway *gateway, const struct secrets *secrets,
                           const char *workload_id, struct arena *arena,
                           ProtobufCBinaryData *ret_box)
{
    Coffer__V1__Secrets message = COFFER__V1__SECRETS__INIT;
    _cleanup_buffer_ struct buffer box = {0};

    if (!secrets_any(secrets)) {
        *ret_box = (ProtobufCBinaryData){0};
        return NULL;
    }
    fill_env(secrets, arena, &message);
    fill_registries(secrets, arena, &message);
    fill_files(secrets, arena, &message);
    size_t size = coffer__v1__secrets__get_packed_size(&message);
    uint8_t *plain = arena_alloc(arena, size);
    coffer__v1__secrets__pack(&message, plain);
    struct error *err =
        seal_to(gateway->fleet.authority_box,
                arena_printf(arena, "coffer/secrets/v1 %s", workload_id), plain, size, &box);
    OPENSSL_cleanse(plain, size);
    if (err)
        return error_recode(error_wrap(err, "seal secrets"), ERROR_INTERNAL);
    *ret_box = arena_bytes(arena, box.data, box.size);
    return NULL;
}
