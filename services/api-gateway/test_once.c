/* A change whose answer was lost is asked for again: it is done once, and neither its own effect
 * nor what others did since stands in the way of its answer. And of two who have read the same,
 * one is refused. */
#include "services/api-gateway/test_scene.h"

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define KEY    "Idempotency-Key: k"
#define OTHER  "Idempotency-Key: other"
#define UPDATE "/api/v1/workloads/update"

enum { WRITERS = 4 };

static void create(const struct fixture *f)
{
    _cleanup_answer_ struct answer answer = http_post(
        f, "/api/v1/workloads/create",
        "{\"workloadId\":\"w-new\",\"name\":\"hello\",\"artifactsVersion\":\"" TEST_IMAGE "\","
        "\"dockerCompose\":\"services:\\n  web:\\n    image: hello:1\\n    environment:\\n"
        "      A: ${A:-}\\n      B: ${B:-}\\n\","
        "\"publicContainerName\":\"web\",\"publicContainerPort\":8080,"
        "\"memory\":1024,\"cpus\":2,\"disk\":10,\"gpus\":0,"
        "\"envVars\":{\"A\":\"1\",\"B\":\"2\"},\"files\":{\"a.txt\":\"aGVsbG8=\"}}");

    if (answer.status != 200)
        fail_msg("%s", buffer_text(&answer.body));
}

static Coffer__V1__Workload *load(const struct fixture *f, struct arena *arena)
{
    struct store_record record;
    void *place = NULL;

    assert_null(store_get(f->store, KEY_WORKLOAD "w-new", arena, &record));
    assert_null(bus_unpack(&coffer__v1__workload__descriptor, record.value.data, record.value.len,
                           arena, &place));
    return place;
}

/* What the scheduler, or somebody else, makes of it since. */
static void move_on(const struct fixture *f, Coffer__V1__WorkloadStatus status)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__Workload *workload = load(f, arena);

    workload->status = status;
    workload->event_sequence += 3;
    workload->generation++;
    put_message(f, KEY_WORKLOAD "w-new", &workload->base);
}

static char *if_match(const struct fixture *f)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const Coffer__V1__Workload *workload = load(f, arena);

    return xasprintf("If-Match: \"%u-%u-00000000\"", (unsigned)workload->generation,
                     (unsigned)workload->event_sequence);
}

static struct answer call(const struct fixture *f, const char *path, const char *one,
                          const char *other, const char *body)
{
    const char *const headers[] = {one, other, NULL};

    return http_call_with(f, "POST", path, TEST_KEY, headers, body);
}

static void check_kind(const struct answer *answer, long status, const char *kind)
{
    if (answer->status != status)
        fail_msg("%ld instead of %ld: %s", answer->status, status, buffer_text(&answer->body));
    assert_string_equal(answer_text(answer, "kind"), kind);
}

static const struct row {
    const char *path;
    const char *body;
    Coffer__V1__WorkloadStatus then; /* what it is when it is asked for again */
} rows[] = {
    {"/api/v1/workloads/start", "{\"workloadId\":\"w-new\"}", COFFER__V1__WORKLOAD_STATUS__RUNNING},
    {"/api/v1/workloads/stop", "{\"workloadId\":\"w-new\"}", COFFER__V1__WORKLOAD_STATUS__STOPPED},
    {"/api/v1/workloads/restart", "{\"workloadId\":\"w-new\"}",
     COFFER__V1__WORKLOAD_STATUS__STARTING},
    {"/api/v1/workloads/delete", "{\"workloadId\":\"w-new\"}",
     COFFER__V1__WORKLOAD_STATUS__DELETED},
    {UPDATE, "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}",
     COFFER__V1__WORKLOAD_STATUS__STARTING},
    /* over what it made itself, these make no sense */
    {UPDATE, "{\"workloadId\":\"w-new\",\"unsetEnvVars\":[\"A\"],\"confirmDataLoss\":true}",
     COFFER__V1__WORKLOAD_STATUS__STARTING},
    {UPDATE, "{\"workloadId\":\"w-new\",\"removeFiles\":[\"a.txt\"],\"confirmDataLoss\":true}",
     COFFER__V1__WORKLOAD_STATUS__STARTING},
    /* there was nothing to lose when it was done */
    {UPDATE, "{\"workloadId\":\"w-new\",\"name\":\"x\"}", COFFER__V1__WORKLOAD_STATUS__RUNNING},
};

static void lose(struct fixture *f, const struct row *row, const char *tag)
{
    f->lose_answer = true;
    _cleanup_answer_ struct answer lost = call(f, row->path, KEY, tag, row->body);
    check_kind(&lost, 503, "UNAVAILABLE");
    note_lost(f);
}

static void test_a_retry_has_the_first_outcome(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_freep) struct fixture *f = fixture_new();
        create(f);
        move_on(f, COFFER__V1__WORKLOAD_STATUS__STOPPED);
        _cleanup_free_ char *tag = if_match(f);
        f->commands = 0;
        lose(f, &rows[i], tag);
        move_on(f, rows[i].then);
        _cleanup_answer_ struct answer unknown = call(f, rows[i].path, tag, NULL, rows[i].body);
        assert_int_equal(unknown.status == 200, 0);
        _cleanup_answer_ struct answer other = call(f, rows[i].path, OTHER, tag, rows[i].body);
        assert_int_equal(other.status == 200, 0);
        assert_int_equal(f->commands, 1);
        _cleanup_answer_ struct answer again = call(f, rows[i].path, KEY, tag, rows[i].body);
        if (again.status != 200)
            fail_msg("row %zu: %s", i, buffer_text(&again.body));
        assert_string_equal(answer_text(&again, "workloadId"), "w-new");
        assert_int_equal(f->commands, 1);
        _cleanup_answer_ struct answer third = call(f, rows[i].path, KEY, tag, rows[i].body);
        assert_string_equal(buffer_text(&third.body), buffer_text(&again.body));
    }
}

static void test_without_a_key_a_retry_is_refused(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    _cleanup_free_ char *tag = if_match(f);
    for (size_t i = 0; i < 5; i++) {
        _cleanup_free_ char *now = if_match(f);
        f->lose_answer = true;
        _cleanup_answer_ struct answer lost = call(f, rows[i].path, now, NULL, rows[i].body);
        check_kind(&lost, 503, "UNAVAILABLE");
        move_on(f, COFFER__V1__WORKLOAD_STATUS__RUNNING);
        _cleanup_answer_ struct answer again = call(f, rows[i].path, now, NULL, rows[i].body);
        check_kind(&again, 412, "PRECONDITION_FAILED");
        _cleanup_answer_ struct answer old = call(f, rows[i].path, KEY, tag, rows[i].body);
        assert_int_equal(old.status == 200, 0);
    }
}

/* What others made of it meanwhile is what is told. */
static void test_the_answer_is_what_there_is(_unused_ void **state)
{
    static const char body[] =
        "{\"workloadId\":\"w-new\",\"setEnvVars\":{\"C\":\"1\"},\"confirmDataLoss\":true}";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    f->lose_answer = true;
    _cleanup_answer_ struct answer lost = call(f, UPDATE, KEY, NULL, body);
    check_kind(&lost, 503, "UNAVAILABLE");
    note_lost(f);
    _cleanup_answer_ struct answer other =
        call(f, UPDATE, NULL, NULL,
             "{\"workloadId\":\"w-new\",\"unsetEnvVars\":[\"C\"],\"confirmDataLoss\":true}");
    assert_int_equal(other.status, 200);
    f->commands = 0;
    _cleanup_answer_ struct answer again = call(f, UPDATE, KEY, NULL, body);
    _cleanup_answer_ struct answer there = http_get(f, "/api/v1/workloads/w-new");
    assert_int_equal(again.status, 200);
    assert_true(json_equal(again.json, there.json));
    assert_int_equal(json_array_size(json_object_get(again.json, "envVarNames")), 2);
    assert_int_equal(f->commands, 0);
}

/* The commit of the first try, while the second is judged. */
static void note_it(struct fixture *f)
{
    note_lost(f);
    move_on(f, COFFER__V1__WORKLOAD_STATUS__STARTING);
}

/* The first try was on its way until the second was refused: that is the answer of both. */
static void test_what_was_done_meanwhile_is_no_refusal(_unused_ void **state)
{
    static const struct {
        enum error_code code;
        const char *reason;
    } refusals[] = {
        {ERROR_ABORTED, "if_match"}, {ERROR_UNAVAILABLE, NULL}, {ERROR_NOT_FOUND, NULL}};
    static const char body[] = "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}";

    for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
        _cleanup_(fixture_freep) struct fixture *f = fixture_new();
        create(f);
        f->lose_answer = true;
        _cleanup_free_ char *tag = if_match(f);
        _cleanup_answer_ struct answer lost = call(f, UPDATE, KEY, tag, body);
        check_kind(&lost, 503, "UNAVAILABLE");
        f->answer_code = refusals[i].code;
        f->answer_reason = refusals[i].reason;
        f->answer_text = "as the test wants it";
        f->meanwhile = note_it;
        _cleanup_free_ char *now = if_match(f);
        _cleanup_answer_ struct answer again = call(f, UPDATE, KEY, now, body);
        if (again.status != 200)
            fail_msg("row %zu: %s", i, buffer_text(&again.body));
    }
}

/* The gateway's bus, which goes away once before an answer has come. */
static struct {
    struct bus_ops ops;
    const struct bus_ops *real;
    bool lose;
} bus_hook;

static struct error *request_and_lose(struct bus *bus, const struct bus_message *message,
                                      int timeout_ms, struct arena *arena,
                                      struct bus_message *ret_reply)
{
    struct error *err = bus_hook.real->request(bus, message, timeout_ms, arena, ret_reply);

    if (err || !bus_hook.lose)
        return err;
    bus_hook.lose = false;
    *ret_reply = (struct bus_message){0};
    return error_new(ERROR_UNAVAILABLE, "the bus went away");
}

static void hook_bus(struct fixture *f)
{
    bus_hook.real = f->bus->ops;
    bus_hook.ops = *bus_hook.real;
    bus_hook.ops.request = request_and_lose;
    bus_hook.lose = true;
    f->bus->ops = &bus_hook.ops;
}

/* It is asked twice, and says that it is the same: without a key, too. */
static void test_the_bus_asks_again_for_the_same_request(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_freep) struct fixture *f = fixture_new();
        create(f);
        move_on(f, COFFER__V1__WORKLOAD_STATUS__STOPPED);
        _cleanup_free_ char *tag = if_match(f);
        hook_bus(f);
        f->commands = 0;
        buffer_done(&f->all_payloads);
        _cleanup_answer_ struct answer answer = call(f, rows[i].path, tag, NULL, rows[i].body);
        if (answer.status != 200)
            fail_msg("row %zu: %s", i, buffer_text(&answer.body));
        assert_int_equal(f->commands, 2);
        assert_int_equal(f->all_payloads.size, 2 * f->last_payload.size);
        assert_memory_equal(f->all_payloads.data, f->last_payload.data, f->last_payload.size);
        assert_int_equal(f->done, 1);
    }
}

#define TIERS "/api/v1/workload-tiers/"
#define TIER                                                                                       \
    "{\"tierId\":\"t-1\",\"name\":\"small\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,"              \
    "\"diskGb\":10,\"cost\":0.25}"

static const struct tier_row {
    const char *method;
    const char *path;
    const char *body;
} tier_rows[] = {
    {"PUT", TIERS "update", TIER},
    {"POST", TIERS "delete", "{\"tierId\":\"t-1\"}"},
};

static void put_tiers(const struct fixture *f)
{
    Coffer__V1__WorkloadTiers all = COFFER__V1__WORKLOAD_TIERS__INIT;

    put_message(f, KEY_TIERS, &all.base);
}

static char *tiers_tag(const struct fixture *f)
{
    _cleanup_answer_ struct answer answer = http_get(f, TIERS "list");
    _cleanup_free_ char *tag = answer_header(&answer, "ETag");

    return xasprintf("If-Match: %s", tag);
}

static struct answer tier_call(const struct fixture *f, const struct tier_row *row, const char *one,
                               const char *other)
{
    const char *const headers[] = {one, other, NULL};

    return http_call_with(f, row->method, row->path, ADMIN, headers, row->body);
}

/* Of the latest request for a change of a tier. 0: none. */
static uint64_t expected_version(const struct fixture *f)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const Coffer__V1__TiersExpectation *expected;

    if (strcmp(f->last_subject, "svc.scheduler.tier.delete") == 0)
        expected = ((Coffer__V1__WorkloadTierRequest *)last_request(
                        f, &coffer__v1__workload_tier_request__descriptor, arena))
                       ->if_match;
    else
        expected = ((Coffer__V1__WorkloadTier *)last_request(
                        f, &coffer__v1__workload_tier__descriptor, arena))
                       ->if_match;
    return expected ? expected->version : 0;
}

static void test_tiers_expectation_is_passed_on(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(tier_rows); i++) {
        put_tiers(f);
        _cleanup_free_ char *old = tiers_tag(f);
        put_tiers(f);
        _cleanup_free_ char *now = tiers_tag(f);
        _cleanup_free_ char *either = xasprintf("%s, %s", old, now + strlen("If-Match: "));
        const char *const good[] = {now, either};
        f->commands = 0;
        _cleanup_answer_ struct answer refused = tier_call(f, &tier_rows[i], old, NULL);
        check_kind(&refused, 412, "PRECONDITION_FAILED");
        assert_int_equal(f->commands, 0);
        for (size_t k = 0; k < ELEMENTSOF(good); k++) {
            _cleanup_answer_ struct answer done = tier_call(f, &tier_rows[i], good[k], NULL);
            assert_int_equal(done.status, 200);
            _cleanup_free_ char *tag = xasprintf("If-Match: \"%u\"", (unsigned)expected_version(f));
            assert_string_equal(tag, now);
        }
        _cleanup_answer_ struct answer any = tier_call(f, &tier_rows[i], "If-Match: *", NULL);
        assert_int_equal(any.status, 200);
        assert_int_equal(expected_version(f), 0);
    }
}

/* Both have passed the gateway: the scheduler refuses the second. */
static void test_the_scheduler_decides_about_tiers(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_tiers(f);
    _cleanup_free_ char *tag = tiers_tag(f);
    f->answer_code = ERROR_ABORTED;
    f->answer_reason = "if_match";
    f->answer_text = "the tiers have changed meanwhile";
    for (size_t i = 0; i < ELEMENTSOF(tier_rows); i++) {
        _cleanup_answer_ struct answer answer = tier_call(f, &tier_rows[i], tag, NULL);
        check_kind(&answer, 412, "PRECONDITION_FAILED");
    }
}

static void test_a_retry_of_a_tier_has_the_first_outcome(_unused_ void **state)
{
    static const char *const keys[] = {KEY, OTHER};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(tier_rows); i++) {
        put_tiers(f);
        _cleanup_free_ char *tag = tiers_tag(f);
        f->lose_answer = true;
        _cleanup_answer_ struct answer lost = tier_call(f, &tier_rows[i], keys[i], tag);
        check_kind(&lost, 503, "UNAVAILABLE");
        note_lost(f);
        put_tiers(f); /* as the scheduler did */
        _cleanup_answer_ struct answer without = tier_call(f, &tier_rows[i], tag, NULL);
        check_kind(&without, 412, "PRECONDITION_FAILED");
        _cleanup_answer_ struct answer again = tier_call(f, &tier_rows[i], keys[i], tag);
        assert_int_equal(again.status, 200);
    }
}

/* Every change by the scheduler says which request it is. */
static void test_every_change_has_its_id(_unused_ void **state)
{
    static const struct {
        const char *path;
        const char *body;
        const ProtobufCMessageDescriptor *type;
    } changes[] = {
        {"/api/v1/artifacts/enable", "{\"version\":\"1.0\"}",
         &coffer__v1__artifact_request__descriptor},
        {"/api/v1/artifacts/disable", "{\"version\":\"1.0\"}",
         &coffer__v1__artifact_request__descriptor},
        {"/api/v1/metal-instances/delete", "{\"metalInstanceId\":\"h-1\"}",
         &coffer__v1__host_request__descriptor},
        {TIERS "delete", "{\"tierId\":\"t-1\"}", &coffer__v1__workload_tier_request__descriptor},
        {TIERS "create",
         "{\"name\":\"small\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,\"diskGb\":10,\"cost\":1}",
         &coffer__v1__workload_tier__descriptor},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        const struct tier_row row = {"POST", changes[i].path, changes[i].body};
        _cleanup_free_ char *key = xasprintf("Idempotency-Key: k-%zu", i);
        _cleanup_answer_ struct answer answer = tier_call(f, &row, key, NULL);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(changes[i].type, "request_id");
        const char *message = last_request(f, changes[i].type, arena);
        char *id = NULL;
        memcpy(&id, message + field->offset, sizeof(id));
        assert_int_equal(strlen(id), 64);
        f->commands = 0;
        _cleanup_answer_ struct answer without = tier_call(f, &row, NULL, NULL);
        memcpy(&id, (const char *)last_request(f, changes[i].type, arena) + field->offset,
               sizeof(id));
        assert_int_equal(strlen(id), 36);
    }
}

/* The gateway's own records: where they are read, and changed. */
static const struct own {
    enum actor actor;
    const char *path; /* of create, update and delete */
    const char *create;
    const char *id; /* member of the answer to create */
    const char *list;
    const char *id_field;
    const char *text_field; /* one that a change sets */
} owns[] = {
    {ACCOUNT_ADMIN, "/api/v1/members/",
     "{\"accountId\":\"$OURS\",\"name\":\"m\",\"role\":\"viewer\"}", "memberId",
     "/api/v1/members/account/$OURS", "memberId", "name"},
    {ACCOUNT_ADMIN, "/api/v1/api-keys/", "{\"accountId\":\"$OURS\",\"type\":\"user\"}", "keyId",
     "/api/v1/api-keys/account/$OURS", "id", "name"},
    {DEPLOYER, "/api/v1/webhooks/", "{\"url\":\"https://hooks.example/in\"}", "webhookId",
     "/api/v1/webhooks/list", "webhookId", "description"},
};

/* "update" or "delete", if it is as the header says. */
static struct answer own_call(const struct scene *scene, const struct own *own, const char *verb,
                              const char *id, const char *header, unsigned number)
{
    const char *const headers[] = {header, NULL};
    const bool update = strcmp(verb, "update") == 0;
    _cleanup_free_ char *path = xasprintf("%s%s", own->path, verb);
    _cleanup_free_ char *text = xasprintf(",\"%s\":\"n%u\"", own->text_field, number);
    _cleanup_free_ char *body =
        xasprintf("{\"%s\":\"%s\"%s}", own->id_field, id, update ? text : "");

    return scene_call_with(scene, own->actor, update ? "PUT" : "POST", path, headers, body);
}

static char *make(const struct scene *scene, const struct own *own)
{
    _cleanup_free_ char *path = xasprintf("%screate", own->path);
    _cleanup_answer_ struct answer answer =
        scene_call(scene, own->actor, "POST", path, own->create);

    assert_int_equal(answer.status, 200);
    return xstrdup(answer_text(&answer, own->id));
}

static char *own_tag(const struct scene *scene, const struct own *own, const char *id)
{
    _cleanup_answer_ struct answer answer = scene_call(scene, own->actor, "GET", own->list, NULL);
    const json_t *item;
    size_t i;

    json_array_foreach(answer.json, i, item)
    {
        const char *known = json_string_value(json_object_get(item, own->id));
        if (!known || strcmp(known, id) != 0)
            continue;
        const char *tag = json_string_value(json_object_get(item, "etag"));
        assert_non_null(tag);
        return xasprintf("If-Match: %s", tag);
    }
    fail_msg("%s is not listed", id);
    return NULL;
}

static void test_own_records_are_changed_as_they_were_read(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(owns); i++) {
        const struct own *own = &owns[i];
        _cleanup_free_ char *id = make(scene, own);
        _cleanup_free_ char *tag = own_tag(scene, own, id);
        _cleanup_answer_ struct answer first = own_call(scene, own, "update", id, tag, 1);
        assert_int_equal(first.status, 200);
        _cleanup_answer_ struct answer second = own_call(scene, own, "update", id, tag, 2);
        check_kind(&second, 412, "PRECONDITION_FAILED");
        _cleanup_answer_ struct answer kept = own_call(scene, own, "delete", id, tag, 0);
        check_kind(&kept, 412, "PRECONDITION_FAILED");
        _cleanup_free_ char *now = own_tag(scene, own, id);
        _cleanup_answer_ struct answer gone = own_call(scene, own, "delete", id, now, 0);
        assert_int_equal(gone.status, 200);
    }
}

/* One of several, at the same time. */
struct writer {
    const struct scene *scene;
    const struct own *own;
    pthread_barrier_t *start;
    const char *tag;
    const char *id;
    unsigned number;
    long status;
};

static void *write_own(void *data)
{
    struct writer *writer = data;

    pthread_barrier_wait(writer->start);
    _cleanup_answer_ struct answer answer =
        own_call(writer->scene, writer->own, "update", writer->id, writer->tag, writer->number);
    writer->status = answer.status;
    return NULL;
}

static void race(const struct scene *scene, const struct own *own, const char *id, const char *tag)
{
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    pthread_barrier_t start;
    unsigned done = 0;
    unsigned refused = 0;

    pthread_barrier_init(&start, NULL, WRITERS);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){scene, own, &start, tag, id, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_own, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        done += writers[i].status == 200;
        refused += writers[i].status == 412;
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(done, 1);
    assert_int_equal(refused, WRITERS - 1);
}

static void test_of_writers_at_once_one_wins(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(owns); i++) {
        _cleanup_free_ char *id = make(scene, &owns[i]);
        for (int round = 0; round < 5; round++) {
            _cleanup_free_ char *tag = own_tag(scene, &owns[i], id);
            race(scene, &owns[i], id, tag);
        }
    }
}

/* An account has its ETag in a header. */
static void test_of_writers_of_an_account_one_wins(_unused_ void **state)
{
    static const struct own own = {.actor = GLOBAL_ADMIN,
                                   .path = "/api/v1/accounts/",
                                   .id_field = "accountId",
                                   .text_field = "name"};
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (int round = 0; round < 5; round++) {
        _cleanup_answer_ struct answer account =
            scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/accounts/$OURS", NULL);
        _cleanup_free_ char *tag = answer_header(&account, "ETag");
        _cleanup_free_ char *header = xasprintf("If-Match: %s", tag);
        race(scene, &own, scene->ours, header);
        const char *const headers[] = {header, NULL};
        _cleanup_answer_ struct answer money =
            scene_call_with(scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/add-balance", headers,
                            "{\"accountId\":\"$OURS\",\"balance\":1}");
        check_kind(&money, 412, "PRECONDITION_FAILED");
    }
}

static void test_the_tag_of_one_webhook(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    const struct own *own = &owns[2];
    _cleanup_free_ char *id = make(scene, own);
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s", id);
    _cleanup_answer_ struct answer one = scene_call(scene, own->actor, "GET", path, NULL);
    _cleanup_free_ char *tag = answer_header(&one, "ETag");
    _cleanup_free_ char *header = xasprintf("If-Match: %s", tag);
    _cleanup_free_ char *listed = own_tag(scene, own, id);

    assert_string_equal(header, listed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_retry_has_the_first_outcome),
        cmocka_unit_test(test_without_a_key_a_retry_is_refused),
        cmocka_unit_test(test_the_answer_is_what_there_is),
        cmocka_unit_test(test_what_was_done_meanwhile_is_no_refusal),
        cmocka_unit_test(test_the_bus_asks_again_for_the_same_request),
        cmocka_unit_test(test_tiers_expectation_is_passed_on),
        cmocka_unit_test(test_the_scheduler_decides_about_tiers),
        cmocka_unit_test(test_a_retry_of_a_tier_has_the_first_outcome),
        cmocka_unit_test(test_every_change_has_its_id),
        cmocka_unit_test(test_own_records_are_changed_as_they_were_read),
        cmocka_unit_test(test_of_writers_at_once_one_wins),
        cmocka_unit_test(test_of_writers_of_an_account_one_wins),
        cmocka_unit_test(test_the_tag_of_one_webhook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
