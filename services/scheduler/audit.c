#include "services/scheduler/audit.h"

#include <jansson.h>

#include "shared/base/encode.h"
#include "shared/store/audit_trail.h"

static bool is_object(const ProtobufCBinaryData *entry)
{
    json_t *json = json_loadb((const char *)entry->data, entry->len, JSON_REJECT_DUPLICATES, NULL);
    bool is_one = json_is_object(json);

    json_decref(json);
    return is_one;
}

struct error *audit_check(const Coffer__V1__AuditEntry *audit)
{
    if (!audit)
        return NULL;
    if (audit->account_id[0] && !name_is_valid(audit->account_id))
        return error_new(ERROR_INVALID_ARGUMENT, "the audit entry's account is none");
    if (!name_is_valid(audit->id))
        return error_new(ERROR_INVALID_ARGUMENT, "the audit entry's id is none");
    if (audit->entry.len > AUDIT_ENTRY_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "the audit entry is larger than %d bytes",
                         AUDIT_ENTRY_MAX);
    if (!is_object(&audit->entry))
        return error_new(ERROR_INVALID_ARGUMENT, "the audit entry is no JSON object");
    return NULL;
}

void change_audit(struct change *change, const Coffer__V1__AuditEntry *audit)
{
    struct store_list_edit edits[AUDIT_LISTS];

    if (!audit)
        return;
    size_t n = audit_trail_edits(change->arena, audit->account_id, audit->entry, edits);
    for (size_t i = 0; i < n; i++)
        change_list(change, &edits[i]);
}
