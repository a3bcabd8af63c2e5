/* From create to deleted, on the in-memory bus and store. */
#include "services/scheduler/test_kit.h"

#include "services/scheduler/outbox.h"
#include "services/scheduler/reconcile.h"
#include "shared/base/alloc.h"

static void test_create_place_start(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    Coffer__V1__Workload *workload = kit_create(kit, "w1");

    assert_int_equal(workload->status, STATUS_SCHEDULED);
    assert_string_equal(workload->host_id, "h1");
    assert_int_equal(workload->public_port, 80);
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 1024);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit->hosts[0].starts, 1);
    assert_int_equal(kit->hosts[1].starts, 0);
    assert_string_equal(kit->hosts[0].files_reference, "files/h1/w1");
    assert_true(strstr(kit->hosts[0].credentials, "BEGIN NATS USER JWT") != NULL);
    assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.1");
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting");
}

static void test_events_are_also_kept_for_the_api(void **state)
{
    struct kit *kit = *state;
    ProtobufCBinaryData *items;
    size_t n;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_ok(store_list_range(kit->store, KEY_EVENTS_OF "w1", 10, kit->arena, &items, &n));
    assert_int_equal(n, 3);
    Coffer__V1__WorkloadEvent *newest = coffer__v1__workload_event__unpack(
        arena_allocator(kit->arena), items[0].len, items[0].data);
    assert_string_equal(newest->kind, "starting");
    assert_int_equal(newest->sequence, 3);
}

static void test_create_twice_is_one(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__CreateWorkloadRequest *request;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_create(kit, "w1");
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 1024);
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].starts, 1);
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting");
    request = kit_create_request(kit, "w1");
    request->account_id = (char *)"somebody-else";
    kit_code(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL),
             ERROR_ALREADY_EXISTS);
    request = kit_create_request(kit, "w2");
    request->domain = (char *)"w1." KIT_DOMAIN;
    kit_code(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL),
             ERROR_ALREADY_EXISTS);
    assert_null(kit_workload(kit, "w2"));
}

static void test_fits_nowhere(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    kit_code(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL),
             ERROR_RESOURCE_EXHAUSTED);
    kit_tick(kit);
    request->resources->memory_mib = 4097;
    struct error *err = kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL);
    assert_non_null(
        strstr(error_text(err), "2 hosts: memory exhausted (needs 4097 MiB, most free 4096 MiB)"));
    kit_code(err, ERROR_RESOURCE_EXHAUSTED);
    request->resources->memory_mib = 4096;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL));
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 4096);
    /* The next one goes to the other host, the one after that nowhere. */
    kit_create(kit, "w2");
    assert_string_equal(kit_workload(kit, "w2")->host_id, "h2");
    request = kit_create_request(kit, "w3");
    request->resources->memory_mib = 3073;
    kit_code(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL),
             ERROR_RESOURCE_EXHAUSTED);
    assert_string_equal(kit_events(kit, "w3"), "");
}

struct bad_create {
    const char *name;
    void (*spoil)(struct kit *kit, Coffer__V1__CreateWorkloadRequest *request);
    enum error_code code;
};

static void bad_id(_unused_ struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->workload_id = (char *)"../x";
}

static void no_account(_unused_ struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->account_id = (char *)"";
}

static void bad_domain(_unused_ struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->domain = (char *)"a b.test";
}

static void no_resources(_unused_ struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->resources = NULL;
}

static void no_cpus(_unused_ struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->resources->cpus = 0;
}

static void other_compose(struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->compose = arena_bytes(kit->arena, "services: {}", 12);
}

static void other_file(struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->files[0]->content = arena_bytes(kit->arena, "hellO", 5);
}

static void file_left_out(_unused_ struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->n_files = 0;
}

static void other_image(_unused_ struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->image_version = (char *)"1.1";
}

static void broken_manifest(struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->manifest = arena_bytes(kit->arena, "{\"a\":1}", 7);
}

static void secrets_of_another(struct kit *kit, Coffer__V1__CreateWorkloadRequest *request)
{
    request->sealed_secrets = kit_create_request(kit, "other")->sealed_secrets;
}

static void test_bad_creates(void **state)
{
    struct kit *kit = *state;
    static const struct bad_create rows[] = {
        {"id", bad_id, ERROR_INVALID_ARGUMENT},
        {"account", no_account, ERROR_INVALID_ARGUMENT},
        {"domain", bad_domain, ERROR_INVALID_ARGUMENT},
        {"resources", no_resources, ERROR_INVALID_ARGUMENT},
        {"cpus", no_cpus, ERROR_INVALID_ARGUMENT},
        {"compose", other_compose, ERROR_INVALID_ARGUMENT},
        {"file", other_file, ERROR_INVALID_ARGUMENT},
        {"files", file_left_out, ERROR_INVALID_ARGUMENT},
        {"image", other_image, ERROR_INVALID_ARGUMENT},
        {"manifest", broken_manifest, ERROR_INVALID_ARGUMENT},
        {"secrets", secrets_of_another, ERROR_INVALID_ARGUMENT},
    };
    kit_tick(kit);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
        rows[i].spoil(kit, request);
        struct error *err = kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL);
        if (error_get_code(err) != rows[i].code)
            fail_msg("%s: %s", rows[i].name, error_text(err));
        error_free(err);
    }
    assert_null(kit_workload(kit, "w1"));
    kit_ok(reconcile_pass(kit->scheduler));
    assert_string_equal(kit_events(kit, "w1"), "");
}

static void test_run_stop_start_delete(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    kit_ok(kit_wish(kit, "stop", "w1"));
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPING);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
    assert_int_equal(kit->hosts[0].vms[0].state, COFFER__V1__VM_STATE__VM_STOPPED);
    kit_ok(kit_wish(kit, "stop", "w1"));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    kit_ok(kit_wish(kit, "start", "w1"));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit->hosts[0].vms[0].generation, 3);
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_ok(kit_wish(kit, "delete", "w1"));
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DELETED);
    assert_int_equal(kit->hosts[0].n_vms, 0);
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 0);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    kit_code(kit_wish(kit, "start", "w1"), ERROR_FAILED_PRECONDITION);
    assert_string_equal(
        kit_events(kit, "w1"),
        "created scheduled starting stage:verified stage:release stage:login stage:pull "
        "stage:lint stage:up awaitingCert stage:certificate running stopping stopped scheduled "
        "starting deleting deleted");
    ProtobufCBinaryData *items;
    size_t n;
    kit_ok(store_list_range(kit->store, KEY_EVENTS_OF "w1", 100, kit->arena, &items, &n));
    assert_int_equal(n, 18);
    clock_fake_advance(&kit->clock, 3600001);
    assert_null(kit_workload(kit, "w1"));
    kit_ok(store_list_range(kit->store, KEY_EVENTS_OF "w1", 100, kit->arena, &items, &n));
    assert_int_equal(n, 0);
}

static void test_other_accounts_see_nothing(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    kit_tick(kit);
    kit_create(kit, "w1");
    request.workload_id = (char *)"w1";
    request.account_id = (char *)"mallory";
    kit_code(kit_call(kit, "svc.scheduler.workload.delete", &request.base, NULL), ERROR_NOT_FOUND);
    kit_code(kit_wish(kit, "stop", "unknown"), ERROR_NOT_FOUND);
    request.account_id = (char *)"";
    kit_ok(kit_call(kit, "svc.scheduler.workload.delete", &request.base, NULL));
}

static void test_restart_takes_new_secrets(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__RestartWorkloadRequest request = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    Coffer__V1__WorkloadInput *input;
    uint64_t version;
    kit_run_workload(kit, "w1", &guest);
    request.workload_id = (char *)"w1";
    request.account_id = (char *)"acme";
    request.sealed_secrets = kit_create_request(kit, "w2")->sealed_secrets;
    kit_code(kit_call(kit, "svc.scheduler.workload.restart", &request.base, NULL),
             ERROR_INVALID_ARGUMENT);
    request.sealed_secrets = kit_create_request(kit, "w1")->sealed_secrets;
    kit_ok(kit_call(kit, "svc.scheduler.workload.restart", &request.base, NULL));
    kit_ok(record_load(kit->scheduler, KEY_WORKLOAD_INPUT, "w1",
                       &coffer__v1__workload_input__descriptor, kit->arena, &input, &version));
    assert_true(bytes_equal(input->sealed_secrets, request.sealed_secrets));
    assert_int_equal(input->n_files, 1);
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].vms[0].generation, 2);
    assert_int_equal(kit->hosts[0].n_vms, 1);
}

/* The scheduler dies after every step; whatever is done twice has no effect twice. */
static void test_killed_at_every_step(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    static const char *const stages[] = {"release", "login", "pull", "lint", "up", "certificate"};
    kit_tick(kit);
    kit_restart_scheduler(kit);
    kit_create(kit, "w1");
    kit_restart_scheduler(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_restart_scheduler(kit);
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    kit_ok(kit_challenge(kit, &guest));
    kit_restart_scheduler(kit);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    Coffer__V1__AttestReply *reply;
    kit_ok(kit_attest(kit, &guest, request, &reply));
    kit_restart_scheduler(kit);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    for (size_t i = 0; i < ELEMENTSOF(stages); i++) {
        kit_restart_scheduler(kit);
        clock_fake_advance(&kit->clock, 100);
        kit_stage(kit, &guest, stages[i], NULL, true);
        kit_tick(kit);
    }
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    kit_restart_scheduler(kit);
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].starts + kit->hosts[1].starts, 1);
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 1024);
    assert_string_equal(
        kit_events(kit, "w1"),
        "created scheduled starting stage:verified stage:release stage:login stage:pull "
        "stage:lint stage:up awaitingCert stage:certificate running");
}

/* The host did what it was told, but the answer and the record of it got lost. */
static void test_lost_start_reply(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit_create(kit, "w1");
    strcpy(kit->hosts[0].vms[0].workload_id, "w1");
    kit->hosts[0].vms[0].generation = 1;
    kit->hosts[0].vms[0].state = COFFER__V1__VM_STATE__VM_RUNNING;
    kit->hosts[0].n_vms = 1;
    kit_restart_scheduler(kit);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit->hosts[0].starts, 0);
    assert_int_equal(kit->hosts[0].n_vms, 1);
    assert_int_equal(kit->hosts[0].ends, 0);
}

/* A paused ex-leader wakes up: it can change nothing, and notices. */
static void test_old_leader_is_fenced(void **state)
{
    struct kit *kit = *state;
    uint64_t term;
    kit_tick(kit);
    kit_ok(store_get_term(kit->store, &term));
    kit_ok(store_set_term(kit->store, term + 1));
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    kit_code(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL),
             ERROR_UNAVAILABLE);
    assert_null(kit_workload(kit, "w1"));
    kit_code(reconcile_pass(kit->scheduler), ERROR_ABORTED);
}

/* A bus whose publications fail for a while. */
static struct bus_ops failing_ops;

static struct error *fail_publish(_unused_ struct bus *bus, _unused_ const struct bus_message *m,
                                  _unused_ size_t n, _unused_ int timeout_ms, size_t *ret_done)
{
    *ret_done = 0;
    return error_new(ERROR_UNAVAILABLE, "no stream");
}

static void test_outbox_loses_nothing(void **state)
{
    struct kit *kit = *state;
    struct bus *real = kit->scheduler->bus;
    const struct bus_ops *ops = real->ops;
    kit_tick(kit);
    failing_ops = *ops;
    failing_ops.publish_durable_many = fail_publish;
    real->ops = &failing_ops;
    kit_create(kit, "w1");
    kit_code(outbox_flush(kit->scheduler), ERROR_UNAVAILABLE);
    real->ops = ops;
    assert_string_equal(kit_events(kit, "w1"), "");
    kit_restart_scheduler(kit);
    kit_ok(outbox_flush(kit->scheduler));
    assert_string_equal(kit_events(kit, "w1"), "created scheduled");
    kit_ok(outbox_flush(kit->scheduler));
    assert_string_equal(kit_events(kit, "w1"), "created scheduled");
}

/* Published, and killed before it was cleared: published again with the same id, seen once. */
static void test_outbox_repeats_are_harmless(void **state)
{
    struct kit *kit = *state;
    struct store_outbox_entry *entries;
    size_t n;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_ok(store_outbox_peek(kit->store, 1, kit->arena, &entries, &n));
    assert_string_equal(entries[0].id, "w1.1");
    const struct bus_message message = {.subject = entries[0].subject,
                                        .data = entries[0].payload.data,
                                        .size = entries[0].payload.len,
                                        .type = entries[0].type,
                                        .message_id = entries[0].id};
    kit_ok(bus_publish_durable(kit->bus, &message, 1000));
    kit_ok(outbox_flush(kit->scheduler));
    assert_string_equal(kit_events(kit, "w1"), "created scheduled");
}

static void test_dns_away_delays_nothing_else(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    dns_memory_fail(kit->dns, true);
    kit_create(kit, "w1");
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    dns_memory_fail(kit->dns, false);
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.1");
    assert_string_equal(kit_workload(kit, "w1")->dns_address, "192.0.2.1");
}

static void test_foreign_names_are_left_alone(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    kit_tick(kit);
    free(kit->config.dns_zone);
    kit->config.dns_zone = xstrdup("coffer.test");
    request->domain = (char *)"www.notcoffer.test";
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL));
    kit_create(kit, "w2");
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_null(dns_memory_find(kit->dns, "www.notcoffer.test"));
    assert_string_equal(kit_workload(kit, "w1")->dns_address, "");
    assert_non_null(dns_memory_find(kit->dns, "w2." KIT_DOMAIN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_create_place_start),
        KIT_TEST(test_events_are_also_kept_for_the_api),
        KIT_TEST(test_create_twice_is_one),
        KIT_TEST(test_fits_nowhere),
        KIT_TEST(test_bad_creates),
        KIT_TEST(test_run_stop_start_delete),
        KIT_TEST(test_other_accounts_see_nothing),
        KIT_TEST(test_restart_takes_new_secrets),
        KIT_TEST(test_killed_at_every_step),
        KIT_TEST(test_lost_start_reply),
        KIT_TEST(test_old_leader_is_fenced),
        KIT_TEST(test_outbox_loses_nothing),
        KIT_TEST(test_outbox_repeats_are_harmless),
        KIT_TEST(test_dns_away_delays_nothing_else),
        KIT_TEST(test_foreign_names_are_left_alone),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
