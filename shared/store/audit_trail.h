/*
 * The audit trail as two services write it: the gateway in the commits of its own records, the
 * scheduler in those of what it is asked for. An entry goes to the fleet's list and to that of its
 * account, the newest in front; services/api-gateway/audit.h says what is in one.
 *
 * A note that a request was done (KEY_DONE_REQUEST) names what it changed and the entry that is in
 * the same commit, so that who asks again, and has the same entry, knows that it is there.
 */
#pragma once

#include "shared/store/store.h"

enum {
    AUDIT_LISTS = 2,
    AUDIT_ACCOUNT_MAX = 10000,
    AUDIT_FLEET_MAX = 50000,
    AUDIT_ENTRY_MAX = 8192, /* bytes */
};

/* The list edits of one entry, in the arena but for the entry itself; returns how many. account
 * "": only the fleet's. */
size_t audit_trail_edits(struct arena *arena, const char *account, ProtobufCBinaryData entry,
                         struct store_list_edit ret_edits[AUDIT_LISTS]);

/* The value of the note: object, and with it the id of the entry; NULL or "": there is none. */
const char *audit_trail_note(struct arena *arena, const char *object, const char *entry_id);

/* Whether the note names that entry. */
bool audit_trail_is_noted(const ProtobufCBinaryData *note, const char *entry_id);
