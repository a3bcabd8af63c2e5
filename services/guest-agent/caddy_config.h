/*
 * Caddy's configuration as its native JSON: certificates by ACME with HTTP-01 and external account
 * binding, TLS 1.2 and 1.3, /nilcc/ to the attester with the prefix taken off (requests that
 * only read and have no body), the rest to the user's public service as it comes. No admin
 * endpoint; no other issuer than the one named.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

struct caddy_config {
    const char *domain;
    const char *const
        *more_domains; /* custom domains: certificates as soon as their DNS is right */
    size_t n_more_domains;
    const char *public_service;
    uint32_t public_port;
    const char *acme_directory;   /* https URL */
    const char *acme_eab_key_id;  /* "" none */
    const char *acme_eab_mac_key; /* a secret: the file is ours alone */
    bool has_acme_ca;             /* the ACME server's CA is mounted into the container */
};

/* INVALID_ARGUMENT names what cannot stand in a configuration. Adds to *ret_json. */
struct error *caddy_config_write(const struct caddy_config *config,
                                 struct buffer *ret_json) _must_check_;
