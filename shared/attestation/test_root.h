/*
 * Development roots for tests. Their RSA keys take seconds to find, so a build finds a few once
 * (make_test_roots, a fixture of ctest) and each test starts from copies; certificates and
 * revocation lists are the test's own.
 */
#pragma once

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
