#include "shared/collateral/cache_file.h"

#include <string.h>

#include "shared/base/reader.h"

#define MAGIC   "COFFERKC"
#define VERSION 1

struct error *cache_file_parse(const void *data, size_t size, const char *key,
                               struct item *ret_item)
{
    struct reader in;

    reader_init(&in, data, size);
    const uint8_t *magic = reader_view(&in, strlen(MAGIC));
    uint32_t version = reader_u32be(&in);
    uint64_t fetched_at_ms = reader_u64be(&in);
    uint32_t key_size = reader_u32be(&in);
    const uint8_t *its_key = reader_view(&in, key_size);
    uint32_t body_size = reader_u32be(&in);
    const uint8_t *body = reader_view(&in, body_size);

    if (!reader_done(&in) || memcmp(magic, MAGIC, strlen(MAGIC)) != 0 || version != VERSION ||
        body_size == 0 || body_size > CACHE_BODY_MAX || fetched_at_ms > INT64_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "not a file of this cache");
    if (key_size != strlen(key) || memcmp(its_key, key, key_size) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "a file of another key");
    *ret_item = (struct item){.fetched_at_ms = (int64_t)fetched_at_ms};
    buffer_add(&ret_item->body, body, body_size);
    return NULL;
}

void cache_file_write(const char *key, const struct item *item, struct buffer *ret_file)
{
    buffer_add_text(ret_file, MAGIC);
    buffer_add_u32be(ret_file, VERSION);
    buffer_add_u64be(ret_file, (uint64_t)item->fetched_at_ms);
    buffer_add_lp(ret_file, key, strlen(key));
    buffer_add_lp(ret_file, item->body.data, item->body.size);
}
