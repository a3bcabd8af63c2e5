#include "services/api-gateway/token_buckets.h"

#include <openssl/rand.h>

#include "shared/base/alloc.h"

/* In units of which one request costs UNIT and each millisecond brings per_minute. */
#define UNIT INT64_C(60000)

/* Debts end somewhere: so many full buckets. */
enum { DEBT_MAX = 10 };

enum use { PEEK, TAKE, CHARGE };

struct token_bucket {
    char name[BUCKET_NAME_SIZE]; /* "": free */
    int64_t credit;              /* less than 0: a debt */
    int64_t at_ms;               /* when credit was right, and it was used last */
};

static uint64_t at_most_max(uint64_t value)
{
    return value < BUCKET_RATE_MAX ? value : BUCKET_RATE_MAX;
}

void token_buckets_init(struct token_buckets *buckets, uint64_t per_minute, uint64_t burst)
{
    *buckets = (struct token_buckets){
        .per_minute = at_most_max(per_minute),
        .burst = at_most_max(burst ?: 1),
        .buckets = xnew_array(struct token_bucket, (size_t)BUCKET_SETS * BUCKET_WAYS),
    };
    /* Without random numbers the names are only easier to choose. */
    (void)RAND_bytes((unsigned char *)&buckets->seed, sizeof(buckets->seed));
    for (size_t i = 0; i < BUCKET_SHARDS; i++)
        pthread_mutex_init(&buckets->locks[i], NULL);
}

void token_buckets_done(struct token_buckets *buckets)
{
    if (!buckets->buckets)
        return;
    for (size_t i = 0; i < BUCKET_SHARDS; i++)
        pthread_mutex_destroy(&buckets->locks[i]);
    free(buckets->buckets);
    buckets->buckets = NULL;
}

/* FNV-1a (64 bits) from a random start, and its halves mixed. */
static size_t set_of(const struct token_buckets *buckets, const char *name)
{
    uint64_t hash = buckets->seed ^ 0xcbf29ce484222325U;

    for (const char *p = name; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3U;
    return (hash ^ hash >> 32) % BUCKET_SETS;
}

static int64_t capacity(const struct token_buckets *buckets)
{
    return (int64_t)buckets->burst * UNIT;
}

/* NULL: not there. */
static struct token_bucket *find(struct token_bucket *set, const char *name)
{
    for (size_t i = 0; i < BUCKET_WAYS; i++)
        if (strcmp(set[i].name, name) == 0)
            return &set[i];
    return NULL;
}

static struct token_bucket *oldest(struct token_bucket *set)
{
    struct token_bucket *found = set;

    for (size_t i = 0; i < BUCKET_WAYS; i++) {
        if (!*set[i].name)
            return &set[i];
        if (set[i].at_ms < found->at_ms)
            found = &set[i];
    }
    return found;
}

/* Threads read the clock before they get the lock, so now may be a little before. */
static int64_t credit_at(const struct token_buckets *buckets, const struct token_bucket *bucket,
                         int64_t now_ms)
{
    int64_t rate = (int64_t)buckets->per_minute;
    int64_t full = capacity(buckets);

    if (!bucket)
        return full;
    int64_t passed_ms = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
    if (passed_ms > (full - bucket->credit) / rate)
        return full;
    return bucket->credit + passed_ms * rate;
}

/* Until so much has come, rounded up. */
static uint64_t seconds_for(const struct token_buckets *buckets, int64_t missing)
{
    int64_t per_second = (int64_t)buckets->per_minute * 1000;

    return (uint64_t)((missing + per_second - 1) / per_second);
}

static struct token_state state_of(const struct token_buckets *buckets, int64_t credit)
{
    return (struct token_state){
        .limit = buckets->burst,
        .remaining = credit > 0 ? (uint64_t)(credit / UNIT) : 0,
        .reset_s = seconds_for(buckets, capacity(buckets) - credit),
        .retry_after_s = credit < UNIT ? seconds_for(buckets, UNIT - credit) : 0,
    };
}

static void put(struct token_bucket *set, struct token_bucket *bucket, const char *name,
                int64_t credit, int64_t now_ms)
{
    if (!bucket) {
        bucket = oldest(set);
        *bucket = (struct token_bucket){.at_ms = now_ms};
        strcpy(bucket->name, name);
    }
    bucket->credit = credit;
    if (now_ms > bucket->at_ms)
        bucket->at_ms = now_ms;
}

static bool use_set(struct token_buckets *buckets, struct token_bucket *set, const char *name,
                    int64_t now_ms, enum use use, int64_t *ret_credit)
{
    struct token_bucket *bucket = find(set, name);
    int64_t credit = credit_at(buckets, bucket, now_ms);
    bool enough = credit >= UNIT;

    if (use == CHARGE || (use == TAKE && enough))
        credit -= UNIT;
    if (credit < -DEBT_MAX * capacity(buckets))
        credit = -DEBT_MAX * capacity(buckets);
    if (use != PEEK)
        put(set, bucket, name, credit, now_ms);
    *ret_credit = credit;
    return enough;
}

static bool use_bucket(struct token_buckets *buckets, const char *full_name, int64_t now_ms,
                       enum use use, struct token_state *ret_state)
{
    char name[BUCKET_NAME_SIZE];
    int64_t credit = 0;

    *ret_state = (struct token_state){0};
    if (!buckets->per_minute)
        return true;
    snprintf(name, sizeof(name), "%s", full_name);
    size_t at = set_of(buckets, name);
    pthread_mutex_t *lock = &buckets->locks[at % BUCKET_SHARDS];
    pthread_mutex_lock(lock);
    bool enough = use_set(buckets, &buckets->buckets[at * BUCKET_WAYS], name, now_ms, use, &credit);
    pthread_mutex_unlock(lock);
    *ret_state = state_of(buckets, credit);
    if (enough)
        ret_state->retry_after_s = 0;
    return enough;
}

bool token_buckets_take(struct token_buckets *buckets, const char *name, int64_t now_ms,
                        struct token_state *ret_state)
{
    return use_bucket(buckets, name, now_ms, TAKE, ret_state);
}

bool token_buckets_peek(struct token_buckets *buckets, const char *name, int64_t now_ms,
                        struct token_state *ret_state)
{
    return use_bucket(buckets, name, now_ms, PEEK, ret_state);
}

void token_buckets_charge(struct token_buckets *buckets, const char *name, int64_t now_ms)
{
    struct token_state state;

    (void)use_bucket(buckets, name, now_ms, CHARGE, &state);
}
