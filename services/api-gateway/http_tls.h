/*
 * The certificate of a server, from files that are looked at every second: a renewed one counts
 * for the next handshake, without a restart. A bad one is logged, and the one before stays.
 */
#pragma once

#include <gnutls/abstract.h>

#include "shared/base/error.h"

struct http_tls;

/* PEM chain and key; they must belong together. Starts a thread that watches them. */
struct error *http_tls_new(const char *cert_path, const char *key_path,
                           struct http_tls **ret_tls) _must_check_;
void http_tls_free(struct http_tls *tls); /* NULL is fine */

/* Copies for one handshake, for gnutls to free; 0, or -1 as gnutls wants it. */
int http_tls_certificate(struct http_tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_n,
                         gnutls_privkey_t *ret_key);
