#include "shared/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "shared/base/alloc.h"

struct error *file_read(const char *path, size_t max, struct buffer *ret_buffer)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_buffer_ struct buffer content = {0};
    uint8_t block[16384];

    if (fd < 0)
        return error_errno(errno, "open '%s'", path);
    for (;;) {
        ssize_t n = read(fd, block, sizeof(block));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(errno, "read '%s'", path);
        if (n == 0)
            break;
        if (content.size + (size_t)n > max)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "'%s' is larger than %zu bytes", path, max);
        buffer_add(&content, block, (size_t)n);
    }
    OPENSSL_cleanse(block, sizeof(block));
    buffer_add(ret_buffer, content.data, content.size);
    return NULL;
}

struct error *file_read_text(const char *path, size_t max, char **ret_text)
{
    _cleanup_buffer_ struct buffer content = {0};
    struct error *err = file_read(path, max, &content);

    if (err)
        return err;
    if (content.size && memchr(content.data, 0, content.size))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' holds a NUL byte", path);
    while (content.size && strchr(" \t\r\n", content.data[content.size - 1]))
        content.data[--content.size] = 0;
    *ret_text = buffer_take_text(&content);
    return NULL;
}

static struct error *write_all(int fd, const char *path, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(errno, "write '%s'", path);
        data += n;
        size -= (size_t)n;
    }
    return fsync(fd) < 0 ? error_errno(errno, "fsync '%s'", path) : NULL;
}

struct error *file_write_atomic(const char *path, const void *data, size_t size, mode_t mode)
{
    _cleanup_free_ char *next = xasprintf("%s.%d.new", path, (int)getpid());
    _cleanup_close_ int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    if (fd < 0)
        return error_errno(errno, "create '%s'", next);
    struct error *err = fchmod(fd, mode) < 0 ? error_errno(errno, "chmod '%s'", next) : NULL;
    if (!err)
        err = write_all(fd, next, data, size);
    if (!err && rename(next, path) < 0)
        err = error_errno(errno, "rename '%s' to '%s'", next, path);
    if (err)
        unlink(next);
    return err;
}

struct error *dir_make(const char *path, mode_t mode)
{
    _cleanup_free_ char *part = xstrdup(path);

    for (char *p = part + 1;; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return error_errno(errno, "mkdir '%s'", part);
        *p = c;
        if (c == '\0')
            return NULL;
    }
}
