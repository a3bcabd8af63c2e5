/*
 * Interpolation, "${NAME}": allowed only in values under environment (DESIGN section 5), so that
 * no secret value can choose the code. The scan follows compose's own rule: "$$" is a dollar sign.
 */
#include <ctype.h>
#include <string.h>

#include "shared/compose/lint_private.h"

/* Values that the guest itself gives to every project. */
static const char *const platform_variables[] = {"FILES", "COFFER_DOMAIN", "NILCC_DOMAIN",
                                                 "NILCC_VERSION", "NILCC_VM_TYPE"};

struct variable {
    const char *name; /* not terminated */
    size_t size;      /* 0: a lone "$" */
    bool optional;    /* has a default, or is only tested */
    const char *next;
};

static bool find_variable(const char *text, struct variable *ret_variable)
{
    const char *p = text;

    while ((p = strchr(p, '$')) && p[1] == '$')
        p += 2;
    if (!p)
        return false;
    p++;
    bool braced = *p == '{';
    p += braced;
    const char *end = p;
    if (isalpha((unsigned char)*p) || *p == '_')
        while (isalnum((unsigned char)*end) || *end == '_')
            end++;
    const char *operator= braced && * end == ':' ? end + 1 : end;
    *ret_variable = (struct variable){
        .name = p,
        .size = (size_t)(end - p),
        .optional = braced && (*operator== '-' || * operator== '+'),
        .next = end,
    };
    return true;
}

static void find_interpolation(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "interpolation", "'$' outside of a value under environment",
              "a value that is not in the manifest could otherwise choose what runs",
              "write the text itself, move it under environment, or write $$ for a dollar sign");
}

static void walk(struct lint *lint, const struct place *place)
{
    const struct node *node = place->value;
    struct variable variable;

    if (node->kind == NODE_SCALAR && find_variable(node->text, &variable))
        find_interpolation(lint, place);
    for (size_t i = 0; node->kind == NODE_SEQUENCE && i < node->n; i++) {
        struct place item = lint_item(lint, place, i);
        walk(lint, &item);
    }
    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        walk(lint, &child);
    }
}

void lint_no_interpolation(struct lint *lint, const struct place *place)
{
    if (!lint->model)
        walk(lint, place);
}

static bool is_in(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_platform_prefix(const char *name)
{
    return strncmp(name, "COFFER_", 7) == 0 || strncmp(name, "NILCC_", 6) == 0 ||
           strncmp(name, "CADDY_", 6) == 0;
}

static void check_variable(struct lint *lint, const struct place *place,
                           const struct variable *variable)
{
    const struct compose_options *options = lint->options;
    const char *name = arena_printf(lint->arena, "%.*s", (int)variable->size, variable->name);

    if (variable->size == 0) {
        lint_find(lint, place, "interpolation", "a '$' that names no variable",
                  "compose refuses it", "write $$ for a dollar sign");
    } else if (is_in(platform_variables, ELEMENTSOF(platform_variables), name)) {
        return;
    } else if (is_platform_prefix(name)) {
        lint_find(
            lint, place, "reserved-variable",
            arena_printf(lint->arena, "'%s' belongs to the platform", lint_show(lint->arena, name)),
            "platform variables are not handed to containers",
            "use a name of your own, or one of FILES, COFFER_DOMAIN");
    } else if (!variable->optional && !is_in(options->env, options->n_env, name)) {
        lint_find(lint, place, "unset-variable",
                  arena_printf(lint->arena, "'%s' has no value", lint_show(lint->arena, name)),
                  "compose would silently put an empty text there",
                  "give it with the environment values of the workload (no file .env is read for "
                  "it), or a default: ${NAME:-x}");
    }
}

static void check_value(struct lint *lint, const struct place *place, const char *text)
{
    struct variable variable;

    while (find_variable(text, &variable)) {
        check_variable(lint, place, &variable);
        text = variable.next;
    }
}

/* "NAME=value", or "NAME" for a value that is handed through. */
static void check_entry(struct lint *lint, const struct place *place)
{
    const char *text = node_text(place->value);
    const char *value = strchr(text, '=');
    size_t size = strcspn(text, "=");

    if (!lint_expect(lint, place, NODE_SCALAR))
        return;
    if (memchr(text, '$', size)) {
        find_interpolation(lint, place);
    } else if (value) {
        check_value(lint, place, value + 1);
    } else {
        struct variable variable = {.name = text, .size = size};
        check_variable(lint, place, &variable);
    }
}

static void check_member(struct lint *lint, const struct place *place, const char *name)
{
    struct variable variable = {.name = name, .size = strlen(name)};

    if (!lint_expect(lint, place, NODE_SCALAR))
        return;
    if (node_is_null(place->value))
        check_variable(lint, place, &variable);
    else
        check_value(lint, place, place->value->text);
}

void lint_environment(struct lint *lint, const struct place *place)
{
    const struct node *node = place->value;

    if (lint->model || node_is_null(node))
        return;
    if (node->kind == NODE_SCALAR)
        lint_expect(lint, place, NODE_MAPPING);
    for (size_t i = 0; node->kind == NODE_SEQUENCE && i < node->n; i++) {
        struct place item = lint_item(lint, place, i);
        check_entry(lint, &item);
    }
    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        check_member(lint, &child, pair->key);
    }
}
