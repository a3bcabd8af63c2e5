#include "services/api-gateway/webhook_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>

enum { PORT_HTTPS = 443, PORT_FREE_MIN = 1024, HOST_MAX = 253, LABEL_MAX = 63 };

DEFINE_CLEANUP(CURLU *, curl_url_cleanup)
DEFINE_CLEANUP(char *, curl_free)

/* IANA's special-purpose registry of IPv4 (RFC 6890 and its followers), multicast, and the address
 * at which one large cloud serves its machines (168.63.129.16). */
static const struct {
    uint32_t network;
    unsigned bits;
} closed_v4[] = {
    {0x00000000, 8},  /* 0.0.0.0/8, this network */
    {0x0a000000, 8},  /* 10.0.0.0/8 */
    {0x64400000, 10}, /* 100.64.0.0/10, carrier-grade NAT */
    {0x7f000000, 8},  /* 127.0.0.0/8 */
    {0xa83f8110, 32}, /* 168.63.129.16 */
    {0xa9fe0000, 16}, /* 169.254.0.0/16, with the metadata address */
    {0xac100000, 12}, /* 172.16.0.0/12 */
    {0xc0000000, 24}, /* 192.0.0.0/24 */
    {0xc0000200, 24}, /* 192.0.2.0/24, documentation */
    {0xc0586300, 24}, /* 192.88.99.0/24, 6to4 relays */
    {0xc0a80000, 16}, /* 192.168.0.0/16 */
    {0xc6120000, 15}, /* 198.18.0.0/15, benchmarks */
    {0xc6336400, 24}, /* 198.51.100.0/24, documentation */
    {0xcb007100, 24}, /* 203.0.113.0/24, documentation */
    {0xe0000000, 3},  /* 224.0.0.0/4 multicast, 240.0.0.0/4 reserved, broadcast */
};

/* Parts of 2000::/3, outside of which nothing is public. */
static const struct {
    uint8_t network[16];
    unsigned bits;
} closed_v6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* 2001::/23, protocols: Teredo, ORCHID ... */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4 */
    {{0x3f, 0xff}, 20},             /* documentation */
};

static bool v4_is_public(uint32_t address)
{
    for (size_t i = 0; i < ELEMENTSOF(closed_v4); i++)
        if ((address ^ closed_v4[i].network) >> (32 - closed_v4[i].bits) == 0)
            return false;
    return true;
}

static bool has_prefix(const uint8_t *address, const uint8_t *network, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(address, network, bits / 8) != 0)
        return false;
    return !rest || (address[bits / 8] ^ network[bits / 8]) >> (8 - rest) == 0;
}

/* The IPv4 address in the last four bytes. */
static bool embedded_is_public(const uint8_t address[16])
{
    return v4_is_public((uint32_t)address[12] << 24 | (uint32_t)address[13] << 16 |
                        (uint32_t)address[14] << 8 | address[15]);
}

static bool v6_is_public(const uint8_t address[16])
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */
    static const uint8_t nat64[16] = {0x00, 0x64, 0xff, 0x9b};    /* RFC 6052 */
    static const uint8_t global[16] = {0x20};                     /* 2000::/3 */

    if (has_prefix(address, mapped, 96) || has_prefix(address, nat64, 96))
        return embedded_is_public(address);
    if (!has_prefix(address, global, 3))
        return false;
    for (size_t i = 0; i < ELEMENTSOF(closed_v6); i++)
        if (has_prefix(address, closed_v6[i].network, closed_v6[i].bits))
            return false;
    return true;
}

bool webhook_address_is_public(const struct sockaddr *address, size_t size)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET && size >= sizeof(v4)) {
        memcpy(&v4, address, sizeof(v4));
        return v4_is_public(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(v6)) {
        memcpy(&v6, address, sizeof(v6));
        return v6_is_public(v6.sin6_addr.s6_addr);
    }
    return false;
}

static struct error *bad(const char *why)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s", why);
}

/* Before any parser sees it: what parsers differ about. */
static struct error *check_text(const char *url)
{
    const char *authority = strstr(url, "://");

    if (strlen(url) > WEBHOOK_URL_MAX)
        return bad("the URL is too long");
    for (const char *p = url; *p; p++)
        if (*p < '!' || *p > '~' || strchr("\\\"<>^`{|}", *p))
            return bad("the URL has a character that must be percent-encoded (hosts: punycode)");
    if (strchr(url, '#'))
        return bad("the URL has a fragment, which is never sent");
    if (!authority)
        return bad("the URL has no scheme");
    authority += strlen("://");
    size_t size = strcspn(authority, "/?");
    if (memchr(authority, '@', size))
        return bad("the URL has a user or password: put a token in the path, or check signatures");
    if (!size || memchr(authority, '%', size))
        return bad("the URL's host is empty or encoded");
    return NULL;
}

/* Letters, digits and '-' in labels; the last one is not a number, so that no form of an IPv4
 * address passes for a name. */
static bool is_name(const char *host)
{
    const char *last = host;
    size_t label = 0;

    if (!*host || strlen(host) > HOST_MAX)
        return false;
    for (const char *p = host;; p++) {
        if (*p == '.' || !*p) {
            if (!label || label > LABEL_MAX || p[-1] == '-' || p[-(ptrdiff_t)label] == '-')
                return false;
            label = 0;
            if (!*p)
                break;
            last = p + 1;
        } else if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", *p)) {
            label++;
        } else {
            return false;
        }
    }
    return strspn(last, "0123456789") != strlen(last) && strncasecmp(last, "0x", 2) != 0;
}

static bool is_local_name(const char *host)
{
    static const char *const names[] = {"localhost",   "local", "internal",
                                        "localdomain", "arpa",  "onion"};
    const char *last = strrchr(host, '.');

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (strcasecmp(last ? last + 1 : host, names[i]) == 0)
            return true;
    return !last; /* one label is looked up in the operator's own domain */
}

/* "[v6]", "v4" as libcurl has normalised it, or a name. */
static struct error *check_host(const char *host, bool insecure)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char inner[INET6_ADDRSTRLEN] = "";
    size_t size = strlen(host);
    bool is_public = false;

    if (host[0] == '[' && size - 2 < sizeof(inner)) {
        memcpy(inner, host + 1, size - 2);
        if (inet_pton(AF_INET6, inner, &v6.sin6_addr) != 1)
            return bad("the URL's host is no IPv6 address");
        is_public = webhook_address_is_public((struct sockaddr *)&v6, sizeof(v6));
    } else if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        is_public = webhook_address_is_public((struct sockaddr *)&v4, sizeof(v4));
    } else if (is_name(host)) {
        is_public = !is_local_name(host);
    } else {
        return bad("the URL's host is no domain name and no address");
    }
    return is_public || insecure ? NULL : bad("the URL's host is not a public one");
}

static struct error *check_port(const char *port, bool insecure)
{
    unsigned long number = strtoul(port, NULL, 10);

    if (insecure || number == PORT_HTTPS || number >= PORT_FREE_MIN)
        return NULL;
    return bad("the URL's port is neither 443 nor 1024 or higher");
}

static struct error *check_scheme(const char *scheme, bool insecure)
{
    if (strcmp(scheme, "https") == 0 || (insecure && strcmp(scheme, "http") == 0))
        return NULL;
    return bad("the URL is not https");
}

/* By libcurl, which will also call it: so both read the same. */
struct error *webhook_url_check(const char *url, bool insecure)
{
    _cleanup_(curl_url_cleanupp) CURLU *parts = NULL;
    _cleanup_(curl_freep) char *scheme = NULL;
    _cleanup_(curl_freep) char *host = NULL;
    _cleanup_(curl_freep) char *port = NULL;
    struct error *err = check_text(url);

    if (err)
        return err;
    parts = curl_url();
    if (!parts || curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return bad("this is no URL that can be called");
    err = check_scheme(scheme, insecure);
    err = err ?: check_host(host, insecure);
    return err ?: check_port(port, insecure);
}
