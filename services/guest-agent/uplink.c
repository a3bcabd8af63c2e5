#include "services/guest-agent/uplink.h"

#include <time.h>

#include "services/guest-agent/messages.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/bus/subject.h"

enum { SEND_TIMEOUT_MS = 3000, TICK_MS = 200, AWAY_MS = 1000, DETAIL_MAX = 4096 };

/* One packed message that waits. */
struct letter {
    struct letter *next;
    char *kind; /* src kind; NULL: subject is set */
    char subject[SUBJECT_MAX];
    const char *type; /* static */
    char message_id[160];
    uint8_t *data;
    size_t size;
};

struct uplink {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread;
    bool stopping;
    bool released;
    bool anyway;
    struct clock *clock;
    struct identity *identity;
    struct logs *logs;
    struct bus *bus;
    char host_id[64];
    char workload_id[64];
    char instance[17]; /* of this boot: message ids of different boots differ */
    uint64_t generation;
    uint64_t boot_number;
    uint64_t said;
    struct letter *first;
    struct letter **end;
    size_t n_letters;
    struct letter *batch; /* log lines that the bus has not taken yet */
};

static void letter_free(struct letter *letter)
{
    if (!letter)
        return;
    free(letter->kind);
    free(letter->data);
    free(letter);
}

struct uplink *uplink_new(struct clock *clock, struct identity *identity, struct logs *logs)
{
    struct uplink *uplink = xnew(struct uplink);
    pthread_condattr_t attributes;

    pthread_mutex_init(&uplink->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&uplink->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    uplink->clock = clock;
    uplink->identity = identity;
    uplink->logs = logs;
    uplink->end = &uplink->first;
    hex_encode(identity->sign.public, 8, uplink->instance);
    return uplink;
}

static void stop_thread(struct uplink *uplink)
{
    if (!uplink->has_thread)
        return;
    pthread_mutex_lock(&uplink->lock);
    uplink->stopping = true;
    pthread_cond_signal(&uplink->wake);
    pthread_mutex_unlock(&uplink->lock);
    pthread_join(uplink->thread, NULL);
}

void uplink_free(struct uplink *uplink)
{
    if (!uplink)
        return;
    stop_thread(uplink);
    while (uplink->first) {
        struct letter *letter = uplink->first;
        uplink->first = letter->next;
        letter_free(letter);
    }
    letter_free(uplink->batch);
    pthread_cond_destroy(&uplink->wake);
    pthread_mutex_destroy(&uplink->lock);
    free(uplink);
}

void uplink_name(struct uplink *uplink, const char *host_id, const char *workload_id,
                 uint64_t generation)
{
    pthread_mutex_lock(&uplink->lock);
    snprintf(uplink->host_id, sizeof(uplink->host_id), "%s", host_id);
    snprintf(uplink->workload_id, sizeof(uplink->workload_id), "%s", workload_id);
    uplink->generation = generation;
    pthread_mutex_unlock(&uplink->lock);
}

void uplink_connect(struct uplink *uplink, struct bus *bus)
{
    pthread_mutex_lock(&uplink->lock);
    uplink->bus = bus;
    pthread_cond_signal(&uplink->wake);
    pthread_mutex_unlock(&uplink->lock);
}

void uplink_set_boot_number(struct uplink *uplink, uint64_t boot_number)
{
    pthread_mutex_lock(&uplink->lock);
    uplink->boot_number = boot_number;
    pthread_cond_signal(&uplink->wake);
    pthread_mutex_unlock(&uplink->lock);
}

uint64_t uplink_boot_number(struct uplink *uplink)
{
    pthread_mutex_lock(&uplink->lock);
    uint64_t number = uplink->boot_number;
    pthread_mutex_unlock(&uplink->lock);
    return number;
}

void uplink_set_released(struct uplink *uplink)
{
    pthread_mutex_lock(&uplink->lock);
    uplink->released = true;
    pthread_mutex_unlock(&uplink->lock);
}

void uplink_speak_anyway(struct uplink *uplink)
{
    pthread_mutex_lock(&uplink->lock);
    uplink->anyway = true;
    pthread_cond_signal(&uplink->wake);
    pthread_mutex_unlock(&uplink->lock);
}

static struct letter *letter_new(const ProtobufCMessage *message)
{
    struct letter *letter = xnew(struct letter);

    letter->type = message->descriptor->name;
    letter->size = protobuf_c_message_get_packed_size(message);
    letter->data = xcalloc(1, letter->size + 1);
    protobuf_c_message_pack(message, letter->data);
    return letter;
}

void uplink_say(struct uplink *uplink, const char *kind, const ProtobufCMessage *message)
{
    struct letter *letter = letter_new(message);

    letter->kind = xstrdup(kind);
    pthread_mutex_lock(&uplink->lock);
    snprintf(letter->message_id, sizeof(letter->message_id), "%s.%s.%llu", uplink->workload_id,
             uplink->instance, (unsigned long long)++uplink->said);
    *uplink->end = letter;
    uplink->end = &letter->next;
    if (++uplink->n_letters > UPLINK_SPOOL_MAX) {
        struct letter *oldest = uplink->first;
        uplink->first = oldest->next;
        uplink->n_letters--;
        letter_free(oldest);
    }
    pthread_cond_signal(&uplink->wake);
    pthread_mutex_unlock(&uplink->lock);
}

void uplink_say_stage(struct uplink *uplink, const struct uplink_stage *stage)
{
    Coffer__V1__GuestStage message = COFFER__V1__GUEST_STAGE__INIT;
    _cleanup_free_ char *detail = xstrndup(stage->detail ? stage->detail : "", DETAIL_MAX);

    pthread_mutex_lock(&uplink->lock);
    message.generation = uplink->generation;
    pthread_mutex_unlock(&uplink->lock);
    message.stage = (char *)stage->stage;
    message.failed = stage->code != NULL;
    message.code = (char *)(stage->code ? stage->code : "");
    message.detail = detail;
    message.duration_ms = stage->duration_ms;
    message.started_ms = stage->started_ms;
    message.at_ms = clock_wall_ms(uplink->clock);
    uplink_say(uplink, "stage", &message.base);
}

/* Signed when it is sent, so that counters rise in the order of arrival. */
static struct error *send_letter(struct uplink *uplink, const struct letter *letter, bool durable)
{
    _cleanup_free_ char *text = NULL;
    uint8_t signature[64];
    struct bus_message message = {
        .subject = letter->subject,
        .data = letter->data,
        .size = letter->size,
        .type = letter->type,
        .message_id = letter->message_id[0] ? letter->message_id : NULL,
    };
    struct bus_signer *signer = &uplink->identity->signer;

    struct error *err = signer->sign(signer, message.subject, message.data, message.size,
                                     &message.counter, signature);
    if (err)
        return err;
    text = base64_encode_new(signature, sizeof(signature));
    message.signature = text;
    return durable ? bus_publish_durable(uplink->bus, &message, SEND_TIMEOUT_MS)
                   : bus_publish(uplink->bus, &message);
}

/* What may be said now, read under the lock. */
struct permit {
    bool letters;
    bool rest; /* logs and samples */
};

static struct permit permit_of(struct uplink *uplink)
{
    pthread_mutex_lock(&uplink->lock);
    bool connected = uplink->bus && uplink->workload_id[0];
    struct permit permit = {
        .letters = connected && (uplink->boot_number || uplink->anyway),
        .rest = connected && uplink->released,
    };
    pthread_mutex_unlock(&uplink->lock);
    if (connected && !bus_is_connected(uplink->bus))
        permit = (struct permit){false, false};
    return permit;
}

static struct letter *pop(struct uplink *uplink)
{
    pthread_mutex_lock(&uplink->lock);
    struct letter *letter = uplink->first;
    if (letter) {
        uplink->first = letter->next;
        uplink->n_letters--;
        if (!uplink->first)
            uplink->end = &uplink->first;
        letter->next = NULL;
    }
    pthread_mutex_unlock(&uplink->lock);
    return letter;
}

static void push_back(struct uplink *uplink, struct letter *letter)
{
    pthread_mutex_lock(&uplink->lock);
    letter->next = uplink->first;
    uplink->first = letter;
    uplink->n_letters++;
    if (!letter->next)
        uplink->end = &letter->next;
    pthread_mutex_unlock(&uplink->lock);
}

/* A stage that was noted before the challenge gets the boot number that it turned out to be of. */
static void stamp(struct letter *letter, uint64_t boot_number)
{
    Coffer__V1__GuestStage *stage =
        coffer__v1__guest_stage__unpack(NULL, letter->size, letter->data);

    if (!stage)
        return; /* we packed it: cannot be */
    stage->boot_number = boot_number;
    struct letter *stamped = letter_new(&stage->base);
    free(letter->data);
    letter->data = TAKE_PTR(stamped->data);
    letter->size = stamped->size;
    letter_free(stamped);
    coffer__v1__guest_stage__free_unpacked(stage, NULL);
}

static struct error *send_claim(struct uplink *uplink, struct letter *letter)
{
    struct error *err = subject_build(letter->subject, "src", "guest", uplink->host_id,
                                      uplink->workload_id, letter->kind, NULL);

    if (err)
        return err;
    if (strcmp(letter->kind, "stage") == 0)
        stamp(letter, uplink_boot_number(uplink));
    return send_letter(uplink, letter, true);
}

static bool pump_letters(struct uplink *uplink)
{
    for (struct letter *letter = pop(uplink); letter; letter = pop(uplink)) {
        struct error *err = send_claim(uplink, letter);
        if (err) {
            error_free(err); /* said again when the bus is back; our log goes the same way */
            push_back(uplink, letter);
            return false;
        }
        letter_free(letter);
    }
    return true;
}

static struct letter *next_batch(struct uplink *uplink)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__LogBatch message = COFFER__V1__LOG_BATCH__INIT;
    struct log_batch batch;
    char token[64];

    if (!logs_take(uplink->logs, arena, &batch))
        return NULL;
    message.boot_number = uplink_boot_number(uplink);
    message.source = (char *)batch.source;
    message.first_sequence = batch.first_sequence;
    message.lines = messages_of_lines(batch.lines, batch.n, arena);
    message.n_lines = batch.n;
    struct letter *letter = letter_new(&message.base);
    subject_encode_name(batch.source, token);
    struct error *err =
        subject_build(letter->subject, "log", uplink->host_id, uplink->workload_id, token, NULL);
    error_free(err); /* ids and token are names: it cannot fail */
    snprintf(letter->message_id, sizeof(letter->message_id), "%s.%s.%s.%llu", uplink->workload_id,
             uplink->instance, token, (unsigned long long)batch.first_sequence);
    return letter;
}

static bool pump_logs(struct uplink *uplink)
{
    for (;;) {
        if (!uplink->batch)
            uplink->batch = next_batch(uplink);
        if (!uplink->batch)
            return true;
        struct error *err = send_letter(uplink, uplink->batch, true);
        if (err) {
            error_free(err);
            return false;
        }
        letter_free(TAKE_PTR(uplink->batch));
    }
}

bool uplink_pump(struct uplink *uplink)
{
    struct permit permit = permit_of(uplink);

    if (!permit.letters)
        return false;
    return pump_letters(uplink) && (!permit.rest || pump_logs(uplink));
}

void uplink_say_sample(struct uplink *uplink, const ProtobufCMessage *message)
{
    struct error *err;

    if (!permit_of(uplink).rest)
        return;
    struct letter *letter = letter_new(message);
    err =
        subject_build(letter->subject, "stat", "guest", uplink->host_id, uplink->workload_id, NULL);
    if (!err)
        err = send_letter(uplink, letter, false);
    error_free(err); /* the next sample comes soon */
    letter_free(letter);
}

static void wait_a_while(struct uplink *uplink, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&uplink->wake, &uplink->lock, &until);
}

static void *uplink_loop(void *data)
{
    struct uplink *uplink = data;

    pthread_mutex_lock(&uplink->lock);
    while (!uplink->stopping) {
        pthread_mutex_unlock(&uplink->lock);
        bool done = uplink_pump(uplink);
        pthread_mutex_lock(&uplink->lock);
        if (!uplink->stopping && (done ? !uplink->first : true))
            wait_a_while(uplink, done ? TICK_MS : AWAY_MS);
    }
    pthread_mutex_unlock(&uplink->lock);
    uplink_pump(uplink);
    return NULL;
}

struct error *uplink_start(struct uplink *uplink)
{
    int rc = pthread_create(&uplink->thread, NULL, uplink_loop, uplink);

    uplink->has_thread = rc == 0;
    return rc ? error_errno(rc, "start the uplink's thread") : NULL;
}
