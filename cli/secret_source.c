#include "cli/secret_source.h"

#include "cli/ask.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { VALUE_MAX = 64 * 1024 };

static struct error *from_environment(const char *name, const char *what, struct arena *arena,
                                      const char **ret_value)
{
    const char *value = getenv(name);

    if (!value)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: no variable '%s' in your environment", what,
                         name);
    *ret_value = arena_strdup(arena, value);
    return NULL;
}

static struct error *from_file(const char *path, const char *folder, const char *what,
                               struct arena *arena, const char **ret_value)
{
    const char *full = path[0] == '/' ? path : arena_printf(arena, "%s/%s", folder, path);
    char *text = NULL;
    struct error *err = file_read_text(full, VALUE_MAX, &text);

    if (err)
        return error_wrap(err, "%s", what);
    *ret_value = arena_strdup(arena, text);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return NULL;
}

/* A line of fd, read byte by byte: what follows stays for the next reader. */
static struct error *read_line(int fd, const char *what, struct arena *arena,
                               const char **ret_value)
{
    _cleanup_buffer_ struct buffer line = {0};
    ssize_t n;
    char c;

    while ((n = read(fd, &c, 1)) == 1 && c != '\n' && line.size <= VALUE_MAX)
        buffer_add(&line, &c, 1);
    if (n < 0)
        return error_errno(errno, "%s", what);
    if (n == 0 && !line.size)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: standard input has ended", what);
    if (line.size > VALUE_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is longer than %d bytes", what, VALUE_MAX);
    *ret_value = arena_strdup(arena, buffer_text(&line));
    return NULL;
}

struct error *secret_source_read(enum coffer_source source, const char *text, const char *folder,
                                 const char *what, struct arena *arena, const char **ret_value)
{
    switch (source) {
    case SOURCE_VALUE:
        *ret_value = arena_strdup(arena, text);
        return NULL;
    case SOURCE_ENVIRONMENT:
        return from_environment(text, what, arena, ret_value);
    case SOURCE_FILE:
        return from_file(text, folder, what, arena, ret_value);
    case SOURCE_STDIN:
        return read_line(STDIN_FILENO, what, arena, ret_value);
    default:
        return error_new(ERROR_INTERNAL, "%s: no such source", what);
    }
}

struct error *secret_source_ask(const char *what, struct arena *arena, const char **ret_value)
{
    _cleanup_free_ char *question = xasprintf("%s: ", what);
    char *value = NULL;
    struct error *err = ask_secret(question, &value);

    if (error_get_code(err) == ERROR_FAILED_PRECONDITION) {
        error_free(err);
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%s: it is not in your environment, and there is no terminal to ask on",
                         what);
    }
    if (err)
        return error_wrap(err, "%s", what);
    *ret_value = arena_strdup(arena, value);
    OPENSSL_cleanse(value, strlen(value));
    free(value);
    return NULL;
}
