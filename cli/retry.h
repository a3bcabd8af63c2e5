/* When a request is said again, and under which name a change happens once. */
#pragma once

#include <stdbool.h>

#include "cli/http.h"

enum { IDEMPOTENCY_KEY_MAX = 255 };

/* POST that only asks. */
bool retry_is_read(const char *method, const char *path);

/* Waits as long as the reply or the number of failures (from 0) says; false: give up. Never more
 * than RETRY_WAIT_MAX_S at once. */
enum { RETRIES_MAX = 4, RETRY_WAIT_MAX_S = 10 };
bool retry_wait(unsigned failures, const struct http_reply *reply);

/* The key of the n-th change (from 0) of this invocation; INVALID_ARGUMENT: the one given is none.
 * Caller frees. */
struct error *retry_idempotency_key(unsigned n, char **ret_key) _must_check_;
