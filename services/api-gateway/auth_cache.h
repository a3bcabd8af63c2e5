/* API keys and accounts as auth needs them, from memory where they are known. What time and the
 * caller decide is judged anew at each request; here is only what the records say. */
#pragma once

#include "services/api-gateway/accounts.h"
#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/gateway.h"

struct auth_key {
    char id[UUID_TEXT_SIZE];
    char account[64];
    enum api_key_type type;
    enum key_level level;
    bool active; /* also false when there is no such key */
    int64_t expires_at_ms;
    char member[UUID_TEXT_SIZE]; /* "": of the account as a whole */
};

/* What requests need to know of an account again and again. */
struct auth_account {
    bool active; /* also false when there is no such account */
    int64_t balance_micro;
    struct quota quota;
};

/* What a member lets a key do. */
struct auth_member {
    bool active; /* also false when there is no such member */
    enum key_level level;
};

/* False: only the store can tell. */
bool auth_key_now(struct gateway *gateway, const char *sha256, struct auth_key *ret_key);
bool auth_account_now(struct gateway *gateway, const char *account,
                      struct auth_account *ret_account);
bool auth_member_now(struct gateway *gateway, const char *member, struct auth_member *ret_member);

/* From memory or the store; a missing one is not active. The account is request->account. */
struct error *auth_key_find(struct request *request, const char *sha256,
                            struct auth_key *ret_key) _must_check_;
struct error *auth_account_find(struct request *request,
                                struct auth_account *ret_account) _must_check_;
struct error *auth_member_find(struct request *request, const struct auth_key *key,
                               struct auth_member *ret_member) _must_check_;
