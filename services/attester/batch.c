#include "services/attester/batch.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"

#define WINDOW_MS       50 /* after the first nonce: its neighbours are usually on their way */
#define ATTEMPTS        3  /* the key changed while the report was made */
#define MERKLE_PATH_MAX 64

struct waiter {
    const uint8_t *nonce;
    struct evidence *evidence; /* a reference, or NULL */
    struct error *err;
    size_t index;
    uint8_t path[MERKLE_PATH_MAX][32];
    size_t n_path;
    bool done;
};

struct batch {
    struct evidence_maker *maker;
    struct live_key *key;
    pthread_t worker;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;   /* the worker */
    pthread_cond_t done;   /* the waiters */
    struct waiter *waiting[BATCH_NONCES_MAX];
    size_t n_waiting;
    bool stopping;
};

/* The evidence must be bound to the key that is served when it is handed out. */
static struct error *make_evidence(struct batch *batch, const uint8_t root[32], size_t n,
                                   struct evidence **ret_evidence)
{
    uint8_t before[32], after[32];

    for (int i = 0; i < ATTEMPTS; i++) {
        _cleanup_(evidence_unrefp) struct evidence *evidence = NULL;

        struct error *err = live_key_get(batch->key, 0, before);
        if (!err)
            err = evidence_make(batch->maker, before, root, n, &evidence);
        if (!err)
            err = live_key_get(batch->key, 0, after);
        if (err)
            return err;
        if (memcmp(before, after, sizeof(before)) == 0) {
            *ret_evidence = TAKE_PTR(evidence);
            return NULL;
        }
    }
    return error_new(ERROR_UNAVAILABLE, "the TLS key keeps changing");
}

static void give(struct waiter *waiter, size_t index, const uint8_t (*nonces)[32], size_t n,
                 struct evidence *evidence, struct error *err)
{
    if (err) {
        waiter->err = error_new(error_get_code(err), "%s", error_text(err));
        return;
    }
    waiter->evidence = evidence_ref(evidence);
    waiter->index = index;
    waiter->n_path = merkle_path(nonces, n, index, waiter->path);
}

static void process(struct batch *batch, struct waiter *const *waiters, size_t n)
{
    _cleanup_free_ uint8_t(*nonces)[32] = xcalloc(n, sizeof(*nonces));
    _cleanup_(evidence_unrefp) struct evidence *evidence = NULL;
    uint8_t root[32];

    for (size_t i = 0; i < n; i++)
        memcpy(nonces[i], waiters[i]->nonce, 32);
    merkle_root((const uint8_t(*)[32])nonces, n, root);
    struct error *err = make_evidence(batch, root, n, &evidence);
    for (size_t i = 0; i < n; i++)
        give(waiters[i], i, (const uint8_t(*)[32])nonces, n, evidence, err);
    error_free(err);
}

static void wait_window(struct batch *batch)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WINDOW_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (!batch->stopping && batch->n_waiting < BATCH_NONCES_MAX &&
           pthread_cond_timedwait(&batch->wake, &batch->mutex, &until) == 0)
        ;
}

static void finish(struct batch *batch, struct waiter *const *waiters, size_t n)
{
    for (size_t i = 0; i < n; i++)
        waiters[i]->done = true;
    pthread_cond_broadcast(&batch->done);
}

static void *work(void *data)
{
    struct batch *batch = data;
    struct waiter *taken[BATCH_NONCES_MAX];

    pthread_mutex_lock(&batch->mutex);
    while (!batch->stopping) {
        if (batch->n_waiting == 0) {
            pthread_cond_wait(&batch->wake, &batch->mutex);
            continue;
        }
        wait_window(batch);
        size_t n = batch->n_waiting;
        memcpy(taken, batch->waiting, n * sizeof(*taken));
        batch->n_waiting = 0;
        pthread_mutex_unlock(&batch->mutex);
        process(batch, taken, n);
        pthread_mutex_lock(&batch->mutex);
        finish(batch, taken, n);
    }
    for (size_t i = 0; i < batch->n_waiting; i++)
        batch->waiting[i]->err = error_new(ERROR_UNAVAILABLE, "the attester is stopping");
    finish(batch, batch->waiting, batch->n_waiting);
    batch->n_waiting = 0;
    pthread_mutex_unlock(&batch->mutex);
    return NULL;
}

struct batch *batch_new(struct evidence_maker *maker, struct live_key *key)
{
    struct batch *batch = xnew(struct batch);
    pthread_condattr_t monotonic;

    batch->maker = maker;
    batch->key = key;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&batch->mutex, NULL);
    pthread_cond_init(&batch->wake, &monotonic);
    pthread_cond_init(&batch->done, NULL);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&batch->worker, NULL, work, batch) != 0)
        abort();
    return batch;
}

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    pthread_mutex_lock(&batch->mutex);
    batch->stopping = true;
    pthread_cond_signal(&batch->wake);
    pthread_mutex_unlock(&batch->mutex);
    pthread_join(batch->worker, NULL);
    pthread_mutex_destroy(&batch->mutex);
    pthread_cond_destroy(&batch->wake);
    pthread_cond_destroy(&batch->done);
    free(batch);
}

static struct error *wait_turn(struct batch *batch, struct waiter *waiter)
{
    struct error *err = NULL;

    pthread_mutex_lock(&batch->mutex);
    if (batch->stopping) {
        err = error_new(ERROR_UNAVAILABLE, "the attester is stopping");
    } else if (batch->n_waiting == BATCH_NONCES_MAX) {
        err = error_new(ERROR_RESOURCE_EXHAUSTED, "%d requests wait already", BATCH_NONCES_MAX);
    } else {
        batch->waiting[batch->n_waiting++] = waiter;
        pthread_cond_signal(&batch->wake);
        while (!waiter->done)
            pthread_cond_wait(&batch->done, &batch->mutex);
        err = waiter->err;
    }
    pthread_mutex_unlock(&batch->mutex);
    return err;
}

struct error *batch_answer(struct batch *batch, const uint8_t nonce[32], struct buffer *ret_json)
{
    struct waiter waiter = {.nonce = nonce};

    struct error *err = wait_turn(batch, &waiter);
    if (err)
        return err;
    evidence_answer(batch->maker, waiter.evidence, nonce, waiter.index,
                    (const uint8_t(*)[32])waiter.path, waiter.n_path, ret_json);
    evidence_unref(waiter.evidence);
    return NULL;
}
