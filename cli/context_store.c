/* How contexts are stored, listed and removed. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/context.h"
#include "shared/base/alloc.h"
#include "shared/base/cleanup.h"
#include "shared/base/file.h"

DEFINE_CLEANUP(DIR *, closedir)

static const char *const files[] = {"api-key", "ca.pem", "url"};

static struct error *write_text(const char *folder, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    _cleanup_buffer_ struct buffer line = {0};

    buffer_printf(&line, "%s\n", text);
    return file_write_atomic(path, line.data, line.size, 0600);
}

static struct error *copy_ca(const char *from, const char *folder)
{
    _cleanup_free_ char *path = xasprintf("%s/ca.pem", folder);
    _cleanup_buffer_ struct buffer pem = {0};

    if (!from) {
        unlink(path);
        return NULL;
    }
    struct error *err = file_read(from, CONTEXT_CA_MAX, &pem);
    if (!err && !strstr(buffer_text(&pem), "-----BEGIN CERTIFICATE-----"))
        err = error_new(ERROR_INVALID_ARGUMENT, "there is no certificate (PEM) in it");
    if (!err)
        err = file_write_atomic(path, pem.data, pem.size, 0600);
    return error_wrap(err, "certificate authority '%s'", from);
}

static struct error *make_folder(const char *root, const char *name, char **ret_folder)
{
    _cleanup_free_ char *folder = xasprintf("%s/contexts/%s", root, name);
    struct error *err = dir_make(folder, 0700);

    if (!err && chmod(folder, 0700) < 0)
        err = error_errno(errno, "'%s'", folder);
    if (!err)
        *ret_folder = TAKE_PTR(folder);
    return err;
}

/* Over its bytes, as far as a file system lets one. */
static void wipe(const char *path)
{
    static const char zeros[CONTEXT_KEY_MAX];
    struct stat info;
    FILE *file = fopen(path, "r+e");

    if (!file)
        return;
    if (fstat(fileno(file), &info) == 0 && info.st_size <= (off_t)sizeof(zeros))
        fwrite(zeros, 1, (size_t)info.st_size, file);
    fclose(file);
}

static struct error *remove_file(const char *folder, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);

    if (strcmp(name, "api-key") == 0)
        wipe(path);
    return unlink(path) < 0 ? error_errno(errno, "remove '%s'", path) : NULL;
}

static struct error *remove_if_there(const char *folder, const char *name)
{
    struct error *err = remove_file(folder, name);

    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return NULL;
}

/* The key of another gateway goes before the new address comes: whatever happens in between, and
 * whoever reads meanwhile, it is not said there. */
static struct error *drop_other_key(const char *folder, const char *url)
{
    _cleanup_free_ char *path = xasprintf("%s/url", folder);
    _cleanup_free_ char *present = NULL;
    struct error *err = file_read_text(path, CONTEXT_KEY_MAX, &present);

    if (!err && strcmp(present, url) == 0)
        return NULL;
    error_free(err);
    return remove_if_there(folder, "api-key");
}

/* The files of before contexts, whose place this one has taken. */
static struct error *drop_old_files(const char *root, const char *name)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < ELEMENTSOF(files) && strcmp(name, "default") == 0; i++)
        err = remove_if_there(root, files[i]);
    return err;
}

struct error *context_save(const char *name, const char *url, const char *key, const char *ca,
                           bool use)
{
    _cleanup_free_ char *root = NULL;
    _cleanup_free_ char *folder = NULL;
    struct error *err = context_check_name(name);

    err = err ?: context_check_url(url);
    err = err ?: context_check_key(key);
    err = err ?: context_folder(&root);
    err = err ?: make_folder(root, name, &folder);
    err = err ?: drop_other_key(folder, url);
    err = err ?: copy_ca(ca, folder);
    err = err ?: write_text(folder, "url", url);
    err = err ?: write_text(folder, "api-key", key);
    err = err ?: drop_old_files(root, name);
    if (err)
        return error_wrap(err, "context '%s'", name);
    _cleanup_free_ char *current = xasprintf("%s/current", root);
    return use || access(current, F_OK) != 0 ? context_use(name) : NULL;
}

struct error *context_use(const char *name)
{
    _cleanup_free_ char *root = NULL;
    _cleanup_free_ char *folder = NULL;
    struct error *err = context_path(name, &folder);

    err = err ?: context_folder(&root);
    return err ?: write_text(root, "current", name);
}

struct error *context_forget_key(const char *name)
{
    _cleanup_free_ char *folder = NULL;
    struct error *err = context_path(name, &folder);

    return err ?: error_wrap(remove_file(folder, "api-key"), "context '%s'", name);
}

struct error *context_remove(const char *name)
{
    _cleanup_free_ char *folder = NULL;
    _cleanup_free_ char *root = NULL;
    struct error *err = context_path(name, &folder);

    err = err ?: context_folder(&root);
    for (size_t i = 0; !err && i < ELEMENTSOF(files); i++)
        err = remove_if_there(folder, files[i]);
    if (!err && strcmp(root, folder) != 0 && rmdir(folder) < 0)
        err = error_errno(errno, "remove '%s'", folder);
    return err;
}

static int compare(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

static json_t *sorted(json_t *names)
{
    size_t n = json_array_size(names);
    _cleanup_free_ json_t **items = xnew_array(json_t *, n + 1);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(names, i);
    qsort(items, n, sizeof(json_t *), compare);
    for (size_t i = 0; i < n; i++)
        json_array_append(list, items[i]);
    json_decref(names);
    return list;
}

static bool contains(const json_t *names, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(names, i, item) if (strcmp(json_string_value(item), name) == 0) return true;
    return false;
}

static void add_if_there(json_t *names, const char *name)
{
    _cleanup_free_ char *folder = NULL;
    _cleanup_(error_freep) struct error *err = context_path(name, &folder);

    if (!err && !contains(names, name))
        json_array_append_new(names, json_string(name));
}

struct error *context_names(json_t **ret_names)
{
    _cleanup_free_ char *root = NULL;
    struct error *err = context_folder(&root);
    json_t *names = json_array();

    if (err) {
        json_decref(names);
        return err;
    }
    _cleanup_free_ char *path = xasprintf("%s/contexts", root);
    _cleanup_(closedirp) DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        add_if_there(names, entry->d_name);
    add_if_there(names, "default");
    *ret_names = sorted(names);
    return NULL;
}
