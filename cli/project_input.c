#include "cli/project_input.h"

#include <getopt.h>

#include "cli/project_files.h"
#include "cli/registry_login.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

enum { ENV_FILE_MAX = 256 * 1024 };

static struct error *usage(enum project_use use, const char *what)
{
    static const char *const names[] = {[PROJECT_DEPLOY] = "deploy",
                                        [PROJECT_MANIFEST] = "manifest",
                                        [PROJECT_PLAN] = "plan",
                                        [PROJECT_UPDATE] = "update"};

    return error_new(ERROR_INVALID_ARGUMENT, "%s\n  try: coffer %s --help", what, names[use]);
}

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

static struct error *gpus_option(struct project_input *in, const char *text)
{
    uint32_t gpus = 0;
    struct error *err =
        strcmp(text, "0") == 0 ? NULL : parse_uint("--gpus (or 0)", text, 16, &gpus);

    if (!err)
        in->gpus = (int)gpus;
    return err;
}

static struct input_pair *find_env(struct project_input *in, const char *name, size_t length)
{
    for (size_t i = 0; i < in->n_env; i++)
        if (strlen(in->env[i].name) == length && memcmp(in->env[i].name, name, length) == 0)
            return &in->env[i];
    return NULL;
}

struct error *project_input_add_env(struct project_input *in, const char *name, size_t length,
                                    const char *value)
{
    struct input_pair *known = find_env(in, name, length);
    char *copy = arena_memdup(in->arena, name, length + 1);

    copy[length] = '\0';
    if (!manifest_env_is_valid(copy))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.64s' is not a variable's name", copy);
    if (known) {
        known->value = arena_strdup(in->arena, value);
        return NULL;
    }
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
    return project_input_add_env(in, name, strlen(name), value);
}

/* The line itself is not shown: it may be a secret that somebody pasted. */
static struct error *env_line(struct project_input *in, const char *path, unsigned number,
                              const char *line, bool keep)
{
    const char *equals = strchr(line, '=');

    if (line[0] == '\0' || line[0] == '#')
        return NULL;
    if (!equals || equals == line)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' line %u is not NAME=value", path, number);
    size_t length = (size_t)(equals - line);
    if (strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") < length)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' line %u: the name is not a variable's name",
                         path, number);
    if (keep && find_env(in, line, length))
        return NULL;
    return project_input_add_env(in, line, length, equals + 1);
}

struct error *project_input_add_env_file(struct project_input *in, const char *path, bool keep)
{
    _cleanup_buffer_ struct buffer content = {0};
    struct error *err = file_read(path, ENV_FILE_MAX, &content);
    unsigned number = 0;

    if (err || !content.size)
        return err;
    char *rest = (char *)content.data;
    for (char *line; !err && (line = strsep(&rest, "\n"));)
        err = env_line(in, path, ++number, line, keep);
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

struct error *project_input_add_registry(struct project_input *in, const char *server,
                                         const char *username, const char *password)
{
    if (in->n_registries == ELEMENTSOF(in->registries))
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu registries",
                         ELEMENTSOF(in->registries));
    in->registries[in->n_registries] = (struct input_pair){server, username};
    in->passwords[in->n_registries++] = password;
    return NULL;
}

static struct error *registry_option(struct project_input *in, const char *text)
{
    struct registry_login login = {0};
    struct error *err = registry_login_find(text, in->arena, &login);

    return err ?: project_input_add_registry(in, login.server, login.username, login.password);
}

/* Long options only, so their letters are ours: a capital one is for updates alone. */
static const struct option options[] = {
    {"public", required_argument, NULL, 'p'},
    {"name", required_argument, NULL, 'n'},
    {"env", required_argument, NULL, 'e'},
    {"env-file", required_argument, NULL, 'v'},
    {"file", required_argument, NULL, 'f'},
    {"secret-file", required_argument, NULL, 's'},
    {"registry", required_argument, NULL, 'r'},
    {"domain", required_argument, NULL, 'd'},
    {"image", required_argument, NULL, 'i'},
    {"tier", required_argument, NULL, 't'},
    {"cpus", required_argument, NULL, 'c'},
    {"memory", required_argument, NULL, 'm'},
    {"disk", required_argument, NULL, 'k'},
    {"gpus", required_argument, NULL, 'g'},
    {"pin", no_argument, NULL, 'P'},
    {"wait", no_argument, NULL, 'w'},
    {"timeout", required_argument, NULL, 'T'},
    {"dry-run", no_argument, NULL, 'y'},
    {"again", no_argument, NULL, 'A'},
    {"json", no_argument, NULL, 'j'},
    {"output", required_argument, NULL, 'o'},
    {"compose", required_argument, NULL, 'C'},
    {"config", required_argument, NULL, 'F'},
    {"workload", required_argument, NULL, 'W'},
    {"authority", required_argument, NULL, 'a'},
    {"unset-env", required_argument, NULL, 'u'},
    {"remove-file", required_argument, NULL, 'x'},
    {"reason", required_argument, NULL, 'R'},
    {"if-match", required_argument, NULL, 'I'},
    {"confirm-data-loss", no_argument, NULL, 'L'},
    {NULL, 0, NULL, 0},
};

static struct error *list_option(struct coffer_yaml_list *list, const char *text)
{
    if (list->n == ELEMENTSOF(list->items))
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu of one option",
                         ELEMENTSOF(list->items));
    list->items[list->n++] = text;
    return NULL;
}

/* What is only a text or a flag; false: it is neither. */
static bool take_simple(int c, struct project_names *names, struct project_input *in)
{
    const char **texts[] = {['n'] = &in->name,
                            ['d'] = &in->domain,
                            ['t'] = &in->tier,
                            ['C'] = &names->compose,
                            ['F'] = &names->config,
                            ['W'] = &in->workload,
                            ['a'] = &in->authority,
                            ['R'] = &in->reason,
                            ['I'] = &in->if_match,
                            ['i'] = &in->project.image_version,
                            ['z'] = NULL};
    bool *flags[] = {['P'] = &in->pin,     ['w'] = &in->wait,  ['j'] = &in->json,
                     ['y'] = &in->dry_run, ['A'] = &in->again, ['L'] = &in->confirm_data_loss,
                     ['z'] = NULL};

    if (c < 'A' || c > 'z' || (!texts[c] && !flags[c]))
        return false;
    if (texts[c])
        *texts[c] = optarg;
    else
        *flags[c] = true;
    return true;
}

static struct error *output_option(struct project_input *in, const char *format)
{
    in->json = strcmp(format, "json") == 0;
    if (!in->json && strcmp(format, "table") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "-o is json or table");
    return NULL;
}

static struct error *take_option(int c, enum project_use use, struct project_names *names,
                                 struct project_input *in)
{
    if (take_simple(c, names, in))
        return NULL;
    switch (c) {
    case 'p':
        return public_option(in, optarg);
    case 'e':
        return env_option(in, optarg);
    case 'v':
        return project_input_add_env_file(in, optarg, false);
    case 'r':
        return registry_option(in, optarg);
    case 'f':
        return list_option(&names->files, optarg);
    case 's':
        return list_option(&names->secret_files, optarg);
    case 'u':
        return list_option(&in->unset_env, optarg);
    case 'x':
        return list_option(&in->remove_files, optarg);
    case 'c':
        return parse_uint("--cpus", optarg, 64, &in->cpus);
    case 'm':
        return parse_uint("--memory", optarg, 1 << 30, &in->memory_mb);
    case 'k':
        return parse_uint("--disk", optarg, 1 << 20, &in->disk_gb);
    case 'g':
        return gpus_option(in, optarg);
    case 'T':
        return parse_uint("--timeout", optarg, 7 * 24 * 3600, &in->timeout_s);
    case 'o':
        return output_option(in, optarg);
    default:
        return usage(use, "this command has no such option");
    }
}

/* Sizes and another workload of the same name are for new ones; taking away is for old ones. */
static struct error *check_options(enum project_use use, const struct project_input *in)
{
    bool sizes = in->tier || in->cpus || in->memory_mb || in->disk_gb || in->gpus >= 0;
    bool takes_away = in->unset_env.n || in->remove_files.n || in->confirm_data_loss;

    if (in->workload && (sizes || in->again) && use != PROJECT_MANIFEST)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the size of a workload stays what it is: deploy another one for --tier, "
                         "--cpus, --memory, --disk, --gpus");
    if (!in->workload && (takes_away || in->if_match))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "--unset-env, --remove-file, --if-match and --confirm-data-loss are for "
                         "workloads that there are");
    if (in->tier && (in->cpus || in->memory_mb || in->disk_gb || in->gpus >= 0))
        return error_new(ERROR_INVALID_ARGUMENT, "--tier is a size: leave --cpus, --memory, --disk "
                                                 "and --gpus out");
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
    if (in->domain && in->domain[0]) {
        in->project.domains = arena_memdup(in->arena, &in->domain, sizeof(in->domain));
        in->project.n_domains = 1;
    }
}

/* Operands: which of them is a workload and which a path. */
static struct error *take_operands(int argc, char **argv, enum project_use use,
                                   struct project_names *names, struct project_input *in)
{
    int left = argc - optind;
    bool alone = use == PROJECT_PLAN && left == 1 && access(argv[optind], F_OK) == 0;
    bool workload_first = use == PROJECT_UPDATE || use == PROJECT_MANIFEST || use == PROJECT_PLAN;

    if (left > 0 && workload_first && !in->workload && !alone) {
        in->workload = argv[optind++];
        left--;
    }
    if (left > 0 && use != PROJECT_MANIFEST && !names->compose) {
        names->compose = argv[optind++];
        left--;
    }
    if (left > 0)
        return error_new(ERROR_INVALID_ARGUMENT, "one operand too many: '%s'", argv[optind]);
    if (use == PROJECT_UPDATE && !in->workload)
        return usage(use, "a workload is needed, by id or name");
    if (!names->compose && !names->config && !in->workload && use != PROJECT_MANIFEST &&
        access("coffer.yaml", F_OK) == 0)
        names->config = "coffer.yaml";
    if (!names->compose && !names->config && !in->workload && use != PROJECT_MANIFEST)
        return usage(use, "a compose file is needed");
    return NULL;
}

static struct error *check_project(const struct project_input *in)
{
    if (in->project.compose && !in->workload && !in->project.public_service)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "say what the world reaches: --public SERVICE:PORT, or 'public' in "
                         "coffer.yaml");
    return NULL;
}

struct error *project_input_parse(int argc, char **argv, enum project_use use,
                                  struct project_input *ret_input)
{
    struct project_names names = {0};
    struct error *err = NULL;

    *ret_input = (struct project_input){.arena = arena_new(), .gpus = -1};
    optind = 1;
    for (int c; !err && (c = getopt_long(argc, argv, "jo:", options, NULL)) != -1;)
        err = take_option(c, use, &names, ret_input);
    err = err ?: take_operands(argc, argv, use, &names, ret_input);
    err = err ?: check_options(use, ret_input);
    err = err ?: project_files_load(ret_input, &names);
    err = err ?: check_project(ret_input);
    if (!err)
        fill_project(ret_input);
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

/* With --pin: every image by its digest, or the registry decides what runs. */
static struct error *check_pins(struct project_input *in)
{
    struct compose_options lint = {.public_service = in->project.public_service,
                                   .public_port = in->project.public_port};
    struct compose_summary summary = {0};
    struct findings *found = arena_alloc(in->arena, sizeof(*found));
    _cleanup_buffer_ struct buffer loose = {0};

    compose_lint(in->project.compose, in->project.compose_size, &lint, in->arena, found, &summary);
    for (size_t i = 0; i < summary.n_services; i++)
        if (strcmp(image_digest(summary.services[i].image), "unpinned") == 0)
            buffer_printf(&loose, "\n  %s: %s", summary.services[i].name,
                          summary.services[i].image);
    if (!loose.size)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT,
                     "images that are not named by their digest (IMAGE@sha256:...), which --pin "
                     "or 'pin: required' refuses:%s",
                     buffer_text(&loose));
}

struct error *project_input_manifest(struct project_input *input, const struct fleet_facts *facts,
                                     struct buffer *ret_json)
{
    struct findings *found = arena_alloc(input->arena, sizeof(*found));
    struct error *err = project_manifest(&input->project, facts, input->arena, found, ret_json);

    if (!err && input->pin)
        return check_pins(input);
    if (!err || !found->n)
        return err;
    _cleanup_free_ char *text = findings_to_text(found);
    _cleanup_(error_freep) struct error *was = err;
    return error_new(ERROR_INVALID_ARGUMENT, "%s:\n%s", error_text(was), text);
}
