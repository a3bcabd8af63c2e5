/* Something that happens once on a thread of the library, and is waited for. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct completion {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

void completion_init(struct completion *completion);
void completion_done(struct completion *completion);

void completion_signal(void *completion); /* void: fits as a callback of nats.c */
bool completion_wait(struct completion *completion, int timeout_ms); /* false: not yet */
