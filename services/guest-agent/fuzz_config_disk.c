/* The config disk as the host may write it: framing, message, hints, and the manifest in it. */
#include "services/guest-agent/config_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct guest_config *config = NULL;
    const char *code = NULL;
    struct error *err = config_disk_parse(data, size, arena, &config);

    if (!err)
        err = config_check_hashes(config, arena, &code);
    error_free(err);
    return 0;
}
