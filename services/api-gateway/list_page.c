#include "services/api-gateway/list_page.h"

#include "shared/base/alloc.h"

enum { CURSOR_MAX = 2048, SEPARATOR = 0x1f };

int list_by_key(const struct list_item *a, const struct list_item *b)
{
    int order = strcmp(a->key, b->key);

    return order ?: strcmp(a->id, b->id);
}

int list_by_key_down(const struct list_item *a, const struct list_item *b)
{
    int order = strcmp(b->key, a->key);

    return order ?: strcmp(a->id, b->id);
}

const char *list_key_of_number(struct arena *arena, uint64_t number)
{
    return arena_printf(arena, "%016llx", (unsigned long long)number);
}

const char *list_cursor_new(struct arena *arena, const char *sort, const struct list_item *item)
{
    const char *text =
        arena_printf(arena, "%s%c%s%c%s", sort, SEPARATOR, item->key, SEPARATOR, item->id);
    _cleanup_free_ char *cursor = base64url_encode_new(text, strlen(text));

    return arena_strdup(arena, cursor);
}

/* To the alphabet and padding that base64_decode_new() takes. */
static bool decode(struct arena *arena, const char *cursor, const char **ret_text)
{
    uint8_t *data = NULL;
    size_t size = 0;
    size_t length = strlen(cursor);
    char *text = arena_printf(arena, "%s%.*s", cursor, (int)((4 - length % 4) % 4), "===");

    if (strpbrk(cursor, "+/="))
        return false;
    for (char *p = text; *p; p++)
        *p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
    struct error *err = base64_decode_new(text, CURSOR_MAX, &data, &size);
    if (err) {
        error_free(err);
        return false;
    }
    *ret_text = arena_strdup(arena, (const char *)data);
    bool is_text = strlen(*ret_text) == size;
    free(data);
    return is_text;
}

bool list_cursor_read(struct arena *arena, const char *cursor, const char *sort,
                      const char **ret_key, const char **ret_id)
{
    const char *text = NULL;

    if (strlen(cursor) > CURSOR_MAX || !decode(arena, cursor, &text))
        return false;
    char *first = strchr(text, SEPARATOR);
    char *last = strrchr(text, SEPARATOR);
    if (!first || first == last || !last[1])
        return false;
    *first = '\0';
    *last = '\0';
    if (strcmp(text, sort) != 0)
        return false;
    *ret_key = first + 1;
    *ret_id = last + 1;
    return true;
}

static void add_encoded(struct buffer *url, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (const char *p = value; *p; p++)
        if (strchr(plain, *p))
            buffer_add(url, p, 1);
        else
            buffer_printf(url, "%%%02X", (unsigned char)*p);
}

static void add_path(const struct request *request, struct buffer *url)
{
    const char *path = request->route->path;
    const char *part = strchr(path, ':');

    if (!part) {
        buffer_add_text(url, path);
        return;
    }
    buffer_add(url, path, (size_t)(part - path));
    add_encoded(url, request->parameter);
    buffer_add_text(url, part + strcspn(part, "/"));
}

static void set_next(struct request *request, struct response *response,
                     const struct list_query *query, const struct list_item *last)
{
    const char *cursor = list_cursor_new(request->arena, query->sort, last);
    _cleanup_buffer_ struct buffer url = {0};

    buffer_add_text(&url, "<");
    add_path(request, &url);
    buffer_printf(&url, "?limit=%zu&cursor=%s", query->limit, cursor);
    for (size_t i = 0; query->arguments[i]; i++) {
        const char *value = list_query_text(query, query->arguments[i]);
        if (!value)
            continue;
        buffer_printf(&url, "&%s=", query->arguments[i]);
        add_encoded(&url, value);
    }
    buffer_add_text(&url, ">; rel=\"next\"");
    response_header(request, response, "Link", buffer_text(&url));
    response_header(request, response, "Coffer-Next-Cursor", cursor);
}

static int compare_items(const void *a, const void *b, void *compare)
{
    return (*(list_compare *)compare)(a, b);
}

struct list_item *list_page(struct request *request, struct response *response,
                            const struct list_query *query, list_compare compare,
                            struct list_item *items, size_t *n)
{
    const struct list_item after = {.key = query->after_key, .id = query->after_id};
    size_t first = 0;

    qsort_r(items, *n, sizeof(*items), compare_items, &compare);
    while (after.id && first < *n && compare(&items[first], &after) <= 0)
        first++;
    *n -= first;
    if (query->limit && *n > query->limit) {
        *n = query->limit;
        set_next(request, response, query, &items[first + *n - 1]);
    }
    return items + first;
}
