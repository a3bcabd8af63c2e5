/*
 * A workload as it is answered: JSON bytes, its ETag, and what lists filter and sort by. Made once
 * per change and kept (read_cache.h).
 *
 * The address of its host is in it. Hosts are rewritten with every heartbeat, so what is kept does
 * not depend on the host's record but on the address: it counts only while that is known to be the
 * same.
 */
#pragma once

#include "schemas/workload.pb-c.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/read_cache.h"

enum { ADDRESS_SIZE = 256 };

enum rendered_text {
    RENDERED_ID,
    RENDERED_ACCOUNT,
    RENDERED_NAME,
    RENDERED_DOMAIN,
    RENDERED_VERSION, /* of the guest image */
    RENDERED_HOST,    /* "" without one */
    RENDERED_ADDRESS, /* of the host, as it was put in */
    RENDERED_TEXTS_,
};

/* The value of a cache entry: the struct, its texts, then the JSON. */
struct rendered {
    uint64_t version; /* of the workload's record */
    int64_t created_at_ms;
    Coffer__V1__WorkloadStatus status;
    bool complete;      /* also what the manifest names; lists do without, and do not load it */
    uint32_t list_size; /* of the part for lists, without its closing brace */
    uint32_t json_size;
    uint32_t json_at;
    uint32_t text_at[RENDERED_TEXTS_];
    char etag[ETAG_SIZE]; /* of the complete one */
    char list_digest[9];
};

static inline const struct rendered *rendered_of(const struct store_cached *value)
{
    return (const struct rendered *)value->data;
}
const char *rendered_text(const struct rendered *rendered, enum rendered_text text);
const char *rendered_json(const struct rendered *rendered);

/* As it is kept, whosever it is; NULL: only the store knows. complete: with the manifest's part. */
struct store_cached *rendered_now(struct gateway *gateway, const char *id, bool complete);

/* From memory or the store, with the manifest's part. NOT_FOUND also for another account's. */
struct error *rendered_load(struct request *request, const char *id,
                            struct store_cached **ret_value) _must_check_;

/* Of all ids that exist, for lists, in their order; *ret_n of them. The caller gives them back. */
struct error *rendered_load_many(struct request *request, const char *const *ids, size_t n,
                                 struct store_cached **ret_values, size_t *ret_n) _must_check_;

/* The host's public address, from memory or the store; "" when it is not known. */
bool host_address_now(struct gateway *gateway, const char *host, char ret_address[ADDRESS_SIZE]);
struct error *host_address(struct gateway *gateway, const char *host,
                           char ret_address[ADDRESS_SIZE]) _must_check_;

/* As it was within the last second: each new workload changes its host's record. */
struct error *host_address_recent(struct gateway *gateway, const char *host,
                                  char ret_address[ADDRESS_SIZE]) _must_check_;
