/*
 * The names of workloads in DNS as a port: an RFC 2136 server with TSIG (dns_rfc2136.c), nothing
 * at all (dns_none.c, where somebody else keeps a wildcard), and a table in memory for tests.
 */
#pragma once

#include "shared/base/error.h"

struct dns;

struct dns_ops {
    const char *name;
    struct error *(*set)(struct dns *dns, const char *name, const char *address);
    struct error *(*remove)(struct dns *dns, const char *name);
    void (*free)(struct dns *dns);
};

struct dns {
    const struct dns_ops *ops;
};

/* The A record of name is exactly this IPv4 address from now on. Repeating it is harmless. */
static inline _must_check_ struct error *dns_set(struct dns *dns, const char *name,
                                                 const char *address)
{
    return dns->ops->set(dns, name, address);
}

/* No A record of name from now on; none before is fine. */
static inline _must_check_ struct error *dns_remove(struct dns *dns, const char *name)
{
    return dns->ops->remove(dns, name);
}

static inline void dns_free(struct dns *dns)
{
    if (dns)
        dns->ops->free(dns);
}
DEFINE_CLEANUP(struct dns *, dns_free)

struct dns *dns_none_new(void);

/*
 * server: "host[:port]", the zone's primary. tsig_file: one line "hmac-sha256:name:base64", as
 * nsupdate -y takes it; "" sends unsigned updates.
 */
struct error *dns_rfc2136_new(const char *server, const char *zone, const char *tsig_file,
                              struct dns **ret_dns) _must_check_;

struct dns *dns_memory_new(void);
/* The address of name, or NULL; lives until the next change. */
const char *dns_memory_find(struct dns *dns, const char *name);
/* From now on every change fails UNAVAILABLE (or works again). */
void dns_memory_fail(struct dns *dns, bool fail);
