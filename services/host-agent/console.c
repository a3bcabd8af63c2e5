#include "services/host-agent/console.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "shared/base/alloc.h"

static char *older(const char *path)
{
    return xasprintf("%s.1", path);
}

/* Reads from offset to the end; at most max bytes, so that a guest cannot make us read for ever. */
static struct error *read_from(int fd, const char *path, off_t offset, size_t max,
                               struct buffer *ret_text)
{
    char block[16384];

    while (max) {
        size_t want = max < sizeof(block) ? max : sizeof(block);
        ssize_t n = pread(fd, block, want, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(errno, "read '%s'", path);
        if (n == 0)
            return NULL;
        buffer_add(ret_text, block, (size_t)n);
        offset += n;
        max -= (size_t)n;
    }
    return NULL;
}

static struct error *tail_of(const char *path, size_t max, struct buffer *ret_text)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return NULL;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(errno, "open '%s'", path);
    off_t from = st.st_size > (off_t)max ? st.st_size - (off_t)max : 0;
    return read_from(fd, path, from, max, ret_text);
}

struct error *console_rotate(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_free_ char *target = older(path);
    _cleanup_buffer_ struct buffer last = {0};
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? NULL : error_errno(errno, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return error_errno(errno, "stat '%s'", path);
    if (st.st_size <= CONSOLE_SIZE)
        return NULL;
    struct error *err = tail_of(path, CONSOLE_SIZE, &last);
    if (err)
        return err;
    FILE *file = fopen(target, "we");
    if (!file)
        return error_errno(errno, "create '%s'", target);
    size_t written = fwrite(last.data, 1, last.size, file);
    if (fclose(file) || written != last.size)
        return error_errno(errno ?: EIO, "write '%s'", target);
    return ftruncate(fd, 0) < 0 ? error_errno(errno, "truncate '%s'", path) : NULL;
}

struct error *console_begin(const char *path)
{
    _cleanup_free_ char *target = older(path);

    if (rename(path, target) < 0 && errno != ENOENT)
        return error_errno(errno, "rename '%s'", path);
    return NULL;
}

struct error *console_tail(const char *path, size_t max, struct buffer *ret_text)
{
    _cleanup_free_ char *before = older(path);
    _cleanup_buffer_ struct buffer newest = {0};
    struct error *err = tail_of(path, max, &newest);

    if (!err && newest.size < max)
        err = tail_of(before, max - newest.size, ret_text);
    if (!err && newest.size)
        buffer_add(ret_text, newest.data, newest.size);
    return err;
}

/* Skips what a terminal would obey: ESC [ ... letter, and other ESC pairs. */
static size_t skip_escape(const uint8_t *data, size_t size, size_t i)
{
    if (i + 1 < size && data[i + 1] == '[') {
        for (i += 2; i < size && (data[i] < 0x40 || data[i] > 0x7e); i++)
            ;
        return i;
    }
    return i + 1;
}

static void add_printable(struct buffer *text, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t c = data[i];
        if (c == 0x1b)
            i = skip_escape(data, size, i);
        else if (c == '\n' || c == '\t' || (c >= ' ' && c <= '~'))
            buffer_add_u8(text, c);
        else if (c != '\r')
            buffer_add_u8(text, '?');
    }
}

char *console_tail_text(const char *path, size_t max)
{
    _cleanup_buffer_ struct buffer raw = {0};
    struct buffer text = {0};

    error_free(tail_of(path, max, &raw)); /* the reason for a failure is never worth a failure */
    const uint8_t *start = raw.data;
    size_t size = raw.size;
    const uint8_t *line = size && size == max ? memchr(start, '\n', size) : NULL;
    if (line) { /* the first line is cut: leave it out */
        size -= (size_t)(line + 1 - start);
        start = line + 1;
    }
    add_printable(&text, start, size);
    return text.size ? buffer_take_text(&text) : xstrdup("");
}
