/* Target functions: launch_layout_parse, launch_measure_rest: a firmware image is a file that
 * somebody gave us. */
#include <string.h>

#include "shared/attestation/launch_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hash[32];
    struct launch_layout layout;
    uint8_t digest[LAUNCH_DIGEST_SIZE] = {0};
    const struct launch_input input = {
        .kernel_sha256 = hash,
        .initrd_sha256 = hash,
        .cmdline = "",
        .vcpus = 2,
        .cpu_model = "EPYC-v4",
    };
    uint64_t pages = 0;

    struct error *err = launch_layout_parse(data, size, &layout);
    for (size_t i = 0; !err && i < layout.n_sections; i++)
        pages += layout.sections[i].size / LAUNCH_PAGE_SIZE;
    if (!err && pages < 4096) /* hashing much is slow, not wrong */
        err = launch_measure_rest(&layout, &input, digest);
    error_free(err);
    return 0;
}
