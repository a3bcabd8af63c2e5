/* Shares of the workers, and what happens when there are no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "services/api-gateway/http_pool.h"
#include "shared/base/alloc.h"

enum { WORKERS = 8 };

/* Jobs that wait until they are let go. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned running;
    unsigned most;
    unsigned done;
    bool open;
};

struct gate_job {
    struct http_job job;
    struct gate *gate;
};

static void wait_at_gate(struct http_job *job)
{
    struct gate *gate = ((struct gate_job *)job)->gate;

    pthread_mutex_lock(&gate->lock);
    gate->running++;
    gate->most = gate->running > gate->most ? gate->running : gate->most;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->running--;
    gate->done++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void wait_for(struct gate *gate, const unsigned *counter, unsigned n)
{
    pthread_mutex_lock(&gate->lock);
    while (*counter < n)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

#define GATE(...)                                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, __VA_ARGS__                  \
    }

static void test_each_share_has_its_part(_unused_ void **state)
{
    static const struct {
        enum http_share share;
        unsigned most;
    } rows[] = {{SHARE_READS, WORKERS}, {SHARE_CHANGES, WORKERS / 2}, {SHARE_GUESTS, WORKERS / 4}};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct gate gate = GATE(false);
        struct gate_job jobs[2 * WORKERS];
        struct http_pool *pool = http_pool_new(WORKERS);
        for (size_t k = 0; k < ELEMENTSOF(jobs); k++) {
            jobs[k] = (struct gate_job){{NULL, wait_at_gate}, &gate};
            assert_true(http_pool_submit(pool, &jobs[k].job, rows[i].share));
        }
        wait_for(&gate, &gate.running, rows[i].most);
        open_gate(&gate);
        http_pool_free(pool); /* runs all */
        assert_int_equal(gate.done, ELEMENTSOF(jobs));
        if (rows[i].share != SHARE_READS)
            assert_true(gate.most <= rows[i].most);
    }
}

static void test_waiting_guests_leave_workers_to_reads(_unused_ void **state)
{
    struct gate closed = GATE(false);
    struct gate open = GATE(true);
    struct gate_job slow[4 * WORKERS];
    struct gate_job read = {{NULL, wait_at_gate}, &open};
    struct http_pool *pool = http_pool_new(WORKERS);

    for (size_t i = 0; i < ELEMENTSOF(slow); i++) {
        slow[i] = (struct gate_job){{NULL, wait_at_gate}, &closed};
        assert_true(http_pool_submit(pool, &slow[i].job, i % 2 ? SHARE_GUESTS : SHARE_CHANGES));
    }
    assert_true(http_pool_submit(pool, &read.job, SHARE_READS));
    wait_for(&open, &open.done, 1);
    assert_int_equal(closed.done, 0);
    open_gate(&closed);
    http_pool_free(pool);
    assert_int_equal(closed.done, ELEMENTSOF(slow));
}

static void test_a_full_queue_refuses(_unused_ void **state)
{
    struct gate gate = GATE(false);
    struct gate_job jobs[64];
    struct http_pool *pool = http_pool_new(1);
    unsigned taken = 0;

    for (size_t i = 0; i < ELEMENTSOF(jobs); i++) {
        jobs[i] = (struct gate_job){{NULL, wait_at_gate}, &gate};
        taken += http_pool_submit(pool, &jobs[i].job, SHARE_GUESTS);
    }
    assert_true(taken >= 16 && taken < ELEMENTSOF(jobs));
    open_gate(&gate);
    http_pool_free(pool);
    assert_int_equal(gate.done, taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_share_has_its_part),
        cmocka_unit_test(test_waiting_guests_leave_workers_to_reads),
        cmocka_unit_test(test_a_full_queue_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
