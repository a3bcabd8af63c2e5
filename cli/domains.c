/* `coffer domains`: the names of workloads, the DNS record that each needs, and whether it is
 * there. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#include "cli/change_flags.h"
#include "cli/output.h"
#include "cli/project_body.h"
#include "cli/resolve.h"
#include "cli/terminal.h"
#include "cli/update.h"
#include "shared/base/alloc.h"

enum { ADDRESSES_MAX = 16 };

struct addresses {
    char items[ADDRESSES_MAX][INET6_ADDRSTRLEN];
    size_t n;
};

static bool is_address(const char *text)
{
    uint8_t bytes[16];

    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static const char *record_type(const char *target)
{
    if (!is_address(target))
        return "CNAME";
    return strchr(target, ':') ? "AAAA" : "A";
}

DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo)

static void resolve(const char *name, struct addresses *ret_addresses)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    _cleanup_(freeaddrinfop) struct addrinfo *list = NULL;

    ret_addresses->n = 0;
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return;
    for (const struct addrinfo *a = list; a && ret_addresses->n < ADDRESSES_MAX; a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, ret_addresses->items[ret_addresses->n],
                        INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST) == 0)
            ret_addresses->n++;
}

static bool has(const struct addresses *addresses, const char *address)
{
    for (size_t i = 0; i < addresses->n; i++)
        if (strcmp(addresses->items[i], address) == 0)
            return true;
    return false;
}

/* "yes", "no", "elsewhere": does the name lead to the target? "-": there is no target yet. */
static const char *resolution(const char *name, const char *target)
{
    struct addresses of_name;
    struct addresses of_target;

    if (strcmp(target, "-") == 0)
        return "-";
    resolve(name, &of_name);
    resolve(target, &of_target);
    if (of_name.n == 0)
        return "no";
    for (size_t i = 0; i < of_name.n; i++)
        if (has(&of_target, of_name.items[i]))
            return "yes";
    return "elsewhere";
}

/* A name below the fleet's own domain is served by the platform. */
static bool is_own(const char *domain, const char *workload_domain)
{
    size_t n = strlen(domain);
    size_t m = strlen(workload_domain);

    return !(m && n > m && domain[n - m - 1] == '.' &&
             strcmp(domain + n - m, workload_domain) == 0);
}

static json_t *row_of(const json_t *workload, const char *workload_domain)
{
    const char *domain = output_text(workload, "domain");
    const char *target = output_text(workload, "ingressAddress");
    bool own = is_own(domain, workload_domain);

    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s}", "workloadId",
                     output_text(workload, "workloadId"), "name", output_text(workload, "name"),
                     "domain", domain, "own", own, "recordType", record_type(target), "target",
                     target, "resolves", resolution(domain, target));
}

/* The record to make; "" when there is nothing to do. */
static const char *record_of(const json_t *row, char text[COLUMN_TEXT_MAX])
{
    const char *resolves = output_text(row, "resolves");
    const char *type = output_text(row, "recordType");

    text[0] = '\0';
    if (!json_is_true(json_object_get(row, "own")) || strcmp(resolves, "yes") == 0)
        return text;
    if (strcmp(resolves, "-") == 0)
        snprintf(text, COLUMN_TEXT_MAX, "(on no host yet)");
    else
        snprintf(text, COLUMN_TEXT_MAX, "%s %s%s", type, output_text(row, "target"),
                 strcmp(type, "CNAME") == 0 ? "." : "");
    return text;
}

static const char *whose(const json_t *row, _unused_ char text[COLUMN_TEXT_MAX])
{
    return json_is_true(json_object_get(row, "own")) ? "your own" : "the platform's";
}

static const struct column domain_columns[] = {
    {.title = "DOMAIN", .member = "domain"},
    {.title = "NAME", .member = "name"},
    {.title = "WHOSE", .make = whose},
    {.title = "RESOLVES", .member = "resolves"},
    {.title = "DNS RECORD TO MAKE", .make = record_of},
    {.title = "WORKLOAD", .member = "workloadId", .wide = true},
};

/* One workload, or all of them, as an array. */
static struct error *load(struct client *client, const char *workload, json_t **ret_list)
{
    _cleanup_free_ char *id = NULL;
    json_t *one = NULL;

    if (!workload)
        return client_list(client, "/api/v1/workloads/list", ret_list);
    struct error *err = workload_resolve(client, workload, &id);
    if (err)
        return err;
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", id);
    err = client_call(client, "GET", path, NULL, &one);
    if (!err)
        *ret_list = json_pack("[o]", one);
    return err;
}

static struct error *fleet_domain(struct client *client, char **ret_domain)
{
    _cleanup_(json_decrefp) json_t *fleet = NULL;
    struct error *err = client_call(client, "GET", "/api/v1/fleet", NULL, &fleet);

    if (!err)
        *ret_domain = xstrdup(json_string_value(json_object_get(fleet, "workloadDomain")) ?: "");
    return err;
}

int domains_list_main(int argc, char **argv)
{
    struct flags flags = {.usage = "domains ls [WORKLOAD]", .max_operands = 1};
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *list = NULL;
    _cleanup_(json_decrefp) json_t *rows = json_array();
    _cleanup_free_ char *domain = NULL;
    const json_t *workload;
    size_t i;
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    struct error *err = client_open(&client);
    err = err ?: load(client, flags.n_operands ? flags.operands[0] : NULL, &list);
    err = err ?: fleet_domain(client, &domain);
    if (err)
        return command_fail(err);
    json_array_foreach(list, i, workload) json_array_append_new(rows, row_of(workload, domain));
    if (flags.json)
        return output_json(rows);
    return output_list(rows, domain_columns, ELEMENTSOF(domain_columns));
}

static int change(struct project_input *in, const struct flags *flags, const char *domain)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(update_target_done) struct update_target target = {0};
    struct error *err = client_open(&client);

    in->domain = domain;
    in->json = flags->json;
    err = err ?: update_target_open(client, flags->operands[0], &target);
    if (err)
        return command_fail(err);
    const char *address = output_text(target.workload, "ingressAddress");
    if (*domain && !in->json && strcmp(address, "-") != 0)
        terminal_printf("DNS record     %s. 300 IN %s %s%s (now: %s)\n", domain,
                        record_type(address), address, is_address(address) ? "" : ".",
                        resolution(domain, address));
    return update_run(client, &target, project_body_update(in, target.id, target.workload), in);
}

int domains_set_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input in = {.arena = arena_new(), .gpus = -1};
    const struct flag table[] = {CHANGE_FLAGS(in)};
    struct flags flags = {.usage = "domains set WORKLOAD NAME " CHANGE_USAGE,
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 2,
                          .max_operands = 2};
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    if (!manifest_domain_is_valid(flags.operands[1]))
        return command_usage("a domain is a lower-case name such as app.example.com");
    return change(&in, &flags, flags.operands[1]);
}

int domains_unset_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input in = {.arena = arena_new(), .gpus = -1};
    const struct flag table[] = {CHANGE_FLAGS(in)};
    struct flags flags = {.usage = "domains unset WORKLOAD " CHANGE_USAGE,
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    int code = flags_parse(argc, argv, &flags);

    return code == EXIT_OK ? change(&in, &flags, "") : code;
}
