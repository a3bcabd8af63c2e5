/* A development chip, made once per build folder and only read afterwards: the RSA keys of its root
 * take seconds. TEST_CHIP_DIR comes from CMakeLists.txt. */
#pragma once

#include <fcntl.h>
#include <sys/file.h>

#include "shared/attestation/processor.h"
#include "shared/base/file.h"

static inline int test_chip_setup(void **state)
{
    (void)state;
#ifdef TEE_SOFTWARE
    assert_null(dir_make(TEST_CHIP_DIR, 0700));
    _cleanup_close_ int lock = open(TEST_CHIP_DIR "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(lock >= 0);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_null(tee_dev_init_root(TEST_CHIP_DIR));
    assert_null(tee_dev_init_host(TEST_CHIP_DIR, TEST_CHIP_DIR));
#endif
    return 0;
}
