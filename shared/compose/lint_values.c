/* What all rules use, and the rules of the smaller keys. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "shared/compose/lint_private.h"

void lint_find(struct lint *lint, const struct place *place, const char *rule, const char *what,
               const char *why, const char *fix)
{
    struct finding finding = {rule, place->where, place->line, what, why, fix};

    findings_add(lint->findings, lint->arena, &finding);
}

struct place lint_child(struct lint *lint, const struct place *parent, const char *key,
                        const struct node *value, unsigned line)
{
    return (struct place){
        .where = arena_printf(lint->arena, "%s%s%s", parent->where, *parent->where ? "." : "",
                              lint_show(lint->arena, key)),
        .line = line,
        .service = parent->service,
        .value = value,
    };
}

struct place lint_item(struct lint *lint, const struct place *parent, size_t index)
{
    const struct node *item = parent->value->items[index];

    return (struct place){
        .where = arena_printf(lint->arena, "%s[%zu]", parent->where, index),
        .line = item->line,
        .service = parent->service,
        .value = item,
    };
}

void lint_keys(struct lint *lint, const struct place *place, const char *const *keys)
{
    const struct node *node = place->value;

    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        bool known = strncmp(pair->key, "x-", 2) == 0;
        for (const char *const *key = keys; *key && !known; key++)
            known = strcmp(*key, pair->key) == 0;
        if (known || (lint->model && node_is_unset(pair->value)))
            continue;
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        lint_find(lint, &child, "unknown-key",
                  arena_printf(lint->arena, "key '%s' is not supported here",
                               lint_show(lint->arena, pair->key)),
                  "only keys whose effect is known to be contained in the workload are accepted",
                  "remove the key, or correct its name");
    }
}

static const char *kind_name(enum node_kind kind)
{
    return kind == NODE_SCALAR ? "a single value" : kind == NODE_SEQUENCE ? "a list" : "a mapping";
}

static const char *kind_fix(enum node_kind kind)
{
    return kind == NODE_SCALAR     ? "write one value behind it"
           : kind == NODE_SEQUENCE ? "write a list: lines below it that begin with '- ', or [...]"
                                   : "write keys with their values below it";
}

bool lint_expect(struct lint *lint, const struct place *place, enum node_kind kind)
{
    if (place->value->kind == kind)
        return true;
    lint_find(lint, place, "type",
              arena_printf(lint->arena, "expected %s, found %s", kind_name(kind),
                           kind_name(place->value->kind)),
              "compose refuses it", kind_fix(kind));
    return false;
}

bool lint_name_is_reserved(const char *name)
{
    static const char *const parts[] = {"coffer-proxy", "coffer-attester", "nilcc-attester",
                                        "nilcc-proxy"};

    if (strncasecmp(name, "coffer-", 7) == 0)
        return true;
    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (strcasestr(name, parts[i]))
            return true;
    return false;
}

void lint_check_name(struct lint *lint, const struct place *place, const char *name)
{
    if (lint_name_is_reserved(name))
        lint_find(
            lint, place, "reserved-name",
            arena_printf(lint->arena, "the name '%s' is reserved", lint_show(lint->arena, name)),
            "a container with such a name could pass for the proxy or the attester",
            "choose a name without coffer-, nilcc-attester or nilcc-proxy");
}

void lint_own_name(struct lint *lint, const struct place *place)
{
    if (lint_expect(lint, place, NODE_SCALAR))
        lint_check_name(lint, place, place->value->text);
}

bool lint_is_project_name(const struct lint *lint, const char *key, const char *name)
{
    const char *project = node_text(node_get(lint->root, "name"));
    size_t size = strlen(project);

    return lint->model && strncmp(name, project, size) == 0 && name[size] == '_' &&
           strcmp(name + size + 1, key) == 0;
}

static void check_label(struct lint *lint, const struct place *place, const char *label)
{
    if (strncasecmp(label, "com.docker.", 11) == 0 || strncasecmp(label, "coffer.", 7) == 0)
        lint_find(
            lint, place, "reserved-label",
            arena_printf(lint->arena, "the label '%s' is reserved", lint_show(lint->arena, label)),
            "the platform tells containers apart by these labels", "use a prefix of your own");
}

void lint_labels(struct lint *lint, const struct place *place)
{
    const struct node *node = place->value;

    for (size_t i = 0; node->kind == NODE_SEQUENCE && i < node->n; i++) {
        struct place item = lint_item(lint, place, i);
        check_label(lint, &item, node_text(item.value));
    }
    for (size_t i = 0; node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        check_label(lint, &child, pair->key);
    }
}

void lint_security_opt(struct lint *lint, const struct place *place)
{
    static const char *const allowed[] = {"no-new-privileges", "no-new-privileges:true",
                                          "no-new-privileges=true"};

    if (!lint_expect(lint, place, NODE_SEQUENCE))
        return;
    for (size_t i = 0; i < place->value->n; i++) {
        struct place item = lint_item(lint, place, i);
        bool found = false;
        for (size_t j = 0; j < ELEMENTSOF(allowed); j++)
            found = found || strcmp(node_text(item.value), allowed[j]) == 0;
        if (!found)
            lint_find(lint, &item, "security_opt", "changes the container's confinement",
                      "a container without it could reach what proves the machine",
                      "remove it; only no-new-privileges:true is accepted");
    }
}

void lint_pull_policy(struct lint *lint, const struct place *place)
{
    if (strcmp(node_text(place->value), "build") == 0)
        lint_find(lint, place, "build", "builds an image",
                  "images are pulled, so that a digest can name them",
                  "push the image to a registry and name it with image:");
}

/* An empty name is the one profile that is active where none is said. */
void lint_profiles(struct lint *lint, const struct place *place)
{
    if (!lint_expect(lint, place, NODE_SEQUENCE))
        return;
    for (size_t i = 0; i < place->value->n; i++) {
        struct place item = lint_item(lint, place, i);
        const char *name = node_text(item.value);
        if (!isalnum((unsigned char)name[0]))
            lint_find(lint, &item, "profile-name",
                      arena_printf(lint->arena, "'%s' is not the name of a profile",
                                   lint_show(lint->arena, name)),
                      "whether the service is started would depend on the reader",
                      "begin it with a letter or digit");
    }
}

void lint_logging(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"driver", "options", NULL};
    static const char *const allowed[] = {"", "json-file", "local", "none"};
    const char *driver = node_text(node_get(place->value, "driver"));
    bool found = strchr(driver, '$');

    if (!lint_expect(lint, place, NODE_MAPPING))
        return;
    lint_keys(lint, place, keys);
    for (size_t i = 0; i < ELEMENTSOF(allowed); i++)
        found = found || strcmp(driver, allowed[i]) == 0;
    if (!found)
        lint_find(lint, place, "logging", "a logging driver that is not local",
                  "logs are read from the engine inside the machine",
                  "remove logging, or use json-file or local");
}

void lint_healthcheck(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"test",         "interval",       "timeout", "retries",
                                       "start_period", "start_interval", "disable", NULL};

    if (lint_expect(lint, place, NODE_MAPPING))
        lint_keys(lint, place, keys);
}

/* What compose asks of a device. */
static void check_request(struct lint *lint, const struct place *place)
{
    if (place->value->kind != NODE_MAPPING)
        return;
    if (node_is_null(node_get(place->value, "capabilities")))
        lint_find(lint, place, "value", "a device without capabilities", "compose refuses it",
                  "add capabilities: [gpu]");
    if (!node_is_null(node_get(place->value, "count")) &&
        !node_is_null(node_get(place->value, "device_ids")))
        lint_find(lint, place, "conflict", "count and device_ids say the same thing twice",
                  "compose refuses it", "keep one of them");
}

static void check_device(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"driver", "count", "device_ids", "capabilities", NULL};
    const char *driver = node_text(node_get(place->value, "driver"));

    lint_keys(lint, place, keys);
    if (!lint->model)
        check_request(lint, place);
    if (*driver && strcmp(driver, "nvidia") != 0)
        lint_find(lint, place, "devices", "a device driver other than nvidia",
                  "only attested GPUs are handed to containers", "use driver: nvidia");
}

static void check_reservations(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"cpus", "memory", "devices", NULL};
    const struct node *devices = node_get(place->value, "devices");

    lint_keys(lint, place, keys);
    if (node_is_null(devices))
        return;
    struct place list = lint_child(lint, place, "devices", devices, devices->line);
    if (!lint_expect(lint, &list, NODE_SEQUENCE))
        return;
    for (size_t i = 0; i < devices->n; i++) {
        struct place item = lint_item(lint, &list, i);
        check_device(lint, &item);
    }
}

/* These do nothing on one machine, but compose reads them. */
static void check_deploy_keys(struct lint *lint, const struct place *place)
{
    static const char *const update[] = {
        "parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order", NULL};
    static const char *const restart[] = {"condition", "delay", "max_attempts", "window", NULL};
    static const char *const placement[] = {"constraints", "preferences", "max_replicas_per_node",
                                            NULL};
    static const struct {
        const char *key;
        const char *const *keys;
    } rows[] = {{"update_config", update},
                {"rollback_config", update},
                {"restart_policy", restart},
                {"placement", placement}};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct node *value = node_get(place->value, rows[i].key);
        if (!value)
            continue;
        struct place child = lint_child(lint, place, rows[i].key, value, value->line);
        lint_keys(lint, &child, rows[i].keys);
    }
}

void lint_deploy(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {
        "mode",           "replicas",        "labels",    "update_config", "resources",
        "restart_policy", "rollback_config", "placement", "endpoint_mode", NULL};
    static const char *const resource_keys[] = {"limits", "reservations", NULL};
    static const char *const limit_keys[] = {"cpus", "memory", "pids", NULL};
    const struct node *resources = node_get(place->value, "resources");
    const struct node *limits = node_get(resources, "limits");
    const struct node *reservations = node_get(resources, "reservations");

    if (!lint_expect(lint, place, NODE_MAPPING))
        return;
    lint_keys(lint, place, keys);
    check_deploy_keys(lint, place);
    if (node_is_null(resources))
        return;
    struct place both = lint_child(lint, place, "resources", resources, resources->line);
    lint_keys(lint, &both, resource_keys);
    if (!node_is_null(limits)) {
        struct place child = lint_child(lint, &both, "limits", limits, limits->line);
        lint_keys(lint, &child, limit_keys);
    }
    if (!node_is_null(reservations)) {
        struct place child =
            lint_child(lint, &both, "reservations", reservations, reservations->line);
        check_reservations(lint, &child);
    }
}
