#include "shared/base/folder.h"

#include <dirent.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

DEFINE_CLEANUP(DIR *, closedir)

static const struct folder_kind *kind_of(const struct folder_kind *kinds, const char *name)
{
    const char *dot = strrchr(name, '.');

    for (; dot && kinds->suffix; kinds++)
        if (strcmp(dot, kinds->suffix) == 0)
            return kinds;
    return NULL;
}

static struct error *take_file(const char *path, const struct folder_kind *kind, void *data)
{
    _cleanup_buffer_ struct buffer bytes = {};

    struct error *err = file_read(path, kind->size_max, &bytes);
    if (err)
        return err;
    return error_wrap(kind->take(data, &bytes), "'%s'", path);
}

struct error *folder_read(const char *dir, const struct folder_kind *kinds, void *data)
{
    _cleanup_(closedirp) DIR *stream = opendir(dir);
    struct error *err = NULL;

    if (!stream)
        return error_errno(errno, "open '%s'", dir);
    for (struct dirent *entry; !err && (entry = readdir(stream));) {
        const struct folder_kind *kind = kind_of(kinds, entry->d_name);

        if (!kind)
            continue;
        _cleanup_free_ char *path = xasprintf("%s/%s", dir, entry->d_name);
        err = take_file(path, kind, data);
    }
    return err;
}
