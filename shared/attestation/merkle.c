/* The Merkle tree of RFC 9162 section 2.1 over 32-byte nonces, with SHA-256. */
#include <string.h>

#include "shared/attestation/binding.h"
#include "shared/seal/seal.h"

static void hash_leaf(const uint8_t nonce[32], uint8_t ret_hash[32])
{
    uint8_t input[33] = {0x00};

    memcpy(input + 1, nonce, 32);
    sha256(input, sizeof(input), ret_hash);
}

static void hash_node(const uint8_t left[32], const uint8_t right[32], uint8_t ret_hash[32])
{
    uint8_t input[65] = {0x01};

    memcpy(input + 1, left, 32);
    memcpy(input + 33, right, 32);
    sha256(input, sizeof(input), ret_hash);
}

/* The largest power of two smaller than n; n > 1. */
static size_t split(size_t n)
{
    size_t k = 1;

    while (k < n - k)
        k *= 2;
    return k;
}

void merkle_root(const uint8_t (*nonces)[32], size_t n, uint8_t ret_root[32])
{
    uint8_t left[32], right[32];

    if (n == 0) {
        sha256("", 0, ret_root);
        return;
    }
    if (n == 1) {
        hash_leaf(nonces[0], ret_root);
        return;
    }
    size_t k = split(n);
    merkle_root(nonces, k, left);
    merkle_root(nonces + k, n - k, right);
    hash_node(left, right, ret_root);
}

size_t merkle_path(const uint8_t (*nonces)[32], size_t n, size_t index, uint8_t (*ret_path)[32])
{
    if (n <= 1)
        return 0;

    size_t k = split(n);
    bool in_left = index < k;
    size_t n_path = in_left ? merkle_path(nonces, k, index, ret_path)
                            : merkle_path(nonces + k, n - k, index - k, ret_path);
    if (in_left)
        merkle_root(nonces + k, n - k, ret_path[n_path]);
    else
        merkle_root(nonces, k, ret_path[n_path]);
    return n_path + 1;
}

struct error *merkle_root_from_path(const uint8_t nonce[32], size_t index, size_t n,
                                    const uint8_t (*path)[32], size_t n_path, uint8_t ret_root[32])
{
    uint8_t hash[32];
    size_t fn = index, sn = n - 1;

    if (index >= n)
        return error_new(ERROR_INVALID_ARGUMENT, "nonce index is outside of the tree");
    hash_leaf(nonce, hash);
    for (size_t i = 0; i < n_path; i++) {
        if (sn == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "merkle path is too long");
        if ((fn & 1) || fn == sn) {
            hash_node(path[i], hash, hash);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            hash_node(hash, path[i], hash);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "merkle path is too short");
    memcpy(ret_root, hash, 32);
    return NULL;
}
