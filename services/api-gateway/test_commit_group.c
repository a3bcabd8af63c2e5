/* Entries of many threads: each is there when its caller goes on, in few commits, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>

#include "services/api-gateway/commit_group.h"
#include "shared/base/clock.h"

enum { THREADS = 16, ROUNDS = 50 };

/* A store that counts commits, fails when it is told to, and is so slow that all who will call are
 * there before a commit ends. */
struct counting {
    struct store base;
    struct store *inner;
    struct store_ops ops;
    atomic_uint commits;
    atomic_bool broken;
    atomic_uint callers; /* that are not done */
    atomic_uint calling; /* of them, now */
};

static struct error *count_commit(struct store *store, const struct store_change *change)
{
    struct counting *counting = (struct counting *)store;

    atomic_fetch_add(&counting->commits, 1);
    while (atomic_load(&counting->calling) < atomic_load(&counting->callers))
        sched_yield();
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (atomic_load(&counting->broken))
        return error_new(ERROR_UNAVAILABLE, "the store is away");
    return store_commit(counting->inner, change);
}

static void counting_init(struct counting *counting)
{
    *counting = (struct counting){.inner = store_memory_new(), .ops = {.commit = count_commit}};
    counting->base.ops = &counting->ops;
}

struct caller {
    struct commit_group *group;
    unsigned number;
    unsigned failed;
    pthread_t thread;
};

static void *call(void *state)
{
    struct caller *caller = state;
    struct counting *counting = (struct counting *)caller->group->store;
    char text[32];

    for (unsigned i = 0; i < ROUNDS; i++) {
        int size = snprintf(text, sizeof(text), "%u %u", caller->number, i);
        const ProtobufCBinaryData value = {.data = (uint8_t *)text, .len = (size_t)size};
        const struct store_list_edit edits[] = {
            {.key = "all", .value = value, .max_length = 10000},
            {.key = "own", .value = value, .max_length = 10},
        };
        atomic_fetch_add(&counting->calling, 1);
        struct error *err = commit_group_add(caller->group, edits, 1 + (caller->number == 0));
        if (i + 1 == ROUNDS)
            atomic_fetch_sub(&counting->callers, 1);
        atomic_fetch_sub(&counting->calling, 1);
        caller->failed += err != NULL;
        error_free(err);
    }
    return NULL;
}

static unsigned run_callers(struct commit_group *group)
{
    struct caller callers[THREADS];
    unsigned failed = 0;

    atomic_store(&((struct counting *)group->store)->callers, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.group = group, .number = i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        failed += callers[i].failed;
    }
    return failed;
}

static void test_all_are_there_in_order_with_few_commits(_unused_ void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct counting counting;
    struct commit_group group;
    ProtobufCBinaryData *items = NULL;
    unsigned next[THREADS] = {0};
    size_t n = 0;

    counting_init(&counting);
    commit_group_init(&group, &counting.base);
    assert_int_equal(run_callers(&group), 0);
    assert_null(store_list_range(counting.inner, "all", 10000, arena, &items, &n));
    assert_int_equal(n, THREADS * ROUNDS);
    for (size_t i = n; i--;) { /* the newest comes first */
        unsigned number, round;
        const char *text = arena_printf(arena, "%.*s", (int)items[i].len, (char *)items[i].data);
        assert_int_equal(sscanf(text, "%u %u", &number, &round), 2);
        assert_int_equal(round, next[number]++);
    }
    assert_null(store_list_range(counting.inner, "own", 10000, arena, &items, &n));
    assert_int_equal(n, 10);
    /* each waits for its own, so a thread is in at most one commit at a time */
    assert_true(atomic_load(&counting.commits) >= ROUNDS);
    assert_true(atomic_load(&counting.commits) < THREADS * ROUNDS / 2);
    commit_group_done(&group);
    store_free(counting.inner);
}

static void test_a_failure_is_everyones(_unused_ void **state)
{
    struct counting counting;
    struct commit_group group;

    counting_init(&counting);
    commit_group_init(&group, &counting.base);
    atomic_store(&counting.broken, true);
    assert_int_equal(run_callers(&group), THREADS * ROUNDS);
    atomic_store(&counting.broken, false);
    assert_int_equal(run_callers(&group), 0);
    commit_group_done(&group);
    store_free(counting.inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_there_in_order_with_few_commits),
        cmocka_unit_test(test_a_failure_is_everyones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
