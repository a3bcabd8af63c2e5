/* Dynamic updates of a zone (RFC 2136), signed with TSIG (RFC 8945). The server is looked up for
 * each update: it may move. */
#include <ldns/ldns.h>
#include <netdb.h>

#include "services/scheduler/dns.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { TTL_S = 30, TIMEOUT_S = 2, TRIES = 2, TSIG_FILE_MAX = 4096 };

struct dns_rfc2136 {
    struct dns base;
    char *host;
    char *port;
    char *zone;
    char *tsig_algorithm; /* "hmac-sha256."; NULL: unsigned */
    char *tsig_name;
    char *tsig_key; /* base64 */
};

static void resolver_free(ldns_resolver *resolver)
{
    ldns_resolver_deep_free(resolver);
}
DEFINE_CLEANUP(ldns_resolver *, resolver_free)
DEFINE_CLEANUP(ldns_pkt *, ldns_pkt_free)
DEFINE_CLEANUP(ldns_rr_list *, ldns_rr_list_deep_free)

static struct error *find_server(const struct dns_rfc2136 *dns, ldns_rdf **ret_address)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(dns->host, NULL, &hints, &found);

    if (rc)
        return error_new(ERROR_UNAVAILABLE, "name server '%s': %s", dns->host, gai_strerror(rc));
    const struct sockaddr_in *address = (const struct sockaddr_in *)found->ai_addr;
    *ret_address =
        ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof(address->sin_addr), &address->sin_addr);
    freeaddrinfo(found);
    return NULL;
}

static struct error *make_resolver(const struct dns_rfc2136 *dns, ldns_resolver **ret_resolver)
{
    ldns_rdf *address = NULL;
    struct error *err = find_server(dns, &address);

    if (err)
        return err;
    ldns_resolver *resolver = ldns_resolver_new();
    ldns_resolver_push_nameserver(resolver, address);
    ldns_rdf_deep_free(address);
    ldns_resolver_set_port(resolver, (uint16_t)strtoul(dns->port, NULL, 10));
    ldns_resolver_set_timeout(resolver, (struct timeval){.tv_sec = TIMEOUT_S});
    ldns_resolver_set_retry(resolver, TRIES);
    if (dns->tsig_name) {
        ldns_resolver_set_tsig_algorithm(resolver, dns->tsig_algorithm);
        ldns_resolver_set_tsig_keyname(resolver, dns->tsig_name);
        ldns_resolver_set_tsig_keydata(resolver, dns->tsig_key);
    }
    *ret_resolver = resolver;
    return NULL;
}

/* Deletes the A record set of name, then adds the address if there is one: one atomic update. */
static struct error *make_changes(const char *name, const char *address, ldns_rr_list **ret_changes)
{
    _cleanup_(ldns_rr_list_deep_freep) ldns_rr_list *changes = ldns_rr_list_new();
    ldns_rdf *owner = ldns_dname_new_frm_str(name);
    _cleanup_free_ char *text = NULL;
    ldns_rr *add = NULL;

    if (!owner)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a domain name", name);
    ldns_rr *drop = ldns_rr_new();
    ldns_rr_set_owner(drop, owner);
    ldns_rr_set_type(drop, LDNS_RR_TYPE_A);
    ldns_rr_set_class(drop, LDNS_RR_CLASS_ANY);
    ldns_rr_set_ttl(drop, 0);
    ldns_rr_list_push_rr(changes, drop);
    if (address) {
        text = xasprintf("%s %d IN A %s", name, TTL_S, address);
        if (ldns_rr_new_frm_str(&add, text, 0, NULL, NULL) != LDNS_STATUS_OK)
            return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not an IPv4 address", address);
        ldns_rr_list_push_rr(changes, add);
    }
    *ret_changes = TAKE_PTR(changes);
    return NULL;
}

static struct error *exchange(ldns_resolver *resolver, ldns_pkt *update)
{
    _cleanup_(ldns_pkt_freep) ldns_pkt *answer = NULL;
    ldns_status status = ldns_resolver_tsig_keyname(resolver)
                             ? ldns_update_pkt_tsig_add(update, resolver)
                             : LDNS_STATUS_OK;

    if (status != LDNS_STATUS_OK)
        return error_new(ERROR_INTERNAL, "sign update: %s", ldns_get_errorstr_by_id(status));
    status = ldns_resolver_send_pkt(&answer, resolver, update);
    if (status != LDNS_STATUS_OK || !answer)
        return error_new(ERROR_UNAVAILABLE, "send update: %s", ldns_get_errorstr_by_id(status));
    if (ldns_pkt_get_rcode(answer) == LDNS_RCODE_NOERROR)
        return NULL;
    _cleanup_free_ char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(answer));
    return error_new(ERROR_PERMISSION_DENIED, "name server refused the update: %s",
                     rcode ? rcode : "unknown reason");
}

static struct error *update_name(struct dns *base, const char *name, const char *address)
{
    const struct dns_rfc2136 *dns = (const struct dns_rfc2136 *)base;
    _cleanup_(resolver_freep) ldns_resolver *resolver = NULL;
    _cleanup_(ldns_rr_list_deep_freep) ldns_rr_list *changes = NULL;
    _cleanup_(ldns_pkt_freep) ldns_pkt *update = NULL;
    ldns_rdf *zone = ldns_dname_new_frm_str(dns->zone); /* the packet takes it */
    struct error *err = make_changes(name, address, &changes);

    if (!err && zone)
        update = ldns_update_pkt_new(zone, LDNS_RR_CLASS_IN, NULL, changes, NULL);
    if (!update)
        ldns_rdf_deep_free(zone);
    if (!err && !update)
        err = error_new(ERROR_INTERNAL, "cannot make an update of zone '%s'", dns->zone);
    if (err)
        return err;
    ldns_pkt_set_random_id(update);
    err = make_resolver(dns, &resolver);
    return err ?: exchange(resolver, update);
}

static struct error *rfc2136_set(struct dns *dns, const char *name, const char *address)
{
    return update_name(dns, name, address);
}

static struct error *rfc2136_remove(struct dns *dns, const char *name)
{
    return update_name(dns, name, NULL);
}

static void rfc2136_free(struct dns *base)
{
    struct dns_rfc2136 *dns = (struct dns_rfc2136 *)base;

    if (dns->tsig_key)
        OPENSSL_cleanse(dns->tsig_key, strlen(dns->tsig_key));
    free(dns->tsig_key);
    free(dns->tsig_name);
    free(dns->tsig_algorithm);
    free(dns->host);
    free(dns->port);
    free(dns->zone);
    free(dns);
}

static const struct dns_ops rfc2136_ops = {
    .name = "rfc2136",
    .set = rfc2136_set,
    .remove = rfc2136_remove,
    .free = rfc2136_free,
};

/* "hmac-sha256:name:base64" */
static struct error *load_tsig(const char *path, struct dns_rfc2136 *dns)
{
    _cleanup_free_ char *text = NULL;
    char *rest;
    struct error *err = file_read_text(path, TSIG_FILE_MAX, &text);

    if (err)
        return err;
    const char *algorithm = strtok_r(text, ":", &rest);
    const char *name = strtok_r(NULL, ":", &rest);
    const char *key = strtok_r(NULL, ":", &rest);
    if (!algorithm || !name || !key || rest[0])
        err = error_new(ERROR_INVALID_ARGUMENT, "'%s' is not hmac-sha256:name:base64", path);
    if (!err) {
        dns->tsig_algorithm = xasprintf("%s.", algorithm);
        dns->tsig_name = xstrdup(name);
        dns->tsig_key = xstrdup(key);
        OPENSSL_cleanse((char *)key, strlen(key));
    }
    return err;
}

struct error *dns_rfc2136_new(const char *server, const char *zone, const char *tsig_file,
                              struct dns **ret_dns)
{
    struct dns_rfc2136 *dns = xnew(struct dns_rfc2136);
    const char *colon = strrchr(server, ':');
    struct error *err = NULL;

    dns->base.ops = &rfc2136_ops;
    dns->host = xstrndup(server, colon ? (size_t)(colon - server) : strlen(server));
    dns->port = xstrdup(colon ? colon + 1 : "53");
    dns->zone = xstrdup(zone);
    if (tsig_file[0])
        err = load_tsig(tsig_file, dns);
    if (err) {
        rfc2136_free(&dns->base);
        return err;
    }
    *ret_dns = &dns->base;
    return NULL;
}
