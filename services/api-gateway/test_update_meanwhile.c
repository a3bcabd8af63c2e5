/* Updates of what has changed, or changes meanwhile; and repeats. */
#include "services/api-gateway/test_update_kit.h"

#include "shared/store/keys.h"

/* The record as it is, otherwise. */
static void put_at(const struct fixture *f, uint64_t generation, uint64_t sequence)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_record record;
    void *place = NULL;

    assert_null(store_get(f->store, KEY_WORKLOAD "w-new", arena, &record));
    assert_null(bus_unpack(&coffer__v1__workload__descriptor, record.value.data, record.value.len,
                           arena, &place));
    Coffer__V1__Workload *workload = place;
    workload->status = COFFER__V1__WORKLOAD_STATUS__RUNNING;
    workload->name = "hello";
    workload->generation = generation;
    workload->event_sequence = sequence;
    put_message(f, KEY_WORKLOAD "w-new", &workload->base);
}

static void test_if_match_is_compared_and_passed_on(_unused_ void **state)
{
    static const struct {
        const char *header;
        long status;
        bool passed_on;
    } rows[] = {
        {"If-Match: \"7-41-00000000\"", 200, true},
        {"If-Match: \"1-1-00000000\", \"7-41-12345678\"", 200, true},
        {"If-Match: *", 200, true},
        {"If-Match: \"7-4-00000000\"", 412, false},
        {"If-Match: \"7-412-00000000\"", 412, false},
        {"If-Match: \"6-41-00000000\"", 412, false},
        {"If-Match: W/\"7-41-00000000\"", 412, false},
        {"If-Match: 7-41-00000000", 412, false},
        {"If-Match: \"7-41-", 412, false},
        {"If-Match: ,", 412, false},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    hello_create(f);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        put_at(f, 7, 41);
        const unsigned before = f->commands;
        _cleanup_answer_ struct answer answer =
            http_call_header(f, "POST", UPDATE, rows[i].header,
                             "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}");
        if (answer.status != rows[i].status)
            fail_msg("%s: %ld %s", rows[i].header, answer.status, buffer_text(&answer.body));
        assert_int_equal(f->commands - before, answer.status == 200);
        if (answer.status != 200) {
            assert_string_equal(answer_text(&answer, "kind"), "PRECONDITION_FAILED");
            continue;
        }
        const Coffer__V1__Expectation *expectation = sent_update(f, arena)->if_match;
        assert_int_equal(expectation != NULL, rows[i].passed_on);
        assert_true(!expectation ||
                    (expectation->generation == 7 && expectation->event_sequence == 41));
    }
}

/* Records of the workload as they were at some time. */
struct snapshot {
    struct buffer workload;
    struct buffer input;
};

static struct snapshot later; /* what another update makes of it in the meantime */

static void take_record(const struct fixture *f, const char *key, struct buffer *ret_value)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_record record;

    assert_null(store_get(f->store, key, arena, &record));
    buffer_add(ret_value, record.value.data, record.value.len);
}

static void put_record(const struct fixture *f, const char *key, const struct buffer *value)
{
    const struct store_write write = {
        .key = key,
        .expected_version = UINT64_MAX,
        .value = {.data = value->data, .len = value->size},
    };
    const struct store_change change = {.writes = &write, .n_writes = 1};

    expect_no_error(store_commit(f->store, &change)); /* also on the bus's thread */
}

static void snapshot_take(const struct fixture *f, struct snapshot *ret_snapshot)
{
    take_record(f, KEY_WORKLOAD "w-new", &ret_snapshot->workload);
    take_record(f, KEY_WORKLOAD_INPUT "w-new", &ret_snapshot->input);
}

static void snapshot_put(const struct fixture *f, const struct snapshot *snapshot)
{
    put_record(f, KEY_WORKLOAD "w-new", &snapshot->workload);
    put_record(f, KEY_WORKLOAD_INPUT "w-new", &snapshot->input);
}

static void snapshot_done(struct snapshot *snapshot)
{
    buffer_done(&snapshot->workload);
    buffer_done(&snapshot->input);
}

static void come_between(struct fixture *f)
{
    snapshot_put(f, &later);
}

/* Each sets one value: whoever comes second must keep that of the first. */
static void test_of_two_updates_none_is_lost(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(snapshot_done) struct snapshot before = {0};

    hello_create(f);
    snapshot_take(f, &before);
    _unused_ _cleanup_answer_ struct answer other =
        hello_update_confirmed(f, ",\"setEnvVars\":{\"C\":\"1\"}");
    snapshot_take(f, &later);
    snapshot_put(f, &before);
    f->meanwhile = come_between;
    f->commands = 0;
    _cleanup_answer_ struct answer answer =
        hello_update_confirmed(f, ",\"setEnvVars\":{\"D\":\"1\"}");
    snapshot_done(&later);
    assert_int_equal(answer.status, 200);
    assert_int_equal(f->commands, 2);
    const Coffer__V1__UpdateWorkloadRequest *request = sent_update(f, arena);
    assert_string_equal(update_names(request, arena),
                        "env A,B,C,D files a.txt secret key.pem registries r.test");
    assert_string_equal(update_sealed(f, request, arena), "D=1 ");
}

/* Who asked to be told is told; who did not, only when it never ends. */
static void test_changed_meanwhile(_unused_ void **state)
{
    static const struct {
        const char *header;
        long status;
        const char *kind;
        unsigned tries;
    } rows[] = {
        {"If-Match: \"1-0-00000000\"", 412, "PRECONDITION_FAILED", 1},
        {"If-Match: *", 409, "CONFLICT", 30},
        {"X-Nothing: 1", 409, "CONFLICT", 30},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    hello_create(f);
    f->answer_code = ERROR_ABORTED;
    f->answer_reason = "if_match";
    f->answer_text = "changed meanwhile";
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        f->commands = 0;
        _cleanup_answer_ struct answer answer =
            http_call_header(f, "POST", UPDATE, rows[i].header,
                             "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}");
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer_text(&answer, "kind"), rows[i].kind);
        assert_int_equal(f->commands, rows[i].tries);
    }
}

/* The scheduler is told which request it is, so that it does a repeat no second time: the answer of
 * the first was lost, and the VM that it made has data by now. */
static void test_a_repeat_is_known_as_one(_unused_ void **state)
{
    static const char secret[] = "{\"workloadId\":\"w-new\",\"setEnvVars\":{\"A\":\"1\"},"
                                 "\"confirmDataLoss\":true}";
    static const struct {
        const char *key;
        const char *body;
        bool same; /* as the first */
    } rows[] = {
        {"Idempotency-Key: k", secret, true},
        {"Idempotency-Key: k", secret, true},
        {"Idempotency-Key: other", secret, false},
        {"Idempotency-Key: k", "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}",
         false},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char *first = NULL;

    hello_create(f);
    f->answer_code = ERROR_UNAVAILABLE; /* nothing is kept, and the key is free again */
    f->answer_text = "no answer";
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            http_call_header(f, "POST", UPDATE, rows[i].key, rows[i].body);
        assert_int_equal(answer.status, 503);
        const char *id = sent_update(f, arena)->request_id;
        first = first ?: id;
        assert_int_equal(strlen(id), 64);
        assert_int_equal(strcmp(id, first) == 0, rows[i].same);
    }
    _cleanup_answer_ struct answer without = http_post(f, UPDATE, secret);
    assert_int_equal(without.status, 503);
    assert_int_equal(strlen(sent_update(f, arena)->request_id), 36); /* known to nobody else */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_if_match_is_compared_and_passed_on),
        cmocka_unit_test(test_of_two_updates_none_is_lost),
        cmocka_unit_test(test_changed_meanwhile),
        cmocka_unit_test(test_a_repeat_is_known_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
