/*
 * The one error value. NULL is success; whoever holds an error owns it, and either returns it,
 * wraps and returns it, or logs and frees it: once.
 *
 * The code is for programs, the text for people. Branch on the code, never on the text. Text:
 * lower case, no full stop, the subject in single quotes, never a secret.
 */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "shared/base/cleanup.h"

/* google.rpc.Code, same numbers: they travel in the Coffer-Status header. */
enum error_code {
    ERROR_OK = 0,
    ERROR_CANCELLED = 1,
    ERROR_UNKNOWN = 2,
    ERROR_INVALID_ARGUMENT = 3,
    ERROR_DEADLINE_EXCEEDED = 4,
    ERROR_NOT_FOUND = 5,
    ERROR_ALREADY_EXISTS = 6,
    ERROR_PERMISSION_DENIED = 7,
    ERROR_RESOURCE_EXHAUSTED = 8,
    ERROR_FAILED_PRECONDITION = 9,
    ERROR_ABORTED = 10,
    ERROR_OUT_OF_RANGE = 11,
    ERROR_UNIMPLEMENTED = 12,
    ERROR_INTERNAL = 13,
    ERROR_UNAVAILABLE = 14,
    ERROR_DATA_LOSS = 15,
    ERROR_UNAUTHENTICATED = 16,
};

struct error;

/* Use the macros below, which note the place. Text is limited to 8 KiB. Never returns NULL. */
struct error *error_new_at(const char *file, int line, enum error_code code, const char *fmt, ...)
    _printf_(4, 5) _must_check_ _never_null_;
struct error *error_errno_at(const char *file, int line, int errnum, const char *fmt, ...)
    _printf_(4, 5) _must_check_ _never_null_;

/* Says to clang's analyzer, which does not heed returns_nonnull, that err is an error. */
static inline struct error *error_made_(struct error *err) _must_check_ _never_null_;
static inline struct error *error_made_(struct error *err)
{
    assert(err);
    return err;
}

#define error_new(code, ...) error_made_(error_new_at(__FILE__, __LINE__, (code), __VA_ARGS__))

/* Adds ": " and strerror(errnum); the code follows from errnum (ENOENT gives NOT_FOUND ...). */
#define error_errno(errnum, ...)                                                                   \
    error_made_(error_errno_at(__FILE__, __LINE__, (errnum), __VA_ARGS__))

/* The last error of OpenSSL's queue, as INTERNAL; empties the queue. */
struct error *error_openssl_at(const char *file, int line, const char *fmt, ...)
    _printf_(3, 4) _must_check_ _never_null_;
#define error_openssl(...) error_made_(error_openssl_at(__FILE__, __LINE__, __VA_ARGS__))

/* "context: text", same code and origin. Takes err and returns it; NULL stays NULL. */
struct error *error_wrap(struct error *err, const char *fmt, ...) _printf_(2, 3) _must_check_;

/* Same text, another code. NULL stays NULL. */
struct error *error_recode(struct error *err, enum error_code code) _must_check_;

/*
 * A short stable word for programs where the code alone does not tell cases apart, for example
 * "over_quota"; it travels in the Coffer-Reason header. At most ERROR_REASON_MAX - 1 bytes are
 * kept. NULL stays NULL.
 */
#define ERROR_REASON_MAX 32
struct error *error_set_reason(struct error *err, const char *reason) _must_check_;
const char *error_reason(const struct error *err); /* "": none; lives with err */

enum error_code error_get_code(const struct error *err); /* NULL gives ERROR_OK */
const char *error_text(const struct error *err);         /* NULL gives "ok"; lives with err */
const char *error_origin(const struct error *err);       /* "file.c:12" */
void error_free(struct error *err);                      /* NULL is fine */
DEFINE_CLEANUP(struct error *, error_free)

const char *error_code_name(enum error_code code);                      /* "NOT_FOUND" */
bool error_code_from_name(const char *name, enum error_code *ret_code); /* false: unknown */
