#include "services/scheduler/done_request.h"

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

struct error *done_request_find(struct scheduler *scheduler, const char *request_id,
                                struct arena *arena, bool *ret_done)
{
    struct store_record record = {0};
    struct error *err = NULL;

    if (request_id && *request_id) {
        err = done_request_check(request_id);
        err =
            err ?: store_get(scheduler->store, done_request_key(arena, request_id), arena, &record);
    }
    if (!err)
        *ret_done = record.version != 0;
    return err;
}

void done_request_note(struct change *change, const char *request_id, const char *object)
{
    if (!request_id || !*request_id)
        return;
    change_put_bytes(change, KEY_DONE_REQUEST, request_id, 0, object, strlen(object));
    change->writes[change->n_writes - 1].expire_ms = DONE_REQUEST_KEEP_MS;
}
