#include "cli/project_input.h"

#include <getopt.h>
#include <sys/stat.h>

#include "cli/registry_login.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

enum { FILES_TOTAL_MAX = 16 * 1024 * 1024, ENV_FILE_MAX = 256 * 1024 };

const char project_input_help[] =
    "  COMPOSE|FOLDER          the compose file, or the folder that holds compose.yaml\n"
    "  --public SERVICE:PORT   the service that the world reaches\n"
    "  --name NAME             default: the folder's name\n"
    "  --env NAME              an environment value, taken from your environment\n"
    "  --env-file FILE         NAME=value lines\n"
    "  --file PATH             a plain file beside the compose file, mounted through ${FILES}\n"
    "  --registry SERVER[=USER]  credentials: COFFER_REGISTRY_PASSWORD, or `docker login`'s file\n"
    "  --domain NAME           a name of your own (default: one is made)\n"
    "  --image VERSION         guest image (default: the fleet's newest)\n"
    "  --cpus N --memory MB --disk GB   default 2, 2048, 10\n";

static struct error *parse_uint(const char *option, const char *text, uint32_t max,
                                uint32_t *ret_value)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value == 0 || value > max)
        return error_new(ERROR_INVALID_ARGUMENT, "%s must be a number from 1 to %u", option, max);
    *ret_value = (uint32_t)value;
    return NULL;
}

static struct error *add_env(struct project_input *in, const char *name, size_t length,
                             const char *value)
{
    char *copy = arena_memdup(in->arena, name, length + 1);

    copy[length] = '\0';
    if (in->n_env == ELEMENTSOF(in->env))
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu environment values",
                         ELEMENTSOF(in->env));
    in->env[in->n_env++] = (struct input_pair){copy, arena_strdup(in->arena, value)};
    return NULL;
}

static struct error *env_option(struct project_input *in, const char *name)
{
    if (strchr(name, '='))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "--env takes a name; its value comes from your environment (a value on "
                         "the command line is visible to everyone on this machine)");
    const char *value = getenv(name);
    if (!value)
        return error_new(ERROR_INVALID_ARGUMENT, "--env %s: no such variable in your environment",
                         name);
    return add_env(in, name, strlen(name), value);
}

static struct error *env_line(struct project_input *in, const char *path, unsigned number,
                              const char *line)
{
    const char *equals = strchr(line, '=');

    if (line[0] == '\0' || line[0] == '#')
        return NULL;
    if (!equals || equals == line)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' line %u is not NAME=value", path, number);
    return add_env(in, line, (size_t)(equals - line), equals + 1);
}

static struct error *env_file_option(struct project_input *in, const char *path)
{
    _cleanup_buffer_ struct buffer content = {0};
    struct error *err = file_read(path, ENV_FILE_MAX, &content);
    unsigned number = 0;

    if (err || !content.size)
        return err;
    char *rest = (char *)content.data;
    for (char *line; !err && (line = strsep(&rest, "\n"));)
        err = env_line(in, path, ++number, line);
    return err;
}

static struct error *public_option(struct project_input *in, const char *text)
{
    const char *colon = strrchr(text, ':');

    if (!colon || colon == text)
        return error_new(ERROR_INVALID_ARGUMENT, "--public must be SERVICE:PORT");
    char *service = arena_strdup(in->arena, text);
    service[colon - text] = '\0';
    in->project.public_service = service;
    return parse_uint("--public's port", colon + 1, 65535, &in->project.public_port);
}

static struct error *registry_option(struct project_input *in, const char *text)
{
    struct registry_login login = {0};

    if (in->n_registries == ELEMENTSOF(in->registries))
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu registries",
                         ELEMENTSOF(in->registries));
    struct error *err = registry_login_find(text, in->arena, &login);
    if (err)
        return err;
    in->registries[in->n_registries] = (struct input_pair){login.server, login.username};
    in->passwords[in->n_registries++] = login.password;
    return NULL;
}

static const struct option options[] = {
    {"public", required_argument, NULL, 'p'},
    {"name", required_argument, NULL, 'n'},
    {"env", required_argument, NULL, 'e'},
    {"env-file", required_argument, NULL, 'E'},
    {"file", required_argument, NULL, 'f'},
    {"registry", required_argument, NULL, 'r'},
    {"domain", required_argument, NULL, 'd'},
    {"image", required_argument, NULL, 'i'},
    {"cpus", required_argument, NULL, 'c'},
    {"memory", required_argument, NULL, 'm'},
    {"disk", required_argument, NULL, 'D'},
    {"wait", no_argument, NULL, 'w'},
    {"json", no_argument, NULL, 'j'},
    {"compose", required_argument, NULL, 'C'},
    {"authority", required_argument, NULL, 'a'},
    {NULL, 0, NULL, 0},
};

struct raw_options {
    const char *compose;
    const char *files[MANIFEST_FILES_MAX];
    size_t n_files;
};

static struct error *file_option(struct raw_options *raw, const char *path)
{
    if (raw->n_files == ELEMENTSOF(raw->files))
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu files", ELEMENTSOF(raw->files));
    raw->files[raw->n_files++] = path;
    return NULL;
}

static struct error *take_option(int c, struct raw_options *raw, struct project_input *in)
{
    switch (c) {
    case 'p':
        return public_option(in, optarg);
    case 'e':
        return env_option(in, optarg);
    case 'E':
        return env_file_option(in, optarg);
    case 'r':
        return registry_option(in, optarg);
    case 'f':
        return file_option(raw, optarg);
    case 'c':
        return parse_uint("--cpus", optarg, 64, &in->cpus);
    case 'm':
        return parse_uint("--memory", optarg, 1 << 30, &in->memory_mb);
    case 'D':
        return parse_uint("--disk", optarg, 1 << 20, &in->disk_gb);
    case 'n':
        in->name = optarg;
        return NULL;
    case 'd':
        in->domain = optarg;
        return NULL;
    case 'i':
        in->project.image_version = optarg;
        return NULL;
    case 'C':
        raw->compose = optarg;
        return NULL;
    case 'a':
        in->authority = optarg;
        return NULL;
    case 'w':
        in->wait = true;
        return NULL;
    case 'j':
        in->json = true;
        return NULL;
    default:
        return error_new(ERROR_INVALID_ARGUMENT, "options:\n%s", project_input_help);
    }
}

static const char *compose_path(struct project_input *in, const char *given)
{
    static const char *const names[] = {"compose.yaml", "compose.yml", "docker-compose.yaml",
                                        "docker-compose.yml"};
    struct stat info;

    if (stat(given, &info) < 0 || !S_ISDIR(info.st_mode))
        return given;
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char *path = arena_printf(in->arena, "%s/%s", given, names[i]);
        if (access(path, R_OK) == 0)
            return path;
    }
    return arena_printf(in->arena, "%s/%s", given, names[0]);
}

static const char *folder_of(struct project_input *in, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ".";
    char *folder = arena_strdup(in->arena, path);
    folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

static const char *default_name(struct project_input *in, const char *folder)
{
    _cleanup_free_ char *full = realpath(folder, NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;

    return arena_strdup(in->arena, slash && slash[1] ? slash + 1 : "workload");
}

static struct error *load_file(struct project_input *in, const char *folder, const char *path,
                               size_t *total)
{
    _cleanup_buffer_ struct buffer content = {0};
    const char *full = arena_printf(in->arena, "%s/%s", folder, path);
    struct error *err = file_read(full, FILES_TOTAL_MAX - *total, &content);

    if (err)
        return err;
    *total += content.size;
    in->files[in->n_files++] = (struct project_file){
        .path = path,
        .content = arena_memdup(in->arena, content.data, content.size),
        .size = content.size,
    };
    return NULL;
}

static struct error *load(struct project_input *in, const struct raw_options *raw)
{
    const char *path = compose_path(in, raw->compose);
    const char *folder = folder_of(in, path);
    _cleanup_buffer_ struct buffer text = {0};
    size_t total = 0;
    struct error *err = file_read(path, MANIFEST_COMPOSE_MAX, &text);

    for (size_t i = 0; !err && i < raw->n_files; i++)
        err = load_file(in, folder, raw->files[i], &total);
    if (err)
        return err;
    in->project.compose = arena_memdup(in->arena, buffer_text(&text), text.size + 1);
    in->project.compose_size = text.size;
    in->name = in->name ?: default_name(in, folder);
    return NULL;
}

static void fill_project(struct project_input *in)
{
    const char **env = arena_alloc(in->arena, sizeof(char *) * (in->n_env + 1));
    const char **servers = arena_alloc(in->arena, sizeof(char *) * (in->n_registries + 1));

    for (size_t i = 0; i < in->n_env; i++)
        env[i] = in->env[i].name;
    for (size_t i = 0; i < in->n_registries; i++)
        servers[i] = in->registries[i].name;
    in->project.env = env;
    in->project.n_env = in->n_env;
    in->project.registries = servers;
    in->project.n_registries = in->n_registries;
    in->project.files = in->files;
    in->project.n_files = in->n_files;
    if (in->domain) {
        in->project.domains = arena_memdup(in->arena, &in->domain, sizeof(in->domain));
        in->project.n_domains = 1;
    }
}

struct error *project_input_parse(int argc, char **argv, bool compose_needed,
                                  struct project_input *ret_input)
{
    struct raw_options raw = {0};
    struct error *err = NULL;

    *ret_input =
        (struct project_input){.arena = arena_new(), .cpus = 2, .memory_mb = 2048, .disk_gb = 10};
    optind = 1;
    for (int c; !err && (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        err = take_option(c, &raw, ret_input);
    if (err)
        return err;
    if (optind < argc && !raw.compose && compose_needed)
        raw.compose = argv[optind++];
    else if (optind < argc)
        ret_input->workload = argv[optind++];
    if (optind < argc)
        return error_new(ERROR_INVALID_ARGUMENT, "one operand too many: '%s'", argv[optind]);
    if (raw.compose) {
        if (!ret_input->project.public_service)
            return error_new(ERROR_INVALID_ARGUMENT, "say what the world reaches: --public "
                                                     "SERVICE:PORT");
        err = load(ret_input, &raw);
        fill_project(ret_input);
    } else if (compose_needed) {
        err = error_new(ERROR_INVALID_ARGUMENT, "a compose file is needed\n%s", project_input_help);
    }
    return err;
}

void project_input_done(struct project_input *input)
{
    arena_free(input->arena);
    *input = (struct project_input){0};
}

static const char *member(struct project_input *in, const json_t *object, const char *name)
{
    return arena_strdup(in->arena, json_string_value(json_object_get(object, name)));
}

static struct error *read_facts(struct project_input *in, const json_t *fleet,
                                struct fleet_facts *ret_facts)
{
    json_t *cas = json_object_get(fleet, "registryCas");
    const json_t *acme = json_object_get(fleet, "acme");
    const json_t *images = json_object_get(fleet, "images");
    struct manifest_text *list =
        arena_alloc(in->arena, sizeof(*list) * (json_object_size(cas) + 1));
    const char *authority =
        in->authority ?: member(in, json_object_get(fleet, "authority"), "sign");
    const char *server;
    json_t *pem;
    size_t n = 0;

    json_object_foreach(cas, server, pem) list[n++] = (struct manifest_text){
        arena_strdup(in->arena, server), arena_strdup(in->arena, json_string_value(pem))};
    *ret_facts = (struct fleet_facts){.acme_directory = member(in, acme, "directory"),
                                      .acme_ca = member(in, acme, "ca"),
                                      .registry_cas = list,
                                      .n_registry_cas = n};
    if (!in->project.image_version)
        in->project.image_version =
            arena_strdup(in->arena, json_string_value(json_array_get(images, 0)));
    return error_wrap(
        hex_decode(authority, ret_facts->authority_sign, sizeof(ret_facts->authority_sign)),
        "the release authority's key");
}

struct error *project_input_facts(struct project_input *input, struct client *client,
                                  struct fleet_facts *ret_facts)
{
    _cleanup_(json_decrefp) json_t *fleet = NULL;
    struct error *err = client_call(client, "GET", "/api/v1/fleet", NULL, &fleet);

    return err ?: read_facts(input, fleet, ret_facts);
}

struct error *project_input_manifest(struct project_input *input, const struct fleet_facts *facts,
                                     struct buffer *ret_json)
{
    struct findings *found = arena_alloc(input->arena, sizeof(*found));
    struct error *err = project_manifest(&input->project, facts, input->arena, found, ret_json);

    if (!err || !found->n)
        return err;
    _cleanup_free_ char *text = findings_to_text(found);
    _cleanup_(error_freep) struct error *was = err;
    return error_new(ERROR_INVALID_ARGUMENT, "%s:\n%s", error_text(was), text);
}
