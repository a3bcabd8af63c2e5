#include "services/attester/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Private use, carrier NAT, loopback, link-local (RFC 1918, 6598, 1122, 3927). */
static const struct {
    uint32_t network;
    uint32_t mask;
} inner[] = {
    {0x0a000000, 0xff000000}, {0xac100000, 0xfff00000}, {0xc0a80000, 0xffff0000},
    {0x64400000, 0xffc00000}, {0x7f000000, 0xff000000}, {0xa9fe0000, 0xffff0000},
    {0x00000000, 0xff000000},
};

static bool is_public_v4(uint32_t address)
{
    for (size_t i = 0; i < ELEMENTSOF(inner); i++)
        if ((address & inner[i].mask) == inner[i].network)
            return false;
    return true;
}

static bool identify_v4(const struct in_addr *address, uint8_t ret_client[CLIENT_SIZE])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (!is_public_v4(ntohl(address->s_addr)))
        return false;
    memcpy(ret_client, mapped, sizeof(mapped));
    memcpy(ret_client + sizeof(mapped), address, 4);
    return true;
}

static bool identify_v6(const struct in6_addr *address, uint8_t ret_client[CLIENT_SIZE])
{
    struct in_addr v4;

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        memcpy(&v4, address->s6_addr + 12, sizeof(v4));
        return identify_v4(&v4, ret_client);
    }
    if ((address->s6_addr[0] & 0xe0) != 0x20) /* 2000::/3 is what is routed */
        return false;
    memcpy(ret_client, address->s6_addr, 8);
    memset(ret_client + 8, 0, 8);
    return true;
}

/* The last of a list, without blanks; false: no address. */
static bool identify_text(const char *list, uint8_t ret_client[CLIENT_SIZE])
{
    const char *comma = strrchr(list, ',');
    const char *last = comma ? comma + 1 : list;
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    last += strspn(last, " \t");
    size_t n = strcspn(last, " \t");
    if (n >= sizeof(text) || last[n + strspn(last + n, " \t")])
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)n, last);
    if (inet_pton(AF_INET, text, &v4) == 1)
        return identify_v4(&v4, ret_client);
    return inet_pton(AF_INET6, text, &v6) == 1 && identify_v6(&v6, ret_client);
}

bool client_identify(const struct sockaddr *peer, const char *forwarded,
                     uint8_t ret_client[CLIENT_SIZE])
{
    if (forwarded)
        return identify_text(forwarded, ret_client);
    if (peer && peer->sa_family == AF_INET)
        return identify_v4(&((const struct sockaddr_in *)peer)->sin_addr, ret_client);
    if (peer && peer->sa_family == AF_INET6)
        return identify_v6(&((const struct sockaddr_in6 *)peer)->sin6_addr, ret_client);
    return false;
}
