#include "shared/bus/bus.h"

#include <time.h>

#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/bus/bus_internal.h"
#include "shared/bus/subject.h"

enum { RETRY_FIRST_MS = 25, RETRY_MAX_MS = 500 };

const struct stream_definition stream_table[] = {
    {"SOURCES", "src.>", 3 * 86400, 256LL << 20, -1, 64 * 1024},
    {"EVENTS", "evt.>", 7 * 86400, 512LL << 20, -1, 64 * 1024},
    {"LOGS", "log.>", 86400, 512LL << 20, 4096, 384 * 1024},
    {"FILES", "obj.>", 86400, 1LL << 30, 1, BUS_PAYLOAD_MAX},
    {NULL, NULL, 0, 0, 0, 0},
};

struct error *bus_connect(const struct bus_options *options, bool retry_first, struct bus **ret_bus)
{
    if (strcmp(options->url, "memory:") == 0) {
        *ret_bus = bus_memory_new();
        return NULL;
    }
    return bus_nats_connect(options, retry_first, ret_bus);
}

void bus_signed_bytes(const char *subject, uint64_t counter, const void *data, size_t size,
                      struct buffer *ret_bytes)
{
    static const char tag[] = "coffer/message/v1"; /* its NUL is the 0x00 behind the tag */
    uint8_t counter_be[8];

    for (size_t i = 0; i < sizeof(counter_be); i++)
        counter_be[i] = (uint8_t)(counter >> (56 - 8 * i));
    buffer_add(ret_bytes, tag, sizeof(tag));
    buffer_add_lp(ret_bytes, subject, strlen(subject));
    buffer_add_lp(ret_bytes, counter_be, sizeof(counter_be));
    buffer_add_lp(ret_bytes, data, size);
}

static bool subject_is_valid(const char *subject)
{
    size_t length = strlen(subject);

    if (length == 0 || length >= SUBJECT_MAX || strpbrk(subject, " \t\r\n*>"))
        return false;
    return subject[0] != '.' && subject[length - 1] != '.' && !strstr(subject, "..");
}

struct error *bus_check_message(const struct bus_message *message)
{
    if (!message->subject || !subject_is_valid(message->subject))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.80s' is no subject to publish on",
                         message->subject ?: "");
    if (message->size > BUS_PAYLOAD_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "payload of %zu bytes on '%s' is too large",
                         message->size, message->subject);
    return NULL;
}

/* Packs in and, with a signer, signs it; everything lives in the arena. */
static struct error *make_message(const char *subject, const ProtobufCMessage *in,
                                  struct bus_signer *signer, struct arena *arena,
                                  struct bus_message *ret_message)
{
    size_t size = protobuf_c_message_get_packed_size(in);
    uint8_t signature[64];

    if (size > BUS_PAYLOAD_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "'%s' of %zu bytes is too large",
                         in->descriptor->name, size);
    uint8_t *data = arena_alloc(arena, size ? size : 1);
    protobuf_c_message_pack(in, data);
    *ret_message = (struct bus_message){
        .subject = subject, .data = data, .size = size, .type = in->descriptor->name};
    if (!signer)
        return NULL;
    struct error *err = signer->sign(signer, subject, data, size, &ret_message->counter, signature);
    if (err)
        return error_wrap(err, "sign '%s'", subject);
    _cleanup_free_ char *text = base64_encode_new(signature, sizeof(signature));
    ret_message->signature = arena_strdup(arena, text);
    return NULL;
}

static void pause_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

/* Nobody answered (no subscriber yet, or the bus is away) is retried; a peer's own UNAVAILABLE,
 * which comes with a status, is not. */
static struct error *request_with_retry(struct bus *bus, const struct bus_message *message,
                                        int timeout_ms, struct arena *arena,
                                        struct bus_message *ret_reply)
{
    int64_t deadline = clock_monotonic_ms(clock_system()) + timeout_ms;
    int64_t pause = RETRY_FIRST_MS;
    int64_t left = timeout_ms;

    for (;;) {
        *ret_reply = (struct bus_message){0};
        struct error *err = bus_request(bus, message, (int)left, arena, ret_reply);
        bool again = error_get_code(err) == ERROR_UNAVAILABLE && ret_reply->status == ERROR_OK;
        left = deadline - clock_monotonic_ms(clock_system());
        if (!again || left <= pause)
            return err;
        error_free(err);
        pause_ms(pause);
        left -= pause;
        pause = pause * 2 < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS;
    }
}

struct error *bus_call(struct bus *bus, const char *subject, const ProtobufCMessage *in,
                       const ProtobufCMessageDescriptor *reply_type, const char *request_id,
                       struct bus_signer *signer, int timeout_ms, struct arena *arena,
                       void **ret_out, struct bus_message *ret_reply)
{
    struct bus_message message;
    struct bus_message reply;
    struct error *err = make_message(subject, in, signer, arena, &message);

    if (err)
        return err;
    message.request_id = request_id;
    err = request_with_retry(bus, &message, timeout_ms, arena, &reply);
    if (err)
        return err;
    if (reply.type && reply.type[0] && strcmp(reply.type, reply_type->name) != 0)
        return error_new(ERROR_INTERNAL, "'%s' answered with a '%.128s'", subject, reply.type);
    err = bus_unpack(reply_type, reply.data, reply.size, arena, ret_out);
    if (err)
        return error_wrap(error_recode(err, ERROR_INTERNAL), "answer of '%s'", subject);
    if (ret_reply)
        *ret_reply = reply;
    return NULL;
}

struct error *bus_send(struct bus *bus, const char *subject, const ProtobufCMessage *message,
                       const char *message_id, struct bus_signer *signer, int timeout_ms)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_message packed;
    struct error *err = make_message(subject, message, signer, arena, &packed);

    if (err)
        return err;
    packed.message_id = message_id;
    return message_id ? bus_publish_durable(bus, &packed, timeout_ms) : bus_publish(bus, &packed);
}

struct error *bus_object_subject(const char *name, char ret_subject[256])
{
    char subject[SUBJECT_MAX] = "obj";
    size_t used = 3;

    if (strlen(name) > BUS_OBJECT_NAME_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "object name is too long");
    for (const char *part = name;; part++) {
        char token[64];
        char checked[SUBJECT_MAX];
        size_t length = strcspn(part, "/");
        snprintf(token, sizeof(token), "%.*s", (int)(length < 64 ? length : 63), part);
        struct error *err = subject_build(checked, token, NULL);
        if (err || length > 63)
            return error_wrap(err ?: error_new(ERROR_INVALID_ARGUMENT, "part is too long"),
                              "object name '%s'", name);
        used += (size_t)snprintf(subject + used, sizeof(subject) - used, ".%s", token);
        part += length;
        if (!*part)
            break;
    }
    memcpy(ret_subject, subject, sizeof(subject));
    return NULL;
}

struct error *bus_subscribe(struct bus *bus, const struct bus_handler *row, const char *subject,
                            void *state, struct bus_subscription **ret_subscription)
{
    return bus->ops->subscribe(bus, row, subject, state, ret_subscription);
}

struct error *bus_consume(struct bus *bus, const char *stream, const char *durable,
                          const char *filter, bus_consume_fn consume, void *state,
                          struct bus_subscription **ret_subscription)
{
    return bus->ops->consume(bus, stream, durable, filter, consume, state, ret_subscription);
}

struct error *bus_ensure_streams(struct bus *bus)
{
    return bus->ops->ensure_streams(bus);
}

void bus_unsubscribe(struct bus_subscription *subscription)
{
    if (subscription)
        subscription->bus->ops->unsubscribe(subscription);
}

bool bus_is_connected(struct bus *bus)
{
    return bus->ops->is_connected(bus);
}

bool bus_is_lost(struct bus *bus)
{
    return bus->ops->is_lost && bus->ops->is_lost(bus);
}

struct error *bus_drain(struct bus *bus, int timeout_ms)
{
    return bus->ops->drain(bus, timeout_ms);
}

void bus_free(struct bus *bus)
{
    if (bus)
        bus->ops->free(bus);
}

struct error *bus_stream_next(struct bus *bus, const char *stream, const char *filter,
                              uint64_t from_sequence, int timeout_ms, struct arena *arena,
                              struct bus_message *ret_message)
{
    return bus->ops->stream_next(bus, stream, filter, from_sequence, timeout_ms, arena,
                                 ret_message);
}

struct error *bus_stream_last(struct bus *bus, const char *stream, const char *filter,
                              int timeout_ms, uint64_t *ret_sequence)
{
    return bus->ops->stream_last(bus, stream, filter, timeout_ms, ret_sequence);
}

struct error *bus_object_put(struct bus *bus, const char *name, const void *data, size_t size,
                             int timeout_ms)
{
    if (size > BUS_OBJECT_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "object '%s' of %zu bytes is too large", name,
                         size);
    return bus->ops->object_put(bus, name, data, size, timeout_ms);
}

struct error *bus_object_get(struct bus *bus, const char *name, size_t max, struct arena *arena,
                             ProtobufCBinaryData *ret_data, int timeout_ms)
{
    return bus->ops->object_get(bus, name, max, arena, ret_data, timeout_ms);
}
