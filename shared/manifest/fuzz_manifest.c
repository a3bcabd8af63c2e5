/* Target functions: manifest_parse, manifest_write, canonical_json. */
#include "shared/manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted is written again as the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer again = {0};
    struct manifest *manifest = NULL;
    struct error *err = manifest_parse(data, size, arena, &manifest);

    if (err) {
        error_free(err);
        return 0;
    }
    err = manifest_write(manifest, &again);
    if (err || again.size != size || memcmp(again.data, data, size) != 0)
        abort();
    return 0;
}
