#include "shared/attestation/binding.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "shared/base/buffer.h"
#include "shared/seal/seal.h"

static void add_optional(struct buffer *buffer, const void *data, size_t size)
{
    buffer_add_lp(buffer, data, data ? size : 0);
}

static void digest_sha512(const struct buffer *input, uint8_t ret_digest[BINDING_SIZE])
{
    int ok = EVP_Digest(input->data, input->size, ret_digest, NULL, EVP_sha512(), NULL);

    assert(ok == 1);
}

void binding_compute(const char *tag, const struct binding_bytes *fields, size_t n,
                     uint8_t ret_digest[BINDING_SIZE])
{
    _cleanup_buffer_ struct buffer input = {};

    buffer_add(&input, tag, strlen(tag) + 1);
    for (size_t i = 0; i < n; i++)
        add_optional(&input, fields[i].data, fields[i].size);
    digest_sha512(&input, ret_digest);
}

void binding_boot(const struct binding_boot *in, uint8_t ret_report_data[BINDING_SIZE])
{
    uint8_t number[8];

    for (int i = 0; i < 8; i++)
        number[i] = (uint8_t)(in->boot_number >> (56 - 8 * i));
    const struct binding_bytes fields[] = {
        {in->workload_id, strlen(in->workload_id)},
        {number, sizeof(number)},
        {in->box_public, 32},
        {in->sign_public, 32},
        {in->nonce, 32},
        {in->manifest_sha256, 32},
        {in->devices_hash, 32},
    };
    binding_compute("coffer/boot/v1", fields, ELEMENTSOF(fields), ret_report_data);
}

void binding_tls(const struct binding_tls *in, uint8_t ret_report_data[BINDING_SIZE])
{
    static const char role[] = "tls-server";
    static const char tee[] = "sev-snp";
    const struct binding_bytes fields[] = {
        {in->nonce_root, 32},   {in->spki_sha256, 32},  {role, sizeof(role) - 1},
        {tee, sizeof(tee) - 1}, {in->devices_hash, 32}, {in->manifest_sha256, 32},
    };

    binding_compute("coffer/report-data/v1", fields, ELEMENTSOF(fields), ret_report_data);
}

void binding_tls_static(const uint8_t spki_sha256[32], uint8_t ret_report_data[BINDING_SIZE])
{
    memset(ret_report_data, 0, BINDING_SIZE);
    memcpy(ret_report_data + 1, spki_sha256, 32);
}

const uint8_t *binding_devices(const struct binding_bytes *devices, size_t n, uint8_t room[32])
{
    _cleanup_buffer_ struct buffer input = {};

    if (n == 0)
        return NULL;
    for (size_t i = 0; i < n; i++)
        add_optional(&input, devices[i].data, devices[i].size);
    sha256(input.data, input.size, room);
    return room;
}

void binding_gpu_nonce(const uint8_t root[32], const uint8_t key_hash[32], uint32_t index,
                       uint8_t ret_nonce[32])
{
    const uint8_t number[4] = {(uint8_t)(index >> 24), (uint8_t)(index >> 16),
                               (uint8_t)(index >> 8), (uint8_t)index};
    const struct binding_bytes fields[] = {{root, 32}, {key_hash, 32}, {number, sizeof(number)}};
    uint8_t digest[BINDING_SIZE];

    binding_compute("coffer/gpu/v1", fields, ELEMENTSOF(fields), digest);
    memcpy(ret_nonce, digest, 32);
}

void binding_guest_keys(const uint8_t box_public[32], const uint8_t sign_public[32],
                        uint8_t ret_hash[32])
{
    uint8_t keys[64];

    memcpy(keys, box_public, 32);
    memcpy(keys + 32, sign_public, 32);
    sha256(keys, sizeof(keys), ret_hash);
}
