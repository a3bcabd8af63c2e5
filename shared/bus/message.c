/* Copies of messages, and a durable consumer's turn on the delivery thread. */
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/bus/bus_internal.h"

/* The text members of a message, in one place. */
static const size_t text_members[] = {
    offsetof(struct bus_message, subject),    offsetof(struct bus_message, reply_to),
    offsetof(struct bus_message, type),       offsetof(struct bus_message, request_id),
    offsetof(struct bus_message, message_id), offsetof(struct bus_message, signature),
    offsetof(struct bus_message, error),      offsetof(struct bus_message, reason),
};

static const char **text_member(struct bus_message *message, size_t i)
{
    return (const char **)((char *)message + text_members[i]);
}

void bus_message_copy_to(struct arena *arena, const struct bus_message *message,
                         struct bus_message *ret_copy)
{
    *ret_copy = *message;
    ret_copy->data = arena_memdup(arena, message->data, message->size);
    for (size_t i = 0; i < ELEMENTSOF(text_members); i++) {
        const char **text = text_member(ret_copy, i);
        *text = *text ? arena_strdup(arena, *text) : NULL;
    }
}

struct bus_message *bus_message_copy(const struct bus_message *message)
{
    struct bus_message source = *message;
    size_t size = sizeof(source) + message->size + 1;

    for (size_t i = 0; i < ELEMENTSOF(text_members); i++) {
        const char *text = *text_member(&source, i);
        size += text ? strlen(text) + 1 : 0;
    }
    struct bus_message *copy = xcalloc(1, size);
    char *at = (char *)(copy + 1);
    *copy = source;
    if (message->size)
        memcpy(at, message->data, message->size);
    copy->data = at;
    at += message->size + 1;
    for (size_t i = 0; i < ELEMENTSOF(text_members); i++) {
        const char **text = text_member(copy, i);
        if (*text) {
            size_t n = strlen(*text) + 1;
            *text = memcpy(at, *text, n);
            at += n;
        }
    }
    return copy;
}

struct consume_turn {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    bus_consume_fn consume;
    void *state;
    const struct bus_message *messages;
    size_t n;
    enum bus_ack *acks;
};

struct consume_job {
    struct delivery_job job;
    struct consume_turn *turn;
};

static void turn_run(struct delivery_job *job)
{
    struct consume_turn *turn = ((struct consume_job *)job)->turn;

    for (size_t i = 0; i < turn->n; i++) {
        turn->acks[i] = turn->consume(turn->state, &turn->messages[i]);
        if (turn->acks[i] == BUS_NAK)
            return;
    }
}

static void turn_free(struct delivery_job *job)
{
    struct consume_turn *turn = ((struct consume_job *)job)->turn;

    pthread_mutex_lock(&turn->lock);
    turn->done = true;
    pthread_cond_signal(&turn->ended);
    pthread_mutex_unlock(&turn->lock);
    free(job);
}

void bus_consume_many_on(struct delivery *delivery, const void *owner, bus_consume_fn consume,
                         void *state, const struct bus_message *messages, size_t n,
                         enum bus_ack *ret_acks)
{
    struct consume_turn turn = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .ended = PTHREAD_COND_INITIALIZER,
        .consume = consume,
        .state = state,
        .messages = messages,
        .n = n,
        .acks = ret_acks,
    };
    struct consume_job *job = xnew(struct consume_job);

    job->job = (struct delivery_job){.owner = owner, .run = turn_run, .free = turn_free};
    for (size_t i = 0; i < n; i++)
        ret_acks[i] = BUS_NAK;
    job->turn = &turn;
    (void)delivery_post(delivery, &job->job); /* full: freed already, which ends the turn */
    pthread_mutex_lock(&turn.lock);
    while (!turn.done)
        pthread_cond_wait(&turn.ended, &turn.lock);
    pthread_mutex_unlock(&turn.lock);
}

enum bus_ack bus_consume_on(struct delivery *delivery, const void *owner, bus_consume_fn consume,
                            void *state, const struct bus_message *message)
{
    enum bus_ack ack;

    bus_consume_many_on(delivery, owner, consume, state, message, 1, &ack);
    return ack;
}

void bus_join_consumer(struct delivery *delivery, const void *owner, pthread_t thread)
{
    /* It may post once more between our forgetting its jobs and its seeing that it must stop. */
    do {
        struct timespec pause;
        delivery_forget(delivery, owner);
        clock_gettime(CLOCK_REALTIME, &pause);
        pause.tv_nsec += 2000000;
        if (pause.tv_nsec >= 1000000000) {
            pause.tv_sec++;
            pause.tv_nsec -= 1000000000;
        }
        if (pthread_timedjoin_np(thread, NULL, &pause) == 0)
            return;
    } while (true);
}
