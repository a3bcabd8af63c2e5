#include "shared/base/memory.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "shared/base/cleanup.h"

/* Code that is mapped from a file and cannot have been written to (proc(5), /proc/pid/maps). */
static bool is_code(const char *line, uintptr_t *ret_start, uintptr_t *ret_end)
{
    unsigned long inode = 0;
    char permissions[5] = "";

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*x:%*x %lu", ret_start, ret_end,
               permissions, &inode) != 4)
        return false;
    return strcmp(permissions, "r-xp") == 0 && inode != 0;
}

void memory_trim(void)
{
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    uintptr_t start, end;
    char line[512];

    malloc_trim(0);
    while (maps && fgets(line, sizeof(line), maps)) {
        if (is_code(line, &start, &end))
            (void)madvise((void *)start, end - start, MADV_DONTNEED);
    }
}
