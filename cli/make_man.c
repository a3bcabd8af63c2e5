/* Writes the manual pages into a folder, when the program is built. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/man.h"
#include "shared/base/alloc.h"

static FILE *open_page(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s.1", dir, name);
    FILE *out = fopen(path, "we");

    if (!out)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return out;
}

static int close_page(FILE *out)
{
    bool bad = ferror(out);

    return fclose(out) == 0 && !bad ? 0 : 1;
}

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? open_page(argv[1], "coffer") : NULL;

    if (!out)
        return 1;
    man_page_of_all(out);
    int code = close_page(out);
    for (size_t i = 0; code == 0 && i < n_commands; i++) {
        _cleanup_free_ char *name = man_name(&commands[i]);
        out = open_page(argv[1], name);
        if (!out)
            return 1;
        man_page(&commands[i], out);
        code = close_page(out);
    }
    return code;
}
