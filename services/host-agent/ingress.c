#include "services/host-agent/ingress.h"

#include <arpa/inet.h>

#include "services/host-agent/vm_facts.h"
#include "shared/base/encode.h"

void ingress_free(struct ingress *ingress)
{
    if (ingress)
        ingress->ops->free(ingress);
}

static bool address_is_valid(const char *text)
{
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1;
}

struct error *ingress_check(const struct ingress_route *routes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct ingress_route *route = &routes[i];
        if (!name_is_valid(route->workload_id) || !address_is_valid(route->address))
            return error_new(ERROR_INVALID_ARGUMENT, "route %zu: not a workload id or no IPv4", i);
        for (size_t k = 0; k < route->n_domains; k++)
            if (!hostname_is_valid(route->domains[k]))
                return error_new(ERROR_INVALID_ARGUMENT,
                                 "route of '%s': domain %zu is no host name", route->workload_id,
                                 k);
    }
    return NULL;
}

bool ingress_is_first(const struct ingress_route *routes, size_t route, size_t domain)
{
    const char *name = routes[route].domains[domain];

    for (size_t i = 0; i <= route; i++) {
        size_t end = i < route ? routes[i].n_domains : domain;
        for (size_t k = 0; k < end; k++)
            if (strcmp(routes[i].domains[k], name) == 0)
                return false;
    }
    return true;
}
