/* Who asks, as far as a share of the places can be counted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/cleanup.h"

#define CLIENT_SIZE 16

struct sockaddr;

/*
 * The address in the last place of X-Forwarded-For, which Caddy wrote (what stands before came from
 * outside), or where there is none, the peer's. peer and forwarded may be NULL.
 *
 * IPv4 counts whole (as ::ffff:a.b.c.d), IPv6 by its /64: more than that is one owner's to choose.
 * false: nobody in particular, so no share can be counted. That is every address that is not
 * public: the platform's ingress hands TLS on as it is, and behind it the whole world has one such
 * address.
 */
bool client_identify(const struct sockaddr *peer, const char *forwarded,
                     uint8_t ret_client[CLIENT_SIZE]);
