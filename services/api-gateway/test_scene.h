/* Two accounts with keys of every kind, made through the API, for the tests of accounts, keys and
 * the audit trail. */
#pragma once

#include "services/api-gateway/test_fixture.h"

#define ADMIN "x-api-key: " TEST_ADMIN

enum actor {
    NOBODY,
    GLOBAL_ADMIN,
    ADMIN_BEARER,  /* the same key as a bearer */
    ACCOUNT_ADMIN, /* of account "ours" */
    AUDITOR,       /* account-admin, scope read */
    DEPLOYER,      /* user, scope deploy */
    READER,        /* user, scope read */
    FOREIGN,       /* account-admin of account "theirs" */
    INACTIVE,
    EXPIRED,
    UNKNOWN,
    ACTORS_,
};

struct scene {
    struct fixture *f;
    struct clock_fake clock;
    char ours[64];
    char theirs[64];
    char secrets[ACTORS_][96]; /* as http_call takes them; "" for NOBODY */
    char ids[ACTORS_][64];     /* public ids of the keys that have one */
};

struct scene *scene_new(void);
/* prepare is called with the store before anybody else has it. */
struct scene *scene_new_with(void (*prepare)(struct store *store));
void scene_free(struct scene *scene);
DEFINE_CLEANUP(struct scene *, scene_free)

/* In path and body $OURS, $THEIRS, $ADMIN, $DEPLOYER, $READER and $FOREIGN stand for ids of
 * accounts and keys, $SECRET for the deployer's secret, $FOREIGNSECRET for the foreign one's. */
struct answer scene_call(const struct scene *scene, enum actor actor, const char *method,
                         const char *path, const char *body);

/* The same with more headers; the list ends with NULL. */
struct answer scene_call_with(const struct scene *scene, enum actor actor, const char *method,
                              const char *path, const char *const *headers, const char *body);

/* All accounts, keys and audit entries as text; what a refusal must not change. Caller frees. */
char *scene_dump(const struct scene *scene);
