/* The contract of store.h, on every backend: records, sets, lists, the outbox, the term. */
#include "shared/store/test_store_kit.h"

#include "shared/store/backends.h"

static void test_missing_record(void **state)
{
    (void)state;
    struct store_record record = read_one("t:missing");

    assert_int_equal(record.version, 0);
    assert_int_equal(record.value.len, 0);
    assert_string_equal(record.key, "t:missing");
}

static void test_compare_and_set(void **state)
{
    (void)state;
    assert_ok(write_one("t:cas", 0, "one", 0));
    assert_code(write_one("t:cas", 0, "two", 0), ERROR_ABORTED);
    struct store_record record = read_one("t:cas");
    assert_value(&record, "one");
    assert_ok(write_one("t:cas", record.version, "two", 0));
    assert_code(write_one("t:cas", record.version, "three", 0), ERROR_ABORTED);
    record = read_one("t:cas");
    assert_value(&record, "two");
    assert_ok(write_one("t:cas", UINT64_MAX, "three", 0));
    record = read_one("t:cas");
    assert_value(&record, "three");
}

static void test_version_never_repeats(void **state)
{
    (void)state;
    assert_ok(write_one("t:aba", 0, "one", 0));
    struct store_record first = read_one("t:aba");
    assert_ok(write_one("t:aba", first.version, NULL, 0));
    assert_int_equal(read_one("t:aba").version, 0);
    assert_ok(write_one("t:aba", 0, "one", 0));
    assert_true(read_one("t:aba").version > first.version);
    assert_code(write_one("t:aba", first.version, "stale", 0), ERROR_ABORTED);
}

static void test_binary_and_empty_values(void **state)
{
    (void)state;
    static const uint8_t data[] = {0, 1, '\r', '\n', 0, 255};
    struct store_write writes[] = {
        {.key = "t:binary", .value = {.data = (uint8_t *)data, .len = sizeof(data)}},
        {.key = "t:empty", .value = {.data = (uint8_t *)"", .len = 0}},
    };

    assert_ok(store_commit(fixture.store, &(struct store_change){.writes = writes, .n_writes = 2}));
    struct store_record record = read_one("t:binary");
    assert_int_equal(record.value.len, sizeof(data));
    assert_memory_equal(record.value.data, data, sizeof(data));
    record = read_one("t:empty");
    assert_true(record.version > 0);
    assert_int_equal(record.value.len, 0);
}

static void test_commit_is_all_or_nothing(void **state)
{
    (void)state;
    struct store_write writes[] = {
        {.key = "t:all-a", .value = bytes("a")},
        {.key = "t:all-b", .expected_version = 999999999, .value = bytes("b")},
    };
    struct store_index_edit edit = {.set = "t:all-set", .member = "m"};
    struct store_outbox_entry entry = {
        .id = "all.1", .subject = "evt.t", .type = "T", .payload = bytes("p")};
    struct store_list_edit list = {.key = "t:all-list", .value = bytes("l"), .max_length = 5};
    struct store_change change = {.writes = writes,
                                  .n_writes = 2,
                                  .edits = &edit,
                                  .n_edits = 1,
                                  .outbox = &entry,
                                  .n_outbox = 1,
                                  .lists = &list,
                                  .n_lists = 1};
    struct store_outbox_entry *entries;
    ProtobufCBinaryData *items;
    const char **members;
    size_t n;

    assert_code(store_commit(fixture.store, &change), ERROR_ABORTED);
    assert_int_equal(read_one("t:all-a").version, 0);
    assert_ok(store_members(fixture.store, "t:all-set", 10, fixture.arena, &members, &n));
    assert_int_equal(n, 0);
    assert_ok(store_outbox_peek(fixture.store, 10, fixture.arena, &entries, &n));
    assert_int_equal(n, 0);
    writes[1].expected_version = 0;
    assert_ok(store_commit(fixture.store, &change));
    assert_int_equal(read_one("t:all-a").version, read_one("t:all-b").version);
    assert_ok(store_members(fixture.store, "t:all-set", 10, fixture.arena, &members, &n));
    assert_int_equal(n, 1);
    assert_ok(store_list_range(fixture.store, "t:all-list", 10, fixture.arena, &items, &n));
    assert_int_equal(n, 1);
    assert_ok(store_outbox_peek(fixture.store, 10, fixture.arena, &entries, &n));
    assert_int_equal(n, 1);
    assert_ok(store_outbox_clear(fixture.store, (const char *[]){"all.1"}, 1));
}

static void test_index(void **state)
{
    (void)state;
    struct store_index_edit edits[] = {
        {.set = "t:set", .member = "b"},
        {.set = "t:set", .member = "a"},
        {.set = "t:set", .member = "a"},
        {.set = "t:set", .member = "c"},
    };
    const char **members;
    size_t n;

    assert_ok(store_commit(fixture.store, &(struct store_change){.edits = edits, .n_edits = 4}));
    assert_ok(store_members(fixture.store, "t:set", 3, fixture.arena, &members, &n));
    assert_int_equal(n, 3);
    assert_string_equal(members[0], "a");
    assert_string_equal(members[2], "c");
    assert_code(store_members(fixture.store, "t:set", 2, fixture.arena, &members, &n),
                ERROR_RESOURCE_EXHAUSTED);
    edits[0].remove = true;
    assert_ok(store_commit(fixture.store, &(struct store_change){.edits = edits, .n_edits = 1}));
    assert_ok(store_members(fixture.store, "t:set", 3, fixture.arena, &members, &n));
    assert_int_equal(n, 2);
}

/* In their order, also where edits of several sets are mixed. */
static void test_many_edits_of_sets_in_one_commit(void **state)
{
    (void)state;
    enum { N = 130 };
    static char texts[N][8];
    struct store_index_edit edits[3 * N];
    const char **members;
    size_t n;

    for (int i = 0; i < N; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%03d", i);
        edits[3 * i] = (struct store_index_edit){.set = "t:many-b", .member = texts[i]};
        edits[3 * i + 1] = (struct store_index_edit){.set = "t:many-a", .member = texts[i]};
        edits[3 * i + 2] =
            (struct store_index_edit){.set = "t:many-b", .member = texts[i], .remove = i != N - 1};
    }
    assert_ok(
        store_commit(fixture.store, &(struct store_change){.edits = edits, .n_edits = 3 * N}));
    assert_ok(store_members(fixture.store, "t:many-a", N, fixture.arena, &members, &n));
    assert_int_equal(n, N);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(members[i], texts[i]);
    assert_ok(store_members(fixture.store, "t:many-b", N, fixture.arena, &members, &n));
    assert_int_equal(n, 1);
    assert_string_equal(members[0], texts[N - 1]);
}

static void test_get_many(void **state)
{
    (void)state;
    enum { N = 600 };
    const char *keys[N];
    struct store_record records[N];

    assert_ok(write_one("t:many-1", 0, "one", 0));
    assert_ok(write_one("t:many-599", 0, "last", 0));
    for (int i = 0; i < N; i++)
        keys[i] = arena_printf(fixture.arena, "t:many-%d", i);
    assert_ok(store_get_many(fixture.store, keys, N, fixture.arena, records));
    assert_int_equal(records[0].version, 0);
    assert_value(&records[1], "one");
    assert_value(&records[599], "last");
    assert_string_equal(records[599].key, "t:many-599");
}

static void test_outbox_keeps_order(void **state)
{
    (void)state;
    struct store_outbox_entry entries[] = {
        {.id = "w.1", .subject = "evt.a", .type = "A", .payload = bytes("one")},
        {.id = "w.2", .subject = "evt.b", .type = "B", .payload = {0}},
    };
    struct store_outbox_entry more = {
        .id = "w.3", .subject = "evt.c", .type = "", .payload = bytes("three")};
    struct store_outbox_entry *found;
    size_t n;

    assert_ok(
        store_commit(fixture.store, &(struct store_change){.outbox = entries, .n_outbox = 2}));
    assert_ok(store_commit(fixture.store, &(struct store_change){.outbox = &more, .n_outbox = 1}));
    assert_ok(store_outbox_peek(fixture.store, 2, fixture.arena, &found, &n));
    assert_int_equal(n, 2);
    assert_string_equal(found[0].id, "w.1");
    assert_string_equal(found[0].subject, "evt.a");
    assert_string_equal(found[0].type, "A");
    assert_memory_equal(found[0].payload.data, "one", 3);
    assert_int_equal(found[1].payload.len, 0);
    assert_ok(store_outbox_clear(fixture.store, (const char *[]){"w.2", "w.1", "unknown"}, 3));
    assert_ok(store_outbox_peek(fixture.store, 10, fixture.arena, &found, &n));
    assert_int_equal(n, 1);
    assert_string_equal(found[0].id, "w.3");
    assert_ok(store_outbox_clear(fixture.store, (const char *[]){"w.3"}, 1));
    assert_ok(store_outbox_peek(fixture.store, 10, fixture.arena, &found, &n));
    assert_int_equal(n, 0);
}

/* Repeated attempts put the same entries again, and a batch may be larger than what one command
 * takes. */
static void test_outbox_entries_that_come_again(void **state)
{
    (void)state;
    enum { MANY = 250 };
    struct store_outbox_entry entries[MANY + 1];
    const char *ids[MANY];
    struct store_outbox_entry *found;
    size_t n;

    for (size_t i = 0; i < MANY; i++) {
        ids[i] = arena_printf(fixture.arena, "w.%zu", i);
        entries[i] = (struct store_outbox_entry){
            .id = ids[i], .subject = "evt.a", .type = "A", .payload = bytes("old")};
    }
    entries[MANY] = entries[7]; /* twice in one commit */
    assert_ok(store_commit(fixture.store,
                           &(struct store_change){.outbox = entries, .n_outbox = MANY + 1}));
    entries[0].payload = bytes("new");
    assert_ok(
        store_commit(fixture.store, &(struct store_change){.outbox = entries, .n_outbox = 2}));
    assert_ok(store_outbox_peek(fixture.store, 2 * MANY, fixture.arena, &found, &n));
    assert_int_equal(n, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_string_equal(found[i].id, ids[i]);
    assert_memory_equal(found[0].payload.data, "new", 3);
    assert_ok(store_outbox_clear(fixture.store, ids, 100)); /* in their order */
    assert_ok(store_outbox_clear(fixture.store, (const char *[]){ids[101], ids[100], ids[249]}, 3));
    assert_ok(store_outbox_peek(fixture.store, MANY, fixture.arena, &found, &n));
    assert_int_equal(n, MANY - 103);
    assert_string_equal(found[0].id, ids[102]);
    assert_string_equal(found[n - 1].id, ids[248]);
    assert_ok(store_outbox_clear(fixture.store, ids + 102, MANY - 102)); /* one of them is gone */
    assert_ok(store_outbox_peek(fixture.store, MANY, fixture.arena, &found, &n));
    assert_int_equal(n, 0);
}

static void test_list_is_bounded(void **state)
{
    (void)state;
    ProtobufCBinaryData *items;
    size_t n;

    for (int i = 0; i < 5; i++) {
        char text[2] = {(char)('0' + i), 0};
        assert_ok(store_list_push(fixture.store, "t:list", text, 1, 3));
    }
    assert_ok(store_list_push(fixture.store, "t:other-list", "x", 1, 3));
    assert_ok(store_list_range(fixture.store, "t:list", 10, fixture.arena, &items, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(items[0].data, "4", 1);
    assert_memory_equal(items[2].data, "2", 1);
    assert_ok(store_list_range(fixture.store, "t:list", 1, fixture.arena, &items, &n));
    assert_int_equal(n, 1);
}

static size_t list_length(const char *key)
{
    ProtobufCBinaryData *items;
    size_t n;

    assert_ok(store_list_range(fixture.store, key, 10, fixture.arena, &items, &n));
    return n;
}

/* As if each edit came alone, also where many of one list follow each other. */
static void test_many_edits_of_lists_in_one_commit(void **state)
{
    (void)state;
    enum { N = 250, MAX = 120 };
    static char texts[N][8];
    struct store_list_edit edits[N + 2];
    ProtobufCBinaryData *items;
    size_t n;

    for (int i = 0; i < N; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%d", i);
        edits[i] = (struct store_list_edit){
            .key = "t:long-list", .value = bytes(texts[i]), .max_length = MAX};
    }
    edits[N] =
        (struct store_list_edit){.key = "t:short-list", .value = bytes("short"), .max_length = 1};
    edits[N + 1] =
        (struct store_list_edit){.key = "t:long-list", .value = bytes("last"), .max_length = MAX};
    assert_ok(
        store_commit(fixture.store, &(struct store_change){.lists = edits, .n_lists = N + 2}));
    assert_ok(store_list_range(fixture.store, "t:long-list", N, fixture.arena, &items, &n));
    assert_int_equal(n, MAX);
    assert_int_equal(items[0].len, 4);
    assert_memory_equal(items[0].data, "last", 4);
    for (size_t i = 1; i < n; i++) {
        assert_int_equal(items[i].len, strlen(texts[N - i]));
        assert_memory_equal(items[i].data, texts[N - i], items[i].len);
    }
    assert_ok(store_list_range(fixture.store, "t:short-list", N, fixture.arena, &items, &n));
    assert_int_equal(n, 1);
}

/* As a change of many parts has them: each list is in the order of its own edits. */
static void test_edits_of_lists_in_turns(void **state)
{
    (void)state;
    enum { N = 250, LISTS = 3 };
    static const char *const keys[LISTS] = {"t:turns-b", "t:turns-a", "t:turns-c"};
    static char texts[N][8];
    struct store_list_edit edits[N];
    ProtobufCBinaryData *items;
    size_t n;

    for (int i = 0; i < N; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%d", i);
        edits[i] = (struct store_list_edit){
            .key = keys[i % LISTS], .value = bytes(texts[i]), .max_length = N};
    }
    assert_ok(store_commit(fixture.store, &(struct store_change){.lists = edits, .n_lists = N}));
    for (size_t list = 0; list < LISTS; list++) {
        size_t at = (N - 1 - list) / LISTS * LISTS + list;
        assert_ok(store_list_range(fixture.store, keys[list], N, fixture.arena, &items, &n));
        assert_int_equal(n, at / LISTS + 1);
        for (size_t i = 0; i < n; i++, at -= LISTS) {
            assert_int_equal(items[i].len, strlen(texts[at]));
            assert_memory_equal(items[i].data, texts[at], items[i].len);
        }
    }
}

/* Each edit counts as if it came alone, also where the next one of that list says otherwise. */
static void test_edits_of_one_list_that_differ(void **state)
{
    (void)state;
    const char *key = "t:differ";
    const struct store_list_edit edits[] = {
        {.key = key, .value = bytes("a"), .max_length = 5},
        {.key = key, .value = bytes("b"), .max_length = 5},
        {.key = key, .value = bytes("c"), .max_length = 1},
        {.key = key, .value = bytes("d"), .max_length = 5},
    };
    const struct store_change change = {.lists = edits, .n_lists = ELEMENTSOF(edits)};
    ProtobufCBinaryData *items;
    size_t n;

    assert_ok(store_commit(fixture.store, &change));
    assert_ok(store_list_range(fixture.store, key, 10, fixture.arena, &items, &n));
    assert_int_equal(n, 2);
    assert_memory_equal(items[0].data, "d", 1);
    assert_memory_equal(items[1].data, "c", 1);
}

static void test_list_expires_as_a_whole(void **state)
{
    (void)state;
    int64_t give_up = clock_monotonic_ms(clock_system()) + 60000;
    struct store_list_edit edit = {
        .key = "t:list-expire", .value = bytes("last"), .max_length = 5, .expire_ms = 3600000};
    const struct store_change change = {.lists = &edit, .n_lists = 1};

    assert_ok(store_list_push(fixture.store, edit.key, "first", 5, 5));
    assert_ok(store_commit(fixture.store, &change));
    assert_int_equal(list_length(edit.key), 2);
    edit.expire_ms = 1;
    assert_ok(store_commit(fixture.store, &change));
    while (list_length(edit.key))
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
}

static void test_expiry(void **state)
{
    (void)state;
    struct store_write write = {.key = "t:expire", .value = bytes("x"), .expire_ms = 1};
    int64_t give_up = clock_monotonic_ms(clock_system()) + 60000;

    assert_ok(store_commit(fixture.store, &(struct store_change){.writes = &write, .n_writes = 1}));
    while (read_one("t:expire").version)
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
    write.expire_ms = 3600 * 1000;
    assert_ok(store_commit(fixture.store, &(struct store_change){.writes = &write, .n_writes = 1}));
    struct store_record record = read_one("t:expire");
    assert_value(&record, "x");
}

static void test_term_fences(void **state)
{
    (void)state;
    uint64_t term;

    assert_ok(store_get_term(fixture.store, &term));
    assert_int_equal(term, 0);
    assert_ok(write_one("t:term", UINT64_MAX, "before", 1));
    assert_ok(store_set_term(fixture.store, 7));
    assert_code(store_set_term(fixture.store, 7), ERROR_ABORTED);
    assert_code(store_set_term(fixture.store, 6), ERROR_ABORTED);
    assert_ok(store_get_term(fixture.store, &term));
    assert_int_equal(term, 7);
    assert_code(write_one("t:term", UINT64_MAX, "paused ex-leader", 6), ERROR_ABORTED);
    assert_ok(write_one("t:term", UINT64_MAX, "leader", 7));
    assert_ok(write_one("t:term", UINT64_MAX, "no fence", 0));
    struct store_record record = read_one("t:term");
    assert_value(&record, "no fence");
}

static void test_urls(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "redis://",
                                      "redis://:x@",
                                      "http://a",
                                      "redis://u:p@h",
                                      "redis://h:port",
                                      "redis://h:1x",
                                      "redis://h/db",
                                      "redis+unix://relative",
                                      "redis://h:70000"};
    struct redis_address address;

    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_code(redis_address_parse(bad[i], &address), ERROR_INVALID_ARGUMENT);
    assert_ok(redis_address_parse("redis://:p@ss@host:1234/5", &address));
    assert_string_equal(address.password, "p@ss");
    assert_string_equal(address.host, "host");
    assert_int_equal(address.port, 1234);
    assert_int_equal(address.db, 5);
    redis_address_done(&address);
    assert_ok(redis_address_parse("redis://host", &address));
    assert_int_equal(address.port, 6379);
    assert_null(address.password);
    redis_address_done(&address);
}

#ifndef STORE_TEST_REDIS

static void test_expiry_follows_the_clock(void **state)
{
    (void)state;
    struct clock_fake clock;
    clock_fake_init(&clock, 1000);
    _cleanup_(store_freep) struct store *store = store_memory_new_with_clock(&clock.base);
    struct store_write write = {.key = "k", .value = bytes("x"), .expire_ms = 60000};
    struct store_record record;

    assert_ok(store_commit(store, &(struct store_change){.writes = &write, .n_writes = 1}));
    clock_fake_advance(&clock, 59999);
    assert_ok(store_get(store, "k", fixture.arena, &record));
    assert_true(record.version > 0);
    clock_fake_advance(&clock, 1);
    assert_ok(store_get(store, "k", fixture.arena, &record));
    assert_int_equal(record.version, 0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_record),
        cmocka_unit_test(test_compare_and_set),
        cmocka_unit_test(test_version_never_repeats),
        cmocka_unit_test(test_binary_and_empty_values),
        cmocka_unit_test(test_commit_is_all_or_nothing),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_many_edits_of_sets_in_one_commit),
        cmocka_unit_test(test_get_many),
        cmocka_unit_test(test_outbox_keeps_order),
        cmocka_unit_test(test_outbox_entries_that_come_again),
        cmocka_unit_test(test_list_is_bounded),
        cmocka_unit_test(test_many_edits_of_lists_in_one_commit),
        cmocka_unit_test(test_edits_of_lists_in_turns),
        cmocka_unit_test(test_edits_of_one_list_that_differ),
        cmocka_unit_test(test_list_expires_as_a_whole),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_term_fences),
        cmocka_unit_test(test_urls),
#ifndef STORE_TEST_REDIS
        cmocka_unit_test(test_expiry_follows_the_clock),
#endif
    };

    return cmocka_run_group_tests(tests, store_setup, store_teardown);
}
