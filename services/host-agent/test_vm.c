/* The life of a VM over passes: failures, kills at each stage, adoption, what is said on the bus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/boot.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "services/host-agent/testdata/agent.h"

#define STARTING COFFER__V1__VM_STATE__VM_STARTING
#define RUNNING  COFFER__V1__VM_STATE__VM_RUNNING
#define STOPPED  COFFER__V1__VM_STATE__VM_STOPPED
#define FAILED   COFFER__V1__VM_STATE__VM_FAILED

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

static void write_vm_file(struct test_agent *t, const char *id, const char *name, const char *text)
{
    _cleanup_free_ char *dir = xasprintf("%s/vms/%s", t->dir, id);

    test_write(dir, name, text, strlen(text));
}

/* The next message about a VM in the stream, after what was read before. */
static const Coffer__V1__VmChanged *next_change(struct test_agent *t, uint64_t *sequence)
{
    struct bus_message message;
    void *changed;

    test_ok(reporter_flush(t->agent->reporter));
    struct error *err =
        bus_stream_next(t->bus, "SOURCES", "src.host.h1.vm", *sequence + 1, 10, t->arena, &message);
    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    test_ok(err);
    *sequence = message.stream_sequence;
    test_ok(bus_unpack(&coffer__v1__vm_changed__descriptor, message.data, message.size, t->arena,
                       &changed));
    return changed;
}

static void test_every_change_is_said_once_and_in_order(void **state)
{
    static const int expected[] = {RUNNING, FAILED, RUNNING, STOPPED, STOPPED};
    static const uint64_t generations[] = {1, 1, 2, 3, 4};
    struct test_agent *t = *state;
    uint64_t sequence = 0;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    write_vm_file(t, "w1", "console.log", "Kernel panic - not syncing\n");
    hypervisor_memory_crash(t->machines, "w1");
    test_agent_work(t);
    test_ok(test_agent_start(t, "w1", 2, NULL));
    test_agent_work(t);
    test_ok(test_agent_end(t, "stop", "w1", 3, 0, NULL));
    test_agent_work(t);
    test_ok(test_agent_end(t, "delete", "w1", 4, 0, NULL));
    test_agent_work(t);
    test_agent_work(t);
    for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
        const Coffer__V1__VmChanged *changed = next_change(t, &sequence);
        assert_non_null(changed);
        assert_int_equal(changed->vm->state, expected[i]);
        assert_int_equal(changed->vm->generation, generations[i]);
        if (expected[i] == FAILED) {
            assert_string_equal(changed->vm->reason, "the virtual machine crashed");
            assert_string_equal(changed->console_tail, "Kernel panic - not syncing\n");
        }
    }
    assert_null(next_change(t, &sequence));
}

static void test_failed_start_says_the_hypervisors_words(void **state)
{
    struct test_agent *t = *state;

    hypervisor_memory_fail_starts(t->machines, "libvirt: out of luck");
    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    const Coffer__V1__Vm *vm = test_agent_vm(t, "w1");
    assert_int_equal(vm->state, FAILED);
    assert_non_null(strstr(vm->reason, "out of luck"));
    assert_false(test_agent_has_file(t, "w1", "order.json"));
    hypervisor_memory_fail_starts(t->machines, NULL);
    test_agent_work(t); /* only a new generation starts it again */
    assert_int_equal(test_agent_vm(t, "w1")->state, FAILED);
    test_ok(test_agent_start(t, "w1", 2, NULL));
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
}

static void test_unknown_or_changed_image_is_not_started(void **state)
{
    struct test_agent *t = *state;
    struct test_start start;
    _cleanup_free_ char *dir = xasprintf("%s/2026.1", t->images);

    test_start_init(&start, "w1", 1);
    start.request.image_version = (char *)"1999.1";
    test_ok(test_agent_call(t, "start", &start.request.base, NULL));
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, FAILED);
    assert_non_null(strstr(test_agent_vm(t, "w1")->reason, "no guest image '1999.1'"));

    test_write(dir, "root.img", "ro0t", 4);
    test_ok(test_agent_start(t, "w1", 2, NULL));
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, FAILED);
    assert_non_null(strstr(test_agent_vm(t, "w1")->reason, "root.img"));
    test_write(dir, "root.img", "root", 4);
    test_ok(test_agent_start(t, "w1", 3, NULL));
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
}

static void test_guest_may_take_its_grace_to_end(void **state)
{
    struct test_agent *t = *state;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    test_ok(test_agent_end(t, "stop", "w1", 2, 30, NULL));
    test_agent_work(t); /* asks; the in-memory guest ends at once */
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, STOPPED);
}

/* A kill after the command was accepted and before anything was done. */
static void test_killed_agent_carries_out_what_it_accepted(void **state)
{
    struct test_agent *t = *state;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_open(t);
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
    test_ok(test_agent_end(t, "delete", "w1", 2, 0, NULL));
    test_agent_open(t);
    test_agent_work(t);
    assert_null(test_agent_vm(t, "w1"));
    assert_false(test_agent_has_file(t, "w1", "state.img"));
}

/* A kill between the start of the domain and the journal: the VM is kept, not started twice. */
static void test_killed_agent_finds_the_vm_it_had_started(void **state)
{
    struct test_agent *t = *state;
    _cleanup_free_ char *path = xasprintf("%s/vms/w1/vm.json", t->dir);
    _cleanup_buffer_ struct buffer before = {0};
    uint64_t sequence = 0;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_ok(file_read(path, 65536, &before));
    test_agent_work(t);
    assert_int_equal(next_change(t, &sequence)->vm->state, RUNNING);
    test_ok(file_write_atomic(path, before.data, before.size, 0600));
    test_agent_open(t);
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
    /* said again under the same number, which the stream takes for what it is */
    assert_null(next_change(t, &sequence));
}

static void test_restarted_agent_loses_nothing(void **state)
{
    struct test_agent *t = *state;

    test_ok(test_agent_start(t, "w1", 7, NULL));
    test_ok(test_agent_start(t, "w2", 8, NULL));
    test_agent_work(t);
    test_ok(test_agent_end(t, "stop", "w2", 9, 0, NULL));
    test_agent_work(t);
    test_agent_open(t);
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
    assert_int_equal(test_agent_vm(t, "w1")->generation, 7);
    assert_int_equal(test_agent_vm(t, "w1")->started_at_ms, 1000000);
    assert_int_equal(test_agent_vm(t, "w2")->state, STOPPED);
    assert_int_equal(test_agent_vm(t, "w2")->generation, 9);
}

static void test_lost_journal_is_rebuilt_from_the_domain(void **state)
{
    struct test_agent *t = *state;
    _cleanup_free_ char *path = xasprintf("%s/vms/w1/vm.json", t->dir);

    test_ok(test_agent_start(t, "w1", 7, NULL));
    test_agent_work(t);
    assert_int_equal(unlink(path), 0);
    test_agent_open(t);
    test_agent_work(t);
    const Coffer__V1__Vm *vm = test_agent_vm(t, "w1");
    assert_int_equal(vm->state, RUNNING);
    assert_int_equal(vm->generation, 7);
    assert_int_equal(vm->resources->disk_gib, 10);
    assert_true(test_agent_has_file(t, "w1", "state.img")); /* its disks are not half-made */
    test_ok(test_agent_start(t, "w1", 7, NULL));            /* known: a no-op */
    test_agent_work(t);
    assert_int_equal(test_agent_list(t)->n_vms, 1);
}

static void test_half_made_vm_is_cleaned_up(void **state)
{
    struct test_agent *t = *state;

    write_vm_file(t, "w9", "state.img", "disk without a record");
    test_agent_open(t);
    test_agent_work(t);
    assert_false(test_agent_has_file(t, "w9", "state.img"));
    assert_int_equal(test_agent_list(t)->n_vms, 0);
}

static void test_domain_that_is_off_without_a_record_is_removed(void **state)
{
    struct test_agent *t = *state;
    _cleanup_free_ char *path = xasprintf("%s/vms/w1/vm.json", t->dir);
    struct hypervisor_domain domain;

    test_ok(test_agent_start(t, "w1", 7, NULL));
    test_agent_work(t);
    assert_int_equal(unlink(path), 0);
    hypervisor_memory_crash(t->machines, "w1");
    test_agent_open(t);
    test_agent_work(t);
    struct error *err = hypervisor_find(t->machines, "w1", &domain);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    error_free(err);
}

static void test_vm_that_ended_while_the_agent_was_away_is_seen(void **state)
{
    struct test_agent *t = *state;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    test_ok(hypervisor_destroy(t->machines, "w1"));
    test_agent_open(t);
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, FAILED);
    assert_string_equal(test_agent_vm(t, "w1")->reason, "the virtual machine is gone");
}

static void test_names_lead_to_running_vms_only(void **state)
{
    struct test_agent *t = *state;

    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    assert_null(ingress_memory_find(t->agent->ingress, "w1.coffer.test")); /* no address yet */
    test_agent_work(t);
    assert_non_null(ingress_memory_find(t->agent->ingress, "w1.coffer.test"));
    hypervisor_memory_set_address(t->machines, "w1", "192.0.2.77");
    test_agent_work(t);
    assert_string_equal(ingress_memory_find(t->agent->ingress, "w1.coffer.test"), "192.0.2.77");
    assert_string_equal(test_agent_vm(t, "w1")->address, "192.0.2.77");
    hypervisor_memory_crash(t->machines, "w1");
    test_agent_work(t);
    assert_null(ingress_memory_find(t->agent->ingress, "w1.coffer.test"));
}

static void test_files_come_by_reference(void **state)
{
    struct test_agent *t = *state;
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;
    Coffer__V1__File file = COFFER__V1__FILE__INIT;
    Coffer__V1__File *files[] = {&file};
    _cleanup_free_ char *path = xasprintf("%s/vms/w1/config.img", t->dir);
    _cleanup_buffer_ struct buffer disk = {0};
    struct test_start start;
    uint8_t packed[128];

    test_start_init(&start, "w1", 1);
    start.request.files_reference = (char *)"files/h1/w1";
    test_ok(test_agent_call(t, "start", &start.request.base, NULL));
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, FAILED); /* the object is not there */

    file.path = (char *)"conf/x";
    file.content = (ProtobufCBinaryData){.data = (uint8_t *)"FILE-CONTENT", .len = 12};
    input.files = files;
    input.n_files = 1;
    size_t size = coffer__v1__workload_input__pack(&input, packed);
    test_ok(bus_object_put(t->bus, "files/h1/w1", packed, size, 1000));
    start.request.generation = 2;
    test_ok(test_agent_call(t, "start", &start.request.base, NULL));
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
    test_ok(file_read(path, 1 << 20, &disk));
    assert_non_null(memmem(disk.data, disk.size, "FILE-CONTENT", 12));
    assert_non_null(memmem(disk.data, disk.size, "CREDENTIALS", 11));
}

struct heard {
    int n;
    char tee[32];
    size_t vms, images;
    bool ready;
    uint64_t memory_mib;
    size_t chip_id;
};

static struct error *on_heartbeat(void *state, struct bus_call *call)
{
    const Coffer__V1__HostHeartbeat *beat = call->in;
    struct heard *heard = state;

    heard->n++;
    snprintf(heard->tee, sizeof(heard->tee), "%s", beat->tee);
    heard->vms = beat->n_vms;
    heard->images = beat->n_images;
    heard->ready = beat->n_images && beat->images[0]->ready;
    heard->memory_mib = beat->total->memory_mib;
    heard->chip_id = beat->chip_id.len;
    return NULL;
}

static void test_heartbeat_says_what_is(void **state)
{
    static const struct bus_handler row = {"hb.host.*", &coffer__v1__host_heartbeat__descriptor,
                                           NULL, on_heartbeat, NULL};
    struct test_agent *t = *state;
    struct heard heard = {0};
    struct bus_subscription *subscription;

    test_ok(bus_subscribe(t->bus, &row, "hb.host.h1", &heard, &subscription));
    test_ok(reporter_beat(t->agent->reporter)); /* has not looked yet: says nothing */
    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    test_ok(reporter_beat(t->agent->reporter));
    test_ok(reporter_sample(t->agent->reporter));
    bus_unsubscribe(subscription);
    assert_int_equal(heard.n, 1);
    assert_string_equal(heard.tee, t->config.tee);
    assert_int_equal(heard.vms, 1);
    assert_int_equal(heard.images, 1);
    assert_true(heard.ready);
    assert_int_equal(heard.memory_mib, 16384);
    assert_int_equal(heard.chip_id, t->agent->channel ? 64 : 0);
}

/* What the threads do, seen from the bus: a start that is waited for by its durable message. */
struct awaited {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running;
};

static struct error *on_any_beat(void *state, struct bus_call *call)
{
    const Coffer__V1__HostHeartbeat *beat = call->in;
    struct awaited *awaited = state;

    pthread_mutex_lock(&awaited->lock);
    awaited->running |= beat->n_vms && beat->vms[0]->state == RUNNING;
    pthread_cond_broadcast(&awaited->changed);
    pthread_mutex_unlock(&awaited->lock);
    return NULL;
}

static void await(struct awaited *awaited, const bool *condition)
{
    struct timespec limit;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    pthread_mutex_lock(&awaited->lock);
    while (!*condition && !rc)
        rc = pthread_cond_timedwait(&awaited->changed, &awaited->lock, &limit);
    assert_int_equal(rc, 0);
    pthread_mutex_unlock(&awaited->lock);
}

static void test_threads_work_beat_and_end(void **state)
{
    static const struct bus_handler row = {"hb.host.*", &coffer__v1__host_heartbeat__descriptor,
                                           NULL, on_any_beat, NULL};
    struct test_agent *t = *state;
    struct awaited awaited = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    struct bus_subscription *subscription;
    uint64_t sequence = 0;

    test_ok(bus_subscribe(t->bus, &row, "hb.host.h1", &awaited, &subscription));
    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_ok(host_agent_start_threads(t->agent));
    await(&awaited, &awaited.running);
    host_agent_free(t->agent); /* the machines run on */
    t->agent = NULL;
    bus_unsubscribe(subscription);
    test_agent_open(t);
    test_agent_work(t);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
    assert_int_equal(next_change(t, &sequence)->vm->state, RUNNING);
}

static void test_messages_wait_for_the_bus(void **state)
{
    struct test_agent *t = *state;
    uint64_t sequence = 0;
    struct bus *working = t->bus;

    t->bus = bus_memory_new(); /* one without streams: nothing durable is taken */
    test_agent_open(t);
    test_ok(test_agent_start(t, "w1", 1, NULL));
    test_agent_work(t);
    struct error *err = reporter_flush(t->agent->reporter);
    assert_non_null(err);
    error_free(err);
    assert_int_equal(test_agent_vm(t, "w1")->state, RUNNING);
    host_agent_free(t->agent);
    t->agent = NULL;
    bus_free(t->bus);
    t->bus = working;
    test_agent_open(t);
    assert_int_equal(next_change(t, &sequence)->vm->state, RUNNING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_change_is_said_once_and_in_order),
        TEST(test_failed_start_says_the_hypervisors_words),
        TEST(test_unknown_or_changed_image_is_not_started),
        TEST(test_guest_may_take_its_grace_to_end),
        TEST(test_killed_agent_carries_out_what_it_accepted),
        TEST(test_killed_agent_finds_the_vm_it_had_started),
        TEST(test_restarted_agent_loses_nothing),
        TEST(test_lost_journal_is_rebuilt_from_the_domain),
        TEST(test_half_made_vm_is_cleaned_up),
        TEST(test_domain_that_is_off_without_a_record_is_removed),
        TEST(test_vm_that_ended_while_the_agent_was_away_is_seen),
        TEST(test_names_lead_to_running_vms_only),
        TEST(test_files_come_by_reference),
        TEST(test_heartbeat_says_what_is),
        TEST(test_messages_wait_for_the_bus),
        TEST(test_threads_work_beat_and_end),
    };
    return cmocka_run_group_tests(tests, test_chip_setup, NULL);
}
