/*
 * The audit trail: every change, who made it, to what, when, from where, and how it ended. Two
 * append-only lists, one of the account and one of the fleet, each with the newest entries.
 * Nothing secret is in it: ids and names of fields, and amounts of money.
 *
 * The entry is part of the commit of its change: a change that cannot be recorded does not happen,
 * and none is recorded that did not. Where the scheduler writes the change (workloads, tiers,
 * images, hosts), the entry is handed over with what is asked of it (audit_hand_over()), and its
 * answer says whether it is there: so it is, also when this gateway dies before the answer comes.
 *
 * The gateway writes the entry of what the scheduler refused, of what changed nothing (a client's
 * retry is that too), and of a change by a scheduler that knows no entries. Each follows the answer
 * in a commit of its own, and one that cannot be written is in our log instead, because a failure
 * would only make the caller repeat what is done. After an answer that was lost (503, 504) there
 * may be two entries of one request: the "ok" of the change, and how the request ended. A keyless
 * create that the bus brought twice may have two with the same id.
 *
 * What is refused before anything could change is not recorded: otherwise the weakest key could
 * push the trail's older entries out.
 */
#pragma once

#include "schemas/common.pb-c.h"
#include "services/api-gateway/http.h"
#include "shared/store/audit_trail.h"

struct audit_entry {
    const char *account; /* whose trail; "" for nobody's but the fleet's */
    const char *object;  /* the id of what was changed */
    const char *result;  /* "ok", or the kind of the failure */
    json_t *details;     /* not taken; NULL: none */
};

/* The list edits for the commit of the change; memory is the request's arena. Returns how many. */
size_t audit_edits(struct request *request, const struct audit_entry *entry,
                   struct store_list_edit ret_edits[AUDIT_LISTS]);

/* Names what the request is about, once that is known. */
void audit_about(struct request *request, const char *object);

/*
 * What the scheduler shall write with the change, of the object, that the request is about to ask
 * it for: that it was done. One for all attempts of a request; lives in its arena.
 */
Coffer__V1__AuditEntry *audit_hand_over(struct request *request, const char *object);

/* What its answer says of that: audited, the entry is there. */
void audit_handed_over(const struct request *request, bool audited);

/* The same by the note of a request that was done (audit_trail.h): its answer may have been lost.
 */
void audit_noted(const struct request *request, const ProtobufCBinaryData *note);

/* After an answer of a route where somebody else is the writer: nothing when it did not get as far
 * as asking, which is when it knows what it is about, nor when the entry is there already. */
void audit_answer(struct request *request, unsigned status, const json_t *answer);

/* What an entry must be; NULL: anything. Times as clock_format() writes them. */
struct audit_filter {
    const char *action; /* "accounts/create" */
    const char *object;
    const char *actor; /* the id of its key or account, or its type */
    const char *result;
    const char *since; /* not before */
    const char *until; /* before */
};

/* At most max entries that match, newest first, older than the entry called cursor (NULL: from the
 * newest). account NULL: the fleet's. *ret_next is the cursor for more, or NULL at the end. */
struct error *audit_read(struct request *request, const char *account, const char *cursor,
                         const struct audit_filter *filter, size_t max, json_t **ret_entries,
                         const char **ret_next) _must_check_;
