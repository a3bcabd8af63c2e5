/*
 * One JSON object a line on stderr: time, level, service, msg, then the caller's fields.
 * The only process-wide state we have. Only programs log; library code returns errors.
 * Secrets and bodies of evidence are never logged.
 */
#pragma once

#include <stdbool.h>

#include "shared/base/error.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* service stays the caller's. Lines below the level are dropped. */
void log_init(const char *service, enum log_level min_level);
bool log_level_from_name(const char *name, enum log_level *ret_level); /* "info" ... */

/* Extra fields as name, text pairs ended by NULL; a NULL text leaves its field out. Thread-safe. */
void log_event(enum log_level level, const char *msg, ...) __attribute__((sentinel));

#define log_debug(...)   log_event(LOG_LEVEL_DEBUG, __VA_ARGS__, NULL)
#define log_info(...)    log_event(LOG_LEVEL_INFO, __VA_ARGS__, NULL)
#define log_warning(...) log_event(LOG_LEVEL_WARNING, __VA_ARGS__, NULL)
#define log_error(...)   log_event(LOG_LEVEL_ERROR, __VA_ARGS__, NULL)

/* Logs err with code, text and origin, then frees it. NULL logs nothing. */
void log_failure(enum log_level level, const char *msg, struct error *err);

/* Called with every line that is written (guest-agent ships its own log). NULL switches off. */
void log_set_sink(void (*sink)(void *data, const char *line), void *data);
