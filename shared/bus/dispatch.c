/* What happens to one message: unpack, call, pack, answer. */
#include <openssl/crypto.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"
#include "shared/bus/bus_internal.h"

enum { ERROR_TEXT_MAX = 4096 };

static struct error *check_type(const struct bus_handler *row, const struct bus_message *message)
{
    if (message->size > BUS_PAYLOAD_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "payload is larger than %d bytes",
                         BUS_PAYLOAD_MAX);
    if (message->type && message->type[0] && strcmp(message->type, row->request->name) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "message is a '%.128s', expected '%s'",
                         message->type, row->request->name);
    return NULL;
}

static struct error *pack_reply(const ProtobufCMessage *out, struct arena *arena,
                                ProtobufCBinaryData *ret_reply)
{
    size_t size = protobuf_c_message_get_packed_size(out);

    if (size > BUS_PAYLOAD_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "reply of %zu bytes is too large", size);
    ret_reply->data = arena_alloc(arena, size ? size : 1);
    ret_reply->len = protobuf_c_message_pack(out, ret_reply->data);
    return NULL;
}

static struct error *dispatch_call(const struct bus_handler *row, void *state,
                                   struct bus_call *call)
{
    const struct bus_message *message = call->message;
    void *in;
    struct error *err = check_type(row, message);

    if (!err)
        err = bus_unpack(row->request, message->data, message->size, call->arena, &in);
    if (err)
        return err;
    call->in = in;
    if (row->reply) {
        call->out = arena_alloc(call->arena, row->reply->sizeof_message);
        protobuf_c_message_init(row->reply, call->out);
    }
    return row->handle(state, call);
}

struct error *bus_dispatch(const struct bus_handler *row, void *state,
                           const struct bus_message *message, struct arena *arena,
                           ProtobufCBinaryData *ret_reply)
{
    struct bus_call call = {.message = message, .arena = arena};
    ProtobufCBinaryData reply = {0};
    struct error *err = dispatch_call(row, state, &call);

    if (!err && row->reply)
        err = pack_reply(call.out, arena, &reply);
    if (!err)
        *ret_reply = reply;
    return err;
}

/* One line, bounded: it becomes a header. */
static char *header_text(struct arena *arena, const char *text)
{
    char *line = arena_printf(arena, "%.*s", ERROR_TEXT_MAX, text);

    for (char *at = line; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    }
    return line;
}

static void set_error(struct bus_message *reply, struct error *err, const char *subject,
                      struct arena *arena)
{
    reply->status = error_get_code(err);
    if (reply->status == ERROR_INTERNAL || reply->status == ERROR_UNKNOWN) {
        reply->error = "internal error";
        log_failure(LOG_LEVEL_ERROR, "request failed",
                    error_wrap(err, "request '%s' on '%s'", reply->request_id ?: "-", subject));
        return;
    }
    reply->error = header_text(arena, error_text(err));
    reply->reason = header_text(arena, error_reason(err));
    error_free(err);
}

static struct error *sign_reply(struct bus_signer *signer, struct bus_message *reply,
                                struct arena *arena)
{
    uint8_t signature[64];
    struct error *err =
        signer->sign(signer, reply->subject, reply->data, reply->size, &reply->counter, signature);

    if (err)
        return error_wrap(err, "sign the reply");
    _cleanup_free_ char *text = base64_encode_new(signature, sizeof(signature));
    reply->signature = arena_strdup(arena, text);
    return NULL;
}

static void answer(const struct bus_place *place, struct bus_call *call, struct error *err)
{
    const struct bus_message *message = call->message;
    ProtobufCBinaryData packed = {0};

    if (!err)
        err = pack_reply(call->out, call->arena, &packed);
    struct bus_message reply = {
        .subject = message->reply_to,
        .data = packed.data,
        .size = packed.len,
        .type = place->row->reply->name,
        .request_id = message->request_id,
    };
    if (!err && call->reply_signer)
        err = sign_reply(call->reply_signer, &reply, call->arena);
    if (err) {
        reply.data = NULL;
        reply.size = 0;
        set_error(&reply, err, message->subject, call->arena);
    }
    log_failure(LOG_LEVEL_DEBUG, "reply not sent", bus_publish(place->bus, &reply));
}

/* The asker names the subject, but the answer is published with our permissions: so it goes to an
 * inbox and nowhere else. */
static bool is_inbox(const char *subject)
{
    return subject && strncmp(subject, "_INBOX.", strlen("_INBOX.")) == 0;
}

/* A call that outlives its handler: in its own arena. */
struct kept {
    struct bus_call call; /* first */
    struct bus_message message;
    struct bus_place place;
};

struct bus_call *bus_call_keep(struct bus_call *call)
{
    const struct bus_place *place = call->place;

    if (!place || !place->row->reply || !is_inbox(call->message->reply_to))
        return NULL;
    struct kept *kept = arena_alloc(call->arena, sizeof(*kept));
    struct bus_message bare = *call->message;
    bare.data = NULL;
    bare.size = 0;
    bus_message_copy_to(call->arena, &bare, &kept->message);
    kept->place = *place;
    kept->call = *call;
    kept->call.message = &kept->message;
    kept->call.place = &kept->place;
    call->arena = NULL;
    return &kept->call;
}

void bus_call_answer(struct bus_call *call, struct error *err)
{
    answer(call->place, call, err);
    bus_call_drop(call);
}

void bus_call_drop(struct bus_call *call)
{
    if (call)
        arena_free(call->arena);
}

struct later_job {
    struct delivery_job job;
    void (*function)(void *data);
    void *data;
};

static void later_run(struct delivery_job *job)
{
    const struct later_job *later = (struct later_job *)job;

    later->function(later->data);
}

static void later_free(struct delivery_job *job)
{
    free(job);
}

bool bus_call_later(const struct bus_call *kept, void (*function)(void *data), void *data)
{
    struct later_job *later = xnew(struct later_job);

    later->job =
        (struct delivery_job){.owner = kept->place->owner, .run = later_run, .free = later_free};
    later->function = function;
    later->data = data;
    return delivery_post(kept->place->delivery, &later->job);
}

void bus_handle(const struct bus_place *place, void *state, const struct bus_message *message)
{
    struct arena *arena = arena_new();
    struct bus_call call = {.message = message, .arena = arena, .place = place};
    struct error *err = dispatch_call(place->row, state, &call);

    if (!call.arena) {
        assert(!err); /* kept: answered later */
        return;
    }
    if (place->row->reply && is_inbox(message->reply_to))
        answer(place, &call, err);
    else
        log_failure(LOG_LEVEL_WARNING, "message refused",
                    error_wrap(err, "'%s'", message->subject));
    arena_free(arena);
}

struct error *bus_reply_error(const struct bus_message *reply)
{
    if (reply->status == ERROR_OK)
        return NULL;
    struct error *err =
        error_new(reply->status, "%.*s", ERROR_TEXT_MAX,
                  reply->error && reply->error[0] ? reply->error : "peer gave no reason");
    return error_set_reason(err, reply->reason ?: "");
}
