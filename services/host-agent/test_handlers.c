/* cmd.host.<h>.* through bus_dispatch(): what is accepted, repeated, refused and malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/host-agent/testdata/agent.h"

static int setup(void **state)
{
    *state = test_agent_new();
    return 0;
}

static int teardown(void **state)
{
    test_agent_free(*state);
    return 0;
}

static void expect_code(struct error *err, enum error_code code)
{
    assert_int_equal(error_get_code(err), code);
    error_free(err);
}

#define RUNNING COFFER__V1__VM_STATE__VM_RUNNING
#define STOPPED COFFER__V1__VM_STATE__VM_STOPPED

static void test_start_is_accepted_then_carried_out(void **state)
{
    struct test_agent *t = *state;
    Coffer__V1__Vm *vm = NULL;

    test_ok(test_agent_start(t, "w1", 1, &vm));
    assert_int_equal(vm->state, COFFER__V1__VM_STATE__VM_STARTING);
    assert_int_equal(vm->generation, 1);
    assert_int_equal(vm->resources->memory_mib, 2048);
    test_agent_work(t);
    const Coffer__V1__Vm *running = test_agent_vm(t, "w1");
    assert_int_equal(running->state, RUNNING);
    assert_int_equal(running->started_at_ms, 1000000);
    assert_true(test_agent_has_file(t, "w1", "config.img"));
    assert_false(test_agent_has_file(t, "w1", "order.json"));
}

static void test_same_generation_again_is_the_same_answer(void **state)
{
    struct test_agent *t = *state;
    Coffer__V1__Vm *vm = NULL;

    test_ok(test_agent_start(t, "w1", 5, NULL));
    test_agent_work(t);
    test_ok(test_agent_start(t, "w1", 5, &vm));
    assert_int_equal(vm->state, RUNNING);
    test_agent_work(t);
    assert_int_equal(test_agent_list(t)->n_vms, 1);
    assert_false(test_agent_has_file(t, "w1", "order.json"));
}

static void test_lower_generation_is_refused_everywhere(void **state)
{
    struct test_agent *t = *state;

    test_ok(test_agent_start(t, "w1", 5, NULL));
    expect_code(test_agent_start(t, "w1", 4, NULL), ERROR_FAILED_PRECONDITION);
    expect_code(test_agent_end(t, "stop", "w1", 4, 0, NULL), ERROR_FAILED_PRECONDITION);
    expect_code(test_agent_end(t, "delete", "w1", 4, 0, NULL), ERROR_FAILED_PRECONDITION);
}

static void test_higher_generation_replaces(void **state)
{
    struct test_agent *t = *state;
    struct hypervisor_domain domain;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    test_ok(test_agent_start(t, "w1", 2, NULL));
    test_agent_work(t);
    test_ok(hypervisor_find(t->machines, "w1", &domain));
    assert_int_equal(domain.facts.generation, 2);
    hypervisor_domain_done(&domain);
    assert_int_equal(test_agent_vm(t, "w1")->generation, 2);
    assert_int_equal(test_agent_list(t)->n_vms, 1);
}

static void test_stop_keeps_nothing_running(void **state)
{
    struct test_agent *t = *state;
    struct hypervisor_domain domain;
    Coffer__V1__Vm *vm = NULL;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    test_ok(test_agent_end(t, "stop", "w1", 2, 0, &vm));
    assert_int_equal(vm->state, RUNNING); /* accepted, not done */
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, STOPPED);
    assert_int_equal(test_agent_vm(t, "w1")->generation, 2);
    expect_code(hypervisor_find(t->machines, "w1", &domain), ERROR_NOT_FOUND);
    test_ok(test_agent_end(t, "stop", "w1", 2, 0, &vm));
    assert_int_equal(vm->state, STOPPED);
    test_ok(test_agent_start(t, "w1", 3, NULL));
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
}

static void test_delete_removes_disks_and_repeats(void **state)
{
    struct test_agent *t = *state;
    Coffer__V1__Vm *vm = NULL;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    assert_true(test_agent_has_file(t, "w1", "state.img"));
    for (int i = 0; i < 2; i++) {
        test_ok(test_agent_end(t, "delete", "w1", 2, 0, &vm));
        test_agent_work(t);
        assert_false(test_agent_has_file(t, "w1", "state.img"));
        assert_false(test_agent_has_file(t, "w1", "config.img"));
        assert_null(test_agent_vm(t, "w1"));
    }
    assert_int_equal(vm->state, STOPPED);
    expect_code(test_agent_start(t, "w1", 1, NULL), ERROR_FAILED_PRECONDITION);
    clock_fake_advance(&t->clock, 25 * 3600 * 1000LL);
    test_agent_work(t);
    assert_false(test_agent_has_file(t, "w1", "vm.json"));
}

static void test_unknown_workload_is_stopped_already(void **state)
{
    struct test_agent *t = *state;
    Coffer__V1__Vm *vm = NULL;

    test_ok(test_agent_end(t, "stop", "never-seen", 3, 0, &vm));
    assert_int_equal(vm->state, STOPPED);
    assert_int_equal(vm->generation, 3);
    test_ok(test_agent_end(t, "delete", "never-seen", 3, 0, &vm));
    assert_int_equal(vm->state, STOPPED);
}

static void test_bad_start_is_refused_and_leaves_nothing(void **state)
{
    struct test_agent *t = *state;
    char *too_many[17];
    char *bad_domain[] = {(char *)"a b"};
    struct test_start s;

    for (size_t i = 0; i < ELEMENTSOF(too_many); i++)
        too_many[i] = (char *)"a.test";
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        test_start_init(&s, "w1", 1);                                                              \
        change;                                                                                    \
        expect_code(test_agent_call(t, "start", &s.request.base, NULL), ERROR_INVALID_ARGUMENT);   \
    } while (0)
    REFUSED(s.request.workload_id = (char *)"../../etc");
    REFUSED(s.request.workload_id = (char *)"");
    REFUSED(s.request.workload_id = (char *)"A");
    REFUSED(s.request.generation = 0);
    REFUSED(s.request.generation = UINT64_MAX);
    REFUSED(s.request.resources = NULL);
    REFUSED(s.resources.cpus = 0);
    REFUSED(s.resources.gpus = 1);
    REFUSED(s.resources.disk_gib = UINT64_MAX);
    REFUSED(s.request.image_version = (char *)"..");
    REFUSED(s.request.manifest.len = 0);
    REFUSED(s.request.compose.len = 0);
    REFUSED(s.request.domain = (char *)"evil\n    server x");
    REFUSED(s.request.custom_domains = bad_domain; s.request.n_custom_domains = 1);
    REFUSED(s.request.custom_domains = too_many; s.request.n_custom_domains = 17);
#undef REFUSED
    test_agent_work(t);
    assert_int_equal(test_agent_list(t)->n_vms, 0);
    assert_false(test_agent_has_file(t, "w1", ""));
}

static void test_malformed_bytes_never_reach_a_handler(void **state)
{
    static const char *const verbs[] = {"start", "stop", "delete", "list", "console"};
    struct test_agent *t = *state;

    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        expect_code(test_agent_send(t, verbs[i], "\x0a\xff\xff\xff\xff\x0f", 6, NULL),
                    ERROR_INVALID_ARGUMENT);
}

static void test_list_waits_for_the_first_look(void **state)
{
    struct test_agent *t = *state;

    expect_code(test_agent_send(t, "list", "", 0, NULL), ERROR_UNAVAILABLE);
    test_agent_work(t);
    assert_int_equal(test_agent_list(t)->n_vms, 0);
}

static void test_console_is_bounded(void **state)
{
    struct test_agent *t = *state;
    Coffer__V1__ConsoleRequest request = COFFER__V1__CONSOLE_REQUEST__INIT;
    _cleanup_free_ char *dir = xasprintf("%s/vms/w1", t->dir);
    void *out;

    request.workload_id = (char *)"w1";
    expect_code(test_agent_call(t, "console", &request.base, NULL), ERROR_NOT_FOUND);
    request.workload_id = (char *)"../w1";
    expect_code(test_agent_call(t, "console", &request.base, NULL), ERROR_INVALID_ARGUMENT);
    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    test_write(dir, "console.log", "hello from the guest\n", 21);
    request.workload_id = (char *)"w1";
    request.max_bytes = 6;
    test_ok(test_agent_call(t, "console", &request.base, &out));
    const Coffer__V1__ConsoleReply *reply = out;
    assert_int_equal(reply->text.len, 6);
    assert_memory_equal(reply->text.data, "guest\n", 6);
    request.max_bytes = UINT32_MAX;
    test_ok(test_agent_call(t, "console", &request.base, &out));
    assert_int_equal(((const Coffer__V1__ConsoleReply *)out)->text.len, 21);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_start_is_accepted_then_carried_out),
        TEST(test_same_generation_again_is_the_same_answer),
        TEST(test_lower_generation_is_refused_everywhere),
        TEST(test_higher_generation_replaces),
        TEST(test_stop_keeps_nothing_running),
        TEST(test_delete_removes_disks_and_repeats),
        TEST(test_unknown_workload_is_stopped_already),
        TEST(test_bad_start_is_refused_and_leaves_nothing),
        TEST(test_malformed_bytes_never_reach_a_handler),
        TEST(test_list_waits_for_the_first_look),
        TEST(test_console_is_bounded),
    };
    return cmocka_run_group_tests(tests, test_chip_setup, NULL);
}
