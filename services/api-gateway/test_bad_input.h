/* The rows of test_bad_input.c: requests that must be refused, who sends them, and how. */
#pragma once

#include "services/api-gateway/test_scene.h"

/* Who sends a row: an actor of the scene, or one of these. */
enum bad_caller {
    REVOKED = ACTORS_, /* a key that was deleted */
    DISABLED,          /* of a member who was switched off */
    VIEWER,            /* an account-admin key of a member who may only look */
    CALLERS_,
};

/*
 * In path, body and headers stand for something: $OURS and $THEIRS (accounts), $ADMIN, $DEPLOYER,
 * $READER, $FOREIGN (ids of keys), $SECRET and $FOREIGNSECRET (keys), $WORKLOAD, $MEMBER and
 * $WEBHOOK (ours), $ALIENWORKLOAD, $ALIENMEMBER and $ALIENWEBHOOK (theirs); $DEEP (10,000 opened
 * lists), $DEEPER (10,000 opened objects), $X200 and so on (that many letters), $NUL (a byte 0; in
 * requests by hand only).
 */
struct bad_row {
    int caller;
    const char *method;
    const char *path;
    const char *body; /* NULL: none */
    long status;
    const char *kind;
    const char *text;    /* part of the answer */
    const char *headers; /* lines that end with "\n"; NULL: none */
};

/* A request by hand, byte by byte; ends with the connection. */
struct bad_raw {
    const char *what;
    const char *request;
    unsigned status;
    const char
        *kind; /* NULL: libmicrohttpd answers by itself (or ends the connection), its versions
                * not alike: some 4xx; with status 0 whatever it makes of it, if no harm */
};

/* A body that is taken, with every member that there is: each is made wrong in every way. */
struct bad_body {
    int caller;
    const char *method;
    const char *path;
    const char *good;
};

extern const struct bad_row bad_accounts[];
extern const size_t n_bad_accounts;
extern const struct bad_row bad_callers[];
extern const size_t n_bad_callers;
extern const struct bad_row bad_values[];
extern const size_t n_bad_values;
extern const struct bad_row bad_places[];
extern const size_t n_bad_places;
extern const struct bad_raw bad_raws[];
extern const size_t n_bad_raws;
extern const struct bad_body bad_bodies[];
extern const size_t n_bad_bodies;

/* What no answer may have in it, wherever it stood in the request. */
#define MARK "mark-5f1c77"
