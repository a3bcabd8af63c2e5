#include "shared/bus/delivery.h"

#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"

struct delivery {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job came, ended, or stop was asked for */
    pthread_t thread;
    struct delivery_job *first;
    struct delivery_job **end;
    size_t jobs;
    size_t bytes;
    const struct delivery_job *in_hand;
    const void *in_hand_owner;
    bool stopped;
};

void deadline_after_ms(int timeout_ms, struct timespec *ret_deadline)
{
    clock_gettime(CLOCK_MONOTONIC, ret_deadline);
    ret_deadline->tv_sec += timeout_ms / 1000;
    ret_deadline->tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (ret_deadline->tv_nsec >= 1000000000) {
        ret_deadline->tv_sec++;
        ret_deadline->tv_nsec -= 1000000000;
    }
}

static struct delivery_job *take_first(struct delivery *delivery)
{
    struct delivery_job *job = delivery->first;

    delivery->first = job->next;
    if (!delivery->first)
        delivery->end = &delivery->first;
    delivery->jobs--;
    delivery->bytes -= job->size;
    return job;
}

static void *delivery_main(void *data)
{
    struct delivery *delivery = data;

    pthread_mutex_lock(&delivery->lock);
    while (!delivery->stopped) {
        if (!delivery->first) {
            pthread_cond_wait(&delivery->changed, &delivery->lock);
            continue;
        }
        struct delivery_job *job = take_first(delivery);
        delivery->in_hand = job;
        delivery->in_hand_owner = job->owner;
        pthread_mutex_unlock(&delivery->lock);
        job->run(job);
        job->free(job);
        pthread_mutex_lock(&delivery->lock);
        delivery->in_hand = NULL;
        delivery->in_hand_owner = NULL;
        pthread_cond_broadcast(&delivery->changed);
    }
    pthread_mutex_unlock(&delivery->lock);
    return NULL;
}

struct error *delivery_new(struct delivery **ret_delivery)
{
    struct delivery *delivery = xnew(struct delivery);
    pthread_condattr_t attributes;

    delivery->end = &delivery->first;
    pthread_mutex_init(&delivery->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&delivery->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int rc = pthread_create(&delivery->thread, NULL, delivery_main, delivery);
    if (rc != 0) {
        pthread_cond_destroy(&delivery->changed);
        pthread_mutex_destroy(&delivery->lock);
        free(delivery);
        return error_errno(rc, "start the delivery thread");
    }
    *ret_delivery = delivery;
    return NULL;
}

static void free_jobs(struct delivery_job *job)
{
    while (job) {
        struct delivery_job *next = job->next;
        job->free(job);
        job = next;
    }
}

void delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return;
    pthread_mutex_lock(&delivery->lock);
    delivery->stopped = true;
    pthread_cond_broadcast(&delivery->changed);
    pthread_mutex_unlock(&delivery->lock);
    pthread_join(delivery->thread, NULL);
    free_jobs(delivery->first);
    pthread_cond_destroy(&delivery->changed);
    pthread_mutex_destroy(&delivery->lock);
    free(delivery);
}

bool delivery_post(struct delivery *delivery, struct delivery_job *job)
{
    pthread_mutex_lock(&delivery->lock);
    bool taken = !delivery->stopped && delivery->jobs < DELIVERY_JOBS_MAX &&
                 delivery->bytes + job->size <= DELIVERY_BYTES_MAX;
    if (taken) {
        job->next = NULL;
        *delivery->end = job;
        delivery->end = &job->next;
        delivery->jobs++;
        delivery->bytes += job->size;
        pthread_cond_broadcast(&delivery->changed);
    }
    pthread_mutex_unlock(&delivery->lock);
    if (!taken)
        job->free(job);
    return taken;
}

static struct delivery_job *unlink_owned(struct delivery *delivery, const void *owner)
{
    struct delivery_job *unlinked = NULL;
    struct delivery_job **at = &delivery->first;

    while (*at) {
        struct delivery_job *job = *at;
        if (job->owner != owner) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        delivery->jobs--;
        delivery->bytes -= job->size;
        job->next = unlinked;
        unlinked = job;
    }
    delivery->end = at;
    return unlinked;
}

void delivery_forget(struct delivery *delivery, const void *owner)
{
    bool self = pthread_equal(pthread_self(), delivery->thread);

    pthread_mutex_lock(&delivery->lock);
    struct delivery_job *unlinked = unlink_owned(delivery, owner);
    while (!self && delivery->in_hand && delivery->in_hand_owner == owner)
        pthread_cond_wait(&delivery->changed, &delivery->lock);
    pthread_mutex_unlock(&delivery->lock);
    free_jobs(unlinked);
}

static bool has_job_of(const struct delivery *delivery, const void *owner)
{
    for (const struct delivery_job *job = delivery->first; job; job = job->next) {
        if (job->owner == owner)
            return true;
    }
    return delivery->in_hand && delivery->in_hand_owner == owner;
}

void delivery_finish(struct delivery *delivery, const void *owner)
{
    if (pthread_equal(pthread_self(), delivery->thread)) {
        delivery_forget(delivery, owner);
        return;
    }
    pthread_mutex_lock(&delivery->lock);
    while (has_job_of(delivery, owner))
        pthread_cond_wait(&delivery->changed, &delivery->lock);
    pthread_mutex_unlock(&delivery->lock);
}

bool delivery_wait_idle(struct delivery *delivery, int timeout_ms)
{
    bool self = pthread_equal(pthread_self(), delivery->thread);
    struct timespec deadline;
    int rc = 0;

    deadline_after_ms(timeout_ms, &deadline);
    pthread_mutex_lock(&delivery->lock);
    while (rc == 0 && !self && (delivery->first || delivery->in_hand))
        rc = pthread_cond_timedwait(&delivery->changed, &delivery->lock, &deadline);
    pthread_mutex_unlock(&delivery->lock);
    return rc == 0;
}
