/*
 * Development roots for tests. Their RSA keys take seconds to find, so a build finds a few once
 * (make_test_roots, a fixture of ctest) and each test starts from copies; certificates and
 * revocation lists are the test's own.
 */
#pragma once

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/attestation/processor.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define TEST_ROOTS 3

static inline struct error *test_root_copy_key(const char *from, const char *to, const char *name)
{
    _cleanup_free_ char *source = xasprintf("%s/%s", from, name);
    _cleanup_free_ char *target = xasprintf("%s/%s", to, name);
    _cleanup_buffer_ struct buffer key = {0};
    struct error *err = file_read(source, 16 * 1024, &key);

    return err ? err : file_write_atomic(target, key.data, key.size, 0600);
}

/* As tee_dev_init_root(); each call in a program gives another root. */
static inline struct error *test_root_init(const char *dir)
{
    static unsigned used;
    const char *roots = getenv("COFFER_TEST_ROOTS");
    struct error *err = dir_make(dir, 0755);

    if (!err && roots && used < TEST_ROOTS) {
        _cleanup_free_ char *from = xasprintf("%s/%u", roots, used++);
        err = test_root_copy_key(from, dir, "ark.key");
        if (!err)
            err = test_root_copy_key(from, dir, "ask.key");
    }
    return err ? err : tee_dev_init_root(dir);
}

/* RSA-4096 keys that no trusted root of the test has: n below 2. The caller frees. */
static inline EVP_PKEY *test_foreign_key(unsigned n)
{
    static const char *const names[] = {"ark.key", "ask.key"};
    const char *roots = getenv("COFFER_TEST_ROOTS");
    _cleanup_free_ char *path =
        xasprintf("%s/%u/%s", roots ? roots : "", TEST_ROOTS - 1, names[n % 2]);
    _cleanup_fclose_ FILE *file = roots ? fopen(path, "re") : NULL;
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

    return key ? key : EVP_RSA_gen(4096);
}
