/*
 * Ownership: declare a variable together with its end.
 *
 * DEFINE_CLEANUP(type, fn) below the prototype of fn makes fn##p(), which _cleanup_() names:
 *
 *     DEFINE_CLEANUP(struct vm *, vm_free)
 *     ...
 *     _cleanup_(vm_freep) struct vm *vm = NULL;
 *     *ret_vm = TAKE_PTR(vm);
 */
#pragma once

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline __attribute__((unused)) void fn##p(type *p)                                      \
    {                                                                                              \
        if (*p)                                                                                    \
            fn(*p);                                                                                \
    }

#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) *take_from_ = &(p);                                                          \
        __typeof__(p) taken_ = *take_from_;                                                        \
        *take_from_ = NULL;                                                                        \
        taken_;                                                                                    \
    })

#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int *take_fd_from_ = &(fd);                                                                \
        int taken_fd_ = *take_fd_from_;                                                            \
        *take_fd_from_ = -1;                                                                       \
        taken_fd_;                                                                                 \
    })

#define ELEMENTSOF(array)   (sizeof(array) / sizeof((array)[0]))
#define _never_null_        __attribute__((returns_nonnull))
#define _must_check_        __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_            __attribute__((unused))

static inline void cleanup_free_(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close_(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose_(FILE **file)
{
    if (*file)
        fclose(*file);
}

#define _cleanup_free_   _cleanup_(cleanup_free_)
#define _cleanup_close_  _cleanup_(cleanup_close_)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose_)
