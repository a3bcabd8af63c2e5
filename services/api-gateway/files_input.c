#include "services/api-gateway/files_input.h"

#include "shared/manifest/manifest.h"

struct files {
    struct form *form;
    const struct kept *kept; /* NULL: none */
    const struct secrets *secrets;
    const json_t *plain;
    const json_t *removed;
    struct project_file *list;
    size_t n;
    size_t total; /* bytes of the plain ones */
};

static const char *where(const struct files *files, const char *field, const char *path)
{
    return arena_printf(files->form->request->arena, "%s.%.80s", field, path);
}

static void check_path(const struct files *files, const char *field, const char *path)
{
    if (!manifest_path_is_valid(path))
        form_find(files->form, where(files, field, path), "the path of a file is not allowed",
                  "use a relative path of letters, digits, '.', '_', '-' and '/', without '..'");
}

static bool is_removed(const struct files *files, const char *path)
{
    const json_t *item;
    size_t i;

    json_array_foreach(files->removed, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), path) == 0)
            return true;
    }
    return false;
}

static bool stays(const struct files *files, const char *path)
{
    return !is_removed(files, path) && !json_object_get(files->plain, path) &&
           !secrets_have_file(files->secrets, path);
}

static void keep_plain(struct files *files)
{
    for (size_t i = 0; files->kept && i < files->kept->input->n_files; i++) {
        const Coffer__V1__File *file = files->kept->input->files[i];
        if (!stays(files, file->path))
            continue;
        files->list[files->n++] = (struct project_file){.path = file->path,
                                                        .content = file->content.data ?: (void *)"",
                                                        .size = file->content.len};
        files->total += file->content.len;
    }
}

static void read_content(struct files *files, const char *path, const json_t *value,
                         struct project_file *ret_file)
{
    struct arena *arena = files->form->request->arena;
    size_t left = files->total < CREATE_FILES_TOTAL_MAX ? CREATE_FILES_TOTAL_MAX - files->total : 0;
    const char *text = json_string_value(value);
    uint8_t *data = NULL;
    size_t size = 0;

    struct error *err = text ? base64_decode_new(text, left, &data, &size)
                             : error_new(ERROR_INVALID_ARGUMENT, "not a text");
    if (err) {
        form_find(files->form, where(files, "files", path), error_text(err),
                  "give the content in base64; all files together at most 16 MiB");
        error_free(err);
        return;
    }
    ret_file->content = arena_memdup(arena, data, size);
    ret_file->size = size;
    files->total += size;
    free(data);
}

static void read_plain(struct files *files)
{
    const char *path;
    json_t *value;

    json_object_foreach((json_t *)files->plain, path, value)
    {
        struct project_file *file = &files->list[files->n++];
        check_path(files, "files", path);
        if (files->kept && kept_has_secret_file(files->kept, path) && !is_removed(files, path))
            form_find(files->form, where(files, "files", path),
                      "this file is secret now, and would be readable by the platform",
                      "give it in secretFiles; or, when it may be read, in removeFiles as well");
        file->path = arena_strdup(files->form->request->arena, path);
        file->content = "";
        read_content(files, path, value, file);
    }
}

static void keep_secret(struct files *files)
{
    for (size_t i = 0; files->kept && i < files->kept->manifest->n_secret_files; i++) {
        const struct manifest_hash *file = &files->kept->manifest->secret_files[i];
        if (stays(files, file->name))
            files->list[files->n++] =
                (struct project_file){.path = file->name, .commitment = file->sha256};
    }
}

static void add_secret(struct files *files)
{
    for (size_t i = 0; i < files->secrets->n_files; i++) {
        const struct secret_file *secret = &files->secrets->files[i];
        check_path(files, "secretFiles", secret->path);
        if (json_object_get(files->plain, secret->path))
            form_find(files->form, where(files, "secretFiles", secret->path),
                      "a file is both plain and secret", "give it once");
        files->list[files->n++] =
            (struct project_file){.path = secret->path, .commitment = secret->commitment};
    }
}

static void check_removed(const struct files *files)
{
    struct arena *arena = files->form->request->arena;
    const json_t *item;
    size_t i;

    json_array_foreach(files->removed, i, item)
    {
        const char *path = json_string_value(item);
        if (!path)
            form_find(files->form, arena_printf(arena, "removeFiles[%zu]", i), "not a text",
                      "give the path of a file");
        else if (!kept_has_file(files->kept, path) && !kept_has_secret_file(files->kept, path))
            form_find(files->form, where(files, "removeFiles", path),
                      "the workload has no such file", "leave it out, or correct its path");
    }
}

static void check_count(const struct files *files, const char *field, size_t n, size_t max)
{
    if (n > max)
        form_find(files->form, field,
                  arena_printf(files->form->request->arena, "%zu files would be there", n),
                  arena_printf(files->form->request->arena, "at most %zu: remove some", max));
}

static size_t most_files(const struct files *files)
{
    size_t n = json_object_size(files->plain) + files->secrets->n_files;

    if (files->kept)
        n += files->kept->input->n_files + files->kept->manifest->n_secret_files;
    return n;
}

void files_input_read(struct form *form, const struct kept *kept, struct create_input *input)
{
    struct files files = {.form = form, .kept = kept, .secrets = &input->secrets};

    files.plain = form_member(form, "files", JSON_OBJECT, MANIFEST_FILES_MAX);
    if (kept) {
        files.removed =
            form_member(form, "removeFiles", JSON_ARRAY, MANIFEST_FILES_MAX + SECRETS_FILES_MAX);
        check_removed(&files);
    }
    files.list = arena_alloc(form->request->arena, (most_files(&files) + 1) * sizeof(*files.list));
    keep_plain(&files);
    read_plain(&files);
    input->n_plain_files = files.n;
    keep_secret(&files);
    add_secret(&files);
    check_count(&files, "files", input->n_plain_files, MANIFEST_FILES_MAX);
    check_count(&files, "secretFiles", files.n - input->n_plain_files, SECRETS_FILES_MAX);
    input->project.files = files.list;
    input->project.n_files = files.n;
}
