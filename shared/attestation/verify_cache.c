/* Chains by everything that they were made from: a hit can only be the same chain. */
#include <openssl/evp.h>
#include <string.h>

#include "shared/attestation/verify_cache.h"
#include "shared/base/alloc.h"

#define ENTRIES_MAX 64

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

struct entry {
    uint8_t key[32];
    struct chain *chain; /* NULL: free */
    uint64_t used;
};

struct verify_cache {
    const struct trust_roots *roots;
    struct entry entries[ENTRIES_MAX];
    uint64_t uses;
};

struct verify_cache *verify_cache_new(const struct trust_roots *roots)
{
    struct verify_cache *cache = xnew(struct verify_cache);

    cache->roots = roots;
    return cache;
}

void verify_cache_free(struct verify_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        chain_free(cache->entries[i].chain);
    free(cache);
}

static bool add_bytes(EVP_MD_CTX *ctx, const void *data, size_t size)
{
    uint64_t length = size;

    return EVP_DigestUpdate(ctx, &length, sizeof(length)) == 1 &&
           (size == 0 || EVP_DigestUpdate(ctx, data, size) == 1);
}

static bool add_views(EVP_MD_CTX *ctx, const struct certificate_view *views, size_t n)
{
    bool ok = add_bytes(ctx, &n, sizeof(n));

    for (size_t i = 0; ok && i < n; i++)
        ok = add_bytes(ctx, views[i].data, views[i].size);
    return ok;
}

/* Of the report, chains depend on the kind of key, the reported TCB and the chip. */
static bool add_report(EVP_MD_CTX *ctx, const struct report *report)
{
    uint64_t parts[2];

    if (!report)
        return add_bytes(ctx, NULL, 0);
    parts[0] = report_signing_key(report);
    parts[1] = report->reported_tcb;
    return add_bytes(ctx, parts, sizeof(parts)) &&
           add_bytes(ctx, report->chip_id, sizeof(report->chip_id));
}

static bool make_key(const struct chain_input *input, uint8_t ret_key[32])
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const struct verify_collateral none = {}, *collateral = input->collateral;

    if (!collateral)
        collateral = &none;
    return ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
           add_report(ctx, input->report) && add_bytes(ctx, input->table, input->table_size) &&
           add_views(ctx, collateral->certificates, collateral->n_certificates) &&
           add_views(ctx, collateral->crls, collateral->n_crls) &&
           EVP_DigestFinal_ex(ctx, ret_key, NULL) == 1;
}

/* The entry of this key, else the one that was not used for longest. */
static struct entry *find_entry(struct verify_cache *cache, const uint8_t key[32])
{
    struct entry *oldest = &cache->entries[0];

    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct entry *entry = &cache->entries[i];

        if (entry->chain && memcmp(entry->key, key, 32) == 0)
            return entry;
        if (entry->used < oldest->used)
            oldest = entry;
    }
    chain_free(oldest->chain);
    oldest->chain = NULL;
    return oldest;
}

const struct chain *verify_cache_get(struct verify_cache *cache, const struct chain_input *input)
{
    uint8_t key[32];

    if (cache->roots != input->roots || !make_key(input, key))
        return NULL;
    struct entry *entry = find_entry(cache, key);
    if (!entry->chain) {
        memcpy(entry->key, key, sizeof(key));
        entry->chain = chain_new(input);
    }
    entry->used = ++cache->uses;
    return entry->chain;
}
