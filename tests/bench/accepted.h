/* Creates that were answered with 200, and what became of them. */
#pragma once

#include <stddef.h>

struct accepted {
    size_t n;        /* ids in the files of the folder, one a line */
    size_t n_stored; /* of them, those whose record is in Redis */
};

struct accepted accepted_count(const char *folder, const char *redis_url);
