/* Creates that come together: each judged alone, one commit for all. */
#include "services/scheduler/test_kit.h"

#include <time.h>
#include <unistd.h>

#include "services/scheduler/allowance.h"
#include "services/scheduler/images.h"
#include "services/scheduler/outbox.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_store.h"
#include "services/scheduler/workloads.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { MANY = 8 };

/* n creates of "w1", "w2" ..., over a store that counts and fails. */
struct batch {
    struct kit *kit;
    struct test_store store;
    Coffer__V1__CreateWorkloadRequest *requests[MANY];
    struct creation creations[MANY];
    size_t n;
};

static void batch_init(struct batch *batch, struct kit *kit, size_t n)
{
    *batch = (struct batch){.kit = kit, .n = n};
    test_store_init(&batch->store, kit->store);
    for (size_t i = 0; i < n; i++)
        batch->requests[i] = kit_create_request(kit, arena_printf(kit->arena, "w%zu", i + 1));
}

static void run(struct batch *batch)
{
    struct kit *kit = batch->kit;

    for (size_t i = 0; i < batch->n; i++)
        batch->creations[i] = (struct creation){.request = batch->requests[i]};
    kit->scheduler->store = &batch->store.base;
    workloads_create(kit->scheduler, batch->creations, batch->n, kit->arena);
    kit->scheduler->store = kit->store;
}

static void expect(const struct batch *batch, size_t i, enum error_code code)
{
    const struct creation *creation = &batch->creations[i];

    if (error_get_code(creation->err) != code)
        fail_msg("create %zu: %s", i + 1, error_text(creation->err));
    error_free(creation->err);
    assert_int_equal(creation->workload != NULL, code == ERROR_OK);
}

static void expect_all(const struct batch *batch, enum error_code code)
{
    for (size_t i = 0; i < batch->n; i++)
        expect(batch, i, code);
}

static uint32_t cpus_used(struct kit *kit, const char *host_id)
{
    const Coffer__V1__Host *host = kit_host_record(kit, host_id);

    return host->used ? host->used->cpus : 0;
}

static void test_one_commit_for_all_that_fit(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 5);
    run(&batch);
    assert_int_equal(batch.store.commits, 1);
    assert_true(batch.store.reads <= 2);
    /* Two hosts take two each: what came before in the batch counts. */
    for (size_t i = 0; i < 4; i++) {
        expect(&batch, i, ERROR_OK);
        assert_string_equal(batch.creations[i].workload->host_id, i < 2 ? "h1" : "h2");
    }
    assert_string_equal(error_reason(batch.creations[4].err), "no_host");
    expect(&batch, 4, ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(cpus_used(kit, "h1"), 4);
    assert_int_equal(cpus_used(kit, "h2"), 4);
    assert_null(kit_workload(kit, "w5"));
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].starts + kit->hosts[1].starts, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(kit_events(kit, batch.requests[i]->workload_id),
                            "created scheduled starting");
}

static void test_one_that_is_bad_harms_no_other(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    kit_create(kit, "old");
    batch_init(&batch, kit, 6);
    batch.requests[0]->manifest = arena_bytes(kit->arena, "{}", 2);
    batch.requests[1]->domain = (char *)"old." KIT_DOMAIN;
    batch.requests[3]->workload_id = (char *)"old"; /* and sealed for another one */
    batch.requests[4]->resources->memory_mib = 5000;
    run(&batch);
    expect(&batch, 0, ERROR_INVALID_ARGUMENT);
    expect(&batch, 1, ERROR_ALREADY_EXISTS);
    expect(&batch, 2, ERROR_OK);
    expect(&batch, 3, ERROR_INVALID_ARGUMENT);
    expect(&batch, 4, ERROR_RESOURCE_EXHAUSTED);
    expect(&batch, 5, ERROR_OK);
    assert_int_equal(batch.store.commits, 1);
    assert_int_equal(kit_status(kit, "w3"), STATUS_SCHEDULED);
    assert_int_equal(kit_status(kit, "w6"), STATUS_SCHEDULED);
}

static void test_the_same_twice_in_a_batch(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 5);
    batch.requests[1] = kit_create_request(kit, "w1"); /* repeated */
    batch.requests[2] = kit_create_request(kit, "w1"); /* somebody else's */
    batch.requests[2]->account_id = (char *)"mallory";
    batch.requests[3]->domain = batch.requests[0]->domain;
    run(&batch);
    expect(&batch, 0, ERROR_OK);
    expect(&batch, 1, ERROR_OK);
    expect(&batch, 2, ERROR_ALREADY_EXISTS);
    assert_string_equal(error_reason(batch.creations[3].err), "domain_taken");
    expect(&batch, 3, ERROR_ALREADY_EXISTS);
    expect(&batch, 4, ERROR_OK);
    assert_string_equal(batch.creations[1].workload->workload_id, "w1");
    assert_int_equal(cpus_used(kit, "h1"), 4);
    assert_int_equal(cpus_used(kit, "h2"), 0);
    kit_tick(kit);
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting");
}

static void test_conflicts_end_the_group_and_not_the_creates(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 1);
    batch.store.aborts = 1;
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.commits, 2);
    batch_init(&batch, kit, 4);
    batch.store.aborts = 1;
    run(&batch); /* the first is there already */
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.commits, 2);
    assert_int_equal(cpus_used(kit, "h1") + cpus_used(kit, "h2"), 8);
}

static void test_after_two_conflicts_one_by_one(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 3);
    batch.store.aborts = 3;
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.commits, 2 + 1 + 3);
    assert_int_equal(cpus_used(kit, "h1") + cpus_used(kit, "h2"), 6);
}

static void test_conflicts_without_end(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 2);
    batch.store.aborts = 1000;
    run(&batch);
    expect_all(&batch, ERROR_UNAVAILABLE);
    assert_int_equal(batch.store.commits, 2 + 6 + 6);
    assert_null(kit_workload(kit, "w1"));
    /* A commit that fails for a reason of its own is tried one by one, once. */
    batch_init(&batch, kit, 2);
    batch.store.aborts = 2;
    batch.store.abort_code = ERROR_INTERNAL;
    run(&batch);
    expect(&batch, 0, ERROR_INTERNAL);
    expect(&batch, 1, ERROR_OK);
    assert_int_equal(batch.store.commits, 3);
}

/* Another scheduler has taken over: no attempt of this one can succeed any more, and the callers
 * are to ask the other one now. */
static void test_a_batch_of_a_leader_that_is_none_ends_at_once(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, MANY);
    kit_ok(store_set_term(kit->store, kit->scheduler->term + 1));
    run(&batch);
    expect_all(&batch, ERROR_UNAVAILABLE);
    assert_int_equal(batch.store.commits, 1);
    assert_null(kit_workload(kit, "w1"));
}

static void test_a_lost_answer_is_repaired_by_repeating(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 3);
    batch.store.lose_answer = true;
    run(&batch);
    expect_all(&batch, ERROR_UNAVAILABLE);
    assert_int_equal(batch.store.commits, 1);
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.commits, 1);
    kit_tick(kit);
    assert_string_equal(kit_events(kit, "w2"), "created scheduled starting");
}

static void test_the_allowance_counts_what_came_before(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    struct batch batch;
    kit_tick(kit);
    allowance.workloads = 2;
    batch_init(&batch, kit, 4);
    batch.requests[1]->allowance = &allowance;
    batch.requests[2]->allowance = &allowance;
    batch.requests[3]->allowance = &allowance;
    batch.requests[3]->account_id = (char *)"other";
    run(&batch);
    expect(&batch, 0, ERROR_OK);
    expect(&batch, 1, ERROR_OK);
    assert_string_equal(error_reason(batch.creations[2].err), "over_quota");
    expect(&batch, 2, ERROR_FAILED_PRECONDITION);
    expect(&batch, 3, ERROR_OK);
}

static uint64_t counted(struct kit *kit)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct usage usage;

    kit_ok(usage_load(kit->scheduler, "acme", arena, &usage));
    assert_int_equal(usage.cpus, usage.workloads * 2);
    assert_int_equal(usage.disk_gib, usage.workloads * 10);
    return usage.workloads;
}

/* What an account uses is read once, and then follows every change. */
static void test_what_an_account_uses_is_remembered(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    struct test_store store;
    struct batch batch;
    kit_tick(kit);
    assert_int_equal(counted(kit), 0);
    batch_init(&batch, kit, 3);
    for (size_t i = 0; i < 3; i++)
        batch.requests[i]->allowance = &allowance;
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.reads, 2); /* which hosts there are, and all records */
    test_store_init(&store, kit->store);
    kit->scheduler->store = &store.base;
    assert_int_equal(counted(kit), 3);
    assert_int_equal(store.reads, 0);
    kit->scheduler->store = kit->store;
    kit_ok(kit_wish(kit, "stop", "w1"));
    kit_ok(kit_wish(kit, "delete", "w2"));
    assert_int_equal(counted(kit), 3);
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_int_equal(counted(kit), 1);
    kit_ok(kit_wish(kit, "start", "w1"));
    assert_int_equal(counted(kit), 2);
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_int_equal(counted(kit), 2);
}

static void test_what_is_in_doubt_is_read_again(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    assert_int_equal(counted(kit), 0);
    batch_init(&batch, kit, 2);
    batch.store.lose_answer = true; /* it happened */
    run(&batch);
    expect_all(&batch, ERROR_UNAVAILABLE);
    assert_int_equal(counted(kit), 2);
    batch_init(&batch, kit, 3);
    batch.store.aborts = 1000; /* it did not */
    run(&batch);
    expect(&batch, 0, ERROR_OK); /* is there */
    expect(&batch, 1, ERROR_OK);
    expect(&batch, 2, ERROR_UNAVAILABLE);
    assert_int_equal(counted(kit), 2);
    /* Read while a change is on its way: good for once. */
    const struct usage wrong = {.workloads = 9};
    struct usage usage;
    struct ledger *ledger = &kit->scheduler->ledger;
    const struct ledger_reading early = ledger_begin_reading(ledger);
    ledger_begin(ledger);
    const struct ledger_reading during = ledger_begin_reading(ledger);
    ledger_end(ledger, NULL, 0, LEDGER_DONE);
    ledger_remember(ledger, early, "other", &wrong, 0);
    ledger_remember(ledger, during, "other", &wrong, 0);
    assert_false(ledger_find(ledger, "other", 0, &usage));
    ledger_remember(ledger, ledger_begin_reading(ledger), "other", &wrong, 0);
    assert_true(ledger_find(ledger, "other", 59999, &usage));
    assert_int_equal(usage.workloads, 9);
    assert_false(ledger_find(ledger, "other", 60000, &usage));
    /* A full ledger forgets somebody, not everything. */
    for (int i = 0; i < 5000; i++)
        ledger_remember(ledger, ledger_begin_reading(ledger), arena_printf(kit->arena, "a%d", i),
                        &wrong, 0);
    assert_true(ledger_find(ledger, "a4999", 0, &usage));
}

/* A host's record changes between the read and the commit. */
static void beat(void *data)
{
    kit_heartbeat(data, 0);
}

static void test_a_heartbeat_in_between(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 4);
    batch.store.before_commit = beat;
    batch.store.data = kit;
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(cpus_used(kit, "h1"), 4);
    assert_int_equal(cpus_used(kit, "h2"), 4);
}

/* Which hosts there are is remembered: one that joins is seen all the same. */
static void test_a_host_that_joins_later_is_used(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_heartbeat(kit, 0);
    batch_init(&batch, kit, 3);
    run(&batch);
    expect(&batch, 0, ERROR_OK);
    expect(&batch, 1, ERROR_OK);
    expect(&batch, 2, ERROR_RESOURCE_EXHAUSTED);
    kit_heartbeat(kit, 1);
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(cpus_used(kit, "h2"), 2);
}

/* A host's record is read again when it was written, and not before. */
static void test_hosts_that_have_not_changed_are_not_read(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 1);
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.hosts_read, 2);
    run(&batch); /* a repeat writes nothing, but the first has written h1 */
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.hosts_read, 3);
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.hosts_read, 3);
    kit_heartbeat(kit, 1);
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(batch.store.hosts_read, 4);
}

/* As a commit that was given up and happened later: nobody told of it. */
static void test_a_record_that_is_old_is_found_out(void **state)
{
    struct kit *kit = *state;
    struct batch batch;
    struct store_record record;
    kit_tick(kit);
    batch_init(&batch, kit, 4);
    batch.n = 1;
    run(&batch);
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_null(store_get(kit->store, KEY_HOST "h1", kit->arena, &record));
    const struct store_write write = {
        .key = record.key, .expected_version = record.version, .value = record.value};
    assert_null(store_commit(kit->store, &(struct store_change){.writes = &write, .n_writes = 1}));
    batch.n = 4;
    run(&batch);
    expect_all(&batch, ERROR_OK);
    assert_int_equal(cpus_used(kit, "h1"), 4);
    assert_int_equal(cpus_used(kit, "h2"), 4);
}

/* Over the bus: callers at the same time. */
struct caller {
    pthread_t thread;
    struct bus *bus;
    const Coffer__V1__CreateWorkloadRequest *request;
    struct error *err;
    char host_id[16];
};

static void *call(void *data)
{
    struct caller *caller = data;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    void *reply = NULL;

    caller->err =
        bus_call(caller->bus, "svc.scheduler.workload.create", &caller->request->base,
                 &coffer__v1__workload_reply__descriptor, NULL, NULL, 20000, arena, &reply, NULL);
    if (!caller->err)
        snprintf(caller->host_id, sizeof(caller->host_id), "%s",
                 ((Coffer__V1__WorkloadReply *)reply)->workload->host_id);
    return NULL;
}

static void test_callers_at_the_same_time(void **state)
{
    struct kit *kit = *state;
    struct bus_subscription *subscription;
    struct caller callers[MANY];
    struct batch batch;
    size_t placed = 0;
    kit_tick(kit);
    batch_init(&batch, kit, MANY);
    batch.requests[7]->compose = arena_bytes(kit->arena, "x", 1);
    kit_ok(bus_subscribe(kit->bus, &scheduler_handlers[0], scheduler_handlers[0].subject,
                         kit->scheduler, &subscription));
    struct bus *client = bus_memory_attach(kit->bus);
    for (size_t i = 0; i < MANY; i++) {
        callers[i] = (struct caller){.bus = client, .request = batch.requests[i]};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        pthread_join(callers[i].thread, NULL);
        placed += callers[i].host_id[0] != '\0';
        if (i == 7)
            kit_code(callers[i].err, ERROR_INVALID_ARGUMENT);
        else if (callers[i].err)
            kit_code(callers[i].err, ERROR_RESOURCE_EXHAUSTED);
    }
    /* Exactly what fits, whoever came first. */
    assert_int_equal(placed, 4);
    assert_int_equal(cpus_used(kit, "h1"), 4);
    assert_int_equal(cpus_used(kit, "h2"), 4);
    bus_unsubscribe(subscription);
    bus_free(client);
}

/* The job thread is told which workloads to look at, and looks at no other. */
static void test_what_has_changed_is_looked_at(void **state)
{
    static const char *const ids[] = {"w1", "unknown"};
    struct kit *kit = *state;
    const struct changed *changed = &kit->scheduler->changed;
    kit_tick(kit);
    size_t before = changed->n;
    kit_create(kit, "w1");
    kit_create(kit, "w2");
    assert_int_equal(changed->n, before + 2);
    assert_string_equal(changed->ids[before], "w1");
    kit_ok(reconcile_some(kit->scheduler, ids, 2));
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit_status(kit, "w2"), STATUS_SCHEDULED);
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting");
    assert_string_equal(kit_events(kit, "w2"), "created scheduled");
    kit_ok(reconcile_some(kit->scheduler, ids, 0));
    kit->scheduler->changed.all = false;
    for (size_t i = 0; i <= CHANGED_MAX; i++)
        scheduler_kick_workload(kit->scheduler, "w1");
    assert_true(changed->all);
}

/* Its own job thread: from the create to the start without a pass by hand. */
static void test_the_job_thread_starts_what_was_created(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit_ok(reconcile_start(kit->scheduler));
    kit_create(kit, "w1");
    kit_create(kit, "w2");
    for (int i = 0; i < 2000; i++) {
        if (kit_status(kit, "w1") == STATUS_STARTING && kit_status(kit, "w2") == STATUS_STARTING)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    reconcile_stop(kit->scheduler);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit_status(kit, "w2"), STATUS_STARTING);
}

/* A good image file is not read again; one that replaces it is. */
/* A bus that loses one of many messages once, as a stream without a leader does, and takes what
 * comes behind it. */
struct lossy_bus {
    struct bus base;
    struct bus *inner;
    const char *lost; /* message id; NULL: none any more */
};

static struct error *lossy_many(struct bus *bus, const struct bus_message *messages, size_t n,
                                int timeout_ms, size_t *ret_done)
{
    struct lossy_bus *lossy = (struct lossy_bus *)bus;
    struct error *err = NULL;

    *ret_done = 0;
    for (size_t i = 0; i < n; i++) {
        if (lossy->lost && strcmp(messages[i].message_id, lossy->lost) == 0) {
            lossy->lost = NULL;
            err = error_new(ERROR_UNAVAILABLE, "no answer");
            continue;
        }
        kit_ok(bus_publish_durable(lossy->inner, &messages[i], timeout_ms));
        *ret_done += !err;
    }
    return err;
}

/* Events of one workload are in the stream in their order, whatever is lost on the way. */
static void test_events_stay_in_order_when_one_is_lost(void **state)
{
    static const struct bus_ops ops = {.publish_durable_many = lossy_many};
    struct kit *kit = *state;
    struct lossy_bus lossy = {{&ops}, kit->scheduler->bus, "w2.1"};
    struct batch batch;
    kit_tick(kit);
    batch_init(&batch, kit, 3);
    run(&batch);
    expect_all(&batch, ERROR_OK);
    kit->scheduler->bus = &lossy.base;
    struct error *err = outbox_flush(kit->scheduler);
    assert_non_null(strstr(error_text(err), "w2.1"));
    kit_code(err, ERROR_UNAVAILABLE);
    kit_ok(outbox_flush(kit->scheduler));
    kit->scheduler->bus = lossy.inner;
    for (size_t i = 0; i < batch.n; i++)
        assert_string_equal(kit_events(kit, batch.requests[i]->workload_id), "created scheduled");
}

static void test_images_are_checked_by_their_file(void **state)
{
    struct kit *kit = *state;
    struct images *images = kit->scheduler->images;
    _cleanup_free_ char *path = xasprintf("%s/images/3.0.json", kit->dir);
    kit_code(images_check(images, "3.0"), ERROR_NOT_FOUND);
    kit_code(images_check(images, "../fleet"), ERROR_NOT_FOUND);
    kit_add_image(kit, "3.0");
    kit_ok(images_check(images, "3.0"));
    kit_ok(images_check(images, "3.0"));
    kit_ok(file_write_atomic(path, "{}", 2, 0600));
    struct error *err = images_check(images, "3.0");
    assert_non_null(err);
    error_free(err);
    kit_add_image(kit, "3.0");
    kit_ok(images_check(images, "3.0"));
    assert_int_equal(unlink(path), 0);
    kit_code(images_check(images, "3.0"), ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_one_commit_for_all_that_fit),
        KIT_TEST(test_one_that_is_bad_harms_no_other),
        KIT_TEST(test_the_same_twice_in_a_batch),
        KIT_TEST(test_conflicts_end_the_group_and_not_the_creates),
        KIT_TEST(test_after_two_conflicts_one_by_one),
        KIT_TEST(test_conflicts_without_end),
        KIT_TEST(test_a_batch_of_a_leader_that_is_none_ends_at_once),
        KIT_TEST(test_a_lost_answer_is_repaired_by_repeating),
        KIT_TEST(test_the_allowance_counts_what_came_before),
        KIT_TEST(test_what_an_account_uses_is_remembered),
        KIT_TEST(test_what_is_in_doubt_is_read_again),
        KIT_TEST(test_a_heartbeat_in_between),
        KIT_TEST(test_a_host_that_joins_later_is_used),
        KIT_TEST(test_hosts_that_have_not_changed_are_not_read),
        KIT_TEST(test_a_record_that_is_old_is_found_out),
        KIT_TEST(test_callers_at_the_same_time),
        KIT_TEST(test_what_has_changed_is_looked_at),
        KIT_TEST(test_the_job_thread_starts_what_was_created),
        KIT_TEST(test_events_stay_in_order_when_one_is_lost),
        KIT_TEST(test_images_are_checked_by_their_file),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
