#include "cli/resolve.h"

#include "cli/query.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/encode.h"

static bool is_id(const char *text)
{
    return strlen(text) == 36 && strspn(text, "0123456789abcdef-") == 36;
}

static struct error *pick(const json_t *list, const char *name, char **ret_id)
{
    _cleanup_buffer_ struct buffer ids = {0};
    const char *found = NULL;
    const json_t *w;
    size_t n = 0;
    size_t i;

    json_array_foreach(list, i, w)
    {
        const char *id = json_string_value(json_object_get(w, "workloadId"));
        const char *its_name = json_string_value(json_object_get(w, "name"));
        if (!id || !its_name || strcmp(its_name, name) != 0)
            continue;
        found = id;
        n++;
        buffer_printf(&ids, " %s", id);
    }
    if (n == 0)
        return error_new(ERROR_NOT_FOUND, "no workload is called '%s'", name);
    if (n > 1)
        return error_new(ERROR_INVALID_ARGUMENT, "%zu workloads are called '%s':%s", n, name,
                         buffer_text(&ids));
    *ret_id = xstrdup(found);
    return NULL;
}

struct error *workloads_by_name(struct client *client, const char *name, json_t **ret_list)
{
    _cleanup_buffer_ struct buffer path = {0};

    buffer_add_text(&path, "/api/v1/workloads/list");
    query_add(&path, "name", name);
    return client_list(client, buffer_text(&path), ret_list);
}

/* Whoever creates a workload may give it an id of his own. */
static struct error *try_as_id(struct client *client, const char *text, char **ret_id)
{
    _cleanup_(json_decrefp) json_t *workload = NULL;
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", text);
    struct error *err = client_call(client, "GET", path, NULL, &workload);

    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return error_new(ERROR_NOT_FOUND, "no workload is called '%s', and none has that id", text);
    }
    if (!err)
        *ret_id = xstrdup(text);
    return err;
}

struct error *workload_resolve(struct client *client, const char *id_or_name, char **ret_id)
{
    _cleanup_(json_decrefp) json_t *list = NULL;

    if (is_id(id_or_name)) {
        *ret_id = xstrdup(id_or_name);
        return NULL;
    }
    struct error *err = workloads_by_name(client, id_or_name, &list);
    err = err ?: pick(list, id_or_name, ret_id);
    if (error_get_code(err) != ERROR_NOT_FOUND || !name_is_valid(id_or_name))
        return err;
    error_free(err);
    return try_as_id(client, id_or_name, ret_id);
}
