/*
 * Allocation that cannot fail: out of memory ends the process (a supervisor starts it again).
 * Sizes that come from outside are limited before they get here.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "shared/base/cleanup.h"

/* One zeroed object of the type; free() releases it. */
#define xnew(type)          ((type *)xcalloc(1, sizeof(type)))
#define xnew_array(type, n) ((type *)xcalloc((n), sizeof(type)))

void *xcalloc(size_t n, size_t size);                 /* zeroed; checks n * size */
void *xrealloc_array(void *p, size_t n, size_t size); /* grows; new part is not zeroed */
void *xmemdup(const void *data, size_t size);         /* never NULL, also for size 0 */
char *xstrdup(const char *text);                      /* NULL stays NULL */
char *xstrndup(const char *text, size_t size);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
char *xvasprintf(const char *fmt, va_list args) _printf_(1, 0);
