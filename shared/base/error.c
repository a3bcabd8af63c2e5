#include "shared/base/error.h"

#include <openssl/err.h>
#include <stdarg.h>

#include "shared/base/alloc.h"

enum { TEXT_MAX = 8192 };

struct error {
    enum error_code code;
    int line;
    const char *file;
    char *text;
    char origin[64];
    char reason[ERROR_REASON_MAX];
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static struct error *make(const char *file, int line, enum error_code code, char *text)
{
    struct error *err = xnew(struct error);

    if (strlen(text) > TEXT_MAX)
        text[TEXT_MAX] = '\0';
    err->code = code;
    err->line = line;
    err->file = base_name(file);
    err->text = text;
    snprintf(err->origin, sizeof(err->origin), "%s:%d", err->file, line);
    return err;
}

struct error *error_new_at(const char *file, int line, enum error_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    char *text = xvasprintf(fmt, args);
    va_end(args);
    return make(file, line, code, text);
}

static enum error_code code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
        return ERROR_PERMISSION_DENIED;
    case EINVAL:
        return ERROR_INVALID_ARGUMENT;
    case ETIMEDOUT:
        return ERROR_DEADLINE_EXCEEDED;
    case ENOSPC:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return ERROR_RESOURCE_EXHAUSTED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EAGAIN:
    case EBUSY:
        return ERROR_UNAVAILABLE;
    default:
        return ERROR_INTERNAL;
    }
}

struct error *error_errno_at(const char *file, int line, int errnum, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *context = xvasprintf(fmt, args);
    va_end(args);
    return make(file, line, code_of_errno(errnum),
                xasprintf("%s: %s", context, strerrordesc_np(errnum) ?: "unknown error"));
}

struct error *error_openssl_at(const char *file, int line, const char *fmt, ...)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *context = xvasprintf(fmt, args);
    va_end(args);
    ERR_clear_error();
    return make(file, line, ERROR_INTERNAL,
                xasprintf("%s: %s", context, reason ?: "openssl reported no reason"));
}

struct error *error_wrap(struct error *err, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return NULL;
    va_start(args, fmt);
    _cleanup_free_ char *context = xvasprintf(fmt, args);
    va_end(args);
    char *text = xasprintf("%s: %s", context, err->text);
    free(err->text);
    err->text = text;
    if (strlen(text) > TEXT_MAX)
        text[TEXT_MAX] = '\0';
    return err;
}

struct error *error_recode(struct error *err, enum error_code code)
{
    if (err)
        err->code = code;
    return err;
}

struct error *error_set_reason(struct error *err, const char *reason)
{
    if (err)
        snprintf(err->reason, sizeof(err->reason), "%s", reason);
    return err;
}

const char *error_reason(const struct error *err)
{
    return err ? err->reason : "";
}

enum error_code error_get_code(const struct error *err)
{
    return err ? err->code : ERROR_OK;
}

const char *error_text(const struct error *err)
{
    return err ? err->text : "ok";
}

const char *error_origin(const struct error *err)
{
    return err ? err->origin : "";
}

void error_free(struct error *err)
{
    if (!err)
        return;
    free(err->text);
    free(err);
}

static const char *const code_names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

const char *error_code_name(enum error_code code)
{
    return (size_t)code < ELEMENTSOF(code_names) ? code_names[code] : "UNKNOWN";
}

bool error_code_from_name(const char *name, enum error_code *ret_code)
{
    for (size_t i = 0; i < ELEMENTSOF(code_names); i++) {
        if (strcmp(name, code_names[i]) == 0) {
            *ret_code = (enum error_code)i;
            return true;
        }
    }
    return false;
}
