#include "services/scheduler/platform.h"

#include <jansson.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { PLATFORM_FILE_MAX = 64 * 1024, PLATFORM_TEXT_MAX = 1024 };

static void wipe_text(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static struct error *read_json(const char *path, json_t **ret_root)
{
    _cleanup_buffer_ struct buffer text = {0};
    json_error_t problem;
    struct error *err = file_read(path, PLATFORM_FILE_MAX, &text);

    if (err)
        return err;
    json_t *root = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &problem);
    /* The parser's words may quote what it read. */
    if (!root)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' line %d is not JSON", path, problem.line);
    *ret_root = root;
    return NULL;
}

static struct error *take_text(const json_t *object, const char *name, const char *path,
                               char **ret_text)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (!text || !text[0] || strlen(text) > PLATFORM_TEXT_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s': '%s' is missing or too long", path, name);
    *ret_text = xstrdup(text);
    return NULL;
}

static struct error *load_eab(const char *path, struct platform *platform)
{
    _cleanup_(json_decrefp) json_t *root = NULL;
    struct error *err = read_json(path, &root);

    err = err ?: take_text(root, "key_id", path, &platform->eab_key_id);
    return err ?: take_text(root, "mac_key", path, &platform->eab_mac_key);
}

static struct error *load_registries(const char *path, struct platform *platform)
{
    _cleanup_(json_decrefp) json_t *root = NULL;
    struct error *err = read_json(path, &root);

    if (!err && (!json_is_array(root) || json_array_size(root) > PLATFORM_REGISTRIES_MAX))
        err = error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a list of at most %d registries", path,
                        PLATFORM_REGISTRIES_MAX);
    for (size_t i = 0; !err && i < json_array_size(root); i++) {
        const json_t *item = json_array_get(root, i);
        struct platform_registry *registry = &platform->registries[platform->n_registries++];
        err = take_text(item, "server", path, &registry->server);
        err = err ?: take_text(item, "username", path, &registry->username);
        err = err ?: take_text(item, "password", path, &registry->password);
    }
    return err;
}

struct error *platform_load(const char *acme_directory, const char *eab_file,
                            const char *registry_file, struct platform *ret_platform)
{
    struct platform platform = {.acme_directory = xstrdup(acme_directory)};
    struct error *err = eab_file[0] ? load_eab(eab_file, &platform) : NULL;

    if (!err && registry_file[0])
        err = load_registries(registry_file, &platform);
    if (err) {
        platform_done(&platform);
        return err;
    }
    if (!platform.eab_key_id) {
        platform.eab_key_id = xstrdup("");
        platform.eab_mac_key = xstrdup("");
    }
    *ret_platform = platform;
    return NULL;
}

void platform_done(struct platform *platform)
{
    free(platform->acme_directory);
    wipe_text(&platform->eab_key_id);
    wipe_text(&platform->eab_mac_key);
    for (size_t i = 0; i < platform->n_registries; i++) {
        free(platform->registries[i].server);
        wipe_text(&platform->registries[i].username);
        wipe_text(&platform->registries[i].password);
    }
    *platform = (struct platform){0};
}
