#include "services/api-gateway/plan_changes.h"

#include "services/api-gateway/json_text.h"

#define SECRET     "secret"
#define NEW_SECRET "new secret"

static json_t *text(const char *value)
{
    return value ? json_text(value, strlen(value)) : json_null();
}

/* Takes from and to. */
static void add(json_t *list, const char *field, json_t *from, json_t *to)
{
    json_array_append_new(
        list, json_pack("{s:o, s:o, s:o}", "field", text(field), "from", from, "to", to));
}

static void compare_text(json_t *list, const char *field, const char *from, const char *to)
{
    if (!from || !to ? from != to : strcmp(from, to) != 0)
        add(list, field, text(from), text(to));
}

static void compare_hash(json_t *list, const char *field, const uint8_t *from, const uint8_t *to)
{
    char from_hex[2 * MANIFEST_SHA256_SIZE + 1];
    char to_hex[2 * MANIFEST_SHA256_SIZE + 1];

    if (from)
        hex_encode(from, MANIFEST_SHA256_SIZE, from_hex);
    if (to)
        hex_encode(to, MANIFEST_SHA256_SIZE, to_hex);
    compare_text(list, field, from ? from_hex : NULL, to ? to_hex : NULL);
}

static const uint8_t *find_hash(const struct manifest_hash *items, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(items[i].name, name) == 0)
            return items[i].sha256;
    return NULL;
}

static void compare_files(json_t *list, struct arena *arena, const struct manifest *before,
                          const struct manifest *after)
{
    for (size_t i = 0; i < before->n_files; i++)
        compare_hash(list, arena_printf(arena, "files.%s", before->files[i].name),
                     before->files[i].sha256,
                     find_hash(after->files, after->n_files, before->files[i].name));
    for (size_t i = 0; i < after->n_files; i++)
        if (!find_hash(before->files, before->n_files, after->files[i].name))
            compare_hash(list, arena_printf(arena, "files.%s", after->files[i].name), NULL,
                         after->files[i].sha256);
}

/* A commitment is no secret, but says nothing to people either. */
static void compare_secret_files(json_t *list, struct arena *arena, const struct manifest *before,
                                 const struct manifest *after)
{
    for (size_t i = 0; i < before->n_secret_files; i++) {
        const struct manifest_hash *file = &before->secret_files[i];
        const uint8_t *now = find_hash(after->secret_files, after->n_secret_files, file->name);
        if (!now || memcmp(now, file->sha256, sizeof(file->sha256)) != 0)
            add(list, arena_printf(arena, "secretFiles.%s", file->name), text(SECRET),
                text(now ? NEW_SECRET : NULL));
    }
    for (size_t i = 0; i < after->n_secret_files; i++)
        if (!find_hash(before->secret_files, before->n_secret_files, after->secret_files[i].name))
            add(list, arena_printf(arena, "secretFiles.%s", after->secret_files[i].name),
                json_null(), text(SECRET));
}

static bool is_in(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

struct names {
    const char *const *items;
    size_t n;
};

/* given: those whose values are in the request. */
static void compare_secrets(json_t *list, struct arena *arena, const char *field,
                            struct names before, struct names after, struct names given)
{
    for (size_t i = 0; i < before.n; i++) {
        const char *name = before.items[i];
        if (!is_in(after.items, after.n, name))
            add(list, arena_printf(arena, "%s.%s", field, name), text(SECRET), json_null());
        else if (is_in(given.items, given.n, name))
            add(list, arena_printf(arena, "%s.%s", field, name), text(SECRET), text(NEW_SECRET));
    }
    for (size_t i = 0; i < after.n; i++)
        if (!is_in(before.items, before.n, after.items[i]))
            add(list, arena_printf(arena, "%s.%s", field, after.items[i]), json_null(),
                text(SECRET));
}

static const char *find_image(const struct manifest *manifest, const char *service)
{
    for (size_t i = 0; i < manifest->n_services; i++)
        if (strcmp(manifest->services[i].name, service) == 0)
            return manifest->services[i].image;
    return NULL;
}

static void compare_services(json_t *list, struct arena *arena, const struct manifest *before,
                             const struct manifest *after)
{
    for (size_t i = 0; i < before->n_services; i++)
        compare_text(list, arena_printf(arena, "services.%s", before->services[i].name),
                     before->services[i].image, find_image(after, before->services[i].name));
    for (size_t i = 0; i < after->n_services; i++)
        if (!find_image(before, after->services[i].name))
            compare_text(list, arena_printf(arena, "services.%s", after->services[i].name), NULL,
                         after->services[i].image);
}

static void compare_plain(json_t *list, const struct manifest *before, const struct manifest *after)
{
    compare_hash(list, "dockerCompose", before->compose_sha256, after->compose_sha256);
    compare_text(list, "artifactsVersion", before->image_version, after->image_version);
    compare_text(list, "publicContainerName", before->public_service, after->public_service);
    if (before->public_port != after->public_port)
        add(list, "publicContainerPort", json_integer(before->public_port),
            json_integer(after->public_port));
}

static void compare_pem(json_t *list, const char *field, const char *from, const char *to)
{
    uint8_t from_sha256[MANIFEST_SHA256_SIZE];
    uint8_t to_sha256[MANIFEST_SHA256_SIZE];

    sha256(from ?: "", strlen(from ?: ""), from_sha256);
    sha256(to ?: "", strlen(to ?: ""), to_sha256);
    compare_hash(list, field, from && *from ? from_sha256 : NULL, to && *to ? to_sha256 : NULL);
}

static const char *find_pem(const struct manifest *manifest, const char *server)
{
    for (size_t i = 0; i < manifest->n_registry_cas; i++)
        if (strcmp(manifest->registry_cas[i].name, server) == 0)
            return manifest->registry_cas[i].text;
    return NULL;
}

/* What the fleet publishes may be other than when the workload was made. */
static void compare_fleet(json_t *list, struct arena *arena, const struct manifest *before,
                          const struct manifest *after)
{
    compare_hash(list, "fleet.authority", before->authority_sign, after->authority_sign);
    compare_text(list, "fleet.acmeDirectory", before->acme_directory, after->acme_directory);
    compare_pem(list, "fleet.acmeCa", before->acme_ca, after->acme_ca);
    for (size_t i = 0; i < before->n_registry_cas; i++)
        compare_pem(list, arena_printf(arena, "fleet.registryCas.%s", before->registry_cas[i].name),
                    before->registry_cas[i].text, find_pem(after, before->registry_cas[i].name));
    for (size_t i = 0; i < after->n_registry_cas; i++)
        if (!find_pem(before, after->registry_cas[i].name))
            compare_pem(list,
                        arena_printf(arena, "fleet.registryCas.%s", after->registry_cas[i].name),
                        NULL, after->registry_cas[i].text);
}

json_t *plan_changes(struct request *request, const struct kept *kept,
                     const struct deployment *deployment, const struct manifest *after)
{
    const struct secrets *secrets = &deployment->input.secrets;
    const struct manifest *before = kept->manifest;
    struct arena *arena = request->arena;
    json_t *list = json_array();

    compare_text(list, "name", kept->workload->name, deployment->input.name);
    compare_plain(list, before, after);
    compare_text(list, "domain", kept->workload->domain, deployment_domain(request, deployment));
    compare_services(list, arena, before, after);
    compare_files(list, arena, before, after);
    compare_secret_files(list, arena, before, after);
    compare_secrets(list, arena, "envVars", (struct names){before->env, before->n_env},
                    (struct names){after->env, after->n_env},
                    (struct names){secrets->env_names, secrets->n_env});
    compare_secrets(list, arena, "dockerCredentials",
                    (struct names){before->registries, before->n_registries},
                    (struct names){after->registries, after->n_registries},
                    (struct names){secrets->servers, secrets->n_registries});
    compare_fleet(list, arena, before, after);
    return list;
}
