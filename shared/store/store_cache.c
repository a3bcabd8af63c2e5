#include "shared/store/store_cache.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"

/* Changes are counted by slots of names: two names in one slot only make tickets void too often. */
enum { SLOTS = 4096, BUCKETS_MIN = 1024, ENTRY_OVERHEAD = 64 };

struct entry {
    struct entry *chain; /* of its bucket */
    struct entry *newer; /* by use */
    struct entry *older;
    struct store_cached *value;
    uint64_t hash;
    size_t cost;
    char name[];
};

struct store_cache {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store_watch *watch;
    struct store_cache_options options;
    uint64_t seed; /* so that nobody can choose names that share a bucket */
    struct entry **buckets;
    size_t n_buckets;
    struct entry *newest;
    struct entry *oldest;
    uint64_t changes[SLOTS];
    uint64_t resets;
    unsigned waiting;
    bool stopping;
    struct store_cache_stats stats;
};

struct store_cached *store_cached_new(size_t size, uint64_t version)
{
    struct store_cached *value = xcalloc(1, sizeof(*value) + size);

    atomic_init(&value->references, 1);
    value->version = version;
    value->size = size;
    return value;
}

void store_cached_unref(struct store_cached *value)
{
    if (value && atomic_fetch_sub(&value->references, 1) == 1)
        free(value);
}

/* FNV-1a, then mixed: its low bits alone are poor. */
static uint64_t hash_of(const struct store_cache *cache, const char *name)
{
    uint64_t hash = cache->seed;

    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static struct entry **find(struct store_cache *cache, const char *name, uint64_t hash)
{
    struct entry **at = &cache->buckets[hash & (cache->n_buckets - 1)];

    while (*at && ((*at)->hash != hash || strcmp((*at)->name, name) != 0))
        at = &(*at)->chain;
    return at;
}

static void unlink_use(struct store_cache *cache, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct store_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void drop(struct store_cache *cache, struct entry **at)
{
    struct entry *entry = *at;

    *at = entry->chain;
    unlink_use(cache, entry);
    cache->stats.entries--;
    cache->stats.bytes -= entry->cost;
    store_cached_unref(entry->value);
    free(entry);
}

static void drop_all(struct store_cache *cache)
{
    while (cache->oldest)
        drop(cache, find(cache, cache->oldest->name, cache->oldest->hash));
}

static void forget_locked(struct store_cache *cache, const char *name)
{
    uint64_t hash = hash_of(cache, name);
    struct entry **at = find(cache, name, hash);

    if (*at)
        drop(cache, at);
    cache->changes[hash % SLOTS]++;
    if (cache->waiting)
        pthread_cond_broadcast(&cache->changed);
}

static void on_changed(struct store_cache *cache, const char *key)
{
    char name[STORE_CACHE_NAME_MAX];

    if (cache->options.name_of)
        cache->options.name_of(key, name, sizeof(name));
    pthread_mutex_lock(&cache->lock);
    cache->stats.changes++;
    forget_locked(cache, cache->options.name_of ? name : key);
    pthread_mutex_unlock(&cache->lock);
}

static void on_watched(struct store_cache *cache, bool on)
{
    pthread_mutex_lock(&cache->lock);
    cache->stats.on = on;
    cache->resets++;
    drop_all(cache);
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
}

static void on_news(void *state, enum store_news news, const char *text)
{
    struct store_cache *cache = state;

    if (news == STORE_CHANGED) {
        on_changed(cache, text);
        return;
    }
    on_watched(cache, news == STORE_WATCHED);
    if (cache->options.watched)
        cache->options.watched(news == STORE_WATCHED ? NULL : text);
}

static void init_changed(pthread_cond_t *changed)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct error *store_cache_new(struct store *store, const struct store_cache_options *options,
                              struct store_cache **ret_cache)
{
    _cleanup_(store_cache_freep) struct store_cache *cache = xnew(struct store_cache);

    pthread_mutex_init(&cache->lock, NULL);
    init_changed(&cache->changed);
    cache->options = *options;
    cache->n_buckets = BUCKETS_MIN;
    while (cache->n_buckets < options->max_bytes / 1024)
        cache->n_buckets *= 2;
    cache->buckets = xnew_array(struct entry *, cache->n_buckets);
    if (RAND_bytes((unsigned char *)&cache->seed, sizeof(cache->seed)) != 1)
        return error_new(ERROR_INTERNAL, "no random numbers");
    struct error *err =
        store_watch(store, options->prefixes, options->n_prefixes, on_news, cache, &cache->watch);
    if (!err)
        *ret_cache = TAKE_PTR(cache);
    return err;
}

void store_cache_free(struct store_cache *cache)
{
    if (!cache)
        return;
    store_unwatch(cache->watch);
    drop_all(cache);
    free(cache->buckets);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct store_cached *store_cache_get(struct store_cache *cache, const char *name)
{
    struct store_cached *value = NULL;

    pthread_mutex_lock(&cache->lock);
    struct entry *entry = *find(cache, name, hash_of(cache, name));
    if (entry) {
        unlink_use(cache, entry);
        link_newest(cache, entry);
        value = entry->value;
        atomic_fetch_add(&value->references, 1);
        cache->stats.hits++;
    } else {
        cache->stats.misses++;
    }
    pthread_mutex_unlock(&cache->lock);
    return value;
}

struct store_ticket store_cache_ticket(struct store_cache *cache, const char *name)
{
    pthread_mutex_lock(&cache->lock);
    const struct store_ticket ticket = {
        .change = cache->changes[hash_of(cache, name) % SLOTS],
        .reset = cache->resets,
    };
    pthread_mutex_unlock(&cache->lock);
    return ticket;
}

static bool is_void(const struct store_cache *cache, uint64_t hash,
                    const struct store_ticket *ticket)
{
    return cache->changes[hash % SLOTS] != ticket->change || cache->resets != ticket->reset;
}

/*
 * Two that read at the same time, one before and one after a change that was not told yet: both
 * tickets are good. The later version stays; without versions, nobody can tell.
 */
static bool yields(struct store_cache *cache, const char *name, uint64_t hash,
                   const struct store_cached *value)
{
    struct entry **at = find(cache, name, hash);

    if (!*at)
        return true;
    const struct store_cached *there = (*at)->value;
    if (there->version != value->version)
        return there->version < value->version;
    if (there->size != value->size || memcmp(there->data, value->data, value->size) != 0)
        forget_locked(cache, name);
    return false;
}

static void insert(struct store_cache *cache, const char *name, uint64_t hash, size_t cost,
                   struct store_cached *value)
{
    struct entry *entry = xcalloc(1, sizeof(*entry) + strlen(name) + 1);
    struct entry **at = find(cache, name, hash);

    if (*at)
        drop(cache, at);
    strcpy(entry->name, name);
    entry->hash = hash;
    entry->cost = cost;
    entry->value = value;
    atomic_fetch_add(&value->references, 1);
    at = find(cache, name, hash);
    *at = entry;
    link_newest(cache, entry);
    cache->stats.entries++;
    cache->stats.bytes += cost;
    while (cache->stats.bytes > cache->options.max_bytes)
        drop(cache, find(cache, cache->oldest->name, cache->oldest->hash));
}

bool store_cache_put(struct store_cache *cache, const char *name, const struct store_ticket *ticket,
                     struct store_cached *value)
{
    size_t cost =
        sizeof(struct entry) + strlen(name) + sizeof(*value) + value->size + ENTRY_OVERHEAD;

    if (strlen(name) >= STORE_CACHE_NAME_MAX || cost > cache->options.max_bytes / 4)
        return false;
    pthread_mutex_lock(&cache->lock);
    uint64_t hash = hash_of(cache, name);
    bool kept =
        cache->stats.on && !is_void(cache, hash, ticket) && yields(cache, name, hash, value);
    if (kept)
        insert(cache, name, hash, cost, value);
    pthread_mutex_unlock(&cache->lock);
    return kept;
}

void store_cache_forget(struct store_cache *cache, const char *name)
{
    pthread_mutex_lock(&cache->lock);
    forget_locked(cache, name);
    pthread_mutex_unlock(&cache->lock);
}

bool store_cache_is_on(struct store_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    bool on = cache->stats.on;
    pthread_mutex_unlock(&cache->lock);
    return on;
}

static struct timespec time_after(int timeout_ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

bool store_cache_wait(struct store_cache *cache, const char *name,
                      const struct store_ticket *ticket, int timeout_ms)
{
    const struct timespec end = time_after(timeout_ms);
    bool over = false;

    pthread_mutex_lock(&cache->lock);
    uint64_t hash = hash_of(cache, name);
    cache->waiting++;
    while (!cache->stopping && !over && !is_void(cache, hash, ticket))
        over = pthread_cond_timedwait(&cache->changed, &cache->lock, &end) != 0;
    cache->waiting--;
    bool news = !cache->stopping && is_void(cache, hash, ticket);
    pthread_mutex_unlock(&cache->lock);
    return news;
}

void store_cache_stop(struct store_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->stopping = true;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
}

bool store_cache_is_stopped(struct store_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    bool stopping = cache->stopping;
    pthread_mutex_unlock(&cache->lock);
    return stopping;
}

void store_cache_stats(struct store_cache *cache, struct store_cache_stats *ret_stats)
{
    pthread_mutex_lock(&cache->lock);
    *ret_stats = cache->stats;
    pthread_mutex_unlock(&cache->lock);
}
