#include "cli/coffer_yaml.h"

#include <assert.h>
#include <limits.h>

#include "cli/suggest.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/compose/node.h"

enum { NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 4096, CPUS_MAX = 64, GPUS_MAX = 16, KEYS_MAX = 16 };

struct reading {
    struct arena *arena;
    struct findings *findings;
    struct coffer_yaml *yaml;
};

struct field {
    const char *name;
    void (*take)(struct reading *reading, const struct node *value, void *into);
};

static void problem(struct reading *reading, const struct node *node, const char *where,
                    const char *what, const char *fix)
{
    const struct finding finding = {
        "coffer-yaml", where, node->line, what, "coffer would have to guess what is meant", fix};

    findings_add(reading->findings, reading->arena, &finding);
}

static void unknown_key(struct reading *reading, const struct node_pair *pair,
                        const struct field *fields, size_t n)
{
    const char *names[KEYS_MAX];
    const struct node place = {.line = pair->line};
    _cleanup_buffer_ struct buffer known = {0};

    assert(n <= KEYS_MAX);
    for (size_t i = 0; i < n; i++) {
        names[i] = fields[i].name;
        buffer_printf(&known, "%s%s", i ? ", " : "known here: ", fields[i].name);
    }
    const char *near = suggest(pair->key, names, n);
    problem(reading, &place, "",
            near ? arena_printf(reading->arena, "unknown key '%.40s', did you mean '%s'?",
                                pair->key, near)
                 : arena_printf(reading->arena, "unknown key '%.40s'", pair->key),
            buffer_text(&known));
}

static void read_mapping(struct reading *reading, const struct node *node, const char *where,
                         const struct field *fields, size_t n, void *into)
{
    if (node->kind != NODE_MAPPING) {
        problem(reading, node, where, "this must be a mapping", "write it as 'key: value' lines");
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        size_t at = 0;
        while (at < n && strcmp(fields[at].name, node->pairs[i].key) != 0)
            at++;
        if (at == n)
            unknown_key(reading, &node->pairs[i], fields, n);
        else
            fields[at].take(reading, node->pairs[i].value, into);
    }
}
#define READ_MAPPING(reading, node, where, fields, into)                                           \
    read_mapping(reading, node, where, fields, ELEMENTSOF(fields), into)

/* A scalar of 1 to max bytes that is not null, without control characters; else NULL. */
static const char *take_text(struct reading *reading, const struct node *node, const char *where,
                             size_t max)
{
    const char *text = node_text(node);
    size_t size = strlen(text);
    bool good = node->kind == NODE_SCALAR && !node_is_null(node) && size > 0 && size <= max;

    for (size_t i = 0; good && i < size; i++)
        good = (unsigned char)text[i] >= ' ' && text[i] != 0x7f;
    if (!good) {
        problem(reading, node, where,
                arena_printf(reading->arena, "'%s' must be a text of 1 to %zu bytes", where, max),
                "give one value on one line");
        return NULL;
    }
    return arena_strdup(reading->arena, text);
}

static const char *take_checked(struct reading *reading, const struct node *node, const char *where,
                                bool (*is_valid)(const char *), const char *fix)
{
    const char *text = take_text(reading, node, where, TEXT_MAX_BYTES);

    if (text && !is_valid(text)) {
        problem(reading, node, where,
                arena_printf(reading->arena, "'%s' has a value that is not allowed", where), fix);
        return NULL;
    }
    return text;
}

/* A plain whole number; false: it is none from min to max, and a finding says so. */
static bool take_number(struct reading *reading, const struct node *node, const char *where,
                        uint32_t min, uint32_t max, uint32_t *ret_number)
{
    const char *text = node_text(node);
    size_t digits = strspn(text, "0123456789");
    unsigned long long number = digits && digits < 10 ? strtoull(text, NULL, 10) : ULLONG_MAX;

    if (node->kind != NODE_SCALAR || !node->plain || text[digits] || number < min || number > max) {
        problem(reading, node, where,
                arena_printf(reading->arena, "'%s' must be a whole number from %u to %u", where,
                             min, max),
                "write digits only");
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* "2048", "2048M", "2G": in M (unit 1) or in G (unit 1024). */
static void take_size(struct reading *reading, const struct node *node, const char *where,
                      uint32_t unit, uint32_t max, uint32_t *ret_size)
{
    const char *text = node_text(node);
    size_t digits = strspn(text, "0123456789");
    const char *suffix = text + digits;
    unsigned long long number = digits && digits < 10 ? strtoull(text, NULL, 10) : 0;
    bool m = strcmp(suffix, "M") == 0 || strcmp(suffix, "MiB") == 0;
    bool g = strcmp(suffix, "G") == 0 || strcmp(suffix, "GiB") == 0;
    unsigned long long mib = number * (g || (!*suffix && unit == 1024) ? 1024 : 1);

    if (node->kind != NODE_SCALAR || (*suffix && !m && !g) || number == 0 || mib % unit ||
        mib / unit > max) {
        problem(reading, node, where,
                arena_printf(reading->arena, "'%s' must be a size such as %s", where,
                             unit == 1 ? "2048M or 2G" : "10G"),
                unit == 1 ? "a number is MiB" : "a number is GiB");
        return;
    }
    *ret_size = (uint32_t)(mib / unit);
}

static void take_name(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml *)into)->name = take_text(reading, value, "name", NAME_MAX_BYTES);
}

static void take_compose(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml *)into)->compose = take_text(reading, value, "compose", TEXT_MAX_BYTES);
}

static void take_image(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml *)into)->image = take_checked(
        reading, value, "image", manifest_version_is_valid, "a version that `coffer images` shows");
}

static void take_tier(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml *)into)->tier = take_text(reading, value, "tier", NAME_MAX_BYTES);
}

static void take_domain(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml *)into)->domain =
        take_checked(reading, value, "domain", manifest_domain_is_valid,
                     "a lower-case name such as app.example.com");
}

static void take_service(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml *)into)->public_service =
        take_checked(reading, value, "public.service", manifest_service_is_valid,
                     "a service of the compose file");
}

static void take_port(struct reading *reading, const struct node *value, void *into)
{
    take_number(reading, value, "public.port", 1, 65535,
                &((struct coffer_yaml *)into)->public_port);
}

static void take_public(struct reading *reading, const struct node *value, void *into)
{
    static const struct field fields[] = {{"service", take_service}, {"port", take_port}};
    size_t before = reading->findings->n;
    const struct coffer_yaml *yaml = into;

    READ_MAPPING(reading, value, "public", fields, into);
    if (reading->findings->n == before && (!yaml->public_service || !yaml->public_port))
        problem(reading, value, "public", "'public' needs both 'service' and 'port'",
                "public: {service: web, port: 8080}");
}

static void take_cpus(struct reading *reading, const struct node *value, void *into)
{
    take_number(reading, value, "resources.cpus", 1, CPUS_MAX, &((struct coffer_yaml *)into)->cpus);
}

static void take_memory(struct reading *reading, const struct node *value, void *into)
{
    take_size(reading, value, "resources.memory", 1, 1 << 30,
              &((struct coffer_yaml *)into)->memory_mb);
}

static void take_disk(struct reading *reading, const struct node *value, void *into)
{
    take_size(reading, value, "resources.disk", 1024, 1 << 20,
              &((struct coffer_yaml *)into)->disk_gb);
}

static void take_gpus(struct reading *reading, const struct node *value, void *into)
{
    uint32_t gpus = 0;

    if (take_number(reading, value, "resources.gpus", 0, GPUS_MAX, &gpus))
        ((struct coffer_yaml *)into)->gpus = (int)gpus;
}

static void take_resources(struct reading *reading, const struct node *value, void *into)
{
    static const struct field fields[] = {
        {"cpus", take_cpus}, {"memory", take_memory}, {"disk", take_disk}, {"gpus", take_gpus}};

    READ_MAPPING(reading, value, "resources", fields, into);
}

static void take_pin(struct reading *reading, const struct node *value, void *into)
{
    const char *text = take_text(reading, value, "pin", TEXT_MAX_BYTES);
    bool required = text && strcmp(text, "required") == 0;

    if (text && !required && strcmp(text, "allowed") != 0)
        problem(reading, value, "pin", "'pin' must be required or allowed",
                "required: every image is named by its digest (image@sha256:...)");
    ((struct coffer_yaml *)into)->pin = required;
}

/* One of {from_env: NAME}, {from_file: PATH} and so on. */
struct source {
    unsigned n;
    enum coffer_source source;
    const char *text;
};

static void take_from(struct reading *reading, const struct node *value, const char *where,
                      enum coffer_source source, struct source *into)
{
    into->n++;
    into->source = source;
    into->text = take_text(reading, value, where, TEXT_MAX_BYTES) ?: "";
}

static void take_from_env(struct reading *reading, const struct node *value, void *into)
{
    take_from(reading, value, "from_env", SOURCE_ENVIRONMENT, into);
    const char *name = ((struct source *)into)->text;
    if (*name && !manifest_env_is_valid(name))
        problem(reading, value, "from_env", "'from_env' is not a variable's name",
                "letters, digits and '_', not a digit first");
}

static void take_from_file(struct reading *reading, const struct node *value, void *into)
{
    take_from(reading, value, "from_file", SOURCE_FILE, into);
}

static void take_true(struct reading *reading, const struct node *value, const char *where,
                      enum coffer_source source, struct source *into)
{
    take_from(reading, value, where, source, into);
    if (strcmp(node_text(value), "true") != 0)
        problem(reading, value, where, arena_printf(reading->arena, "'%s' can only be true", where),
                "leave it out");
}

static void take_from_stdin(struct reading *reading, const struct node *value, void *into)
{
    take_true(reading, value, "from_stdin", SOURCE_STDIN, into);
}

static void take_from_docker(struct reading *reading, const struct node *value, void *into)
{
    take_true(reading, value, "from_docker", SOURCE_DOCKER, into);
}

static bool check_one_source(struct reading *reading, const struct node *node, const char *where,
                             const struct source *source)
{
    if (source->n == 1)
        return true;
    problem(reading, node, where, "say exactly one place where the value comes from",
            "for example {from_env: NAME}");
    return false;
}

static void add_env(struct reading *reading, const struct node *node,
                    const struct coffer_yaml_env *env)
{
    struct coffer_yaml *yaml = reading->yaml;

    if (!manifest_env_is_valid(env->name))
        problem(reading, node, "env", "this is not a variable's name",
                "letters, digits and '_', not a digit first; a list holds names only, a value is "
                "written as 'NAME: value'");
    else if (manifest_env_is_reserved(env->name))
        problem(reading, node, "env",
                arena_printf(reading->arena, "'%s' is the platform's own variable", env->name),
                "use another name");
    else if (yaml->n_env == ELEMENTSOF(yaml->env))
        problem(reading, node, "env", "too many environment values", "at most 256");
    else
        yaml->env[yaml->n_env++] = *env;
}

static void take_env_pair(struct reading *reading, const struct node_pair *pair)
{
    static const struct field fields[] = {{"from_env", take_from_env},
                                          {"from_file", take_from_file}};
    struct source source = {1, SOURCE_VALUE, NULL};
    const struct node *value = pair->value;
    const struct node place = {.line = pair->line};

    if (value->kind == NODE_MAPPING) {
        source.n = 0;
        READ_MAPPING(reading, value, "env", fields, &source);
        if (!check_one_source(reading, value, "env", &source))
            return;
    } else if (value->kind != NODE_SCALAR) {
        problem(reading, value, "env", "a value must be a text, or say where it comes from",
                "NAME: value, or NAME: {from_file: PATH}");
        return;
    } else if (node_is_null(value)) {
        source = (struct source){1, SOURCE_ENVIRONMENT, pair->key};
    } else {
        source.text = node_text(value);
    }
    add_env(reading, &place,
            &(struct coffer_yaml_env){arena_strdup(reading->arena, pair->key), source.source,
                                      arena_strdup(reading->arena, source.text), pair->line});
}

static void take_env(struct reading *reading, const struct node *value, _unused_ void *into)
{
    for (size_t i = 0; value->kind == NODE_MAPPING && i < value->n; i++)
        take_env_pair(reading, &value->pairs[i]);
    for (size_t i = 0; value->kind == NODE_SEQUENCE && i < value->n; i++) {
        const struct node *item = value->items[i];
        const char *name = arena_strdup(reading->arena, node_text(item));
        add_env(reading, item,
                &(struct coffer_yaml_env){name, SOURCE_ENVIRONMENT, name, item->line});
    }
    if (value->kind == NODE_SCALAR && !node_is_null(value))
        problem(reading, value, "env", "'env' must be names, or names with values",
                "env: [NAME], or env: {NAME: value}");
}

static void take_path(struct reading *reading, const struct node *node, const char *where,
                      bool into_workload, struct coffer_yaml_list *list)
{
    const char *path = take_text(reading, node, where, TEXT_MAX_BYTES);

    if (!path)
        return;
    if (into_workload && !manifest_path_is_valid(path))
        problem(reading, node, where, "this path is not allowed in a workload",
                "a relative path of letters, digits, '.', '_', '-' and '/', without '..'");
    else if (list->n == ELEMENTSOF(list->items))
        problem(reading, node, where, "too many files", "at most 256");
    else
        list->items[list->n++] = path;
}

static void take_paths(struct reading *reading, const struct node *value, const char *where,
                       bool into_workload, struct coffer_yaml_list *list)
{
    if (value->kind == NODE_MAPPING)
        problem(reading, value, where,
                arena_printf(reading->arena, "'%s' must be a list of paths", where), "[a, b]");
    if (value->kind == NODE_SCALAR && !node_is_null(value))
        take_path(reading, value, where, into_workload, list);
    for (size_t i = 0; value->kind == NODE_SEQUENCE && i < value->n; i++)
        take_path(reading, value->items[i], where, into_workload, list);
}

static void take_env_files(struct reading *reading, const struct node *value, void *into)
{
    struct coffer_yaml *yaml = into;

    take_paths(reading, value, "env_file", false, &yaml->env_files);
    if (yaml->env_files.n > COFFER_YAML_ENV_FILES_MAX)
        problem(reading, value, "env_file", "too many files", "at most 16");
}

static void take_files(struct reading *reading, const struct node *value, void *into)
{
    take_paths(reading, value, "files", true, &((struct coffer_yaml *)into)->files);
}

static void take_secret_files(struct reading *reading, const struct node *value, void *into)
{
    take_paths(reading, value, "secret_files", true, &((struct coffer_yaml *)into)->secret_files);
}

/* "https://..." would else be the path of a server called https. */
static bool is_server(const char *text)
{
    return manifest_server_is_valid(text) && !strstr(text, "//");
}

static void take_server(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml_registry *)into)->server =
        take_checked(reading, value, "server", is_server, "such as ghcr.io");
}

static void take_username(struct reading *reading, const struct node *value, void *into)
{
    ((struct coffer_yaml_registry *)into)->username =
        take_text(reading, value, "username", TEXT_MAX_BYTES);
}

static void take_password(struct reading *reading, const struct node *value, void *into)
{
    static const struct field fields[] = {{"from_env", take_from_env},
                                          {"from_file", take_from_file},
                                          {"from_stdin", take_from_stdin},
                                          {"from_docker", take_from_docker}};
    struct coffer_yaml_registry *registry = into;
    struct source source = {0};

    if (value->kind != NODE_MAPPING) {
        problem(reading, value, "password", "a password does not belong into this file",
                "password: {from_env: NAME}, {from_file: PATH}, {from_stdin: true}, or "
                "{from_docker: true}");
        return;
    }
    READ_MAPPING(reading, value, "password", fields, &source);
    if (!check_one_source(reading, value, "password", &source))
        return;
    registry->source = source.source;
    registry->text = source.text;
}

static void check_registry(struct reading *reading, const struct node *node,
                           const struct coffer_yaml_registry *registry)
{
    struct coffer_yaml *yaml = reading->yaml;
    bool docker = registry->source == SOURCE_DOCKER;

    for (size_t i = 0; i < yaml->n_registries; i++)
        if (strcmp(yaml->registries[i].server, registry->server) == 0)
            problem(reading, node, "registries", "this server is given twice", "keep one");
    if (docker == (registry->username != NULL))
        problem(reading, node, "registries",
                docker ? "docker's stored login has its own user name"
                       : "a registry needs 'username' and 'password'",
                docker ? "leave 'username' out" : "or only its name, for docker's stored login");
    else if (yaml->n_registries == ELEMENTSOF(yaml->registries))
        problem(reading, node, "registries", "too many registries", "at most 16");
    else
        yaml->registries[yaml->n_registries++] = *registry;
}

static void take_registry(struct reading *reading, const struct node *node)
{
    static const struct field fields[] = {
        {"server", take_server}, {"username", take_username}, {"password", take_password}};
    struct coffer_yaml_registry registry = {.source = SOURCE_DOCKER, .line = node->line};
    size_t before = reading->findings->n;

    if (node->kind == NODE_MAPPING) {
        READ_MAPPING(reading, node, "registries", fields, &registry);
        if (!registry.server && reading->findings->n == before)
            problem(reading, node, "registries", "a registry needs 'server'", "such as ghcr.io");
    } else {
        take_server(reading, node, &registry);
    }
    if (reading->findings->n == before)
        check_registry(reading, node, &registry);
}

static void take_registries(struct reading *reading, const struct node *value, _unused_ void *into)
{
    if (value->kind != NODE_SEQUENCE && !node_is_null(value))
        problem(reading, value, "registries", "'registries' must be a list",
                "registries: [ghcr.io]");
    for (size_t i = 0; value->kind == NODE_SEQUENCE && i < value->n; i++)
        take_registry(reading, value->items[i]);
}

static const struct field fields[] = {
    {"name", take_name},
    {"compose", take_compose},
    {"image", take_image},
    {"public", take_public},
    {"tier", take_tier},
    {"resources", take_resources},
    {"domain", take_domain},
    {"env", take_env},
    {"env_file", take_env_files},
    {"files", take_files},
    {"secret_files", take_secret_files},
    {"registries", take_registries},
    {"pin", take_pin},
};

/* What is wrong with several keys together. */
static void check_whole(struct reading *reading, const struct node *root)
{
    const struct coffer_yaml *yaml = reading->yaml;
    const struct node *resources = node_get(root, "resources");
    const struct coffer_yaml_list *secret = &yaml->secret_files;
    unsigned on_stdin = 0;

    if (yaml->tier && resources)
        problem(reading, resources, "resources", "'tier' and 'resources' are both given",
                "a tier is a size: keep one of them");
    for (size_t i = 0; i < secret->n; i++)
        for (size_t j = 0; j < yaml->files.n; j++)
            if (strcmp(secret->items[i], yaml->files.items[j]) == 0)
                problem(
                    reading, node_get(root, "secret_files"), "secret_files",
                    arena_printf(reading->arena, "'%s' is both plain and secret", secret->items[i]),
                    "give it once");
    for (size_t i = 0; i < yaml->n_registries; i++)
        if (yaml->registries[i].source == SOURCE_STDIN && ++on_stdin == 2)
            problem(reading, node_get(root, "registries"), "registries",
                    "two passwords from standard input", "there is one standard input");
}

void coffer_yaml_parse(const char *text, size_t size, struct arena *arena,
                       struct findings *ret_findings, struct coffer_yaml *ret_yaml)
{
    struct reading reading = {arena, ret_findings, ret_yaml};
    const struct node nowhere = {.line = 1};
    struct node *root = NULL;

    *ret_yaml = (struct coffer_yaml){.gpus = -1};
    node_from_yaml(text, size, arena, ret_findings, &root);
    if (ret_findings->n)
        return;
    if (!root || node_is_null(root)) {
        problem(&reading, &nowhere, "", "the file is empty",
                "coffer init writes one to begin with");
        return;
    }
    READ_MAPPING(&reading, root, "", fields, ret_yaml);
    if (root->kind == NODE_MAPPING)
        check_whole(&reading, root);
}

struct error *coffer_yaml_read(const char *path, struct arena *arena, struct coffer_yaml *ret_yaml)
{
    struct findings *found = arena_alloc(arena, sizeof(*found));
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_buffer_ struct buffer list = {0};
    struct error *err = file_read(path, COFFER_YAML_MAX, &text);

    if (err)
        return err;
    coffer_yaml_parse(buffer_text(&text), text.size, arena, found, ret_yaml);
    for (size_t i = 0; i < found->n; i++)
        buffer_printf(&list, "\n  line %u: %s\n      fix: %s", found->items[i].line,
                      found->items[i].what, found->items[i].fix);
    return found->n ? error_new(ERROR_INVALID_ARGUMENT, "'%s' has %zu problem%s:%s", path, found->n,
                                found->n == 1 ? "" : "s", buffer_text(&list))
                    : NULL;
}
