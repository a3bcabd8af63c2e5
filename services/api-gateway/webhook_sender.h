/*
 * Sends what is due: one thread that looks into the queues, and libcurl's multi interface for up to
 * 16 attempts at a time. The store is where everything is: a sender that ends at any point loses
 * nothing, and any number of them work on the same queues.
 */
#pragma once

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "services/api-gateway/metrics.h"
#include "shared/base/clock.h"
#include "shared/seal/seal.h"
#include "shared/store/store.h"

enum {
    WEBHOOK_CALLS_MAX = 16,
    WEBHOOK_CALLS_OF_MAX = 4,       /* of one account, so that its slow receivers do not take all */
    WEBHOOK_TIMEOUT_MAX_MS = 20000, /* less than a lease */
};

struct webhook_call;

struct webhook_sender {
    struct store *store; /* the caller's, as are the next three; they outlive it */
    struct clock *clock;
    struct metrics *metrics;
    const struct box_key *key;
    bool insecure;       /* GATEWAY_WEBHOOK_INSECURE */
    uint64_t timeout_ms; /* of an attempt: 1 to WEBHOOK_TIMEOUT_MAX_MS */
    bool running;
    pthread_t thread;
    CURLM *multi;
    struct webhook_call *calls[WEBHOOK_CALLS_MAX]; /* NULL: free */
    int64_t look_at_ms;                            /* monotonic: the next look into the queues */
    atomic_bool woken;
    atomic_bool stopping;
};

/* The members above running are set. INVALID_ARGUMENT: no possible timeout_ms. */
struct error *webhook_sender_start(struct webhook_sender *sender) _must_check_;

/* Something new may be due; from any thread. */
void webhook_sender_wake(struct webhook_sender *sender);

/* What is on its way is given a little time, then left to its lease. Fine if never started. */
void webhook_sender_stop(struct webhook_sender *sender);
