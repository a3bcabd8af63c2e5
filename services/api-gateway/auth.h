/*
 * Who calls, and whether the route is for them. The operator's admin key comes as `x-api-key`, as
 * the existing system has it, or as a bearer; keys of accounts come as bearers. Keys are told by
 * their SHA-256, so that no comparison takes longer the more of a key was guessed.
 */
#pragma once

#include "services/api-gateway/http.h"

/*
 * Sets request->principal and ->account. UNAUTHENTICATED for no key, an unknown, inactive or
 * expired one, or one of an inactive account (the text never says which); PERMISSION_DENIED when
 * the key is good and the route is not for it.
 */
struct error *auth_check(struct request *request) _must_check_;

/*
 * The same on the event loop, from memory. False: it cannot be told without the store, and
 * auth_check() is to be asked. True: *ret_err is what that would return.
 */
bool auth_check_now(struct request *request, struct error **ret_err) _must_check_;

/*
 * Whether the API key of that hash may still read what is its account's, for what outlives the
 * request that it came with. UNAUTHENTICATED: not any more. May block on the store.
 */
struct error *auth_check_again(struct gateway *gateway, const char sha256[65],
                               struct arena *arena) _must_check_;

/* The API key that the caller came with; after auth_check() said yes. Lives with the request. */
const char *auth_secret(const struct request *request);

/* Reads GATEWAY_ADMIN_KEY_FILE and keeps its hash; without a file there is no global admin. */
struct error *auth_load_admin_key(struct gateway *gateway) _must_check_;

/* Makes the account and its key unless they are there. */
struct error *auth_ensure_key(struct gateway *gateway, const char *account,
                              const char *key) _must_check_;
