/*
 * What was read from the store, or made of it, kept in memory for as long as the store does not
 * tell of a change (store_watch()). While it cannot tell, the cache is empty and takes nothing.
 *
 * An entry has a name. By default that is the key of a record; name_of may let several keys share
 * one, so that a change of any of them drops what was made of all.
 *
 * Whoever fills it takes a ticket, reads the store, and puts what came of it: a change that was
 * told in between makes the ticket void, so that nothing old is ever put over its own news. After
 * a change of one's own, forget: then no read that began before is put either, and what one reads
 * next is one's own write or newer.
 *
 *     struct store_cached *value = store_cache_get(cache, name);
 *     if (!value) {
 *         struct store_ticket ticket = store_cache_ticket(cache, name);
 *         ... read, make value ...
 *         store_cache_put(cache, name, &ticket, value);
 *     }
 *     ...
 *     store_cached_unref(value);
 *
 * All functions may be called by any thread and never call the store.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>

#include "shared/store/store.h"

struct store_cache;

/* A value: bytes of the caller's, counted; never changed once it is in the cache. */
struct store_cached {
    atomic_uint references;
    uint64_t version; /* of the latest record in it; 0: it has none */
    size_t size;
    alignas(max_align_t) uint8_t data[];
};

/* size zeroed bytes to fill, with one reference. */
struct store_cached *store_cached_new(size_t size, uint64_t version);
void store_cached_unref(struct store_cached *value); /* NULL is fine; the last one frees */
DEFINE_CLEANUP(struct store_cached *, store_cached_unref)

struct store_ticket {
    uint64_t change;
    uint64_t reset;
};

struct store_cache_options {
    const char *const *prefixes; /* of the keys to watch; outlive the cache */
    size_t n_prefixes;
    size_t max_bytes; /* of names, values and what keeps them; what was not used longest goes */
    /* The name that a changed key drops, written to ret_name of size bytes; NULL: the key. */
    void (*name_of)(const char *key, char *ret_name, size_t size);
    /* Told when the watch begins (NULL) and ends (why): for the log. May be NULL. */
    void (*watched)(const char *why_not);
};

enum { STORE_CACHE_NAME_MAX = 256 }; /* longer ones are never kept */

struct error *store_cache_new(struct store *store, const struct store_cache_options *options,
                              struct store_cache **ret_cache) _must_check_;
void store_cache_free(struct store_cache *cache); /* before the store; NULL is fine */
DEFINE_CLEANUP(struct store_cache *, store_cache_free)

/* With a reference for the caller; NULL: not there. */
struct store_cached *store_cache_get(struct store_cache *cache, const char *name);

/* Before the first read of what will be put. */
struct store_ticket store_cache_ticket(struct store_cache *cache, const char *name);

/* Takes a reference of its own. false: not kept, because something changed, or a later version is
 * there already (its news may still be on their way), or nothing is kept. */
bool store_cache_put(struct store_cache *cache, const char *name, const struct store_ticket *ticket,
                     struct store_cached *value);
void store_cache_forget(struct store_cache *cache, const char *name);

/* Whether news are told now. */
bool store_cache_is_on(struct store_cache *cache);

/* Until something with this name, or all, changes after the ticket was taken (true), or the time is
 * over, or store_cache_stop() was called (false). May be true without a change. */
bool store_cache_wait(struct store_cache *cache, const char *name,
                      const struct store_ticket *ticket, int timeout_ms);
void store_cache_stop(struct store_cache *cache); /* ends all waits, also those to come */
bool store_cache_is_stopped(struct store_cache *cache);

struct store_cache_stats {
    uint64_t hits;
    uint64_t misses;
    uint64_t changes; /* news that were told */
    size_t entries;
    size_t bytes;
    bool on;
};
void store_cache_stats(struct store_cache *cache, struct store_cache_stats *ret_stats);
