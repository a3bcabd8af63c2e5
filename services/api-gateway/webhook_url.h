/*
 * Where a webhook may point. Users choose the URL and we call it from inside the operator's
 * network, so it must lead out of it: the text is judged when it is given, and the address that
 * its name has at that moment is judged again at each connect.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "shared/base/error.h"

enum { WEBHOOK_URL_MAX = 2048 };

/* INVALID_ARGUMENT says what is wrong. insecure: for development, also http, any port and any
 * host; what breaks a request line or hides a host is refused there too. */
struct error *webhook_url_check(const char *url, bool insecure) _must_check_;

/* False for what is private, of this machine, this link, a group, or not given to anybody; and for
 * IPv6 forms that lead to such an IPv4 address. */
bool webhook_address_is_public(const struct sockaddr *address, size_t size);
