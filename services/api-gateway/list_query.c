#include "services/api-gateway/list_query.h"

#include "services/api-gateway/list_page.h"
#include "services/api-gateway/time_text.h"

/* Its bit; 0: the list takes no such argument. */
static unsigned bit_of(const char *const *arguments, const char *name)
{
    unsigned bit = 4;

    if (strcmp(name, "limit") == 0)
        return 1;
    if (strcmp(name, "cursor") == 0)
        return 2;
    for (; *arguments; arguments++, bit <<= 1)
        if (strcmp(*arguments, name) == 0)
            return bit;
    return 0;
}

void list_query_find(struct list_query *query, const char *name, const char *what, const char *fix)
{
    form_find(&query->form, name, what, fix);
}

static enum MHD_Result check_argument(void *state, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    struct list_query *query = state;
    struct arena *arena = query->form.request->arena;

    (void)kind;
    unsigned bit = bit_of(query->arguments, name);
    if (bit & query->seen)
        list_query_find(query, arena_strdup(arena, name),
                        arena_printf(arena, "'%s' is given twice", name),
                        "give it once: it is not clear which one counts");
    query->seen |= bit;
    if (bit && !value)
        list_query_find(query, arena_strdup(arena, name),
                        arena_printf(arena, "'%s' has no value", name),
                        "give one, or leave it out");
    if (!bit)
        list_query_find(query, arena_printf(arena, "%.64s", name),
                        "the list takes no such argument",
                        "leave it out: a misspelt filter must not be ignored");
    return MHD_YES;
}

static void take_limit(struct list_query *query)
{
    const char *text = http_query(query->form.request, "limit");
    char *end = NULL;

    if (!text)
        return;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < 1 || value > LIST_LIMIT_MAX)
        list_query_find(query, "limit", "'limit' is not a whole number from 1 to 1000",
                        "give one, or leave it out for all");
    else
        query->limit = value;
}

static void take_cursor(struct list_query *query)
{
    const char *text = http_query(query->form.request, "cursor");

    if (text && !list_cursor_read(query->form.request->arena, text, query->sort, &query->after_key,
                                  &query->after_id))
        list_query_find(query, "cursor", "'cursor' is not one that we gave for this list",
                        "take it from Coffer-Next-Cursor, with the same sort");
}

void list_query_find_unknown(struct request *request, const char *const *arguments,
                             struct list_query *ret_query)
{
    *ret_query = (struct list_query){.arguments = arguments, .sort = ""};
    form_init(&ret_query->form, request, NULL);
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, check_argument,
                              ret_query);
}

void list_query_read(struct request *request, const char *const *arguments,
                     struct list_query *ret_query)
{
    list_query_find_unknown(request, arguments, ret_query);
    if (bit_of(ret_query->arguments, "sort"))
        ret_query->sort = http_query(request, "sort") ?: "";
    take_limit(ret_query);
    take_cursor(ret_query);
}

const char *list_query_text(const struct list_query *query, const char *name)
{
    return http_query(query->form.request, name);
}

bool list_query_time(struct list_query *query, const char *name, int64_t *ret_ms)
{
    const char *text = list_query_text(query, name);

    if (!text || time_text_parse(text, ret_ms))
        return text != NULL;
    list_query_find(query, name,
                    arena_printf(query->form.request->arena, "'%s' is not a time", name),
                    "write it like 2030-01-31T12:00:00Z");
    return false;
}

bool list_query_bool(struct list_query *query, const char *name, bool *ret_value)
{
    const char *text = list_query_text(query, name);

    if (!text)
        return false;
    *ret_value = strcmp(text, "true") == 0;
    if (!*ret_value && strcmp(text, "false") != 0)
        list_query_find(query, name,
                        arena_printf(query->form.request->arena, "'%s' is neither", name),
                        "write true or false");
    return true;
}

struct error *list_query_result(struct list_query *query)
{
    return form_result(&query->form);
}
