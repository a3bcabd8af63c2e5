#include "shared/project/project.h"

#include "shared/seal/seal.h"

const char *image_server(const char *reference, struct arena *arena)
{
    size_t length = strcspn(reference, "/");

    /* The first part is a server when it has a dot or a colon, or is "localhost". */
    if (reference[length] != '/')
        return "docker.io";
    char *server = arena_memdup(arena, reference, length + 1);
    server[length] = '\0';
    if (strpbrk(server, ".:") || strcmp(server, "localhost") == 0)
        return server;
    return "docker.io";
}

const char *image_digest(const char *reference)
{
    const char *at = strrchr(reference, '@');

    if (!at || strncmp(at + 1, "sha256:", 7) != 0)
        return "unpinned";
    const char *hex = at + 8;
    return strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64 ? at + 1 : "unpinned";
}

static bool names_server(const struct project *project, const struct compose_summary *summary,
                         const char *server, struct arena *arena)
{
    for (size_t i = 0; i < summary->n_services; i++) {
        if (strcmp(image_server(summary->services[i].image, arena), server) == 0)
            return true;
    }
    for (size_t i = 0; i < project->n_registries; i++) {
        if (strcmp(project->registries[i], server) == 0)
            return true;
    }
    return false;
}

static void add_services(const struct compose_summary *summary, struct arena *arena,
                         struct manifest *manifest)
{
    manifest->n_services = summary->n_services;
    manifest->services =
        arena_alloc(arena, sizeof(struct manifest_service) * (summary->n_services + 1));
    for (size_t i = 0; i < summary->n_services; i++)
        manifest->services[i] =
            (struct manifest_service){.name = summary->services[i].name,
                                      .image = summary->services[i].image,
                                      .digest = image_digest(summary->services[i].image)};
}

static void add_registry_cas(const struct project *project, const struct fleet_facts *facts,
                             const struct compose_summary *summary, struct arena *arena,
                             struct manifest *manifest)
{
    manifest->registry_cas =
        arena_alloc(arena, sizeof(struct manifest_text) * (facts->n_registry_cas + 1));
    for (size_t i = 0; i < facts->n_registry_cas; i++) {
        if (names_server(project, summary, facts->registry_cas[i].name, arena))
            manifest->registry_cas[manifest->n_registry_cas++] = facts->registry_cas[i];
    }
}

static void add_files(const struct project *project, struct arena *arena, struct manifest *manifest)
{
    size_t size = sizeof(struct manifest_hash) * (project->n_files + 1);

    manifest->files = arena_alloc(arena, size);
    manifest->secret_files = arena_alloc(arena, size);
    for (size_t i = 0; i < project->n_files; i++) {
        const struct project_file *file = &project->files[i];
        struct manifest_hash hash = {.name = file->path};
        if (file->commitment) {
            memcpy(hash.sha256, file->commitment, sizeof(hash.sha256));
            manifest->secret_files[manifest->n_secret_files++] = hash;
        } else {
            sha256(file->content, file->size, hash.sha256);
            manifest->files[manifest->n_files++] = hash;
        }
    }
}

/* Lists of names are shared with the input: the manifest only reads them. */
static void add_names(const struct project *project, struct manifest *manifest)
{
    manifest->env = (const char **)project->env;
    manifest->n_env = project->n_env;
    manifest->domains = (const char **)project->domains;
    manifest->n_domains = project->n_domains;
    manifest->registries = (const char **)project->registries;
    manifest->n_registries = project->n_registries;
}

static void lint(const struct project *project, struct arena *arena, struct findings *ret_findings,
                 struct compose_summary *ret_summary)
{
    const char **paths = arena_alloc(arena, sizeof(char *) * (project->n_files + 1));

    for (size_t i = 0; i < project->n_files; i++)
        paths[i] = project->files[i].path;
    const struct compose_options options = {
        .public_service = project->public_service,
        .public_port = project->public_port,
        .files = paths,
        .n_files = project->n_files,
        .env = project->env,
        .n_env = project->n_env,
    };
    compose_lint(project->compose, project->compose_size, &options, arena, ret_findings,
                 ret_summary);
}

/* The public one may be named by its container_name; the manifest names the service. */
static const char *public_service(const struct project *project,
                                  const struct compose_summary *summary)
{
    for (size_t i = 0; i < summary->n_services; i++)
        if (strcmp(summary->services[i].name, project->public_service) == 0)
            return project->public_service;
    for (size_t i = 0; i < summary->n_services; i++)
        if (strcmp(summary->services[i].container_name, project->public_service) == 0)
            return summary->services[i].name;
    return project->public_service;
}

struct error *project_manifest(const struct project *project, const struct fleet_facts *facts,
                               struct arena *arena, struct findings *ret_findings,
                               struct buffer *ret_json)
{
    struct compose_summary *summary = arena_alloc(arena, sizeof(*summary));
    struct manifest manifest = {
        .image_version = project->image_version,
        .public_port = project->public_port,
        .acme_directory = facts->acme_directory,
        .acme_ca = facts->acme_ca,
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
    };

    lint(project, arena, ret_findings, summary);
    if (ret_findings->n)
        return error_new(ERROR_INVALID_ARGUMENT, "the compose file has %zu finding%s",
                         ret_findings->n, ret_findings->n == 1 ? "" : "s");
    manifest.public_service = public_service(project, summary);
    memcpy(manifest.authority_sign, facts->authority_sign, sizeof(manifest.authority_sign));
    sha256(project->compose, project->compose_size, manifest.compose_sha256);
    add_services(summary, arena, &manifest);
    add_registry_cas(project, facts, summary, arena, &manifest);
    add_files(project, arena, &manifest);
    add_names(project, &manifest);
    return manifest_write(&manifest, ret_json);
}
