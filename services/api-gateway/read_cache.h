/*
 * What the gateway reads again and again, kept coherent by the store (store_cache.h): API keys and
 * accounts as auth needs them, workloads rendered, addresses of hosts, images, and lists of ids.
 * Names of entries are keys of the store; a workload's input counts as the workload.
 *
 * Nothing of it is a secret: keys are known by their hash, workloads are what their owner is shown.
 */
#pragma once

#include "services/api-gateway/gateway.h"
#include "shared/store/store_cache.h"

/* Sets gateway->cache; its store is there. */
struct error *read_cache_start(struct gateway *gateway) _must_check_;

/* "family" "id" cut to fit: a longer name is never kept. */
void read_cache_name(const char *family, const char *id, char ret_name[STORE_CACHE_NAME_MAX]);

/* After a change of one's own: what is read next is that or newer. */
void read_cache_forget(struct gateway *gateway, const char *family, const char *id);

/* store_commit(), and forgets what it wrote, also when it may or may not have happened. */
struct error *read_cache_commit(struct gateway *gateway,
                                const struct store_change *change) _must_check_;

/* Adds the bytes of a record that is kept as it is; nothing where there is none, which is not kept.
 */
struct error *read_cache_bytes(struct gateway *gateway, const char *key, struct arena *arena,
                               struct buffer *ret_bytes) _must_check_;

/* Members of a set, sorted, in the arena. With now: false when only the store knows. */
bool read_cache_members_now(struct gateway *gateway, const char *set, struct arena *arena,
                            const char ***ret_members, size_t *ret_n);
struct error *read_cache_members(struct gateway *gateway, const char *set, size_t max,
                                 struct arena *arena, const char ***ret_members,
                                 size_t *ret_n) _must_check_;
