/* The two lints, and the top level of a compose file. */
#include "shared/compose/lint.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "shared/compose/lint_private.h"

static bool service_name_is_valid(const char *name)
{
    size_t size = strlen(name);

    return size >= 1 && size <= 63 && !strchr("._-", name[0]) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

/* The proxy would send requests for such a name to itself, or past all containers. */
static bool is_address(const char *name)
{
    static const char *const own[] = {"localhost",      "ip6-localhost", "ip6-loopback",
                                      "ip6-localnet",   "ip6-allnodes",  "ip6-allrouters",
                                      "ip6-mcastprefix"};
    struct in_addr address;

    for (size_t i = 0; i < ELEMENTSOF(own); i++)
        if (strcasecmp(name, own[i]) == 0)
            return true;
    return inet_pton(AF_INET, name, &address) == 1;
}

static bool is_ours(const struct lint *lint, const char *service)
{
    return lint->options->with_ours &&
           (strcmp(service, "coffer-proxy") == 0 || strcmp(service, "coffer-attester") == 0);
}

/* No profile is ever active: it is not started, and compose's model does not have it. */
static bool is_in_profile(const struct node *service)
{
    return !node_is_unset(node_get(service, "profiles"));
}

static void summarise(struct lint *lint, const struct node_pair *pair)
{
    struct compose_summary *summary = lint->summary;

    if (!summary || summary->n_services == COMPOSE_SERVICES_MAX || is_in_profile(pair->value))
        return;
    summary->services[summary->n_services++] = (struct compose_service){
        .name = pair->key,
        .image = node_text(node_get(pair->value, "image")),
        .container_name = node_text(node_get(pair->value, "container_name")),
    };
}

/* Of services above this one; a container's name is one of the whole machine. */
static void check_container_name(struct lint *lint, const struct place *services,
                                 const struct node_pair *pair)
{
    const char *name = node_text(node_get(pair->value, "container_name"));
    const struct node_pair *pairs = services->value->pairs;

    for (const struct node_pair *other = pairs; *name && other < pair; other++) {
        if (strcmp(node_text(node_get(other->value, "container_name")), name) != 0)
            continue;
        struct place place = lint_child(lint, services, pair->key, pair->value, pair->line);
        lint_find(lint, &place, "duplicate-name",
                  arena_printf(lint->arena, "container_name '%s' is that of service '%s' too",
                               lint_show(lint->arena, name), lint_show(lint->arena, other->key)),
                  "compose refuses it", "give each its own, or none");
        return;
    }
}

static void check_service(struct lint *lint, const struct place *services,
                          const struct node_pair *pair)
{
    struct place place = lint_child(lint, services, pair->key, pair->value, pair->line);

    place.service = pair->key;
    summarise(lint, pair);
    if (is_ours(lint, pair->key))
        return;
    if (!service_name_is_valid(pair->key))
        lint_find(lint, &place, "service-name",
                  arena_printf(lint->arena, "'%s' is not a service name",
                               lint_show(lint->arena, pair->key)),
                  "names appear in addresses, logs and events",
                  "use letters, digits, '.', '_' and '-', at most 63");
    else if (is_address(pair->key))
        lint_find(lint, &place, "service-name",
                  arena_printf(lint->arena, "'%s' is an address, not a name",
                               lint_show(lint->arena, pair->key)),
                  "requests for it would reach another place than the container", "rename it");
    lint_check_name(lint, &place, pair->key);
    lint_service(lint, &place);
}

static void check_services(struct lint *lint, const struct place *place)
{
    if (!lint_expect(lint, place, NODE_MAPPING))
        return;
    if (place->value->n > COMPOSE_SERVICES_MAX) {
        lint_find(lint, place, "too-many-services",
                  arena_printf(lint->arena, "%zu services, at most %d are possible",
                               place->value->n, COMPOSE_SERVICES_MAX),
                  "each takes its part of one machine", "split the project");
        return;
    }
    for (size_t i = 0; i < place->value->n; i++) {
        check_service(lint, place, &place->value->pairs[i]);
        check_container_name(lint, place, &place->value->pairs[i]);
    }
    lint_cycles(lint, place);
}

static const struct node_pair *find_public(const struct lint *lint)
{
    const struct node *services = node_get(lint->root, "services");
    const char *name = lint->options->public_service;

    for (size_t i = 0; services && services->kind == NODE_MAPPING && i < services->n; i++) {
        const struct node_pair *pair = &services->pairs[i];
        if (strcmp(pair->key, name) == 0 ||
            strcmp(node_text(node_get(pair->value, "container_name")), name) == 0)
            return pair;
    }
    return NULL;
}

static void check_public(struct lint *lint, const struct place *root)
{
    const char *name = lint->options->public_service;

    if (!name)
        return;
    const struct node_pair *pair = find_public(lint);
    if (!pair) {
        lint_find(lint, root, "public-service",
                  arena_printf(lint->arena, "no service '%s', which is to be public",
                               lint_show(lint->arena, name)),
                  "the proxy would have nowhere to send requests",
                  "correct the name of the public service, or add it under services");
    } else if (is_in_profile(pair->value)) {
        struct place place = {.where = arena_printf(lint->arena, "services.%s.profiles",
                                                    lint_show(lint->arena, pair->key)),
                              .line = pair->line,
                              .value = pair->value};
        lint_find(lint, &place, "public-service", "the public service is in a profile",
                  "no profile is active, so it would not be started", "remove profiles from it");
    }
}

static void check_text(struct lint *lint, const struct place *place)
{
    lint_no_interpolation(lint, place);
    lint_expect(lint, place, NODE_SCALAR);
}

static void refuse_section(struct lint *lint, const struct place *place)
{
    static const char why[] = "what runs would stand in another place than the file that is proven";

    if (lint->model && node_is_unset(place->value))
        return;
    lint_find(lint, place, place->where,
              arena_printf(lint->arena, "top-level '%s' is not allowed", place->where), why,
              "write the values into the file, give secrets as environment values or secret "
              "files, and mount uploaded files from ${FILES}");
}

static const struct {
    const char *key;
    lint_rule rule;
} sections[] = {
    {"name", check_text},        {"version", check_text},     {"services", check_services},
    {"volumes", lint_volumes},   {"networks", lint_networks}, {"include", refuse_section},
    {"secrets", refuse_section}, {"configs", refuse_section}, {"models", refuse_section},
};

static void check_section(struct lint *lint, const struct place *place, const char *key)
{
    if (strncmp(key, "x-", 2) == 0)
        return;
    for (size_t i = 0; i < ELEMENTSOF(sections); i++)
        if (strcmp(sections[i].key, key) == 0) {
            sections[i].rule(lint, place);
            lint_words(lint, place, arena_printf(lint->arena, "/%s", key));
            return;
        }
    lint_find(lint, place, "unknown-key",
              arena_printf(lint->arena, "top-level key '%s' is not supported",
                           lint_show(lint->arena, key)),
              "only keys whose effect is known to be contained in the workload are accepted",
              "remove the key, or correct its name; keys of your own begin with x-");
}

static void check_root(struct lint *lint)
{
    struct place root = {.where = "", .value = lint->root};

    if (!lint_expect(lint, &root, NODE_MAPPING))
        return;
    const struct node *services = node_get(lint->root, "services");
    if (node_is_unset(services))
        lint_find(lint, &root, "no-services", "no services", "there is nothing to run",
                  "add services: with at least one service");
    for (size_t i = 0; i < lint->root->n; i++) {
        const struct node_pair *pair = &lint->root->pairs[i];
        struct place place = lint_child(lint, &root, pair->key, pair->value, pair->line);
        check_section(lint, &place, pair->key);
    }
    check_public(lint, &root);
}

static void find_size(struct arena *arena, struct findings *findings, size_t size)
{
    struct finding finding = {
        .rule = "size",
        .where = "",
        .what = size ? arena_printf(arena, "the text has %zu bytes, at most %d are possible", size,
                                    COMPOSE_TEXT_MAX)
                     : "the text is empty",
        .why = "the text travels with the workload and is hashed into its manifest",
        .fix = size ? "move data into files" : "give a compose file",
    };

    findings_add(findings, arena, &finding);
}

void compose_lint(const char *text, size_t size, const struct compose_options *options,
                  struct arena *arena, struct findings *ret_findings,
                  struct compose_summary *ret_summary)
{
    struct node *root = NULL;

    if (ret_summary)
        ret_summary->n_services = 0;
    ret_findings->n = 0;
    if (size == 0 || size > COMPOSE_TEXT_MAX) {
        find_size(arena, ret_findings, size);
        return;
    }
    node_from_yaml(text, size, arena, ret_findings, &root);
    struct lint lint = {
        .options = options,
        .arena = arena,
        .findings = ret_findings,
        .summary = ret_summary,
        .root = root,
    };
    if (root)
        check_root(&lint);
    else if (ret_findings->n == 0)
        find_size(arena, ret_findings, 0);
}

struct error *compose_lint_model(const char *json, size_t size,
                                 const struct compose_options *options, struct arena *arena,
                                 struct findings *ret_findings)
{
    struct node *root = NULL;
    struct error *err = node_from_json(json, size, arena, &root);

    if (err)
        return err;
    ret_findings->n = 0;
    struct lint lint = {
        .options = options,
        .arena = arena,
        .findings = ret_findings,
        .root = root,
        .model = true,
    };
    check_root(&lint);
    return NULL;
}
