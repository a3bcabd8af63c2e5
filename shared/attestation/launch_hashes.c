/* The table of hashes of a measured direct boot (QEMU target/i386/sev.c, edk2 BlobVerifier). */
#include <string.h>

#include "shared/attestation/launch_layout.h"
#include "shared/seal/seal.h"

#define TABLE_SIZE 168 /* the rest is padding */
#define ENTRY_SIZE 50  /* GUID, u16 size, SHA-256 */

static uint8_t *put_hash(uint8_t *at, const uint8_t guid[16], const uint8_t sha256_value[32])
{
    memcpy(at, guid, 16);
    at[16] = ENTRY_SIZE;
    memcpy(at + 18, sha256_value, 32);
    return at + ENTRY_SIZE;
}

void launch_hash_table(const struct launch_input *input, uint8_t ret_table[LAUNCH_HASH_TABLE_SIZE])
{
    static const uint8_t guid_table[16] = {0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c,
                                           0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21};
    static const uint8_t guid_cmdline[16] = {0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c,
                                             0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a};
    static const uint8_t guid_initrd[16] = {0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b,
                                            0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d};
    static const uint8_t guid_kernel[16] = {0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42,
                                            0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b};
    uint8_t cmdline[32];

    sha256(input->cmdline, strlen(input->cmdline) + 1, cmdline);
    memset(ret_table, 0, LAUNCH_HASH_TABLE_SIZE);
    memcpy(ret_table, guid_table, 16);
    ret_table[16] = TABLE_SIZE;
    uint8_t *at = put_hash(ret_table + 18, guid_cmdline, cmdline);
    at = put_hash(at, guid_initrd, input->initrd_sha256);
    put_hash(at, guid_kernel, input->kernel_sha256);
}
