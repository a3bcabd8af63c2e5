/* Services that wait for each other, or for themselves: compose does not tell all of these, but
 * runs in circles until no memory is left. */
#include <string.h>

#include "shared/compose/lint_private.h"

struct graph {
    const struct node *services;
    bool reaches[COMPOSE_SERVICES_MAX][COMPOSE_SERVICES_MAX];
};

/* "SERVICE[:ALIAS]"; a name that is no service is a finding of its own. */
static void add_edge(struct graph *graph, size_t from, const char *name)
{
    size_t size = strcspn(name, ":");

    for (size_t to = 0; to < graph->services->n; to++) {
        const char *key = graph->services->pairs[to].key;
        if (strlen(key) == size && memcmp(key, name, size) == 0)
            graph->reaches[from][to] = true;
    }
}

static void add_edges(struct graph *graph, size_t from, const struct node *names)
{
    for (size_t i = 0; names && names->kind == NODE_SEQUENCE && i < names->n; i++)
        add_edge(graph, from, node_text(names->items[i]));
    for (size_t i = 0; names && names->kind == NODE_MAPPING && i < names->n; i++)
        add_edge(graph, from, names->pairs[i].key);
}

/* What is reached over others, too. */
static void close_graph(struct graph *graph)
{
    size_t n = graph->services->n;

    for (size_t over = 0; over < n; over++)
        for (size_t from = 0; from < n; from++)
            for (size_t to = 0; to < n && graph->reaches[from][over]; to++)
                graph->reaches[from][to] |= graph->reaches[over][to];
}

void lint_cycles(struct lint *lint, const struct place *services)
{
    struct graph graph = {.services = services->value};

    for (size_t i = 0; i < services->value->n; i++) {
        const struct node *service = services->value->pairs[i].value;
        add_edges(&graph, i, node_get(service, "depends_on"));
        add_edges(&graph, i, node_get(service, "links"));
    }
    close_graph(&graph);
    for (size_t i = 0; i < services->value->n; i++) {
        const struct node_pair *pair = &services->value->pairs[i];
        if (!graph.reaches[i][i])
            continue;
        struct place place = lint_child(lint, services, pair->key, pair->value, pair->line);
        lint_find(lint, &place, "dependency-cycle",
                  arena_printf(lint->arena, "'%s' waits for itself, by depends_on or links",
                               lint_show(lint->arena, pair->key)),
                  "none of them could be started first", "remove one of these");
    }
}
