/* `coffer init`: a first coffer.yaml, from what the compose file says. Asks nothing. */
#include <ctype.h>
#include <stdio.h>

#include "cli/coffer_yaml.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/project_files.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/compose/node.h"

enum { NAMES_MAX = 64 };

struct names {
    const char *items[NAMES_MAX];
    size_t n;
};

/* ${FILES} is the platform's: the folder of the files. */
static void add_name(struct names *names, const char *name)
{
    if (!manifest_env_is_valid(name) || manifest_env_is_reserved(name) ||
        strcmp(name, "FILES") == 0 || names->n == NAMES_MAX)
        return;
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], name) == 0)
            return;
    names->items[names->n++] = name;
}

/* $NAME, ${NAME}, ${NAME:-...}; $$ is a dollar. */
static void find_names(const char *text, struct arena *arena, struct names *names)
{
    while ((text = strchr(text, '$'))) {
        text++;
        if (*text == '$') {
            text++;
            continue;
        }
        text += *text == '{';
        size_t size = 0;
        while (isalnum((unsigned char)text[size]) || text[size] == '_')
            size++;
        add_name(names, arena_printf(arena, "%.*s", (int)size, text));
        text += size;
    }
}

static void find_all_names(const struct node *node, struct arena *arena, struct names *names)
{
    if (node->kind == NODE_SCALAR)
        find_names(node->text, arena, names);
    for (size_t i = 0; node->kind == NODE_SEQUENCE && i < node->n; i++)
        find_all_names(node->items[i], arena, names);
    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++)
        find_all_names(node->pairs[i].value, arena, names);
}

/* The container's port of "8080", "80:8080", "127.0.0.1:80:8080/tcp", or {target: 8080}; 0: none.
 */
static unsigned port_of(const struct node *port)
{
    const char *text = node_text(port->kind == NODE_MAPPING ? node_get(port, "target") : port);
    const char *colon = strrchr(text, ':');
    unsigned long number = strtoul(colon ? colon + 1 : text, NULL, 10);

    return number <= 65535 ? (unsigned)number : 0;
}

static unsigned first_port(const struct node *service)
{
    static const char *const keys[] = {"ports", "expose"};

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const struct node *list = node_get(service, keys[i]);
        if (list && list->kind == NODE_SEQUENCE && list->n)
            return port_of(list->items[0]);
    }
    return 0;
}

/* The first service with a port, else the first service. */
static void find_public(const struct node *services, const char **ret_service, unsigned *ret_port)
{
    *ret_service = NULL;
    *ret_port = 0;
    for (size_t i = 0; services && services->kind == NODE_MAPPING && i < services->n; i++) {
        unsigned port = first_port(services->pairs[i].value);
        if (!*ret_service || port) {
            *ret_service = services->pairs[i].key;
            *ret_port = port;
        }
        if (port)
            return;
    }
}

static void add_env(struct buffer *text, const struct names *names)
{
    buffer_add_text(text,
                    "\n# Values that the compose file uses. A name alone is taken from the "
                    "environment of\n# `coffer deploy`; what is written here is for everybody "
                    "who reads this file.\n");
    if (!names->n) {
        buffer_add_text(text, "# env:\n#   GREETING:               # from your environment\n"
                              "#   LEVEL: debug\n#   KEY: {from_file: key.txt}\n");
        return;
    }
    buffer_add_text(text, "env:\n");
    for (size_t i = 0; i < names->n; i++)
        buffer_printf(text, "  %s:\n", names->items[i]);
}

static void write_text(struct buffer *text, const char *compose, const struct node *root,
                       struct arena *arena)
{
    struct names names = {0};
    const char *service;
    unsigned port;

    find_all_names(root, arena, &names);
    find_public(node_get(root, "services"), &service, &port);
    buffer_add_text(text, "# How `coffer deploy` runs this project. Everything here can also be "
                          "said by an option,\n# which wins. No secret belongs into this file.\n\n"
                          "# name: hello                 # default: the folder's name\n");
    buffer_printf(text, "compose: %s\n", compose);
    buffer_add_text(text, "\n# What the world reaches, by https: one service and its port.\n");
    if (service && port)
        buffer_printf(text, "public: {service: %s, port: %u}\n", service, port);
    else
        buffer_printf(text, "# public: {service: %s, port: 8080}\n", service ?: "web");
    buffer_add_text(text, "\n# A size of `coffer tiers ls`, or any that the fleet offers.\n"
                          "# tier: small\nresources: {cpus: 2, memory: 2G, disk: 10G}\n"
                          "\n# image: 0.3.1                # guest image; default: the newest\n"
                          "# domain: app.example.com     # default: one is made\n");
    add_env(text, &names);
    buffer_add_text(text, "# env_file: [.env]            # NAME=value lines\n"
                          "\n# Files that the compose file mounts through ${FILES}.\n"
                          "# files: [conf/app.conf]\n"
                          "# secret_files: [tls.key]     # only the attested VM sees what is in "
                          "them\n"
                          "\n# Credentials for private registries: docker's stored login, or from "
                          "elsewhere.\n"
                          "# registries:\n#   - ghcr.io\n"
                          "#   - {server: r.example.com, username: me, password: {from_env: "
                          "R_PASSWORD}}\n"
                          "\n# Refuse images that are not named by their digest.\n"
                          "# pin: required\n");
}

static struct error *read_compose(const char *path, struct arena *arena,
                                  const struct node **ret_root)
{
    struct findings *found = arena_alloc(arena, sizeof(*found));
    _cleanup_buffer_ struct buffer text = {0};
    struct node *root = NULL;
    struct error *err = file_read(path, MANIFEST_COMPOSE_MAX, &text);

    if (err)
        return error_wrap(err, "compose file");
    node_from_yaml(buffer_text(&text), text.size, arena, found, &root);
    if (found->n || !root) {
        _cleanup_free_ char *list = findings_to_text(found);
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' cannot be read: %s", path, list);
    }
    *ret_root = root;
    return NULL;
}

static struct error *init(const char *given, const char *output, bool force)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer text = {0};
    const struct node *root = NULL;
    const char *path = project_files_compose(arena, given);
    const char *slash = strrchr(path, '/');
    const char *into =
        output ?: arena_printf(arena, "%.*scoffer.yaml", slash ? (int)(slash + 1 - path) : 0, path);
    struct error *err = read_compose(path, arena, &root);

    if (err)
        return err;
    write_text(&text, slash ? slash + 1 : path, root, arena);
    if (strcmp(into, "-") == 0) {
        fwrite(text.data, 1, text.size, stdout);
        return NULL;
    }
    if (!force && access(into, F_OK) == 0)
        return error_new(ERROR_ALREADY_EXISTS, "'%s' is there already (--force writes over it)",
                         into);
    err = file_write_atomic(into, text.data, text.size, 0644);
    if (!err)
        printf("%s written; next: coffer plan %s\n", into, given);
    return err;
}

int init_main(int argc, char **argv)
{
    const char *output = NULL;
    bool force = false;
    const struct flag table[] = {
        {.name = "file", .kind = FLAG_TEXT, .into = &output},
        {.name = "force", .kind = FLAG_BOOL, .into = &force},
    };
    struct flags flags = {.usage = "init [COMPOSE|FOLDER] [--file coffer.yaml|-] [--force]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .max_operands = 1};
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    return command_fail(init(flags.n_operands ? flags.operands[0] : ".", output, force));
}
