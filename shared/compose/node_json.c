/* JSON -> tree. */
#include <jansson.h>

#include "shared/compose/node.h"

#define JSON_MAX (4 * 1024 * 1024)

struct reading {
    struct arena *arena;
    size_t n_nodes;
};

static struct error *read_value(struct reading *reading, const json_t *json, unsigned depth,
                                struct node **ret_node);

static void read_scalar(struct reading *reading, const json_t *json, struct node *node)
{
    node->plain = !json_is_string(json);
    if (json_is_string(json))
        node->text = arena_strdup(reading->arena, json_string_value(json));
    else if (json_is_integer(json))
        node->text = arena_printf(reading->arena, "%lld", (long long)json_integer_value(json));
    else if (json_is_real(json))
        node->text = arena_printf(reading->arena, "%.17g", json_real_value(json));
    else
        node->text = json_is_null(json) ? "null" : json_is_true(json) ? "true" : "false";
}

static struct error *read_array(struct reading *reading, const json_t *json, unsigned depth,
                                struct node *node)
{
    for (size_t i = 0; i < json_array_size(json); i++) {
        struct node *item = NULL;
        struct error *err = read_value(reading, json_array_get(json, i), depth, &item);
        if (err)
            return err;
        node_add_item(reading->arena, node, item);
    }
    return NULL;
}

static struct error *read_object(struct reading *reading, const json_t *json, unsigned depth,
                                 struct node *node)
{
    void *member = json_object_iter((json_t *)json);

    for (; member; member = json_object_iter_next((json_t *)json, member)) {
        struct node_pair pair = {
            .key = arena_strdup(reading->arena, json_object_iter_key(member)),
        };
        struct error *err = read_value(reading, json_object_iter_value(member), depth, &pair.value);
        if (err)
            return err;
        node_add_pair(reading->arena, node, &pair);
    }
    return NULL;
}

static struct error *read_value(struct reading *reading, const json_t *json, unsigned depth,
                                struct node **ret_node)
{
    enum node_kind kind = json_is_object(json)  ? NODE_MAPPING
                          : json_is_array(json) ? NODE_SEQUENCE
                                                : NODE_SCALAR;
    struct error *err = NULL;

    if (depth == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "nested deeper than %d", NODE_DEPTH_MAX);
    if (++reading->n_nodes > NODE_EVENTS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d values", NODE_EVENTS_MAX);
    struct node *node = node_new(reading->arena, kind, 0);
    if (kind == NODE_SCALAR)
        read_scalar(reading, json, node);
    else if (kind == NODE_SEQUENCE)
        err = read_array(reading, json, depth - 1, node);
    else
        err = read_object(reading, json, depth - 1, node);
    if (!err)
        *ret_node = node;
    return err;
}

struct error *node_from_json(const char *json, size_t size, struct arena *arena,
                             struct node **ret_root)
{
    struct reading reading = {.arena = arena};
    json_error_t where;

    if (size > JSON_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "compose model has %zu bytes, at most %d allowed",
                         size, JSON_MAX);
    _cleanup_(json_decrefp) json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "compose model is not a JSON object");
    return error_wrap(read_value(&reading, root, NODE_DEPTH_MAX, ret_root), "compose model");
}
