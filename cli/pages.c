#include "cli/pages.h"

#include "cli/query.h"

enum { PAGE_MAX = 1000 };

/* One page behind the cursor (NULL: the first), added to list. */
static struct error *add_page(struct client *client, const char *path, size_t limit,
                              struct client_headers *headers, json_t *list)
{
    _cleanup_buffer_ struct buffer full = {0};
    json_t *page = NULL;

    buffer_add_text(&full, path);
    query_add_number(&full, "limit", limit < PAGE_MAX ? limit : PAGE_MAX);
    query_add(&full, "cursor", headers->next_cursor);
    struct error *err = client_call_with(client, "GET", buffer_text(&full), NULL, headers, &page);
    if (err)
        return err;
    if (!json_is_array(page))
        err = error_new(ERROR_INTERNAL, "gateway: the answer is not a list");
    else
        json_array_extend(list, page);
    json_decref(page);
    return err;
}

static void cut(json_t *list, size_t limit)
{
    while (json_array_size(list) > limit) /* a gateway that knows no limit sends all */
        json_array_remove(list, json_array_size(list) - 1);
}

struct error *pages_get(struct client *client, const char *path, unsigned limit, json_t **ret_list)
{
    struct client_headers headers = {0};
    struct error *err = NULL;
    size_t before;

    if (!limit)
        return client_list(client, path, ret_list);
    json_t *list = json_array();
    do {
        before = json_array_size(list);
        err = add_page(client, path, limit - before, &headers, list);
    } while (!err && headers.next_cursor && json_array_size(list) < limit &&
             json_array_size(list) > before);
    client_headers_done(&headers);
    if (err) {
        json_decref(list);
        return err;
    }
    cut(list, limit);
    *ret_list = list;
    return NULL;
}
