/* Volumes and files: a container sees its volumes and the uploaded files, nothing of the machine.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "shared/compose/lint_private.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static bool mode_has(const char *mode, const char *word)
{
    for (size_t n = strlen(word); *mode; mode += *mode == ',') {
        size_t size = strcspn(mode, ",");
        if (size == n && memcmp(mode, word, n) == 0)
            return true;
        mode += size;
    }
    return false;
}

/* Of both words compose takes the last: then it is not taken for read-only here. */
static bool mode_is_read_only(const char *mode)
{
    return mode_has(mode, "ro") && !mode_has(mode, "rw");
}

static bool mode_is_allowed(const char *mode)
{
    static const char *const allowed[] = {"ro",     "rw",     "z",         "Z",
                                          "nocopy", "cached", "delegated", "consistent"};

    while (*mode) {
        size_t size = strcspn(mode, ",");
        bool found = false;
        for (size_t i = 0; i < ELEMENTSOF(allowed); i++)
            found = found || (strlen(allowed[i]) == size && memcmp(mode, allowed[i], size) == 0);
        if (!found)
            return false;
        mode += size + (mode[size] == ',');
    }
    return true;
}

static void find_mount(struct lint *lint, const struct place *place, const char *source)
{
    lint_find(
        lint, place, "bind-mount",
        arena_printf(lint->arena, "mounts '%s' of the machine", lint_show(lint->arena, source)),
        "the machine's own files decide what is proven, so containers may not reach them",
        "use a volume declared under volumes, or an uploaded file: ${FILES}/name");
}

enum uploaded { UPLOADED_NOT, UPLOADED_FILE, UPLOADED_FOLDER };

/* Behind "${FILES}": nothing for the folder itself, or an uploaded file or a folder of some. */
static enum uploaded find_uploaded(const struct compose_options *options, const char *path)
{
    size_t size = strlen(path);

    if (size == 0 || strcmp(path, "/") == 0)
        return UPLOADED_FOLDER;
    if (*path++ != '/')
        return UPLOADED_NOT;
    size--;
    bool slash = path[size - 1] == '/';
    size -= slash;
    for (size_t i = 0; i < options->n_files; i++) {
        const char *file = options->files[i];
        if (strncmp(file, path, size) != 0)
            continue;
        if (file[size] == '/')
            return UPLOADED_FOLDER;
        if (file[size] == '\0' && !slash)
            return UPLOADED_FILE;
    }
    return UPLOADED_NOT;
}

/* What follows the folder of uploaded files; NULL when the path does not begin with it. */
static const char *behind_files(const struct lint *lint, const char *path)
{
    const char *const prefixes[] = {lint->model ? lint->options->files_dir : "${FILES}",
                                    lint->model ? NULL : "$FILES"};

    for (size_t i = 0; i < ELEMENTSOF(prefixes); i++) {
        size_t size = prefixes[i] ? strlen(prefixes[i]) : 0;
        if (size && strncmp(path, prefixes[i], size) == 0 &&
            (path[size] == '\0' || path[size] == '/'))
            return path + size;
    }
    return NULL;
}

/* A mount of one file cannot be renamed; what stands in a folder can be swapped for a link. */
static void find_writable(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "writable-files", "mounts a folder of uploaded files for writing",
              "a container could put a link there, and what is mounted, or read, through it next "
              "would be a file of the machine",
              "mount it read-only (\":ro\", read_only: true), and write to a volume");
}

static void check_files_path(struct lint *lint, const struct place *place, const char *path,
                             bool writable)
{
    const char *rest = behind_files(lint, path);

    if (!rest) {
        find_mount(lint, place, path);
        return;
    }
    enum uploaded uploaded = find_uploaded(lint->options, rest);
    if (uploaded == UPLOADED_NOT)
        lint_find(lint, place, "unknown-file",
                  arena_printf(lint->arena, "no uploaded file '%s'", lint_show(lint->arena, rest)),
                  "only files that the manifest names can be mounted",
                  "add the file to the workload's files, or correct the path");
    else if (uploaded == UPLOADED_FOLDER && writable)
        find_writable(lint, place);
}

static void check_volume_name(struct lint *lint, const struct place *place, const char *name)
{
    const struct node *volumes = node_get(lint->root, "volumes");

    for (size_t i = 0; volumes && volumes->kind == NODE_MAPPING && i < volumes->n; i++)
        if (strcmp(volumes->pairs[i].key, name) == 0) {
            lint_check_name(lint, place, name);
            return;
        }
    lint_find(
        lint, place, "unknown-volume",
        arena_printf(lint->arena, "volume '%s' is not declared", lint_show(lint->arena, name)),
        "compose refuses it", "declare it under the top-level volumes");
}

static bool looks_like_path(const char *source)
{
    return strchr("./~$\\", source[0]) || strchr(source, '/');
}

static void check_source(struct lint *lint, const struct place *place, const char *source,
                         bool writable)
{
    if (looks_like_path(source))
        check_files_path(lint, place, source, writable);
    else
        check_volume_name(lint, place, source);
}

static void find_syntax(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "volume-syntax",
              arena_printf(lint->arena, "'%s' is not a mount",
                           lint_show(lint->arena, node_text(place->value))),
              "only what is understood can be checked",
              "write \"NAME:/path\", \"${FILES}/name:/path:ro\", or \"/path\"");
}

/* To compose one letter is the drive of a Windows path, and what follows is still the source. */
static void find_drive(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "volume-syntax", "a volume with a name of one letter",
              "compose takes it for the drive of a Windows path, and the rest for other parts",
              "give the volume a longer name, or write the mount with type, source and target");
}

/* "[SOURCE:]TARGET[:MODE]" */
static void check_short(struct lint *lint, const struct place *place)
{
    char *source = arena_strdup(lint->arena, node_text(place->value));
    char *target = strchr(source, ':');

    if (!target) {
        if (*source != '/')
            find_syntax(lint, place);
        return;
    }
    *target++ = '\0';
    char *mode = strchr(target, ':');
    if (mode)
        *mode++ = '\0';
    if (!*source || *target != '/' || strchr(target, '$') || (mode && !mode_is_allowed(mode)))
        find_syntax(lint, place);
    else if (isalpha((unsigned char)source[0]) && !source[1])
        find_drive(lint, place);
    else
        check_source(lint, place, source, !mode || !mode_is_read_only(mode));
}

static void check_long_options(struct lint *lint, const struct place *place)
{
    static const char *const bind_keys[] = {"create_host_path", "selinux", NULL};
    static const char *const volume_keys[] = {"nocopy", "subpath", NULL};
    static const char *const tmpfs_keys[] = {"size", "mode", NULL};
    static const char *const names[] = {"bind", "volume", "tmpfs"};
    const char *const *const keys[] = {bind_keys, volume_keys, tmpfs_keys};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        const struct node *value = node_get(place->value, names[i]);
        if (node_is_null(value))
            continue;
        struct place child = lint_child(lint, place, names[i], value, value->line);
        lint_keys(lint, &child, keys[i]);
        lint_no_interpolation(lint, &child);
    }
}

static void check_long(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"type",   "source", "target",      "read_only", "bind",
                                       "volume", "tmpfs",  "consistency", NULL};
    const char *type = node_text(node_get(place->value, "type"));
    const char *source = node_text(node_get(place->value, "source"));
    const char *target = node_text(node_get(place->value, "target"));
    const char *read_only = node_text(node_get(place->value, "read_only"));

    lint_keys(lint, place, keys);
    check_long_options(lint, place);
    if (*target != '/' || strchr(target, '$'))
        find_syntax(lint, place);
    else if (strcmp(type, "bind") == 0)
        check_files_path(lint, place, source, strcasecmp(read_only, "true") != 0);
    else if (strcmp(type, "volume") == 0 && *source && looks_like_path(source))
        find_mount(lint, place, source);
    else if (strcmp(type, "volume") == 0 && *source)
        check_volume_name(lint, place, source);
    else if (strcmp(type, "volume") != 0 && strcmp(type, "tmpfs") != 0)
        find_syntax(lint, place);
}

void lint_service_volumes(struct lint *lint, const struct place *place)
{
    if (!lint_expect(lint, place, NODE_SEQUENCE))
        return;
    for (size_t i = 0; i < place->value->n; i++) {
        struct place item = lint_item(lint, place, i);
        if (item.value->kind == NODE_MAPPING)
            check_long(lint, &item);
        else if (lint_expect(lint, &item, NODE_SCALAR))
            check_short(lint, &item);
    }
}

static void find_env_file(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "bind-mount",
              arena_printf(lint->arena, "'%s' is not named as an uploaded file",
                           lint_show(lint->arena, node_text(place->value))),
              "compose would read a file of the machine, and hand it to the container",
              "add the file to the workload's files, and write ${FILES}/name, also for .env");
}

static void check_env_file(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"path", "required", NULL};
    struct place item = *place;

    if (item.value->kind == NODE_MAPPING) {
        lint_keys(lint, &item, keys);
        item.value = node_get(item.value, "path") ?: place->value;
    }
    if (!lint_expect(lint, &item, NODE_SCALAR))
        return;
    if (behind_files(lint, node_text(item.value)))
        check_files_path(lint, &item, node_text(item.value), false);
    else
        find_env_file(lint, &item);
}

void lint_env_file(struct lint *lint, const struct place *place)
{
    if (place->value->kind != NODE_SEQUENCE)
        check_env_file(lint, place);
    for (size_t i = 0; place->value->kind == NODE_SEQUENCE && i < place->value->n; i++) {
        struct place item = lint_item(lint, place, i);
        check_env_file(lint, &item);
    }
}

static void check_declared(struct lint *lint, const struct place *place, const char *name)
{
    static const char *const keys[] = {"driver", "labels", "name", NULL};
    const char *driver = node_text(node_get(place->value, "driver"));
    const char *own_name = node_text(node_get(place->value, "name"));

    lint_check_name(lint, place, name);
    if (!*name || strspn(name, NAME_LETTERS) < strlen(name))
        lint_find(lint, place, "volume-name",
                  arena_printf(lint->arena, "'%s' is not the name of a volume",
                               lint_show(lint->arena, name)),
                  "compose refuses it", "use letters, digits, '.', '_' and '-'");
    if (node_is_null(place->value) || !lint_expect(lint, place, NODE_MAPPING))
        return;
    lint_keys(lint, place, keys);
    if (*driver && strcmp(driver, "local") != 0)
        lint_find(lint, place, "volume-driver", "a volume driver",
                  "data must stay on the machine's encrypted disk", "remove driver");
    if (*own_name && !lint_is_project_name(lint, name, own_name))
        lint_find(lint, place, "volume-name", "a volume with a name of its own",
                  "it could be the volume of another project", "remove name");
}

void lint_volumes(struct lint *lint, const struct place *place)
{
    if (node_is_null(place->value) || !lint_expect(lint, place, NODE_MAPPING))
        return;
    lint_no_interpolation(lint, place);
    for (size_t i = 0; i < place->value->n; i++) {
        const struct node_pair *pair = &place->value->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        if (!lint->options->with_ours || strncmp(pair->key, "coffer-", 7) != 0)
            check_declared(lint, &child, pair->key);
    }
}
