/* A signed guest image in a folder: small files, and the least firmware that measures a kernel. */
#pragma once

#include <jansson.h>
#include <sys/stat.h>

#include "shared/attestation/image.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

static inline void test_put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* Footer entry (value, size, GUID) that ends at end. */
static inline uint8_t *test_put_entry(uint8_t *end, const char *guid, uint32_t value)
{
    assert_null(hex_decode(guid, end - 16, 16));
    end[-18] = 22;
    test_put_u32(end - 22, value);
    return end - 22;
}

/* Metadata: memory, secrets, CPUID and kernel hashes; ATTESTATION.md section 8.1. */
static inline void test_firmware(uint8_t page[4096])
{
    static const uint32_t sections[4][3] = {{0x800000, 0x1000, 1},
                                            {0x80d000, 0x1000, 2},
                                            {0x80e000, 0x1000, 3},
                                            {0x810000, 0x1000, 0x10}};
    uint8_t *metadata = page + 512, *end = page + 4096 - 32;

    memset(page, 0, 4096);
    memcpy(metadata, "ASEV", 4);
    test_put_u32(metadata + 4, 16 + 12 * 4);
    test_put_u32(metadata + 8, 1);
    test_put_u32(metadata + 12, 4);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++)
            test_put_u32(metadata + 16 + 12 * i + 4 * k, sections[i][k]);
    assert_null(hex_decode("de82b596b21ff745baeaa366c55a082d", end - 16, 16));
    end[-18] = 18 + 3 * 22;
    uint8_t *at = test_put_entry(end - 18, "1f3755723b3a044b927b1da6efa8d454", 0x810c00);
    at = test_put_entry(at, "de71f7007e1acb4f890e68c77e2fb44e", 0x80b004);
    test_put_entry(at, "666588dc4a989847a75e5585a7bf67cc", 4096 - 512);
}

static inline void test_write(const char *dir, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    assert_null(dir_make(dir, 0755));
    assert_null(file_write_atomic(path, data, size, 0644));
}

static inline void test_add_file(json_t *files, const char *dir, const char *name, const void *data,
                                 size_t size)
{
    uint8_t digest[32];

    sha256(data, size, digest);
    _cleanup_free_ char *hex = hex_encode_new(digest, 32);
    json_object_set_new(files, name,
                        json_pack("{s:s, s:I}", "sha256", hex, "size", (json_int_t)size));
    test_write(dir, name, data, size);
}

static inline void test_image_make(const char *images_dir, const char *version,
                                   const struct sign_key *key)
{
    _cleanup_free_ char *dir = xasprintf("%s/%s", images_dir, version);
    json_t *files = json_object();
    uint8_t firmware[4096];

    test_firmware(firmware);
    test_add_file(files, dir, "OVMF.amdsev.fd", firmware, sizeof(firmware));
    test_add_file(files, dir, "vmlinuz", "kernel", 6);
    test_add_file(files, dir, "initrd.img", "initrd", 6);
    test_add_file(files, dir, "root.img", "root", 4);
    test_add_file(files, dir, "root.verity", "verity", 6);
    json_t *root = json_pack("{s:s, s:o, s:s, s:s, s:s, s:[s], s:i}", "version", version, "files",
                             files, "verity_root_hash", "00ff", "cmdline", "quiet", "firmware",
                             "OVMF.amdsev.fd", "vcpu_models", "EPYC-v4", "guest_features", 1);
    char *text = json_dumps(root, JSON_INDENT(1));
    test_write(dir, "image.json", text, strlen(text));
    free(text);
    json_decref(root);
    assert_null(image_seal(dir, key, 4));
}
