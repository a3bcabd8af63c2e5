#include "services/api-gateway/http_pool.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"

enum {
    IDLE_S = 10,
    QUEUE_PER_WORKER = 16,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    STACK_BYTES = 1024 * 1024,
#else
    STACK_BYTES = 256 * 1024,
#endif
};

struct queue {
    struct http_job *head;
    struct http_job **tail;
    unsigned waiting;
    unsigned running;
    unsigned running_max;
};

struct http_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t ended;
    struct queue queues[SHARES_];
    unsigned turn; /* the share that is asked first next time */
    unsigned workers;
    unsigned workers_max;
    unsigned idle;
    bool stopping;
};

static unsigned part_of(unsigned workers, unsigned divisor)
{
    return workers / divisor ? workers / divisor : 1;
}

struct http_pool *http_pool_new(unsigned max_workers)
{
    struct http_pool *pool = xnew(struct http_pool);
    pthread_condattr_t attributes;

    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->work, &attributes);
    pthread_cond_init(&pool->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    pool->workers_max = max_workers ? max_workers : 1;
    for (unsigned i = 0; i < SHARES_; i++)
        pool->queues[i].tail = &pool->queues[i].head;
    pool->queues[SHARE_READS].running_max = pool->workers_max;
    pool->queues[SHARE_CHANGES].running_max = part_of(pool->workers_max, 2);
    pool->queues[SHARE_GUESTS].running_max = part_of(pool->workers_max, 4);
    return pool;
}

/* How many more of the share's jobs could run if there were workers. */
static unsigned startable(const struct queue *queue)
{
    unsigned room = queue->running_max - queue->running;

    return queue->waiting < room ? queue->waiting : room;
}

static struct http_job *take(struct http_pool *pool, struct queue **ret_queue)
{
    for (unsigned i = 0; i < SHARES_; i++) {
        struct queue *queue = &pool->queues[(pool->turn + i) % SHARES_];
        if (!startable(queue))
            continue;
        struct http_job *job = queue->head;
        queue->head = job->next;
        if (!queue->head)
            queue->tail = &queue->head;
        queue->waiting--;
        queue->running++;
        pool->turn = (pool->turn + i + 1) % SHARES_;
        *ret_queue = queue;
        return job;
    }
    return NULL;
}

/* Under the lock. False: nothing came for long. */
static bool wait_for_work(struct http_pool *pool)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += IDLE_S;
    pool->idle++;
    int rc = pthread_cond_timedwait(&pool->work, &pool->lock, &deadline);
    pool->idle--;
    return rc != ETIMEDOUT;
}

static void *work(void *state)
{
    struct http_pool *pool = state;
    struct queue *queue = NULL;
    bool wanted = true;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct http_job *job = take(pool, &queue);
        if (job) {
            pthread_mutex_unlock(&pool->lock);
            job->run(job);
            pthread_mutex_lock(&pool->lock);
            queue->running--;
            wanted = true;
        } else if (pool->stopping || !wanted) {
            break;
        } else {
            wanted = wait_for_work(pool);
        }
    }
    if (--pool->workers == 0)
        pthread_cond_broadcast(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Under the lock. */
static void start_worker(struct http_pool *pool)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, work, pool) == 0)
        pool->workers++;
    pthread_attr_destroy(&attributes);
}

/* Under the lock: a sleeping worker for each job that could run, or a new one. */
static void find_worker(struct http_pool *pool)
{
    unsigned wanted = 0;

    for (unsigned i = 0; i < SHARES_; i++)
        wanted += startable(&pool->queues[i]);
    if (wanted > pool->idle && pool->workers < pool->workers_max)
        start_worker(pool);
    else
        pthread_cond_signal(&pool->work);
}

bool http_pool_submit(struct http_pool *pool, struct http_job *job, enum http_share share)
{
    struct queue *queue = &pool->queues[share];

    pthread_mutex_lock(&pool->lock);
    bool taken = !pool->stopping && queue->waiting < QUEUE_PER_WORKER * pool->workers_max;
    if (taken && pool->workers == 0) {
        start_worker(pool);
        taken = pool->workers > 0;
    }
    if (taken) {
        job->next = NULL;
        *queue->tail = job;
        queue->tail = &job->next;
        queue->waiting++;
        find_worker(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

void http_pool_free(struct http_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->workers)
        pthread_cond_wait(&pool->ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
