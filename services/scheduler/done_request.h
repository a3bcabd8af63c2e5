/*
 * Requests that were done, by the id that the gateway gives those that may come again because
 * their answer was lost. The note is in the commit of the change, so it is there exactly when the
 * change is, and of two that come at once one is done. It is kept for as long as a client's
 * Idempotency-Key counts; later the same request is a new one.
 *
 * Who finds a note answers what is there now, whatever was expected of it: others may have changed
 * it since, and doing it once more would undo that. What changed nothing leaves no note.
 */
#pragma once

#include "services/scheduler/records.h"

#define DONE_REQUEST_KEEP_MS (INT64_C(24) * 60 * 60 * 1000)

/* *ret_done is false for "" (or NULL), the request that nobody repeats; INVALID_ARGUMENT for what
 * is no id. */
struct error *done_request_find(struct scheduler *scheduler, const char *request_id,
                                struct arena *arena, bool *ret_done) _must_check_;

/* Whether done_request_find() would take it; "" counts. */
struct error *done_request_check(const char *request_id) _must_check_;

/* Its record, for who reads several at once. In the arena. */
const char *done_request_key(struct arena *arena, const char *request_id);

/* object: what was changed, for people who look. Nothing without an id. */
void done_request_note(struct change *change, const char *request_id, const char *object);
