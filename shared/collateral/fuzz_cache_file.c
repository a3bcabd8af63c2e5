/* Target functions: cache_file_parse, cache_file_write. What is accepted is written and read again
 * as the same item. The key is what the saved inputs have. */
#include <string.h>

#include "shared/collateral/cache_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char key[] = "/vcek/v1/Genoa/crl";
    _cleanup_(item_done) struct item item = {}, again = {};
    _cleanup_buffer_ struct buffer file = {};

    struct error *err = cache_file_parse(data, size, key, &item);
    if (err) {
        error_free(err);
        return 0;
    }
    cache_file_write(key, &item, &file);
    if (file.size != size || memcmp(file.data, data, size) != 0)
        abort();
    err = cache_file_parse(file.data, file.size, key, &again);
    if (err || again.fetched_at_ms != item.fetched_at_ms || again.body.size != item.body.size)
        abort();
    return 0;
}
