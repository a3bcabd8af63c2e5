/*
 * API keys. The key itself is never stored: its SHA-256 names the record (so that nothing of a
 * stored key is ever compared byte by byte with a given one), which names the account.
 *
 * coffer:api-key:<sha256 hex>  {"account": id, "active": bool, "created_at": RFC 3339}
 * coffer:account:<id>          {"account": id, "name": text, "active": bool, "created_at": ...}
 */
#pragma once

#include "services/api-gateway/http.h"

/* By the route's scope. Sets request->account ("" for the operator), or UNAUTHENTICATED (the text
 * never says what was wrong). */
struct error *auth_check(struct request *request) _must_check_;

/* Keeps the hash of the operator's key; without GATEWAY_ADMIN_KEY_FILE nobody is one. */
struct error *auth_load_admin_key(struct gateway *gateway) _must_check_;

/* Makes the account and its key unless they are there. */
struct error *auth_ensure_key(struct gateway *gateway, const char *account,
                              const char *key) _must_check_;
