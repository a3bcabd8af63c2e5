#include "services/scheduler/done_request.h"

#include "services/scheduler/audit.h"
#include "shared/store/audit_trail.h"

enum { ID_MAX = 64 };

struct error *done_request_check(const char *request_id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t size = strlen(request_id);

    if (size <= ID_MAX && strspn(request_id, allowed) == size)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "the request's id is none");
}

const char *done_request_key(struct arena *arena, const char *request_id)
{
    return arena_printf(arena, "%s%s", KEY_DONE_REQUEST, request_id);
}

static bool has_id(const struct asked *asked)
{
    return asked->request_id && *asked->request_id;
}

struct done_request done_request_of(const struct store_record *record, const struct asked *asked)
{
    struct done_request done = {.done = record && record->version != 0};

    done.audited =
        done.done && asked->audit && audit_trail_is_noted(&record->value, asked->audit->id);
    return done;
}

struct error *done_request_find(struct scheduler *scheduler, const struct asked *asked,
                                struct arena *arena, struct done_request *ret_done)
{
    struct store_record record = {0};
    struct error *err = NULL;

    if (has_id(asked)) {
        err = done_request_check(asked->request_id);
        err = err
                  ?: store_get(scheduler->store, done_request_key(arena, asked->request_id), arena,
                               &record);
    }
    if (!err)
        *ret_done = done_request_of(&record, asked);
    return err;
}

void done_request_note(struct change *change, const struct asked *asked, const char *object)
{
    change_audit(change, asked->audit);
    if (!has_id(asked))
        return;
    const char *note =
        audit_trail_note(change->arena, object, asked->audit ? asked->audit->id : NULL);
    change_put_bytes(change, KEY_DONE_REQUEST, asked->request_id, 0, note, strlen(note));
    change->writes[change->n_writes - 1].expire_ms = DONE_REQUEST_KEEP_MS;
}
