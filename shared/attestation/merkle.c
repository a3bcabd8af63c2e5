/* The Merkle tree of RFC 9162 section 2.1 over 32-byte nonces, with SHA-256. */
#include <string.h>

#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
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

/* All hashes, level by level; the last one of an odd level is taken to the next as it is, which
 * gives the split of section 2.1.1. */
struct merkle_tree {
    size_t n; /* leaves */
    uint8_t (*hashes)[32];
};

static size_t next_level(size_t size)
{
    return size / 2 + size % 2;
}

static void fill_level(uint8_t (*from)[32], size_t size, uint8_t (*to)[32])
{
    for (size_t i = 0; i + 1 < size; i += 2)
        hash_node(from[i], from[i + 1], to[i / 2]);
    if (size % 2 == 1)
        memcpy(to[size / 2], from[size - 1], 32);
}

struct merkle_tree *merkle_tree_new(const uint8_t (*nonces)[32], size_t n)
{
    struct merkle_tree *tree = xnew(struct merkle_tree);

    tree->n = n;
    tree->hashes = xcalloc(2 * n + MERKLE_PATH_MAX, sizeof(*tree->hashes));
    uint8_t(*level)[32] = tree->hashes;
    for (size_t i = 0; i < n; i++)
        hash_leaf(nonces[i], level[i]);
    for (size_t size = n; size > 1; size = next_level(size)) {
        fill_level(level, size, level + size);
        level += size;
    }
    return tree;
}

void merkle_tree_free(struct merkle_tree *tree)
{
    if (!tree)
        return;
    free(tree->hashes);
    free(tree);
}

void merkle_tree_root(const struct merkle_tree *tree, uint8_t ret_root[32])
{
    uint8_t(*level)[32] = tree->hashes;

    if (tree->n == 0) {
        sha256("", 0, ret_root);
        return;
    }
    for (size_t size = tree->n; size > 1; size = next_level(size))
        level += size;
    memcpy(ret_root, level[0], 32);
}

size_t merkle_tree_path(const struct merkle_tree *tree, size_t index, uint8_t (*ret_path)[32])
{
    uint8_t(*level)[32] = tree->hashes;
    size_t n_path = 0;

    for (size_t size = tree->n; size > 1; size = next_level(size)) {
        size_t sibling = index ^ 1;

        if (sibling < size)
            memcpy(ret_path[n_path++], level[sibling], 32);
        level += size;
        index /= 2;
    }
    return n_path;
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
