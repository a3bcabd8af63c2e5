/* Target functions: launch_layout_parse, launch_measure_images, launch_measure_rest: a firmware
 * image, or an SVSM's, is a file that somebody gave us. */
#include <string.h>

#include "shared/attestation/launch_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hashing much is slow, not wrong. */
static bool is_small(const struct launch_layout *layout)
{
    uint64_t pages = 0;

    for (size_t i = 0; i < layout->n_sections; i++)
        pages += layout->sections[i].size / LAUNCH_PAGE_SIZE;
    return pages < 4096;
}

static void measure(struct launch_input *input, enum launch_vmm vmm)
{
    struct launch_layout layout;
    uint8_t digest[LAUNCH_DIGEST_SIZE];

    input->vmm = vmm;
    struct error *err = launch_measure_images(input, &layout, digest);
    if (!err && is_small(&layout))
        err = launch_measure_rest(&layout, input, digest);
    error_free(err);
}

/* The input is the firmware, and the SVSM too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hash[32];
    struct launch_layout layout;
    struct launch_input input = {
        .firmware = data,
        .firmware_size = size,
        .kernel_sha256 = hash,
        .initrd_sha256 = hash,
        .cmdline = "",
        .vcpus = 2,
        .cpu_model = "EPYC-v4",
        .svsm = data,
        .svsm_size = size,
    };

    error_free(launch_layout_parse(data, size, &layout)); /* of any size */
    measure(&input, LAUNCH_VMM_QEMU);
    measure(&input, LAUNCH_VMM_EC2);
    input.kernel_sha256 = input.initrd_sha256 = NULL;
    input.cmdline = NULL;
    measure(&input, LAUNCH_VMM_SVSM);
    return 0;
}
