/*
 * Members of an account: people, with a role each. An API key may belong to one; then it can never
 * do more than the role, whatever its own scope says. Keys without a member are as before.
 *
 * The roster of an account names its members and which of them are active owners; every change
 * replaces it by compare-and-set in the same commit. So of two owners that remove each other one
 * comes second, and sees that there is only one left.
 *
 * Ids never come back, so the keys of a deleted member are dead without being touched, and one
 * that is made meanwhile is dead as well.
 *
 * coffer:member:<m>      {"member", "account", "name", "role", "active", "created_at_ms",
 *                         "updated_at_ms"}
 * coffer:members-of:<a>  {"members": [ids], "owners": [ids of the active owners]}
 */
#pragma once

#include "services/api-gateway/http.h"

enum { MEMBER_ID_MAX = 63, MEMBER_NAME_MAX = 128, MEMBERS_MAX = 500 /* of one account */ };

struct api_key;

enum member_role { MEMBER_VIEWER, MEMBER_DEPLOYER, MEMBER_OWNER, MEMBER_ROLES_ };

struct member {
    const char *id; /* texts live in the request's arena */
    const char *account;
    const char *name;
    enum member_role role;
    bool active;
    int64_t created_at_ms;
    int64_t updated_at_ms;
    uint64_t version;
};

/* What a change sets; what is not given stays. */
struct member_edit {
    const char *name; /* NULL: stays */
    bool set_role;
    enum member_role role;
    bool set_active;
    bool active;
};

bool member_role_parse(const char *text, enum member_role *ret_role);

/* NOT_FOUND for none, and for another account's. */
struct error *member_find(struct request *request, const char *id,
                          struct member *ret_member) _must_check_;

/* Fills what is new of *member and keeps it. FAILED_PRECONDITION when the account has too many. */
struct error *member_create(struct request *request, struct member *member) _must_check_;

/* FAILED_PRECONDITION when no active owner would be left. */
struct error *member_change(struct request *request, const char *id, const struct member_edit *edit,
                            struct member *ret_member) _must_check_;
struct error *member_delete(struct request *request, const char *id) _must_check_;

/* The page that the request asks for, oldest first. */
struct error *members_list(struct request *request, const char *account,
                           struct response *ret_response) _must_check_;

json_t *member_to_json(const struct member *member); /* new reference */

/*
 * What the key's member makes of it: its level is at most that of the role, and it is inactive
 * when the member is, or is no more. Nothing for a key without a member.
 */
struct error *member_limit_key(struct gateway *gateway, struct arena *arena,
                               struct api_key *key) _must_check_;
