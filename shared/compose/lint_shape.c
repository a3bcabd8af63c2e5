/*
 * Of what shape a service key's value may be: the ones that compose refuses are told here, where it
 * costs nothing, and not by a guest that has booted for it. Keys without a row have rules that look
 * at the shape themselves.
 */
#include <string.h>

#include "shared/compose/lint_private.h"

enum {
    TEXT = 1 << 0,
    NUMBER = 1 << 1,
    BOOL = 1 << 2,
    NOTHING = 1 << 3,
    TEXTS = 1 << 4, /* a list without plain numbers in it */
    LIST = 1 << 5,  /* any other list */
    MAPPING = 1 << 6,
    DATE = 1 << 7, /* to the reader of YAML, when it is not in quotes */
};

static const struct shape_row {
    const char *key;
    unsigned shapes;
} shape_rows[] = {
    {"image", TEXT},
    {"container_name", TEXT},
    {"hostname", TEXT},
    {"domainname", TEXT},
    {"cpuset", TEXT},
    {"mac_address", TEXT},
    {"platform", TEXT},
    {"pull_policy", TEXT},
    {"restart", TEXT},
    {"stop_grace_period", TEXT},
    {"stop_signal", TEXT},
    {"user", TEXT},
    {"working_dir", TEXT},

    {"command", TEXT | TEXTS | NOTHING},
    {"entrypoint", TEXT | TEXTS | NOTHING},
    {"dns", TEXT | TEXTS},
    {"dns_search", TEXT | TEXTS},
    {"tmpfs", TEXT | TEXTS},
    {"dns_opt", TEXTS},
    {"cap_drop", TEXTS},
    {"profiles", TEXTS},
    {"expose", TEXTS | LIST},
    {"group_add", TEXTS | LIST},
    {"labels", TEXTS | MAPPING},
    {"extra_hosts", TEXTS | MAPPING},
    {"ulimits", MAPPING},

    /* a text may be the word of a bool, or a number */
    {"attach", BOOL | TEXT},
    {"init", BOOL | TEXT},
    {"read_only", BOOL | TEXT},
    {"stdin_open", BOOL | TEXT},
    {"tty", BOOL | TEXT},
    {"cpu_count", NUMBER | TEXT},
    {"cpu_percent", NUMBER | TEXT},
    {"cpu_period", NUMBER | TEXT},
    {"cpu_quota", NUMBER | TEXT},
    {"cpu_shares", NUMBER | TEXT},
    {"cpus", NUMBER | TEXT},
    {"mem_limit", NUMBER | TEXT},
    {"mem_reservation", NUMBER | TEXT},
    {"mem_swappiness", NUMBER | TEXT},
    {"memswap_limit", NUMBER | TEXT},
    {"oom_score_adj", NUMBER | TEXT},
    {"pids_limit", NUMBER | TEXT},
    {"scale", NUMBER | TEXT},
    {"shm_size", NUMBER | TEXT},

    {"deploy", MAPPING | NOTHING},
};

static unsigned scalar_shape(const struct node *node)
{
    static const unsigned shapes[] = {[SCALAR_NULL] = NOTHING,
                                      [SCALAR_BOOL] = BOOL,
                                      [SCALAR_NUMBER] = NUMBER,
                                      [SCALAR_DATE] = DATE,
                                      [SCALAR_TEXT] = TEXT};

    return shapes[lint_scalar(node)];
}

static unsigned shape_of(const struct node *node)
{
    if (node->kind == NODE_SCALAR)
        return scalar_shape(node);
    if (node->kind == NODE_MAPPING)
        return MAPPING;
    for (size_t i = 0; i < node->n; i++)
        if (node->items[i]->kind != NODE_SCALAR || scalar_shape(node->items[i]) != TEXT)
            return LIST;
    return TEXTS;
}

static unsigned allowed_shapes(const char *key)
{
    for (size_t i = 0; i < ELEMENTSOF(shape_rows); i++)
        if (strcmp(shape_rows[i].key, key) == 0)
            return shape_rows[i].shapes;
    return ~(unsigned)NOTHING;
}

static const char *shape_name(unsigned shape)
{
    switch (shape) {
    case TEXT:
        return "a text";
    case NUMBER:
        return "a number";
    case BOOL:
        return "true or false";
    case DATE:
        return "a date";
    case NOTHING:
        return "no value";
    case TEXTS:
        return "a list";
    case LIST:
        return "a list with something that is no text";
    default:
        return "a mapping";
    }
}

/* What to write instead. */
static const char *shape_fix(unsigned shape, unsigned allowed)
{
    if (shape == NOTHING)
        return "remove the key, or give it a value";
    if (allowed & BOOL)
        return "write true or false";
    if (allowed & NUMBER)
        return "write a number; a size may have its unit: 512m, 2g";
    if (allowed & TEXT && shape & ((unsigned)NUMBER | (unsigned)BOOL | (unsigned)DATE))
        return "write it in quotes";
    if (allowed & TEXTS && shape == LIST)
        return "write each entry of the list as one text, in quotes";
    if (allowed & TEXTS && allowed & MAPPING)
        return "write a list of texts, or keys with their values below it";
    if (allowed & TEXTS)
        return allowed & TEXT ? "write a text, or a list of texts" : "write a list: [...]";
    return allowed & MAPPING ? "write keys with their values below it" : "write one text";
}

bool lint_shape(struct lint *lint, const struct place *place, const char *key)
{
    unsigned shape = shape_of(place->value);

    if (lint->model || shape & allowed_shapes(key))
        return true;
    lint_find(lint, place, "type",
              arena_printf(lint->arena, "'%s' %s %s", key, shape == NOTHING ? "has" : "cannot be",
                           shape_name(shape)),
              "compose refuses it", shape_fix(shape, allowed_shapes(key)));
    return false;
}
