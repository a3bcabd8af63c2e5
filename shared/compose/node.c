/* The tree: building and reading. */
#include "shared/compose/node.h"

#include <string.h>

struct node *node_new(struct arena *arena, enum node_kind kind, unsigned line)
{
    struct node *node = arena_alloc(arena, sizeof(*node));

    node->kind = kind;
    node->line = line;
    node->weight = 1;
    return node;
}

static void *grow(struct arena *arena, void *old, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return old;
    *room = *room ? 2 * *room : 4;
    void *grown = arena_alloc(arena, *room * size);
    if (n)
        memcpy(grown, old, n * size);
    return grown;
}

void node_add_item(struct arena *arena, struct node *sequence, struct node *item)
{
    sequence->items =
        grow(arena, sequence->items, sequence->n, &sequence->room, sizeof(struct node *));
    sequence->items[sequence->n++] = item;
    sequence->weight += item->weight;
}

void node_add_pair(struct arena *arena, struct node *mapping, const struct node_pair *pair)
{
    mapping->pairs =
        grow(arena, mapping->pairs, mapping->n, &mapping->room, sizeof(struct node_pair));
    mapping->pairs[mapping->n++] = *pair;
    mapping->weight += pair->value->weight;
}

const struct node *node_get(const struct node *node, const char *key)
{
    if (!node || node->kind != NODE_MAPPING)
        return NULL;
    for (size_t i = 0; i < node->n; i++)
        if (strcmp(node->pairs[i].key, key) == 0)
            return node->pairs[i].value;
    return NULL;
}

static bool is_plain_word(const struct node *node, const char *const *words)
{
    if (!node || node->kind != NODE_SCALAR || !node->plain)
        return false;
    for (; *words; words++)
        if (strcmp(node->text, *words) == 0)
            return true;
    return false;
}

bool node_is_null(const struct node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};

    return !node || is_plain_word(node, words);
}

bool node_is_false(const struct node *node)
{
    static const char *const words[] = {"false", "False", "FALSE", NULL};

    return is_plain_word(node, words);
}

bool node_is_unset(const struct node *node)
{
    if (node_is_null(node) || node_is_false(node))
        return true;
    return node->kind == NODE_SCALAR ? !*node->text : node->n == 0;
}

const char *node_text(const struct node *node)
{
    return node && node->kind == NODE_SCALAR ? node->text : "";
}
