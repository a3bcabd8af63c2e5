/*
 * The way in from the world, as a port: names to VMs, TLS passed through by SNI on 443, HTTP by
 * Host on 80 (so that ACME HTTP-01 arrives). Backends: haproxy and, for tests, memory.
 */
#pragma once

#include <stddef.h>

#include "shared/base/error.h"

struct ingress_route {
    const char *workload_id;
    const char *address; /* IPv4 */
    const char *const *domains;
    size_t n_domains;
};

struct ingress;

struct ingress_ops {
    const char *name;
    struct error *(*apply)(struct ingress *ingress, const struct ingress_route *routes, size_t n);
    void (*free)(struct ingress *ingress);
};

struct ingress {
    const struct ingress_ops *ops;
};

/* Makes these the routes, all of them; whoever asks for another name is refused. Names that are
 * no host names and addresses that are no IPv4 are INVALID_ARGUMENT and nothing changes; when two
 * workloads claim one name, the first in the list has it. Unchanged routes cost nothing. */
static inline _must_check_ struct error *ingress_apply(struct ingress *ingress,
                                                       const struct ingress_route *routes, size_t n)
{
    return ingress->ops->apply(ingress, routes, n);
}

void ingress_free(struct ingress *ingress);
DEFINE_CLEANUP(struct ingress *, ingress_free)

/* dir: where haproxy.cfg is written; socket: the master socket of `haproxy -W -S`. */
struct ingress *ingress_haproxy_new(const char *dir, const char *socket);

struct ingress *ingress_memory_new(void);
const char *ingress_memory_find(struct ingress *ingress, const char *domain); /* NULL: refused */

/* What both backends check. */
struct error *ingress_check(const struct ingress_route *routes, size_t n) _must_check_;
bool ingress_is_first(const struct ingress_route *routes, size_t route, size_t domain);
