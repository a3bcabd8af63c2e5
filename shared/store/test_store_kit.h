/* One store for all tests of a program: in memory, or (STORE_TEST_REDIS) on a Redis server of the
 * program's own; skipped (77) where there is none to run. */
#pragma once

#include "shared/store/test_redis_server.h"

#ifdef STORE_TEST_REDIS
#define ON_REDIS true
#else
#define ON_REDIS false
#endif

struct store_fixture {
    struct store *store;
    struct arena *arena;
    struct redis_server redis; /* ON_REDIS */
};
extern struct store_fixture fixture;

/* Of the group. */
int store_setup(void **state);
int store_teardown(void **state);

void assert_ok(struct error *err);
void assert_code(struct error *err, enum error_code code);
ProtobufCBinaryData bytes(const char *text);

/* A commit of one record; text NULL: removes it. */
struct error *write_one(const char *key, uint64_t expected, const char *text, uint64_t term);
struct store_record read_one(const char *key); /* in the fixture's arena */
void assert_value(const struct store_record *record, const char *text);
