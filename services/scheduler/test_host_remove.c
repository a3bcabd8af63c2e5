/* When a host's record may go, and what happens when it speaks again. */
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit.h"

static struct error *remove_host(struct kit *kit, const char *id)
{
    Coffer__V1__HostRequest request = COFFER__V1__HOST_REQUEST__INIT;

    request.host_id = (char *)id;
    return kit_call(kit, "svc.scheduler.host.delete", &request.base, NULL);
}

static void be_silent(struct kit *kit, size_t speaker)
{
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&kit->clock, 30000);
        kit_heartbeat(kit, speaker);
        kit_ok(reconcile_pass(kit->scheduler));
    }
}

static const char *host_events(struct kit *kit, const char *id)
{
    const char *filter = arena_printf(kit->arena, "evt.host.%s.*", id);
    char *kinds = arena_strdup(kit->arena, "");

    for (uint64_t from = 1;;) {
        struct bus_message message;
        void *event;
        struct error *err =
            bus_stream_next(kit->bus, "EVENTS", filter, from, 1000, kit->arena, &message);
        if (error_get_code(err) == ERROR_NOT_FOUND) {
            error_free(err);
            return kinds;
        }
        kit_ok(err);
        kit_ok(bus_unpack(&coffer__v1__host_event__descriptor, message.data, message.size,
                          kit->arena, &event));
        kinds = arena_printf(kit->arena, "%s%s%s", kinds, *kinds ? " " : "",
                             ((Coffer__V1__HostEvent *)event)->kind);
        from = message.stream_sequence + 1;
    }
}

static void test_a_host_with_workloads_stays(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit_create(kit, "w1");
    be_silent(kit, 1);
    assert_int_equal(kit_host_record(kit, "h1")->status, COFFER__V1__HOST_STATUS__LOST);
    kit_code(remove_host(kit, "h1"), ERROR_FAILED_PRECONDITION);
    assert_non_null(kit_host_record(kit, "h1"));
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), STATUS_DELETED);
    kit_ok(remove_host(kit, "h1"));
    assert_null(kit_host_record(kit, "h1"));
}

static void test_a_host_that_speaks_stays(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit_code(remove_host(kit, "h1"), ERROR_ABORTED);
    clock_fake_advance(&kit->clock, 59999);
    kit_code(remove_host(kit, "h1"), ERROR_ABORTED);
    assert_non_null(kit_host_record(kit, "h1"));
    clock_fake_advance(&kit->clock, 1);
    kit_ok(remove_host(kit, "h1"));
}

/* The scheduler was away itself: the host may well be there, and speak in a moment. */
static void test_own_absence_is_no_silence(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    clock_fake_advance(&kit->clock, 3600000);
    kit_restart_scheduler(kit);
    kit_code(remove_host(kit, "h1"), ERROR_ABORTED);
    be_silent(kit, 1);
    kit_restart_scheduler(kit);
    kit_ok(remove_host(kit, "h1"));
}

/* An old leader removes nothing. */
static void test_an_old_leader_is_fenced(void **state)
{
    struct kit *kit = *state;
    uint64_t term;
    kit_tick(kit);
    be_silent(kit, 1);
    kit_ok(store_get_term(kit->store, &term));
    kit_ok(store_set_term(kit->store, term + 1));
    kit_code(remove_host(kit, "h1"), ERROR_UNAVAILABLE);
    assert_non_null(kit_host_record(kit, "h1"));
}

/* Also one that may not be used here: its heartbeats keep coming. */
static void test_a_host_that_is_only_joining_stays_too(void **state)
{
    struct kit *kit = *state;
    kit->config.allow_software_tee = false;
    kit_heartbeat(kit, 0);
    assert_int_equal(kit_host_record(kit, "h1")->status, COFFER__V1__HOST_STATUS__JOINING);
    kit_code(remove_host(kit, "h1"), ERROR_ABORTED);
}

static void test_a_host_that_is_not_enrolled_any_more_can_go_at_once(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Host host = COFFER__V1__HOST__INIT;
    struct change change;

    host.host_id = (char *)"h9";
    host.last_seen_at_ms = clock_wall_ms(&kit->clock.base);
    change_init(&change, kit->scheduler, kit->arena);
    change_put(&change, KEY_HOST, "h9", 0, &host.base, 0);
    change_index(&change, KEY_HOSTS, "", "h9", false);
    kit_ok(change_commit(&change));
    kit_ok(remove_host(kit, "h9"));
    assert_null(kit_host_record(kit, "h9"));
}

static void test_a_host_that_speaks_again_joins_anew(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    be_silent(kit, 1);
    kit_ok(remove_host(kit, "h1"));
    kit_code(remove_host(kit, "h1"), ERROR_NOT_FOUND);
    /* The place is not chosen any more, and a restart does not bring it back. */
    kit_restart_scheduler(kit);
    kit_heartbeat(kit, 1);
    assert_string_equal(kit_create(kit, "w1")->host_id, "h2");
    kit_heartbeat(kit, 0);
    assert_int_equal(kit_host_record(kit, "h1")->status, COFFER__V1__HOST_STATUS__READY);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_string_equal(host_events(kit, "h1"), "joined ready suspect lost removed joined ready");
}

static void test_hosts_that_are_not_there(void **state)
{
    static const char *const ids[] = {"", "h3", "H1", "../h1", "h1.", "a b"};
    struct kit *kit = *state;

    kit_tick(kit);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        kit_code(remove_host(kit, ids[i]), ERROR_NOT_FOUND);
    assert_non_null(kit_host_record(kit, "h1"));
    assert_non_null(kit_host_record(kit, "h2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_a_host_with_workloads_stays),
        KIT_TEST(test_a_host_that_speaks_stays),
        KIT_TEST(test_own_absence_is_no_silence),
        KIT_TEST(test_an_old_leader_is_fenced),
        KIT_TEST(test_a_host_that_is_only_joining_stays_too),
        KIT_TEST(test_a_host_that_is_not_enrolled_any_more_can_go_at_once),
        KIT_TEST(test_a_host_that_speaks_again_joins_anew),
        KIT_TEST(test_hosts_that_are_not_there),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
