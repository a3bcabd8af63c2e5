/* Long polls: an answer that waits until it would be another one. Each holds a worker, so an
 * account, and all together, may have few. */
#pragma once

#include "services/api-gateway/rendered.h"

enum { WAIT_MAX_S = 60 };

/* ?wait=SECONDS; 0: not given. INVALID_ARGUMENT unless it is a whole number from 1 to 60. */
struct error *wait_of_query(struct request *request, int *ret_s) _must_check_;

/* rendered_load(), again after every change until its ETag is another than If-None-Match says, or
 * the time is over. */
struct error *workload_wait(struct request *request, const char *id, int wait_s,
                            struct store_cached **ret_value) _must_check_;

/* Calls try until it says *ret_done, the workload's changes in between. */
typedef struct error *(*wait_try)(struct request *request, void *state, bool *ret_done);
struct error *wait_until(struct request *request, const char *id, int wait_s, wait_try try,
                         void *state) _must_check_;
