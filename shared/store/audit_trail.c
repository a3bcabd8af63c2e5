#include "shared/store/audit_trail.h"

#include <string.h>

#include "shared/store/keys.h"

size_t audit_trail_edits(struct arena *arena, const char *account, ProtobufCBinaryData entry,
                         struct store_list_edit ret_edits[AUDIT_LISTS])
{
    size_t n = 0;

    ret_edits[n++] =
        (struct store_list_edit){.key = KEY_AUDIT, .value = entry, .max_length = AUDIT_FLEET_MAX};
    if (*account)
        ret_edits[n++] =
            (struct store_list_edit){.key = arena_printf(arena, "%s%s", KEY_AUDIT_OF, account),
                                     .value = entry,
                                     .max_length = AUDIT_ACCOUNT_MAX};
    return n;
}

const char *audit_trail_note(struct arena *arena, const char *object, const char *entry_id)
{
    return entry_id && *entry_id ? arena_printf(arena, "%s %s", object, entry_id) : object;
}

/* Neither an id nor a name has a space in it. */
bool audit_trail_is_noted(const ProtobufCBinaryData *note, const char *entry_id)
{
    size_t size = strlen(entry_id);

    return size && note->len > size && note->data[note->len - size - 1] == ' ' &&
           memcmp(note->data + note->len - size, entry_id, size) == 0;
}
