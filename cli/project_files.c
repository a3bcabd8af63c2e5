#include "cli/project_files.h"

#include <sys/stat.h>

#include "cli/registry_login.h"
#include "cli/secret_source.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/seal/seal.h"

enum { FILES_TOTAL_MAX = 16 * 1024 * 1024 };

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static const char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ".";
    char *folder = arena_strdup(arena, path);
    folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

static const char *in_folder(struct arena *arena, const char *folder, const char *path)
{
    return path[0] == '/' ? path : arena_printf(arena, "%s/%s", folder, path);
}

static const char *compose_in(struct arena *arena, const char *folder)
{
    static const char *const names[] = {"compose.yaml", "compose.yml", "docker-compose.yaml",
                                        "docker-compose.yml"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        const char *path = in_folder(arena, folder, names[i]);
        if (access(path, R_OK) == 0)
            return path;
    }
    return in_folder(arena, folder, names[0]);
}

const char *project_files_compose(struct arena *arena, const char *path)
{
    return is_folder(path) ? compose_in(arena, path) : arena_strdup(arena, path);
}

static const char *default_name(struct arena *arena, const char *folder)
{
    _cleanup_free_ char *full = realpath(folder, NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;

    return arena_strdup(arena, slash && slash[1] ? slash + 1 : "workload");
}

static bool is_config(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    return strcmp(name, "coffer.yaml") == 0 || strcmp(name, "coffer.yml") == 0;
}

/* The config's path: the one named, or one that lies beside the compose file. */
static const char *find_config(struct arena *arena, const struct project_names *names)
{
    static const char *const known[] = {"coffer.yaml", "coffer.yml"};

    if (names->config)
        return names->config;
    if (!names->compose)
        return NULL;
    if (is_config(names->compose) && !is_folder(names->compose))
        return names->compose;
    const char *folder =
        is_folder(names->compose) ? names->compose : folder_of(arena, names->compose);
    for (size_t i = 0; i < ELEMENTSOF(known); i++) {
        const char *path = in_folder(arena, folder, known[i]);
        if (access(path, F_OK) == 0)
            return path;
    }
    return NULL;
}

static bool has_env(const struct project_input *in, const char *name)
{
    for (size_t i = 0; i < in->n_env; i++)
        if (strcmp(in->env[i].name, name) == 0)
            return true;
    return false;
}

/* Single values before files: of one name, what is said more exactly wins. */
static struct error *apply_env(struct project_input *in, const struct coffer_yaml *yaml,
                               const char *folder)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < yaml->n_env; i++) {
        const struct coffer_yaml_env *env = &yaml->env[i];
        const char *what =
            arena_printf(in->arena, "'%s' line %u: %s", in->config, env->line, env->name);
        const char *value = NULL;
        if (has_env(in, env->name))
            continue;
        err = secret_source_read(env->source, env->text, folder, what, in->arena, &value);
        if (!err)
            err = project_input_add_env(in, env->name, strlen(env->name), value);
    }
    for (size_t i = 0; !err && i < yaml->env_files.n; i++)
        err = project_input_add_env_file(in, in_folder(in->arena, folder, yaml->env_files.items[i]),
                                         true);
    return err;
}

static struct error *apply_registry(struct project_input *in, const char *folder,
                                    const struct coffer_yaml_registry *registry)
{
    const char *what =
        arena_printf(in->arena, "'%s' line %u: password", in->config, registry->line);
    struct registry_login login = {registry->server, registry->username, NULL};
    struct error *err = NULL;

    for (size_t i = 0; i < in->n_registries; i++)
        if (strcmp(in->registries[i].name, registry->server) == 0)
            return NULL; /* the option's */
    if (registry->source == SOURCE_DOCKER)
        err = registry_login_find(registry->server, in->arena, &login);
    else
        err = secret_source_read(registry->source, registry->text, folder, what, in->arena,
                                 &login.password);
    return err ?: project_input_add_registry(in, login.server, login.username, login.password);
}

/* A tier or a size on the command line takes the place of both in the file. */
static void apply_size(struct project_input *in, const struct coffer_yaml *yaml)
{
    if (in->tier)
        return;
    if (!in->cpus && !in->memory_mb && !in->disk_gb && in->gpus < 0)
        in->tier = yaml->tier;
    in->cpus = in->cpus ?: yaml->cpus;
    in->memory_mb = in->memory_mb ?: yaml->memory_mb;
    in->disk_gb = in->disk_gb ?: yaml->disk_gb;
    in->gpus = in->gpus >= 0 ? in->gpus : yaml->gpus;
}

static struct error *apply(struct project_input *in, const struct coffer_yaml *yaml)
{
    const char *folder = folder_of(in->arena, in->config);
    struct error *err;

    in->name = in->name ?: yaml->name;
    in->domain = in->domain ?: yaml->domain;
    in->project.image_version = in->project.image_version ?: yaml->image;
    if (!in->project.public_service) {
        in->project.public_service = yaml->public_service;
        in->project.public_port = yaml->public_port;
    }
    in->pin = in->pin || yaml->pin;
    apply_size(in, yaml);
    err = apply_env(in, yaml, folder);
    for (size_t i = 0; !err && i < yaml->n_registries; i++)
        err = apply_registry(in, folder, &yaml->registries[i]);
    return err;
}

static const struct project_file *find_file(const struct project_input *in, const char *path)
{
    for (size_t i = 0; i < in->n_files; i++)
        if (strcmp(in->files[i].path, path) == 0)
            return &in->files[i];
    return NULL;
}

/* A secret file's place until it is salted, which takes the workload's id (project_salt.h). */
static const uint8_t not_salted[SHA256_SIZE];

static struct error *load_file(struct project_input *in, const char *folder, const char *path,
                               bool secret, size_t *total)
{
    _cleanup_buffer_ struct buffer content = {0};
    const struct project_file *known = find_file(in, path);

    if (known && (known->commitment != NULL) != secret)
        return error_new(ERROR_INVALID_ARGUMENT, "file '%s' is both plain and secret", path);
    if (known)
        return NULL; /* named by an option as well */
    if (in->n_files == ELEMENTSOF(in->files))
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu files", ELEMENTSOF(in->files));
    struct error *err =
        file_read(in_folder(in->arena, folder, path), FILES_TOTAL_MAX - *total, &content);
    if (err)
        return err;
    *total += content.size;
    const void *data = arena_memdup(in->arena, content.data, content.size);
    struct project_file *file = &in->files[in->n_files];
    *file = (struct project_file){.path = path};
    if (secret) {
        struct input_salt *salt = &in->salts[in->n_files - in->n_plain_files];
        *salt = (struct input_salt){.content = data, .size = content.size};
        file->commitment = not_salted;
    } else {
        file->content = data;
        file->size = content.size;
        in->n_plain_files++;
    }
    in->n_files++;
    return NULL;
}

static struct error *load_list(struct project_input *in, const char *folder,
                               const struct coffer_yaml_list *list, bool secret, size_t *total)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < list->n; i++)
        err = load_file(in, folder, list->items[i], secret, total);
    return err;
}

/* Plain files of both places first. */
static struct error *load_files(struct project_input *in, const struct project_names *names,
                                const struct coffer_yaml *yaml, const char *compose_folder)
{
    const char *config_folder = in->config ? folder_of(in->arena, in->config) : ".";
    size_t total = 0;
    struct error *err = load_list(in, compose_folder, &names->files, false, &total);

    if (!err && yaml)
        err = load_list(in, config_folder, &yaml->files, false, &total);
    if (!err)
        err = load_list(in, compose_folder, &names->secret_files, true, &total);
    if (!err && yaml)
        err = load_list(in, config_folder, &yaml->secret_files, true, &total);
    return err;
}

static struct error *load_compose(struct project_input *in, const char *path)
{
    _cleanup_buffer_ struct buffer text = {0};
    struct error *err = file_read(path, MANIFEST_COMPOSE_MAX, &text);

    if (err)
        return error_wrap(err, "compose file");
    in->project.compose = arena_memdup(in->arena, buffer_text(&text), text.size + 1);
    in->project.compose_size = text.size;
    return NULL;
}

/* A file named on the command line; what coffer.yaml names; or what lies in the folder. NULL: no
 * compose file is meant. */
static const char *find_compose(struct project_input *in, const struct project_names *names,
                                const struct coffer_yaml *yaml)
{
    const char *given = names->compose;
    bool is_file = given && !is_folder(given) && !is_config(given);

    if (is_file)
        return given;
    if (yaml && yaml->compose)
        return in_folder(in->arena, folder_of(in->arena, in->config), yaml->compose);
    if (given && is_folder(given))
        return compose_in(in->arena, given);
    return in->config ? compose_in(in->arena, folder_of(in->arena, in->config)) : NULL;
}

struct error *project_files_load(struct project_input *in, const struct project_names *names)
{
    struct coffer_yaml *yaml = NULL;
    struct error *err = NULL;

    in->config = find_config(in->arena, names);
    if (in->config) {
        yaml = arena_alloc(in->arena, sizeof(*yaml));
        err = coffer_yaml_read(in->config, in->arena, yaml);
        err = err ?: apply(in, yaml);
    }
    if (err)
        return err;
    const char *compose = find_compose(in, names, yaml);
    const char *folder = compose ? folder_of(in->arena, compose) : ".";
    err = compose ? load_compose(in, compose) : NULL;
    err = err ?: load_files(in, names, yaml, folder);
    if (!err && compose && !in->workload)
        in->name = in->name ?: default_name(in->arena, folder);
    return err;
}
