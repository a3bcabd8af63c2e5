/* Ports: 80 and 443 of the machine belong to the proxy that ends TLS and proves it. */
#include <stdlib.h>
#include <string.h>

#include "shared/compose/lint_private.h"

enum { PORTS_MAX = 1000 };

struct range {
    unsigned long first;
    unsigned long last;
};

static bool parse_number(const char *text, size_t size, unsigned long *ret_number)
{
    if (size == 0 || size > 5 || strspn(text, "0123456789") < size)
        return false;
    *ret_number = strtoul(text, NULL, 10);
    return *ret_number >= 1 && *ret_number <= 65535;
}

/* "8080" or "8080-8090" in the first size bytes. */
static bool parse_range(const char *text, size_t size, struct range *ret_range)
{
    const char *dash = memchr(text, '-', size);
    size_t first = dash ? (size_t)(dash - text) : size;

    if (!parse_number(text, first, &ret_range->first))
        return false;
    ret_range->last = ret_range->first;
    if (dash && !parse_number(dash + 1, size - first - 1, &ret_range->last))
        return false;
    return ret_range->first <= ret_range->last;
}

/* Each is a program of the engine and an entry of compose's model. */
static void count_ports(struct lint *lint, const struct place *place, const struct range *range)
{
    bool already = lint->n_ports > PORTS_MAX;

    lint->n_ports += range->last - range->first + 1;
    if (!already && lint->n_ports > PORTS_MAX)
        lint_find(lint, place, "too-many-ports",
                  arena_printf(lint->arena, "more than %d ports in all", PORTS_MAX),
                  "the machine runs a program for each", "publish fewer, or smaller ranges");
}

static bool contains(const struct range *range, unsigned long port)
{
    return range->first <= port && port <= range->last;
}

static void find_syntax(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "port-syntax",
              arena_printf(lint->arena, "'%s' is not a port mapping",
                           lint_show(lint->arena, node_text(place->value))),
              "only what is understood can be checked",
              "write \"CONTAINER\", or \"PUBLISHED:CONTAINER\", or that with /tcp or /udp");
}

static void find_host_ip(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "port-host-ip", "a port bound to an address",
              "the addresses of the machine belong to the platform",
              "leave the address out: \"PUBLISHED:CONTAINER\"");
}

static void find_lengths(struct lint *lint, const struct place *place)
{
    lint_find(lint, place, "port-syntax", "two ranges of ports that are not of one length",
              "compose refuses what cannot be matched one to one",
              "write ranges of one length, or one port of the container");
}

static void check_published(struct lint *lint, const struct place *place, const char *text,
                            size_t size)
{
    struct range range;

    if (!parse_range(text, size, &range))
        find_syntax(lint, place);
    else if (contains(&range, 80) || contains(&range, 443))
        lint_find(lint, place, "port-reserved", "publishes port 80 or 443",
                  "these ports belong to the proxy that ends TLS inside the machine and proves it",
                  "do not publish the port; name the service and its port as the public one");
}

static bool protocol_is_valid(const char *protocol)
{
    return strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0;
}

static void check_short(struct lint *lint, const struct place *place)
{
    const char *text = node_text(place->value);
    size_t size = strcspn(text, "/");
    const char *colon = memchr(text, ':', size);
    struct range range;

    if (strchr(text, '$'))
        return; /* a finding of its own */
    if (text[size] == '/' && !protocol_is_valid(text + size + 1)) {
        find_syntax(lint, place);
        return;
    }
    if (*text == '[' || (colon && memchr(colon + 1, ':', size - (size_t)(colon + 1 - text)))) {
        find_host_ip(lint, place);
        return;
    }
    const char *target = colon ? colon + 1 : text;
    if (!parse_range(target, size - (size_t)(target - text), &range)) {
        find_syntax(lint, place);
        return;
    }
    count_ports(lint, place, &range);
    if (!colon)
        return;
    struct range published;
    if (parse_range(text, (size_t)(colon - text), &published) && range.first != range.last &&
        published.last - published.first != range.last - range.first)
        find_lengths(lint, place);
    check_published(lint, place, text, (size_t)(colon - text));
}

bool lint_expose(const struct node *node)
{
    const char *text = node_text(node);
    size_t size = strcspn(text, "/");
    struct range range;

    return parse_range(text, size, &range) &&
           (!text[size] || lint_word_is_in(text + size + 1, "tcp|udp|sctp"));
}

/* A plain 0120 is the number 80 to compose's reader of YAML. */
static bool is_octal(const struct node *node)
{
    return node && node->kind == NODE_SCALAR && node->plain && node->text[0] == '0' &&
           node->text[1];
}

static void check_long(struct lint *lint, const struct place *place)
{
    static const char *const keys[] = {"target",  "published", "protocol",     "mode",
                                       "host_ip", "name",      "app_protocol", NULL};
    const char *published = node_text(node_get(place->value, "published"));
    const char *target = node_text(node_get(place->value, "target"));
    const char *protocol = node_text(node_get(place->value, "protocol"));
    struct range range;

    lint_keys(lint, place, keys);
    if (!node_is_unset(node_get(place->value, "host_ip")))
        find_host_ip(lint, place);
    if (parse_range(target, strlen(target), &range) && !strchr(target, '-'))
        count_ports(lint, place, &range);
    else if (!strchr(target, '$'))
        find_syntax(lint, place);
    if (is_octal(node_get(place->value, "published")))
        find_syntax(lint, place);
    else if (*published && !strchr(published, '$'))
        check_published(lint, place, published, strlen(published));
    if (*protocol && !strchr(protocol, '$') && !protocol_is_valid(protocol))
        find_syntax(lint, place);
}

void lint_ports(struct lint *lint, const struct place *place)
{
    if (!lint_expect(lint, place, NODE_SEQUENCE))
        return;
    for (size_t i = 0; i < place->value->n; i++) {
        struct place item = lint_item(lint, place, i);
        if (item.value->kind == NODE_MAPPING)
            check_long(lint, &item);
        else if (lint_expect(lint, &item, NODE_SCALAR))
            check_short(lint, &item);
    }
}
