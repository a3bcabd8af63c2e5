/* Who calls, and what a route asks of its caller. */
#pragma once

#include "shared/base/encode.h"

/* Each level contains the ones before it. */
enum key_level { LEVEL_NONE, LEVEL_READ, LEVEL_DEPLOY, LEVEL_ADMIN };

enum principal_kind {
    PRINCIPAL_NONE,
    PRINCIPAL_USER,          /* a key for workloads; knows nothing of accounts and keys */
    PRINCIPAL_ACCOUNT_ADMIN, /* a key that may also administer its account */
    PRINCIPAL_GLOBAL_ADMIN,  /* the operator's admin key; has no account and no workloads */
};

struct principal {
    enum principal_kind kind;
    enum key_level level;
    char key_id[UUID_TEXT_SIZE]; /* "" for the global admin */
};

/* Who may call a route: kinds of principals and the least level of their key; see auth.c. */
enum scope {
    SCOPE_NONE,             /* anybody */
    SCOPE_READ,             /* any key: sees its own account's workloads */
    SCOPE_DEPLOY,           /* any key that may change them */
    SCOPE_IDENTITY,         /* an account-admin key, about itself */
    SCOPE_ACCOUNT_READ,     /* an account-admin key for its account, or the global admin */
    SCOPE_ACCOUNT_ADMIN,    /* the same, changing things */
    SCOPE_ADMIN,            /* the global admin */
    SCOPE_ADMIN_OR_ACCOUNT, /* any key, and the global admin: what all may read */
    SCOPES_,
};
