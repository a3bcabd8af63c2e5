#include "services/attester/waitlist.h"

#include <string.h>

void reply_done(struct reply *reply)
{
    error_free(reply->err);
    evidence_unref(reply->evidence);
    buffer_done(&reply->binding);
    *reply = (struct reply){};
}

static size_t places_of(const struct waitlist *list, const struct waiter *waiter)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n_waiting; i++)
        n += list->waiting[i]->is_known &&
             memcmp(list->waiting[i]->client, waiter->client, CLIENT_SIZE) == 0;
    return n;
}

enum waitlist_place waitlist_add(struct waitlist *list, struct waiter *waiter, int64_t now_ms)
{
    if (waiter->is_known && places_of(list, waiter) >= WAITLIST_SHARE)
        return WAITLIST_OVER_SHARE;
    if (list->n_waiting == WAITLIST_MAX)
        return WAITLIST_FULL;
    waiter->since_ms = now_ms;
    list->waiting[list->n_waiting++] = waiter;
    return WAITLIST_ADDED;
}

int64_t waitlist_ready_ms(const struct waitlist *list)
{
    if (list->n_waiting == 0 || list->n_taken > 0)
        return INT64_MAX;
    if (list->n_waiting == WAITLIST_MAX)
        return list->waiting[0]->since_ms;
    return list->waiting[0]->since_ms + WAITLIST_WINDOW_MS;
}

size_t waitlist_take(struct waitlist *list, uint8_t (*ret_nonces)[32])
{
    for (size_t i = 0; i < list->n_waiting; i++) {
        list->taken[i] = list->waiting[i];
        memcpy(ret_nonces[i], list->waiting[i]->nonce, 32);
    }
    list->n_taken = list->n_waiting;
    list->n_waiting = 0;
    return list->n_taken;
}

size_t waitlist_finish(struct waitlist *list, struct waiter **ret_waiters)
{
    size_t n = list->n_taken;

    memcpy(ret_waiters, list->taken, n * sizeof(*ret_waiters));
    list->n_taken = 0;
    return n;
}

static bool is_over(const struct waiter *waiter, int64_t now_ms)
{
    return waiter && now_ms - waiter->since_ms >= WAITLIST_ANSWER_MS;
}

size_t waitlist_expire(struct waitlist *list, int64_t now_ms, struct waiter **ret_waiters)
{
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < list->n_taken; i++) { /* their places in the tree stay */
        if (!is_over(list->taken[i], now_ms))
            continue;
        ret_waiters[n++] = list->taken[i];
        list->taken[i] = NULL;
    }
    for (size_t i = 0; i < list->n_waiting; i++) {
        if (is_over(list->waiting[i], now_ms))
            ret_waiters[n++] = list->waiting[i];
        else
            list->waiting[kept++] = list->waiting[i];
    }
    list->n_waiting = kept;
    return n;
}

/* Who came first is over first. */
int64_t waitlist_deadline_ms(const struct waitlist *list)
{
    for (size_t i = 0; i < list->n_taken; i++)
        if (list->taken[i])
            return list->taken[i]->since_ms + WAITLIST_ANSWER_MS;
    if (list->n_waiting > 0)
        return list->waiting[0]->since_ms + WAITLIST_ANSWER_MS;
    return INT64_MAX;
}
