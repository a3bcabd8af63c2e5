/* A firmware of our own making, for tests of launch measurements. */
#pragma once

#include "shared/attestation/launch_layout.h"
#include "shared/attestation/test_attest.h"
#include "shared/base/encode.h"

static inline void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* One footer entry ending at end: data, size, GUID; returns where it starts. */
static inline uint8_t *put_entry(uint8_t *end, const char *guid, uint32_t value)
{
    expect_ok(hex_decode(guid, end - 16, 16));
    end[-18] = 22;
    put_u32(end - 22, value);
    return end - 22;
}

/* The smallest firmware that measures its kernel: a page with metadata and footer. */
static inline void test_firmware(uint8_t page[4096])
{
    static const struct launch_section sections[] = {
        {0x800000, 0x2000, LAUNCH_SECTION_MEMORY},
        {0x80d000, 0x1000, LAUNCH_SECTION_SECRETS},
        {0x80e000, 0x1000, LAUNCH_SECTION_CPUID},
        {0x810000, 0x1000, LAUNCH_SECTION_KERNEL_HASHES},
    };
    uint8_t *metadata = page + 1024, *end = page + 4096 - 32;

    memset(page, 0, 4096);
    memcpy(metadata, "ASEV", 4);
    put_u32(metadata + 4, 16 + 12 * 4);
    put_u32(metadata + 8, 1);
    put_u32(metadata + 12, 4);
    for (size_t i = 0; i < 4; i++) {
        put_u32(metadata + 16 + 12 * i, sections[i].gpa);
        put_u32(metadata + 20 + 12 * i, sections[i].size);
        put_u32(metadata + 24 + 12 * i, sections[i].type);
    }
    expect_ok(hex_decode("de82b596b21ff745baeaa366c55a082d", end - 16, 16));
    end[-18] = 18 + 3 * 22;
    uint8_t *at = put_entry(end - 18, "1f3755723b3a044b927b1da6efa8d454", 0x810c00);
    at = put_entry(at, "de71f7007e1acb4f890e68c77e2fb44e", 0x80b004);
    put_entry(at, "666588dc4a989847a75e5585a7bf67cc", 4096 - 1024);
}
