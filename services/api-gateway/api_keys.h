/*
 * API keys, kept by the gateway. The key itself, the secret, is shown once and never stored: its
 * SHA-256 names the record, so nothing of a stored key is ever compared byte by byte with a given
 * one. What people and lists call a key is a random id that opens nothing.
 *
 * The existing system's id is the secret, and its clients take `id` of the answer to a create as
 * the bearer. So there, and only there, `id` is the secret; everywhere else it is the public id,
 * which `keyId` always is. Update and delete take either.
 *
 * coffer:api-key:<sha256>      {"account", "id", "name", "member_id" ("": none), "type", "level",
 *                               "active", "created_at_ms", "updated_at_ms", "expires_at_ms" (0:
 *                               never)}
 * coffer:api-key-id:<sha256 of id> {"sha256"} of the secret
 * coffer:api-key-used:<sha256> {"at_ms"}; apart, so that it does not collide with changes
 */
#pragma once

#include "services/api-gateway/http.h"

enum {
    API_KEY_MIN = 16,
    API_KEY_MAX = 256,
    API_KEY_NAME_MAX = 128,
    API_KEYS_MAX = 1000, /* of one account */
    API_KEY_SECRET_SIZE = 64,
};

enum api_key_type { API_KEY_USER, API_KEY_ACCOUNT_ADMIN, API_KEY_TYPES_ };

struct api_key {
    char sha256[65];
    const char *id; /* texts live in the arena it was read into */
    const char *account;
    const char *name;
    const char *member_id; /* "": of the account as a whole */
    enum api_key_type type;
    enum key_level level;
    bool active;
    int64_t created_at_ms;
    int64_t updated_at_ms;
    int64_t expires_at_ms; /* 0: never */
    int64_t used_at_ms;    /* 0: not yet; only lists fill it */
    uint64_t version;
};

/* What a change sets; what is not given stays. */
struct api_key_edit {
    const char *name;     /* NULL: stays */
    const char *type;     /* a valid name, or NULL: stays. Without a level it sets its own */
    enum key_level level; /* LEVEL_NONE: stays */
    bool set_active;
    bool active;
    bool set_expiry;
    int64_t expires_at_ms;
};

bool api_key_type_parse(const char *text, enum api_key_type *ret_type);
bool key_level_parse(const char *text, enum key_level *ret_level);
enum key_level api_key_type_level(enum api_key_type type); /* the most it can have */

void api_key_hash(const char *secret, char ret_sha256[65]);

/* The key with this hash, version 0 when there is none. */
struct error *api_key_load(struct gateway *gateway, const char *sha256, struct arena *arena,
                           struct api_key *ret_key) _must_check_;

/* By public id or by secret. NOT_FOUND for none, and for another account's. */
struct error *api_key_find(struct request *request, const char *id_or_secret,
                           struct api_key *ret_key) _must_check_;

/* Fills what is new of *key and keeps it. The caller wipes the secret. FAILED_PRECONDITION when the
 * account has too many. */
struct error *api_key_create(struct request *request, struct api_key *key,
                             char ret_secret[API_KEY_SECRET_SIZE]) _must_check_;
struct error *api_key_change(struct request *request, const char *id_or_secret,
                             const struct api_key_edit *edit, struct api_key *ret_key) _must_check_;
struct error *api_key_delete(struct request *request, const char *id_or_secret) _must_check_;

/* The page that the query asks for, newest first. */
struct error *api_keys_list(struct request *request, const char *account,
                            struct response *response) _must_check_;
/* New reference. id: the public id, or the secret in the one answer that has it. */
json_t *api_key_to_json(const struct api_key *key, const char *id);

/* Keeps a given secret as an account-admin key unless it is there. */
struct error *api_key_ensure(struct gateway *gateway, const char *account,
                             const char *secret) _must_check_;
