/*
 * Accounts, kept by the gateway. A change and its audit entry are one commit that names the
 * version it read, so two at once never lose one: the later one reads again.
 *
 * coffer:account:<id>          {"account", "name", "active", "created_at" RFC 3339, "wallet",
 *                               "balance_micro_usd", "quota" {...}, see quota.h}
 * coffer:account-wallet:<0x..> {"account"}; lower case: no two accounts have one wallet
 */
#pragma once

#include "services/api-gateway/http.h"
#include "services/api-gateway/quota.h"
#include "shared/store/store.h"

enum { ACCOUNT_ID_MAX = 63, ACCOUNT_NAME_MAX = 128, ACCOUNTS_MAX = 100000 };

struct account {
    const char *id; /* texts live in the request's arena */
    const char *name;
    const char *wallet; /* "" without one */
    const char *created_at;
    bool active;
    int64_t balance_micro;
    struct quota quota;
    uint64_t version;
};

/* NOT_FOUND for no such account, and for one that the caller may not know of. */
struct error *account_load(struct request *request, const char *id,
                           struct account *ret_account) _must_check_;
/* Refused (INVALID_PATH) when the path's parameter can be no account's id. */
struct error *account_check_path(struct request *request) _must_check_;
/* For what happens without a request. One that there is not is not active. */
struct error *account_is_active(struct store *store, const char *id, struct arena *arena,
                                bool *ret_active) _must_check_;
/* The page that the query asks for. */
struct error *accounts_list(struct request *request, struct response *response) _must_check_;

/* Fills id and created_at of *account, and keeps it. ALREADY_EXISTS: the wallet has an account. */
struct error *account_create(struct request *request, struct account *account) _must_check_;

/* Edits what was read and adds to the audit entry's details; called again when somebody was
 * quicker. */
typedef struct error *(*account_edit)(struct account *account, const void *data, json_t *details);
struct error *account_change(struct request *request, const char *id, account_edit edit,
                             const void *data, struct account *ret_account) _must_check_;

json_t *account_to_json(const struct account *account); /* new reference */

/* What the account's workloads cost a minute now, in millionths of USD: all that are neither
 * stopped nor deleted. */
struct error *account_burn_rate_micro(struct request *request, const struct account *account,
                                      uint64_t *ret_micro) _must_check_;

/* Makes the account unless it is there; without a request, so outside the audit trail. */
struct error *account_ensure(struct gateway *gateway, const char *id) _must_check_;
