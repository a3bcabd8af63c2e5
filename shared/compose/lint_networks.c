/* Networks and names on them: nothing may pass for the proxy or the attester. */
#include <string.h>

#include "shared/compose/lint_private.h"

static bool is_declared(const struct lint *lint, const char *section, const char *name)
{
    const struct node *node = node_get(lint->root, section);

    if (!node || node->kind != NODE_MAPPING)
        return false;
    for (size_t i = 0; i < node->n; i++)
        if (strcmp(node->pairs[i].key, name) == 0)
            return true;
    return false;
}

static void check_network_name(struct lint *lint, const struct place *place, const char *name)
{
    lint_check_name(lint, place, name);
    if (strcmp(name, "default") != 0 && !is_declared(lint, "networks", name))
        lint_find(
            lint, place, "unknown-network",
            arena_printf(lint->arena, "network '%s' is not declared", lint_show(lint->arena, name)),
            "compose refuses it", "declare it under the top-level networks");
}

static void check_aliases(struct lint *lint, const struct place *place)
{
    if (node_is_null(place->value) || !lint_expect(lint, place, NODE_SEQUENCE))
        return;
    for (size_t i = 0; i < place->value->n; i++) {
        struct place item = lint_item(lint, place, i);
        lint_check_name(lint, &item, node_text(item.value));
    }
}

static void check_membership(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"aliases",  "ipv4_address", "ipv6_address",
                                       "priority", "mac_address",  NULL};
    const struct node *aliases = node_get(place->value, "aliases");

    if (node_is_null(place->value) || !lint_expect(lint, place, NODE_MAPPING))
        return;
    lint_keys(lint, place, keys);
    if (aliases) {
        struct place child = lint_child(lint, place, "aliases", aliases, aliases->line);
        check_aliases(lint, &child);
    }
}

void lint_service_networks(struct lint *lint, const struct place *place)
{
    const struct node *node = place->value;

    if (node->kind == NODE_SCALAR)
        lint_expect(lint, place, NODE_SEQUENCE);
    for (size_t i = 0; node->kind == NODE_SEQUENCE && i < node->n; i++) {
        struct place item = lint_item(lint, place, i);
        check_network_name(lint, &item, node_text(item.value));
    }
    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        check_network_name(lint, &child, pair->key);
        check_membership(lint, &child);
    }
}

static bool is_in_profile(const struct lint *lint, const char *service)
{
    const struct node *services = node_get(lint->root, "services");

    return service && !node_is_unset(node_get(node_get(services, service), "profiles"));
}

static void check_service_name(struct lint *lint, const struct place *place, const char *name,
                               bool required)
{
    if (!is_declared(lint, "services", name))
        lint_find(lint, place, "unknown-service",
                  arena_printf(lint->arena, "no service '%s'", lint_show(lint->arena, name)),
                  "compose refuses it", "correct the name, or add the service");
    else if (required && !lint->model && !is_in_profile(lint, place->service) &&
             is_in_profile(lint, name))
        lint_find(
            lint, place, "unknown-service",
            arena_printf(lint->arena, "service '%s' is in a profile", lint_show(lint->arena, name)),
            "no profile is active, so it is not started, and compose refuses to wait for it",
            "remove profiles from it, or say required: false");
}

/* "SERVICE[:ALIAS]" */
void lint_links(struct lint *lint, const struct place *place)
{
    if (!lint_expect(lint, place, NODE_SEQUENCE))
        return;
    for (size_t i = 0; i < place->value->n; i++) {
        struct place item = lint_item(lint, place, i);
        char *name = arena_strdup(lint->arena, node_text(item.value));
        char *alias = strchr(name, ':');
        if (alias)
            *alias++ = '\0';
        check_service_name(lint, &item, name, true);
        lint_check_name(lint, &item, alias ? alias : name);
    }
}

static void find_host(struct lint *lint, const struct place *place, const char *what)
{
    lint_find(lint, place, "extra-host", what, "compose refuses it",
              "write \"NAME=ADDRESS\" in a list, or NAME: ADDRESS");
}

/* "NAME:ADDRESS" or "NAME=ADDRESS" */
static void check_host(struct lint *lint, const struct place *place)
{
    const char *text = node_text(place->value);
    size_t size = strcspn(text, ":=");

    if (!lint->model && (size == 0 || !text[size]))
        find_host(lint, place,
                  arena_printf(lint->arena, "'%s' is not a name and an address",
                               lint_show(lint->arena, text)));
    lint_check_name(lint, place, arena_printf(lint->arena, "%.*s", (int)size, text));
}

/* A list of these, or NAME: ADDRESS */
/* Compose takes no number and no true or false there. */
static bool is_address_text(const struct node *node)
{
    return node->kind == NODE_SCALAR && !node_is_unset(node) && lint_scalar(node) == SCALAR_TEXT;
}

void lint_extra_hosts(struct lint *lint, const struct place *place)
{
    const struct node *node = place->value;

    for (size_t i = 0; node->kind == NODE_SEQUENCE && i < node->n; i++) {
        struct place item = lint_item(lint, place, i);
        check_host(lint, &item);
    }
    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        if (!lint->model && !is_address_text(pair->value))
            find_host(lint, &child, "not one address behind the name");
        lint_check_name(lint, &child, pair->key);
    }
}

static void check_condition(struct lint *lint, const struct place *place)
{
    static const char *const conditions[] = {"service_started", "service_healthy",
                                             "service_completed_successfully"};
    const char *condition = node_text(node_get(place->value, "condition"));

    for (size_t i = 0; i < ELEMENTSOF(conditions); i++)
        if (strcmp(condition, conditions[i]) == 0)
            return;
    if (!strchr(condition, '$'))
        lint_find(
            lint, place, "dependency",
            arena_printf(lint->arena, "'%s' is not a condition", lint_show(lint->arena, condition)),
            "compose refuses it",
            "write condition: service_started, service_healthy or "
            "service_completed_successfully");
}

void lint_depends_on(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"condition", "restart", "required", NULL};
    const struct node *node = place->value;

    if (node->kind == NODE_SCALAR)
        lint_expect(lint, place, NODE_SEQUENCE);
    for (size_t i = 0; node->kind == NODE_SEQUENCE && i < node->n; i++) {
        struct place item = lint_item(lint, place, i);
        check_service_name(lint, &item, node_text(item.value), true);
    }
    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        check_service_name(lint, &child, pair->key,
                           !node_is_false(node_get(pair->value, "required")));
        lint_keys(lint, &child, keys);
        check_condition(lint, &child);
    }
}

static void check_declared(struct lint *lint, const struct place *place, const char *name)
{
    static const char *const keys[] = {"internal", "attachable", "labels", "enable_ipv6",
                                       "driver",   "name",       "ipam",   NULL};
    const char *driver = node_text(node_get(place->value, "driver"));
    const char *own_name = node_text(node_get(place->value, "name"));

    lint_check_name(lint, place, name);
    if (node_is_null(place->value) || !lint_expect(lint, place, NODE_MAPPING))
        return;
    lint_keys(lint, place, keys);
    if (*driver && strcmp(driver, "bridge") != 0)
        lint_find(lint, place, "network-driver", "a network driver other than bridge",
                  "other drivers reach past the machine's own networks", "remove driver");
    if (!node_is_unset(node_get(place->value, "ipam")))
        lint_find(lint, place, "network-ipam", "addresses of its own",
                  "they could cover the platform's", "remove ipam");
    if (*own_name && !lint_is_project_name(lint, name, own_name))
        lint_find(lint, place, "network-name", "a network with a name of its own",
                  "it could be the network of another project", "remove name");
}

void lint_networks(struct lint *lint, const struct place *place)
{
    if (node_is_null(place->value) || !lint_expect(lint, place, NODE_MAPPING))
        return;
    lint_no_interpolation(lint, place);
    for (size_t i = 0; i < place->value->n; i++) {
        const struct node_pair *pair = &place->value->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        if (!lint->options->with_ours || strncmp(pair->key, "coffer-", 7) != 0)
            check_declared(lint, &child, pair->key);
    }
}
