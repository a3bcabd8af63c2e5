/*
 * Requests that were done, by the id that the gateway gives those that may come again because
 * their answer was lost. The note is in the commit of the change, so it is there exactly when the
 * change is, and of two that come at once one is done. It is kept for as long as a client's
 * Idempotency-Key counts; later the same request is a new one.
 *
 * Who finds a note answers what is there now, whatever was expected of it: others may have changed
 * it since, and doing it once more would undo that. What changed nothing leaves no note.
 *
 * The note names the entry of the audit trail that was handed over with the request. A message that
 * the bus brought twice has the same one, and is answered as audited again; a client's retry has
 * another one, which is left to its asker.
 */
#pragma once

#include "services/scheduler/records.h"

#define DONE_REQUEST_KEEP_MS (INT64_C(24) * 60 * 60 * 1000)

/* What is sent along with a change, whatever the change is. */
struct asked {
    const char *request_id;              /* NULL or "": one that nobody repeats */
    const Coffer__V1__AuditEntry *audit; /* NULL: none */
};

struct done_request {
    bool done;
    bool audited; /* and the audit entry of this request is in the trail */
};

/* INVALID_ARGUMENT for what is no id. */
struct error *done_request_find(struct scheduler *scheduler, const struct asked *asked,
                                struct arena *arena, struct done_request *ret_done) _must_check_;

/* Whether done_request_find() would take it; "" counts. */
struct error *done_request_check(const char *request_id) _must_check_;

/* Its record, for who reads several at once. In the arena. */
const char *done_request_key(struct arena *arena, const char *request_id);

/* The same of its record that was read already; NULL: there is none. */
struct done_request done_request_of(const struct store_record *record, const struct asked *asked);

/* Adds the note, and the audit entry. object: what was changed, for people who look. */
void done_request_note(struct change *change, const struct asked *asked, const char *object);
