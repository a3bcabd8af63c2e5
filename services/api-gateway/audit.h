/*
 * The audit trail: every change, who made it, to what, when, from where, and how it ended. Two
 * append-only lists, one of the account and one of the fleet, each with the newest entries.
 * Nothing secret is in it: ids and names of fields, and amounts of money.
 *
 * Where the gateway writes the change, its entry is part of the same commit: a change that cannot
 * be recorded does not happen, and none is recorded that did not. Workloads are the scheduler's;
 * their entries follow its answer, and one that cannot be written is in our log instead, because
 * the change is there and a failure would only make the caller repeat it.
 *
 * What is refused before anything could change is not recorded: otherwise the weakest key could
 * push the trail's older entries out.
 */
#pragma once

#include "services/api-gateway/http.h"
#include "shared/store/store.h"

enum { AUDIT_ACCOUNT_MAX = 10000, AUDIT_FLEET_MAX = 50000, AUDIT_LISTS = 2 };

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

/* After an answer of a route where somebody else is the writer: nothing when it did not get as far
 * as asking, which is when it knows what it is about. */
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
