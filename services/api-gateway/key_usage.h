/*
 * When each API key was last used, written at most once a minute by a thread of its own: no
 * request waits for it, and one that finds the queue full goes on without.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "shared/base/clock.h"
#include "shared/store/store.h"

enum { KEY_USAGE_SLOTS = 1024, KEY_USAGE_QUEUE = 256, KEY_USAGE_PERIOD_MS = 60000 };

struct key_usage {
    struct store *store;
    struct clock *clock;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {
        char sha256[65];
        int64_t at_ms; /* wall clock of the latest use that was queued */
    } slots[KEY_USAGE_SLOTS], queue[KEY_USAGE_QUEUE];
    size_t n_queued;
    bool running;
    bool stopping;
};

/* Starts the thread. store and clock stay the caller's and outlive it. */
struct error *key_usage_start(struct key_usage *usage, struct store *store,
                              struct clock *clock) _must_check_;
void key_usage_stop(struct key_usage *usage); /* writes what is queued; fine if never started */

void key_usage_note(struct key_usage *usage, const char sha256[65]);
