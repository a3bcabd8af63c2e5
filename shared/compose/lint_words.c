/*
 * The values that compose takes: words for booleans, numbers, sizes, times. A wrong one is told
 * here, where it costs nothing, and not by a guest that has booted for it.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "shared/compose/lint_private.h"

enum word_kind {
    BOOL,
    WHOLE,
    PLAIN_WHOLE, /* without quotes */
    NUMBER,
    PLAIN_NUMBER, /* without quotes */
    COUNT,        /* of devices */
    SIZE,
    SIZE_TEXT, /* not a number without quotes */
    SPAN,
    TEXT,
    TEXTS,
    TEST,
    SCALAR, /* a text or a number */
    OPTION, /* that, or nothing */
    LABEL,  /* any single value */
    LABELS,
    LIMIT,
    MAPPING,
    ONE_OF,
    PROJECT_NAME,
    PORTS,
};

#define WHOLE_MAX 9007199254740992.0 /* 2^53: all whole numbers until there are exact */

/* Below the section: "[]" is every item, "*" every key but x-*. Sections of the file begin with
 * "/", the others are keys of a service. */
static const struct word_row {
    const char *path;
    enum word_kind kind;
    double min; /* of numbers; both 0: any */
    double max;
    const char *words; /* ONE_OF */
} word_rows[] = {
    {"attach", BOOL, 0, 0, NULL},
    {"init", BOOL, 0, 0, NULL},
    {"read_only", BOOL, 0, 0, NULL},
    {"stdin_open", BOOL, 0, 0, NULL},
    {"tty", BOOL, 0, 0, NULL},

    {"cpu_count", WHOLE, 0, WHOLE_MAX, NULL},
    {"cpu_percent", WHOLE, 0, 100, NULL},
    {"cpu_period", WHOLE, 0, 0, NULL},
    {"cpu_quota", WHOLE, 0, 0, NULL},
    {"cpu_shares", WHOLE, 0, 0, NULL},
    {"cpus", NUMBER, 0, 0, NULL},
    {"mem_limit", SIZE, 0, 0, NULL},
    {"mem_reservation", SIZE, 0, 0, NULL},
    {"memswap_limit", SIZE, 0, 0, NULL},
    {"shm_size", SIZE, 0, 0, NULL},
    {"mem_swappiness", PLAIN_WHOLE, -1, 100, NULL},
    {"oom_score_adj", WHOLE, -1000, 1000, NULL},
    {"pids_limit", WHOLE, 0, 0, NULL},
    {"scale", WHOLE, 0, 1000, NULL},
    {"stop_grace_period", SPAN, 0, 0, NULL},
    {"pull_policy", ONE_OF, 0, 0, "always|never|missing|if_not_present|build"},
    {"expose.[]", PORTS, 0, 0, NULL},
    {"ulimits.*", LIMIT, 0, 0, NULL},
    {"group_add.[]", SCALAR, 0, 0, NULL},
    {"labels.*", LABEL, 0, 0, NULL},

    {"depends_on.*.restart", BOOL, 0, 0, NULL},
    {"depends_on.*.required", BOOL, 0, 0, NULL},
    {"env_file.required", BOOL, 0, 0, NULL},
    {"env_file.[].required", BOOL, 0, 0, NULL},
    {"networks.*.aliases.[]", TEXT, 0, 0, NULL},
    {"networks.*.ipv4_address", TEXT, 0, 0, NULL},
    {"networks.*.ipv6_address", TEXT, 0, 0, NULL},
    {"networks.*.mac_address", TEXT, 0, 0, NULL},
    {"networks.*.priority", PLAIN_NUMBER, 0, 0, NULL},
    {"logging.driver", TEXT, 0, 0, NULL},
    {"logging.options", MAPPING, 0, 0, NULL},
    {"logging.options.*", OPTION, 0, 0, NULL},

    {"healthcheck.test", TEST, 0, 0, NULL},
    {"healthcheck.disable", BOOL, 0, 0, NULL},
    {"healthcheck.retries", WHOLE, 0, WHOLE_MAX, NULL},
    {"healthcheck.interval", SPAN, 0, 0, NULL},
    {"healthcheck.timeout", SPAN, 0, 0, NULL},
    {"healthcheck.start_period", SPAN, 0, 0, NULL},
    {"healthcheck.start_interval", SPAN, 0, 0, NULL},

    {"volumes.[].read_only", BOOL, 0, 0, NULL},
    {"volumes.[].consistency", TEXT, 0, 0, NULL},
    {"volumes.[].bind.create_host_path", BOOL, 0, 0, NULL},
    {"volumes.[].bind.selinux", ONE_OF, 0, 0, "z|Z"},
    {"volumes.[].volume.nocopy", BOOL, 0, 0, NULL},
    {"volumes.[].volume.subpath", TEXT, 0, 0, NULL},
    {"volumes.[].tmpfs.size", SIZE, 0, 0, NULL},
    {"volumes.[].tmpfs.mode", PLAIN_NUMBER, 0, WHOLE_MAX, NULL},
    {"ports.[].published", SCALAR, 0, 0, NULL},
    {"ports.[].protocol", TEXT, 0, 0, NULL},
    {"ports.[].mode", TEXT, 0, 0, NULL},
    {"ports.[].name", TEXT, 0, 0, NULL},
    {"ports.[].app_protocol", TEXT, 0, 0, NULL},

    {"deploy.mode", TEXT, 0, 0, NULL},
    {"deploy.labels", LABELS, 0, 0, NULL},
    {"deploy.labels.*", LABEL, 0, 0, NULL},
    {"deploy.endpoint_mode", TEXT, 0, 0, NULL},
    {"deploy.replicas", WHOLE, 0, 1000, NULL},
    {"deploy.update_config", MAPPING, 0, 0, NULL},
    {"deploy.update_config.parallelism", WHOLE, 0, WHOLE_MAX, NULL},
    {"deploy.update_config.delay", SPAN, 0, 0, NULL},
    {"deploy.update_config.monitor", SPAN, 0, 0, NULL},
    {"deploy.update_config.failure_action", TEXT, 0, 0, NULL},
    {"deploy.update_config.max_failure_ratio", NUMBER, 0, 0, NULL},
    {"deploy.update_config.order", ONE_OF, 0, 0, "start-first|stop-first"},
    {"deploy.rollback_config", MAPPING, 0, 0, NULL},
    {"deploy.rollback_config.parallelism", WHOLE, 0, WHOLE_MAX, NULL},
    {"deploy.rollback_config.delay", SPAN, 0, 0, NULL},
    {"deploy.rollback_config.monitor", SPAN, 0, 0, NULL},
    {"deploy.rollback_config.failure_action", TEXT, 0, 0, NULL},
    {"deploy.rollback_config.max_failure_ratio", NUMBER, 0, 0, NULL},
    {"deploy.rollback_config.order", ONE_OF, 0, 0, "start-first|stop-first"},
    {"deploy.restart_policy", MAPPING, 0, 0, NULL},
    {"deploy.restart_policy.condition", TEXT, 0, 0, NULL},
    {"deploy.restart_policy.delay", SPAN, 0, 0, NULL},
    {"deploy.restart_policy.window", SPAN, 0, 0, NULL},
    {"deploy.restart_policy.max_attempts", WHOLE, 0, WHOLE_MAX, NULL},
    {"deploy.placement", MAPPING, 0, 0, NULL},
    {"deploy.resources", MAPPING, 0, 0, NULL},
    {"deploy.resources.limits", MAPPING, 0, 0, NULL},
    {"deploy.resources.limits.cpus", NUMBER, 0, 0, NULL},
    {"deploy.resources.limits.memory", SIZE_TEXT, 0, 0, NULL},
    {"deploy.resources.limits.pids", PLAIN_WHOLE, 0, 0, NULL},
    {"deploy.resources.reservations", MAPPING, 0, 0, NULL},
    {"deploy.resources.reservations.cpus", NUMBER, 0, 0, NULL},
    {"deploy.resources.reservations.memory", SIZE_TEXT, 0, 0, NULL},
    {"deploy.resources.reservations.devices.[]", MAPPING, 0, 0, NULL},
    {"deploy.resources.reservations.devices.[].count", COUNT, 0, 0, NULL},
    {"deploy.resources.reservations.devices.[].driver", TEXT, 0, 0, NULL},
    {"deploy.resources.reservations.devices.[].capabilities", TEXTS, 0, 0, NULL},
    {"deploy.resources.reservations.devices.[].device_ids", TEXTS, 0, 0, NULL},

    {"/name", PROJECT_NAME, 0, 0, NULL},
    {"/version", TEXT, 0, 0, NULL},
    {"/volumes", MAPPING, 0, 0, NULL},
    {"/volumes.*.labels", LABELS, 0, 0, NULL},
    {"/volumes.*.labels.*", LABEL, 0, 0, NULL},
    {"/volumes.*.driver", TEXT, 0, 0, NULL},
    {"/networks", MAPPING, 0, 0, NULL},
    {"/networks.*.labels", LABELS, 0, 0, NULL},
    {"/networks.*.labels.*", LABEL, 0, 0, NULL},
    {"/networks.*.driver", TEXT, 0, 0, NULL},
    {"/networks.*.internal", BOOL, 0, 0, NULL},
    {"/networks.*.attachable", BOOL, 0, 0, NULL},
    {"/networks.*.enable_ipv6", BOOL, 0, 0, NULL},
};

static bool is_text(const struct node *node)
{
    return node->kind == NODE_SCALAR && lint_scalar(node) == SCALAR_TEXT;
}

static bool is_bool(const struct node *node)
{
    return node->kind == NODE_SCALAR && lint_word_is_in(node->text, "true|false|yes|no|y|n|on|off");
}

static bool is_whole(const struct node *node, const struct word_row *row)
{
    bool bounded = row->min != 0 || row->max != 0;
    double number;

    if (!lint_number(node, &number) || trunc(number) != number || fabs(number) > WHOLE_MAX)
        return false;
    if (lint_scalar(node) == SCALAR_TEXT && strpbrk(node->text, ".eE"))
        return false;
    return !bounded || (number >= row->min && number <= row->max);
}

static bool is_texts(const struct node *node)
{
    bool all = node->kind == NODE_SEQUENCE;

    for (size_t i = 0; all && i < node->n; i++)
        all = is_text(node->items[i]);
    return all;
}

static bool is_test(const struct node *node)
{
    if (node->kind == NODE_SCALAR)
        return is_text(node);
    return is_texts(node) && (node->n == 0 || strcmp(node->items[0]->text, "CMD") == 0 ||
                              strcmp(node->items[0]->text, "CMD-SHELL") == 0 ||
                              strcmp(node->items[0]->text, "NONE") == 0);
}

static bool is_limit(const struct node *node)
{
    static const struct word_row any = {.kind = WHOLE};
    const struct node *soft = node_get(node, "soft");
    const struct node *hard = node_get(node, "hard");

    if (node->kind == NODE_SCALAR)
        return is_whole(node, &any);
    return node->n == 2 && soft && hard && is_whole(soft, &any) && is_whole(hard, &any);
}

static bool is_scalar(const struct node *node)
{
    enum scalar kind = node->kind == NODE_SCALAR ? lint_scalar(node) : SCALAR_NULL;

    return kind == SCALAR_TEXT || kind == SCALAR_NUMBER;
}

/* As a name is given by compose itself to what belongs to the project. */
static bool is_project_name(const struct node *node)
{
    return is_text(node) && *node->text && !strchr("_-", node->text[0]) &&
           strspn(node->text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(node->text);
}

/* As they are written. */
static bool is_one_of(const struct node *node, const char *words)
{
    const char *text = node_text(node);
    const char *found = *text && !strchr(text, '|') ? strstr(words, text) : NULL;
    size_t size = strlen(text);

    for (; found; found = strstr(found + 1, text))
        if ((found == words || found[-1] == '|') && (!found[size] || found[size] == '|'))
            return true;
    return false;
}

static bool is_count(const struct node *node, const struct word_row *row)
{
    return is_whole(node, row) || strcmp(node_text(node), "all") == 0;
}

static bool is_right(const struct node *node, const struct word_row *row)
{
    double number;

    switch (row->kind) {
    case BOOL:
        return is_bool(node);
    case WHOLE:
        return is_whole(node, row);
    case PLAIN_WHOLE:
        return node->plain && is_whole(node, row);
    case NUMBER:
        return lint_number(node, &number);
    case PLAIN_NUMBER:
        return lint_number(node, &number) && lint_scalar(node) == SCALAR_NUMBER && number >= 0;
    case COUNT:
        return is_count(node, row);
    case SIZE:
        return lint_size(node, &number);
    case SIZE_TEXT:
        return is_text(node) && lint_size(node, &number);
    case SPAN:
        return is_text(node) && lint_span(node->text);
    case TEXT:
        return is_text(node);
    case TEXTS:
        return is_texts(node);
    case TEST:
        return is_test(node);
    case SCALAR:
        return is_scalar(node);
    case OPTION:
        return is_scalar(node) || node_is_null(node);
    case LABEL:
        return node->kind == NODE_SCALAR;
    case LABELS:
        return node->kind == NODE_MAPPING || is_texts(node);
    case LIMIT:
        return is_limit(node);
    case MAPPING:
        return node->kind == NODE_MAPPING;
    case ONE_OF:
        return is_one_of(node, row->words);
    case PROJECT_NAME:
        return is_project_name(node);
    case PORTS:
        return lint_expose(node);
    }
    return true;
}

/* What is right, and how it is written. */
static const char *wanted(struct lint *lint, const struct word_row *row)
{
    static const char *const texts[] = {
        [BOOL] = "write true or false",
        [WHOLE] = "write a whole number",
        [PLAIN_WHOLE] = "write a whole number, without quotes",
        [NUMBER] = "write a number",
        [PLAIN_NUMBER] = "write a number, without quotes",
        [COUNT] = "write a whole number, or all",
        [SIZE] = "write a whole number of bytes, or one with a unit: 512m, 2g",
        [SIZE_TEXT] = "write a number with a unit: 512m, 2g",
        [SPAN] = "write a time with its unit: 30s, 1m30s",
        [TEXT] = "write a text; in quotes, when it looks like a number or a date",
        [TEXTS] = "write a list of texts: [\"...\"]",
        [TEST] = "write a command as a text, or a list that begins with CMD, CMD-SHELL or NONE",
        [SCALAR] = "write a text or a number",
        [OPTION] = "write a text or a number",
        [LABEL] = "write a single value",
        [LABELS] = "write NAME: VALUE below it, or a list of texts",
        [LIMIT] = "write a whole number, or {soft: N, hard: N}",
        [MAPPING] = "write keys below it, or remove it",
        [PROJECT_NAME] = "begin with a small letter or digit; then also '_' and '-'",
        [PORTS] = "write a port or a range of ports: \"8080\", \"8080-8090/udp\"",
    };

    if (row->kind == ONE_OF)
        return arena_printf(lint->arena, "write one of these: %s", row->words);
    if (row->kind == WHOLE && row->max != 0 && row->max != WHOLE_MAX)
        return arena_printf(lint->arena, "write a whole number from %g to %g", row->min, row->max);
    return texts[row->kind];
}

static void check_word(struct lint *lint, const struct place *place, const struct word_row *row)
{
    const struct node *node = place->value;

    if (strchr(node_text(node), '$') || is_right(node, row))
        return; /* "$" is a finding of its own */
    lint_find(lint, place, "value",
              node_is_null(node) ? "nothing behind this key"
              : node->kind != NODE_SCALAR
                  ? arena_printf(lint->arena, "%s is not what belongs here",
                                 node->kind == NODE_MAPPING ? "a mapping" : "this list")
                  : arena_printf(lint->arena, "'%s' is not what belongs here",
                                 lint_show(lint->arena, node->text)),
              "compose, or the engine behind it, refuses it", wanted(lint, row));
}

/* The values at this path, wherever they are. */
static void visit(struct lint *lint, const struct place *place, const char *path,
                  const struct word_row *row)
{
    const struct node *node = place->value;
    size_t size = strcspn(path, ".");
    const char *rest = path + size + (path[size] == '.');

    if (!*path) {
        check_word(lint, place, row);
        return;
    }
    bool each = *path == '*' || *path == '[';
    for (size_t i = 0; *path == '[' && node->kind == NODE_SEQUENCE && i < node->n; i++) {
        struct place item = lint_item(lint, place, i);
        visit(lint, &item, rest, row);
    }
    for (size_t i = 0; *path != '[' && node->kind == NODE_MAPPING && i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        if (each ? strncmp(pair->key, "x-", 2) == 0
                 : strlen(pair->key) != size || memcmp(pair->key, path, size) != 0)
            continue;
        struct place child = lint_child(lint, place, pair->key, pair->value, pair->line);
        visit(lint, &child, rest, row);
    }
}

void lint_words(struct lint *lint, const struct place *place, const char *key)
{
    size_t size = strlen(key);

    for (size_t i = 0; !lint->model && i < ELEMENTSOF(word_rows); i++) {
        const char *path = word_rows[i].path;
        if (strncmp(path, key, size) != 0 || (path[size] && path[size] != '.'))
            continue;
        visit(lint, place, path + size + (path[size] == '.'), &word_rows[i]);
    }
}
