#include "shared/bus/completion.h"

#include <time.h>

#include "shared/bus/delivery.h"

void completion_init(struct completion *completion)
{
    pthread_condattr_t attributes;

    completion->done = false;
    pthread_mutex_init(&completion->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&completion->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void completion_done(struct completion *completion)
{
    pthread_cond_destroy(&completion->changed);
    pthread_mutex_destroy(&completion->lock);
}

void completion_signal(void *data)
{
    struct completion *completion = data;

    pthread_mutex_lock(&completion->lock);
    completion->done = true;
    pthread_cond_broadcast(&completion->changed);
    pthread_mutex_unlock(&completion->lock);
}

bool completion_wait(struct completion *completion, int timeout_ms)
{
    struct timespec deadline;
    int rc = 0;

    deadline_after_ms(timeout_ms, &deadline);
    pthread_mutex_lock(&completion->lock);
    while (!completion->done && rc == 0)
        rc = pthread_cond_timedwait(&completion->changed, &completion->lock, &deadline);
    bool done = completion->done;
    pthread_mutex_unlock(&completion->lock);
    return done;
}
