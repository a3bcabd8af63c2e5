/* Keys of one service that say the same thing twice, and differently: compose refuses both. */
#include <string.h>

#include "shared/compose/lint_private.h"

/* 0, as compose counts what is not given, or what is a finding of its own. */
static double amount(const struct node *node, bool (*read)(const struct node *, double *))
{
    double number;

    return read(node, &number) ? number : 0;
}

static const struct node *at(const struct node *service, const char *part, const char *key)
{
    const struct node *resources = node_get(node_get(service, "deploy"), "resources");

    return node_get(node_get(resources, part), key);
}

/* Once there are limits under deploy, those of the service itself must be the same. */
static void check_limits(struct lint *lint, const struct place *service)
{
    static const struct {
        const char *key;
        const char *part;
        const char *inner;
        bool (*read)(const struct node *, double *);
    } rows[] = {
        {"cpus", "limits", "cpus", lint_number},
        {"mem_limit", "limits", "memory", lint_size},
        {"pids_limit", "limits", "pids", lint_number},
        {"mem_reservation", "reservations", "memory", lint_size},
    };
    const struct node *deploy = node_get(service->value, "deploy");
    const struct node *resources = node_get(deploy, "resources");

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct node *own = node_get(service->value, rows[i].key);
        double number = amount(own, rows[i].read);
        if (node_is_null(node_get(resources, rows[i].part)) || number == 0 ||
            number == amount(at(service->value, rows[i].part, rows[i].inner), rows[i].read))
            continue;
        struct place place = lint_child(lint, service, rows[i].key, own, own->line);
        lint_find(lint, &place, "conflict",
                  arena_printf(lint->arena, "'%s' is not what deploy.resources.%s.%s says",
                               rows[i].key, rows[i].part, rows[i].inner),
                  "compose refuses two answers to one question",
                  "say it once: there, and not as a key of the service");
    }
}

static void check_scale(struct lint *lint, const struct place *service)
{
    const struct node *scale = node_get(service->value, "scale");
    const struct node *replicas = node_get(node_get(service->value, "deploy"), "replicas");
    double number;
    double other;

    if (!lint_number(scale, &number) || !lint_number(replicas, &other) || number == other)
        return;
    struct place place = lint_child(lint, service, "scale", scale, scale->line);
    lint_find(lint, &place, "conflict", "'scale' is not what deploy.replicas says",
              "compose refuses two answers to one question", "keep one of them");
}

static void check_copies(struct lint *lint, const struct place *service)
{
    const struct node *name = node_get(service->value, "container_name");
    const struct node *scale = node_get(service->value, "scale");
    const struct node *replicas = node_get(node_get(service->value, "deploy"), "replicas");

    if (!*node_text(name) || amount(scale ? scale : replicas, lint_number) <= 1)
        return;
    struct place place = lint_child(lint, service, "container_name", name, name->line);
    lint_find(lint, &place, "conflict",
              arena_printf(lint->arena, "a container_name, and more than one container (%s)",
                           scale ? "scale" : "deploy.replicas"),
              "a name belongs to one container, so compose refuses it",
              "remove container_name: the service is reached by its own name");
}

void lint_conflicts(struct lint *lint, const struct place *service)
{
    if (lint->model)
        return; /* compose has compared them itself */
    check_limits(lint, service);
    check_scale(lint, service);
    check_copies(lint, service);
}
