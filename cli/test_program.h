/* A gateway of the test's own, and the whole program run against it: what is asked, what is said.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/buffer.h"

struct gateway_answer {
    const char *method;
    const char *path;
    const char *body;
    unsigned status;    /* 0: 200 */
    const char *etag;   /* NULL: none */
    const char *cursor; /* Coffer-Next-Cursor; NULL: none */
    const char *type;   /* Content-Type; NULL: none */
};

struct test_gateway {
    /* What it answers. Of several rows of one path each is used once, in turn, the last for ever.
     * A path that is not there: 404. */
    const struct gateway_answer *answers;
    size_t n_answers;
    const char *input; /* of the next run, on its stdin; NULL: nothing */

    struct buffer asked; /* "METHOD PATH&QUERY [HEADER: value]... BODY\n" of each request */
    char *output;
    char *errors;
    char dir[32]; /* a folder for files; HOME */
    struct MHD_Daemon *daemon;
    struct buffer upload;
    unsigned used[64]; /* by row */
};

extern struct test_gateway gateway;

int gateway_setup(void **state); /* also sets COFFER_API_URL, COFFER_API_KEY and HOME */
int gateway_teardown(void **state);

/* A file in dir; returns its path, which lives until the next call of the same kind. */
const char *gateway_write(const char *name, const char *text);

/* coffer ARGUMENTS; NULL entries are left out. Returns the exit code. */
int gateway_run(const char *const *arguments, size_t n);
#define COFFER(...)                                                                                \
    gateway_run((const char *const[]){"coffer", __VA_ARGS__},                                      \
                sizeof((const char *const[]){"coffer", __VA_ARGS__}) / sizeof(char *))

/* The exit code must be this one: otherwise what was said is shown. */
#define EXPECT(code, ...) gateway_expect(code, COFFER(__VA_ARGS__))
void gateway_expect(int expected, int actual);

#define ROW(method_, path_, body_, ...)                                                            \
    {                                                                                              \
        .method = (method_), .path = (path_), .body = (body_), __VA_ARGS__                         \
    }
#define ANSWERS(...)                                                                               \
    do {                                                                                           \
        static const struct gateway_answer rows_[] = {__VA_ARGS__};                                \
        gateway_answer(rows_, sizeof(rows_) / sizeof(rows_[0]));                                   \
    } while (0)
void gateway_answer(const struct gateway_answer *answers, size_t n);

void assert_asked(const char *text);
void assert_not_asked(const char *text);
void assert_output(const char *text);
void assert_errors(const char *text);

/* Nowhere: not in what is printed, nor (asked: true) in what is asked. */
void assert_not_said(const char *secret, bool asked);
