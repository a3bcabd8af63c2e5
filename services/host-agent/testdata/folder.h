/* A folder of its own for each test. */
#pragma once

#include <assert.h>
#include <ftw.h>

#include "shared/base/alloc.h"

static inline char *test_folder_new(void)
{
    char path[] = "/tmp/coffer-host-XXXXXX";

    char *made = mkdtemp(path);
    assert(made);
    return xstrdup(made);
}

static inline int test_folder_remove_one(const char *path, const struct stat *st, int type,
                                         struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void test_folder_free(char *path)
{
    nftw(path, test_folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}
