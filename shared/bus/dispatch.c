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
                                   struct bus_call *call, ProtobufCBinaryData *ret_reply)
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
    err = row->handle(state, call);
    if (err || !row->reply)
        return err;
    return pack_reply(call->out, call->arena, ret_reply);
}

struct error *bus_dispatch(const struct bus_handler *row, void *state,
                           const struct bus_message *message, struct arena *arena,
                           ProtobufCBinaryData *ret_reply)
{
    struct bus_call call = {.message = message, .arena = arena};
    ProtobufCBinaryData reply = {0};
    struct error *err = dispatch_call(row, state, &call, &reply);

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

static void answer(struct bus *bus, const struct bus_handler *row, struct bus_call *call,
                   struct error *err, ProtobufCBinaryData packed)
{
    const struct bus_message *message = call->message;
    struct bus_message reply = {
        .subject = message->reply_to,
        .data = packed.data,
        .size = packed.len,
        .type = row->reply->name,
        .request_id = message->request_id,
    };

    if (!err && call->reply_signer)
        err = sign_reply(call->reply_signer, &reply, call->arena);
    if (err) {
        reply.data = NULL;
        reply.size = 0;
        set_error(&reply, err, message->subject, call->arena);
    }
    log_failure(LOG_LEVEL_DEBUG, "reply not sent", bus_publish(bus, &reply));
}

/* The asker names the subject, but the answer is published with our permissions: so it goes to an
 * inbox and nowhere else. */
static bool is_inbox(const char *subject)
{
    return subject && strncmp(subject, "_INBOX.", strlen("_INBOX.")) == 0;
}

void bus_handle(struct bus *bus, const struct bus_handler *row, void *state,
                const struct bus_message *message)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_call call = {.message = message, .arena = arena};
    ProtobufCBinaryData packed = {0};
    struct error *err = dispatch_call(row, state, &call, &packed);

    if (row->reply && is_inbox(message->reply_to))
        answer(bus, row, &call, err, packed);
    else
        log_failure(LOG_LEVEL_WARNING, "message refused",
                    error_wrap(err, "'%s'", message->subject));
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
