/* Streams and objects of the NATS backend. */
#include <openssl/sha.h>

#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/base/reader.h"
#include "shared/bus/nats_internal.h"
#include "shared/bus/subject.h"

enum {
    CHUNK_SIZE = 512 * 1024,
    GET_ATTEMPTS = 3,
    DUPLICATE_WINDOW_S = 600,
};

/* What "obj.<name>.meta" holds: u64 big-endian size, 32 bytes SHA-256. */
struct object_meta {
    uint64_t size;
    uint8_t digest[SHA256_DIGEST_LENGTH];
};

static struct error *ensure_stream(struct nats_bus *bus, const struct stream_definition *definition)
{
    jsStreamConfig config;
    jsErrCode code = 0;

    jsStreamConfig_Init(&config);
    config.Name = definition->name;
    config.Subjects = (const char *[]){definition->subjects};
    config.SubjectsLen = 1;
    config.MaxAge = definition->max_age_s * 1000000000LL;
    config.MaxBytes = definition->max_bytes;
    config.MaxMsgsPerSubject = definition->max_per_subject;
    config.MaxMsgSize = definition->max_message;
    config.Duplicates = DUPLICATE_WINDOW_S * 1000000000LL;
    config.AllowDirect = true;
    natsStatus s = js_AddStream(NULL, bus->js, &config, NULL, &code);
    if (s != NATS_OK && code == JSStreamNameExistErr)
        s = js_UpdateStream(NULL, bus->js, &config, NULL, &code);
    return s == NATS_OK ? NULL : nats_error(s, "stream '%s' (%d)", definition->name, (int)code);
}

/* Monitors may pull and acknowledge, not create: so theirs is made for them. */
static struct error *ensure_monitor(struct nats_bus *bus)
{
    jsConsumerConfig config;
    jsErrCode code = 0;

    jsConsumerConfig_Init(&config);
    config.Durable = MONITOR_CONSUMER;
    config.AckPolicy = js_AckExplicit;
    natsStatus s = js_AddConsumer(NULL, bus->js, "EVENTS", &config, NULL, &code);
    return s == NATS_OK ? NULL : nats_error(s, "the monitors' consumer (%d)", (int)code);
}

/* The same for the gateways'. What happened before there was one was before any webhook. */
static struct error *ensure_webhooks(struct nats_bus *bus)
{
    jsConsumerConfig config;
    jsErrCode code = 0;

    nats_consumer_config(BUS_WEBHOOKS_CONSUMER, BUS_WEBHOOKS_FILTER, &config);
    config.DeliverPolicy = js_DeliverNew;
    natsStatus s = js_AddConsumer(NULL, bus->js, "EVENTS", &config, NULL, &code);
    return s == NATS_OK ? NULL : nats_error(s, "the webhooks' consumer (%d)", (int)code);
}

struct error *nats_ensure_streams(struct bus *base)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    struct error *err = nats_check_connected(bus);

    for (const struct stream_definition *d = stream_table; !err && d->name; d++)
        err = ensure_stream(bus, d);
    err = err ?: ensure_monitor(bus);
    return err ?: ensure_webhooks(bus);
}

struct error *nats_stream_next(struct bus *base, const char *stream, const char *filter,
                               uint64_t from_sequence, int timeout_ms, struct arena *arena,
                               struct bus_message *ret_message)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    jsDirectGetMsgOptions direct;
    jsOptions options;
    struct bus_message view;
    struct error *err = nats_check_connected(bus);

    if (err)
        return err;
    jsOptions_Init(&options);
    options.Wait = timeout_ms;
    jsDirectGetMsgOptions_Init(&direct);
    direct.Sequence = from_sequence ? from_sequence : 1;
    direct.NextBySubject = filter;
    natsStatus s = js_DirectGetMsg(&msg, bus->js, stream, &options, &direct);
    if (s != NATS_OK)
        return nats_error(s, "read '%s'", stream);
    nats_view(msg, &view);
    view.reply_to = NULL;
    view.stream_sequence = natsMsg_GetSequence(msg);
    bus_message_copy_to(arena, &view, ret_message);
    return NULL;
}

struct error *nats_stream_last(struct bus *base, const char *stream, const char *filter,
                               int timeout_ms, uint64_t *ret_sequence)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    jsDirectGetMsgOptions direct;
    jsOptions options;
    struct error *err = nats_check_connected(bus);

    if (err)
        return err;
    jsOptions_Init(&options);
    options.Wait = timeout_ms;
    jsDirectGetMsgOptions_Init(&direct);
    direct.LastBySubject = filter;
    natsStatus s = js_DirectGetMsg(&msg, bus->js, stream, &options, &direct);
    if (s != NATS_OK)
        return nats_error(s, "look at the end of '%s'", stream);
    *ret_sequence = natsMsg_GetSequence(msg);
    return NULL;
}

static struct error *put_part(struct bus *bus, const char *object, const char *part,
                              const void *data, size_t size, int timeout_ms)
{
    char subject[SUBJECT_MAX + 32];
    struct bus_message message = {.subject = subject, .data = data, .size = size};

    snprintf(subject, sizeof(subject), "%s.%s", object, part);
    return nats_publish_durable(bus, &message, timeout_ms);
}

struct error *nats_object_put(struct bus *bus, const char *name, const void *data, size_t size,
                              int timeout_ms)
{
    int64_t deadline = clock_monotonic_ms(clock_system()) + timeout_ms;
    _cleanup_buffer_ struct buffer meta = {0};
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char object[SUBJECT_MAX];
    char part[24];
    struct error *err = bus_object_subject(name, object);

    for (size_t at = 0; !err && at < size; at += CHUNK_SIZE) {
        int64_t left = deadline - clock_monotonic_ms(clock_system());
        snprintf(part, sizeof(part), "%zu", at / CHUNK_SIZE);
        if (left <= 0)
            err = error_new(ERROR_DEADLINE_EXCEEDED, "ran out of time");
        else
            err = put_part(bus, object, part, (const uint8_t *)data + at,
                           size - at < CHUNK_SIZE ? size - at : CHUNK_SIZE, (int)left);
    }
    if (err)
        return error_wrap(err, "put object '%s'", name);
    SHA256(size ? data : "", size, digest);
    buffer_add_u64be(&meta, size);
    buffer_add(&meta, digest, sizeof(digest));
    return put_part(bus, object, "meta", meta.data, meta.size, timeout_ms);
}

/* One direct get; NATS_NO_RESPONDERS when nobody serves the subject. */
static natsStatus get_by(struct nats_bus *bus, const char *prefix, const char *object,
                         const char *part, int64_t left, natsMsg **ret_msg)
{
    char subject[SUBJECT_MAX + 64];

    snprintf(subject, sizeof(subject), "%s%s.%s", prefix, object, part);
    return natsConnection_Request(ret_msg, bus->connection, subject, NULL, 0, left);
}

/*
 * The last message on "<object>.<part>": the subject in the request is what permissions see. A
 * fleet's hub serves "get.obj.>", which crosses a leaf's link; a server of its own has the plain
 * JetStream subject only.
 */
static struct error *get_part(struct nats_bus *bus, const char *object, const char *part,
                              int64_t deadline, natsMsg **ret_msg)
{
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    const char *status = NULL;
    int64_t left = deadline - clock_monotonic_ms(clock_system());

    if (left <= 0)
        return error_new(ERROR_DEADLINE_EXCEEDED, "ran out of time");
    natsStatus s = get_by(bus, "get.", object, part, left, &msg);
    if (s == NATS_NO_RESPONDERS)
        s = get_by(bus, "$JS.API.DIRECT.GET.FILES.", object, part, left, &msg);
    if (s != NATS_OK)
        return nats_error(s, "read part '%s'", part);
    if (natsMsgHeader_Get(msg, "Status", &status) == NATS_OK)
        return error_new(ERROR_NOT_FOUND, "no part '%s' (%.16s)", part, status);
    *ret_msg = TAKE_PTR(msg);
    return NULL;
}

static struct error *get_meta(struct nats_bus *bus, const char *object, size_t max,
                              int64_t deadline, struct object_meta *ret_meta)
{
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    struct reader reader;
    struct error *err = get_part(bus, object, "meta", deadline, &msg);

    if (err)
        return err;
    reader_init(&reader, natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    ret_meta->size = reader_u64be(&reader);
    reader_bytes(&reader, ret_meta->digest, sizeof(ret_meta->digest));
    if (!reader_done(&reader))
        return error_new(ERROR_DATA_LOSS, "malformed description");
    if (ret_meta->size > max || ret_meta->size > BUS_OBJECT_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "larger than %zu bytes", max);
    return NULL;
}

static struct error *get_chunks(struct nats_bus *bus, const char *object,
                                const struct object_meta *meta, int64_t deadline,
                                struct buffer *ret_content)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char part[24];

    for (size_t n = 0; n * CHUNK_SIZE < meta->size; n++) {
        _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
        snprintf(part, sizeof(part), "%zu", n);
        struct error *err = get_part(bus, object, part, deadline, &msg);
        if (err)
            return err;
        size_t size = (size_t)natsMsg_GetDataLength(msg);
        if (size > CHUNK_SIZE || ret_content->size + size > meta->size)
            return error_new(ERROR_ABORTED, "part '%s' is too large", part);
        buffer_add(ret_content, natsMsg_GetData(msg), size);
    }
    SHA256(ret_content->size ? ret_content->data : (const uint8_t *)"", ret_content->size, digest);
    if (ret_content->size != meta->size || memcmp(digest, meta->digest, sizeof(digest)) != 0)
        return error_new(ERROR_ABORTED, "content does not match its SHA-256");
    return NULL;
}

/* ABORTED when it was being replaced meanwhile: worth another look. */
static struct error *get_once(struct nats_bus *bus, const char *object, size_t max,
                              int64_t deadline, struct arena *arena, ProtobufCBinaryData *ret_data)
{
    _cleanup_buffer_ struct buffer content = {0};
    struct object_meta meta;
    struct error *err = get_meta(bus, object, max, deadline, &meta);

    if (!err)
        err = get_chunks(bus, object, &meta, deadline, &content);
    if (!err)
        *ret_data = arena_bytes(arena, content.data, content.size);
    return err;
}

struct error *nats_object_get(struct bus *base, const char *name, size_t max, struct arena *arena,
                              ProtobufCBinaryData *ret_data, int timeout_ms)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    int64_t deadline = clock_monotonic_ms(clock_system()) + timeout_ms;
    char object[SUBJECT_MAX];
    struct error *err = bus_object_subject(name, object);

    if (!err)
        err = nats_check_connected(bus);
    if (err)
        return err;
    err = get_once(bus, object, max, deadline, arena, ret_data);
    for (int i = 1; i < GET_ATTEMPTS && error_get_code(err) == ERROR_ABORTED; i++) {
        error_free(err);
        err = get_once(bus, object, max, deadline, arena, ret_data);
    }
    return error_wrap(err, "object '%s'", name);
}
