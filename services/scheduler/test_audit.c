/* The entry of the audit trail that comes with a change: there exactly when the change is. */
#include "schemas/catalog.pb-c.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit.h"
#include "services/scheduler/test_store.h"
#include "services/scheduler/workloads.h"
#include "shared/store/audit_trail.h"

/* What comes with a change. */
struct asking {
    const char *request_id;
    Coffer__V1__AuditEntry *audit;
};

/* {"id": <id>}, of account "acme". */
static Coffer__V1__AuditEntry *entry(struct kit *kit, const char *id)
{
    Coffer__V1__AuditEntry *audit = arena_alloc(kit->arena, sizeof(*audit));
    const char *text = arena_printf(kit->arena, "{\"id\":\"%s\"}", id);

    coffer__v1__audit_entry__init(audit);
    audit->account_id = (char *)"acme";
    audit->id = (char *)id;
    audit->entry = arena_bytes(kit->arena, text, strlen(text));
    return audit;
}

/* The ids in a list, newest first, with blanks between them. */
static const char *list(struct kit *kit, const char *key)
{
    const char *ids = "";
    ProtobufCBinaryData *items;
    size_t n;

    kit_ok(store_list_range(kit->store, key, 1000, kit->arena, &items, &n));
    for (size_t i = 0; i < n; i++)
        ids = arena_printf(kit->arena, "%s%s%.*s", ids, i ? " " : "", (int)items[i].len - 9,
                           (const char *)items[i].data + 7);
    return ids;
}

static void trail_is(struct kit *kit, const char *wanted)
{
    assert_string_equal(list(kit, KEY_AUDIT), wanted);
    assert_string_equal(list(kit, KEY_AUDIT_OF "acme"), wanted);
}

static struct error *workload_call(struct kit *kit, const char *verb,
                                   const ProtobufCMessage *message, bool *ret_audited)
{
    Coffer__V1__WorkloadReply *reply;
    struct error *err =
        kit_call(kit, arena_printf(kit->arena, "svc.scheduler.workload.%s", verb), message, &reply);

    if (!err)
        *ret_audited = reply->audited;
    return err;
}

static struct error *create(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w2");

    request->request_id = (char *)asking->request_id;
    request->audit = asking->audit;
    return workload_call(kit, "create", &request->base, ret_audited);
}

static struct error *wish(struct kit *kit, const char *verb, const struct asking *asking,
                          bool *ret_audited)
{
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;

    request.workload_id = (char *)"w1";
    request.request_id = (char *)asking->request_id;
    request.audit = asking->audit;
    return workload_call(kit, verb, &request.base, ret_audited);
}

static struct error *start(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    return wish(kit, "start", asking, ret_audited);
}

static struct error *stop(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    return wish(kit, "stop", asking, ret_audited);
}

static struct error *delete (struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    return wish(kit, "delete", asking, ret_audited);
}

static struct error *restart(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    Coffer__V1__RestartWorkloadRequest request = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;

    request.workload_id = (char *)"w1";
    request.request_id = (char *)asking->request_id;
    request.audit = asking->audit;
    return workload_call(kit, "restart", &request.base, ret_audited);
}

static struct error *update(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    const Coffer__V1__CreateWorkloadRequest *as = kit_create_request(kit, "w1");
    Coffer__V1__UpdateWorkloadRequest request = COFFER__V1__UPDATE_WORKLOAD_REQUEST__INIT;

    request.workload_id = as->workload_id;
    request.manifest = as->manifest;
    request.compose = as->compose;
    request.files = as->files;
    request.n_files = as->n_files;
    request.image_version = as->image_version;
    request.domain = as->domain;
    request.name = (char *)"renamed";
    request.request_id = (char *)asking->request_id;
    request.audit = asking->audit;
    return workload_call(kit, "update", &request.base, ret_audited);
}

static struct error *set_image(struct kit *kit, const char *subject, const struct asking *asking,
                               bool *ret_audited)
{
    Coffer__V1__ArtifactRequest request = COFFER__V1__ARTIFACT_REQUEST__INIT;
    Coffer__V1__Artifact *artifact;

    request.version = (char *)KIT_IMAGE;
    request.request_id = (char *)asking->request_id;
    request.audit = asking->audit;
    struct error *err = kit_call(kit, subject, &request.base, &artifact);
    if (!err)
        *ret_audited = artifact->audited;
    return err;
}

static struct error *disable(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    return set_image(kit, "svc.scheduler.artifact.disable", asking, ret_audited);
}

static struct error *enable(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    return set_image(kit, "svc.scheduler.artifact.enable", asking, ret_audited);
}

static struct error *put_tier(struct kit *kit, const char *subject, uint64_t cost,
                              const struct asking *asking, bool *ret_audited)
{
    Coffer__V1__WorkloadTier wanted = COFFER__V1__WORKLOAD_TIER__INIT;
    Coffer__V1__WorkloadTier *tier;

    wanted.tier_id = (char *)"t-1";
    wanted.name = (char *)"small";
    wanted.resources = kit_create_request(kit, "w1")->resources;
    wanted.usd_micros_per_minute = cost;
    wanted.request_id = (char *)asking->request_id;
    wanted.audit = asking->audit;
    struct error *err = kit_call(kit, subject, &wanted.base, &tier);
    if (err)
        return err;
    assert_null(tier->audit);
    *ret_audited = tier->audited;
    return NULL;
}

static struct error *tier_create(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    return put_tier(kit, "svc.scheduler.tier.create", 1, asking, ret_audited);
}

static struct error *tier_update(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    return put_tier(kit, "svc.scheduler.tier.update", 2, asking, ret_audited);
}

static struct error *tier_delete(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    Coffer__V1__WorkloadTierRequest request = COFFER__V1__WORKLOAD_TIER_REQUEST__INIT;
    Coffer__V1__Empty *reply;

    request.tier_id = (char *)"t-1";
    request.request_id = (char *)asking->request_id;
    request.audit = asking->audit;
    struct error *err = kit_call(kit, "svc.scheduler.tier.delete", &request.base, &reply);
    if (!err)
        *ret_audited = reply->audited;
    return err;
}

static struct error *host_delete(struct kit *kit, const struct asking *asking, bool *ret_audited)
{
    Coffer__V1__HostRequest request = COFFER__V1__HOST_REQUEST__INIT;
    Coffer__V1__Empty *reply;

    request.host_id = (char *)"h2";
    request.request_id = (char *)asking->request_id;
    request.audit = asking->audit;
    struct error *err = kit_call(kit, "svc.scheduler.host.delete", &request.base, &reply);
    if (!err)
        *ret_audited = reply->audited;
    return err;
}

typedef struct error *(*ask_fn)(struct kit *kit, const struct asking *asking, bool *ret_audited);

static const struct row {
    ask_fn ask;
    ask_fn first;  /* what makes it a change; NULL: nothing */
    bool is_no_op; /* the same once more, by another request, changes nothing */
} rows[] = {
    {create, NULL, true},
    {stop, NULL, true},
    {start, stop, true},
    {restart, NULL, false},
    {update, NULL, true},
    {delete, NULL, true},
    {disable, NULL, true},
    {enable, disable, true},
    {tier_create, NULL, true},
    {tier_update, tier_create, false},
    {tier_delete, tier_create, false},
    {host_delete, NULL, false},
};

/* Calls the function for each row with a kit of its own: "w1" on h1, and h2 has been silent. */
static void each_row(void (*function)(struct kit *kit, struct test_store *store,
                                      const struct row *row))
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct test_store store;
        void *place = NULL;
        bool audited;
        assert_int_equal(kit_setup(&place), 0);
        struct kit *kit = place;
        kit_tick(kit);
        kit_create(kit, "w1");
        for (int n = 0; n < 3; n++) {
            clock_fake_advance(&kit->clock, 30000);
            kit_heartbeat(kit, 0);
            kit_ok(reconcile_pass(kit->scheduler));
        }
        if (rows[i].first)
            kit_ok(rows[i].first(kit, &(struct asking){"", NULL}, &audited));
        test_store_init(&store, kit->store);
        kit->scheduler->store = &store.base;
        function(kit, &store, &rows[i]);
        kit->scheduler->store = kit->store;
        assert_int_equal(kit_teardown(&place), 0);
    }
}

static void in_its_commit(struct kit *kit, struct test_store *store, const struct row *row)
{
    bool audited = false;

    store->aborts = 1; /* of two attempts one writes it */
    kit_ok(row->ask(kit, &(struct asking){"", entry(kit, "e-1")}, &audited));
    assert_int_equal(store->commits, 2);
    assert_true(audited);
    trail_is(kit, "e-1");
    if (!row->is_no_op)
        return;
    kit_ok(row->ask(kit, &(struct asking){"", entry(kit, "e-2")}, &audited));
    assert_false(audited);
    trail_is(kit, "e-1");
}

static void test_the_entry_is_in_the_commit_of_the_change(void **state)
{
    (void)state;
    each_row(in_its_commit);
}

static void without_change(struct kit *kit, struct test_store *store, const struct row *row)
{
    bool audited = true;

    store->aborts = 100;
    kit_code(row->ask(kit, &(struct asking){"r-1", entry(kit, "e-1")}, &audited),
             ERROR_UNAVAILABLE);
    trail_is(kit, "");
    store->aborts = 0;
    kit_ok(row->ask(kit, &(struct asking){"r-1", NULL}, &audited)); /* an older gateway's */
    assert_false(audited);
    trail_is(kit, "");
}

static void test_no_entry_without_the_change_or_unasked(void **state)
{
    (void)state;
    each_row(without_change);
}

/* A message that came twice is answered alike; a client's retry has an entry of its own, which is
 * its asker's to write. */
static void repeated(struct kit *kit, struct test_store *store, const struct row *row)
{
    const struct asking once = {"r-1", entry(kit, "e-1")};
    const struct asking again = {"r-1", entry(kit, "e-2")};
    const struct asking older = {"r-1", NULL};
    bool audited = false;

    store->lose_answer = true;
    kit_code(row->ask(kit, &once, &audited), ERROR_UNAVAILABLE);
    trail_is(kit, "e-1");
    kit_ok(row->ask(kit, &once, &audited));
    assert_true(audited);
    kit_ok(row->ask(kit, &again, &audited));
    assert_false(audited);
    kit_ok(row->ask(kit, &older, &audited));
    assert_false(audited);
    assert_int_equal(store->commits, 1);
    trail_is(kit, "e-1");
}

static void test_a_repeat_writes_no_second_entry(void **state)
{
    (void)state;
    each_row(repeated);
}

/* Each that is not one, in place of a good one. */
static const struct bad {
    const char *account;
    const char *id;
    const char *text; /* NULL: one byte too long */
} bads[] = {
    {"Acme", "e-1", "{}"},
    {"a b", "e-1", "{}"},
    {"acme", "", "{}"},
    {"acme", "e 1", "{}"},
    {"acme", "e-1", ""},
    {"acme", "e-1", "[]"},
    {"acme", "e-1", "\"text\""},
    {"acme", "e-1", "{} {}"},
    {"acme", "e-1", "{\"a\":1,\"a\":2}"},
    {"acme", "e-1", "{\"a\":"},
    {"acme", "e-1", "{\"a\":\"\xff\"}"},
    {"acme", "e-1", NULL},
};

static const char *sized_object(struct kit *kit, size_t size)
{
    return arena_printf(kit->arena, "{\"a\":\"%0*d\"}", (int)size - 8, 0);
}

static void refuses_what_is_none(struct kit *kit, struct test_store *store, const struct row *row)
{
    bool audited;

    for (size_t i = 0; i < ELEMENTSOF(bads); i++) {
        Coffer__V1__AuditEntry *audit = entry(kit, bads[i].id);
        const char *text = bads[i].text ?: sized_object(kit, AUDIT_ENTRY_MAX + 1);
        audit->account_id = (char *)bads[i].account;
        audit->entry = arena_bytes(kit->arena, text, strlen(text));
        kit_code(row->ask(kit, &(struct asking){"", audit}, &audited), ERROR_INVALID_ARGUMENT);
    }
    assert_int_equal(store->commits, 0);
}

static void test_what_is_no_entry_is_refused(void **state)
{
    (void)state;
    each_row(refuses_what_is_none);
}

static void test_the_largest_entry_and_one_of_no_account(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__AuditEntry *audit = entry(kit, "e-1");
    const char *text = sized_object(kit, AUDIT_ENTRY_MAX);
    ProtobufCBinaryData *items;
    bool audited = false;
    size_t n;

    audit->entry = arena_bytes(kit->arena, text, strlen(text));
    audit->account_id = (char *)"";
    kit_ok(disable(kit, &(struct asking){"", audit}, &audited));
    assert_true(audited);
    kit_ok(store_list_range(kit->store, KEY_AUDIT, 10, kit->arena, &items, &n));
    assert_int_equal(n, 1);
    assert_int_equal(items[0].len, AUDIT_ENTRY_MAX);
    kit_ok(store_list_range(kit->store, KEY_AUDIT_OF, 10, kit->arena, &items, &n));
    assert_int_equal(n, 0);
}

/* In a group each that is accepted has its own, and nobody else's. */
static void test_a_group_of_creates(void **state)
{
    struct kit *kit = *state;
    struct creation creations[5] = {0};
    struct test_store store;

    kit_tick(kit);
    kit_create(kit, "w2");
    for (size_t i = 0; i < ELEMENTSOF(creations); i++) {
        Coffer__V1__CreateWorkloadRequest *request =
            kit_create_request(kit, arena_printf(kit->arena, "w%zu", i + 1));
        request->audit = entry(kit, arena_printf(kit->arena, "e-%zu", i + 1));
        creations[i].request = request;
    }
    ((Coffer__V1__CreateWorkloadRequest *)creations[2].request)->domain =
        (char *)"w1." KIT_DOMAIN; /* taken by the first, so it is judged after it */
    ((Coffer__V1__CreateWorkloadRequest *)creations[3].request)->audit->entry.len = 1;
    test_store_init(&store, kit->store);
    kit->scheduler->store = &store.base;
    workloads_create(kit->scheduler, creations, ELEMENTSOF(creations), kit->arena);
    kit->scheduler->store = kit->store;
    kit_ok(creations[0].err);
    kit_ok(creations[1].err); /* it was there already */
    kit_code(creations[2].err, ERROR_ALREADY_EXISTS);
    kit_code(creations[3].err, ERROR_INVALID_ARGUMENT);
    kit_ok(creations[4].err);
    for (size_t i = 0; i < ELEMENTSOF(creations); i++)
        assert_int_equal(creations[i].audited, i == 0 || i == 4);
    assert_int_equal(store.commits, 1);
    trail_is(kit, "e-5 e-1");
}

/* Nobody may read in a record what came with a request. */
static void test_no_record_has_it(void **state)
{
    struct kit *kit = *state;
    struct store_record record;
    bool audited;

    kit_ok(tier_create(kit, &(struct asking){"", entry(kit, "e-1")}, &audited));
    kit_ok(disable(kit, &(struct asking){"", entry(kit, "e-2")}, &audited));
    kit_ok(store_get(kit->store, KEY_TIERS, kit->arena, &record));
    assert_null(memmem(record.value.data, record.value.len, "e-1", 3));
    Coffer__V1__WorkloadTiers *all =
        coffer__v1__workload_tiers__unpack(NULL, record.value.len, record.value.data);
    assert_false(all->tiers[0]->audited);
    coffer__v1__workload_tiers__free_unpacked(all, NULL);
    kit_ok(store_get(kit->store, KEY_ARTIFACT KIT_IMAGE, kit->arena, &record));
    Coffer__V1__Artifact *artifact =
        coffer__v1__artifact__unpack(NULL, record.value.len, record.value.data);
    assert_false(artifact->audited);
    coffer__v1__artifact__free_unpacked(artifact, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_entry_is_in_the_commit_of_the_change),
        cmocka_unit_test(test_no_entry_without_the_change_or_unasked),
        cmocka_unit_test(test_a_repeat_writes_no_second_entry),
        cmocka_unit_test(test_what_is_no_entry_is_refused),
        KIT_TEST(test_the_largest_entry_and_one_of_no_account),
        KIT_TEST(test_a_group_of_creates),
        KIT_TEST(test_no_record_has_it),
    };
    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
