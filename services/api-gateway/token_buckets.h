/*
 * Token buckets by name, in bounded memory. A bucket holds up to `burst` requests and gets
 * `per_minute` new ones; who has not been here yet has a full one.
 *
 * A name can stand in a few places only (its set); when they are taken, the one that was used
 * least recently is forgotten. A set is looked through under the lock of its shard, so a call
 * takes a short time whatever else is going on. Time is the caller's.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BUCKET_SETS = 1024,
    BUCKET_WAYS = 8,
    BUCKET_SHARDS = 16,
    BUCKET_NAME_SIZE = 48, /* what is longer counts by its beginning */
};
#define BUCKET_RATE_MAX 1000000000U /* what is more counts as this */

struct token_bucket;

struct token_buckets {
    uint64_t per_minute; /* 0: no limit */
    uint64_t burst;      /* at least 1 */
    uint64_t seed;       /* so that nobody chooses names of one set */
    pthread_mutex_t locks[BUCKET_SHARDS];
    struct token_bucket *buckets; /* owned; BUCKET_SETS times BUCKET_WAYS */
};

struct token_state {
    uint64_t limit;         /* requests that a full bucket holds; 0: no limit */
    uint64_t remaining;     /* requests that are left */
    uint64_t reset_s;       /* until it is full, rounded up */
    uint64_t retry_after_s; /* until there is one; 0: now */
};

void token_buckets_init(struct token_buckets *buckets, uint64_t per_minute, uint64_t burst);
void token_buckets_done(struct token_buckets *buckets);

/* One request by name at now_ms (monotonic): true when it may go on. ret_state: as it is then. */
bool token_buckets_take(struct token_buckets *buckets, const char *name, int64_t now_ms,
                        struct token_state *ret_state);

/* The same without taking it. */
bool token_buckets_peek(struct token_buckets *buckets, const char *name, int64_t now_ms,
                        struct token_state *ret_state);

/* Takes one also when there is none, as a debt: for who is judged only after peeking, so that
 * many at once gain nothing. */
void token_buckets_charge(struct token_buckets *buckets, const char *name, int64_t now_ms);
