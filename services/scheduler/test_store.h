/* A store in front of another one that counts and can fail: for the tests of this folder. */
#pragma once

#include "shared/store/store.h"

struct test_store {
    struct store base;
    struct store *inner;
    unsigned commits;                  /* that were tried */
    unsigned reads;                    /* round trips of any kind but commits */
    unsigned hosts_read;               /* host records that were asked for */
    unsigned aborts;                   /* how many of the next commits end without effect */
    enum error_code abort_code;        /* and how; OK: ABORTED */
    bool lose_answer;                  /* the next commit happens, and ends UNAVAILABLE */
    void (*before_commit)(void *data); /* once, before the next commit: somebody else's change */
    void *data;
};

/* The inner store stays the caller's. */
void test_store_init(struct test_store *store, struct store *inner);
