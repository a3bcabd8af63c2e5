/*
 * A YAML or JSON document as one bounded tree, so that the text and compose's model go through the
 * same rules. Aliases share their target; a node's weight counts what it would be when expanded,
 * and is bounded too, so that walking a tree is always cheap. Everything lives in the arena.
 */
#pragma once

#include <stdbool.h>

#include "shared/compose/lint.h"

#define NODE_DEPTH_MAX   32
#define NODE_EVENTS_MAX  20000
#define NODE_WEIGHT_MAX  20000
#define NODE_ALIASES_MAX 64
#define NODE_KEYS_MAX    1024 /* of one mapping: they are compared with each other */

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };

struct node;

struct node_pair {
    const char *key;
    unsigned line;
    struct node *value;
};

struct node {
    enum node_kind kind;
    unsigned line;
    bool plain;              /* scalar without quotes: may mean null, true, a number */
    const char *text;        /* scalar; else NULL */
    struct node_pair *pairs; /* mapping */
    struct node **items;     /* sequence */
    size_t n;                /* of pairs or items */
    size_t room;
    size_t weight;
};

/* What is wrong with the document itself becomes findings; then *ret_root may be NULL. */
void node_from_yaml(const char *text, size_t size, struct arena *arena, struct findings *findings,
                    struct node **ret_root);

struct error *node_from_json(const char *json, size_t size, struct arena *arena,
                             struct node **ret_root) _must_check_;

/* The value of a key; NULL when there is none, or when the node is NULL or no mapping. */
const struct node *node_get(const struct node *node, const char *key);

bool node_is_null(const struct node *node);     /* NULL, or a plain null */
bool node_is_false(const struct node *node);    /* a plain false */
bool node_is_unset(const struct node *node);    /* null, false, "", [] or {} */
const char *node_text(const struct node *node); /* of a scalar; "" otherwise */

/* For building: containers grow by doubling. */
struct node *node_new(struct arena *arena, enum node_kind kind, unsigned line);
void node_add_item(struct arena *arena, struct node *sequence, struct node *item);
void node_add_pair(struct arena *arena, struct node *mapping, const struct node_pair *pair);
