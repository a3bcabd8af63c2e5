#include "shared/store/test_store_kit.h"

struct store_fixture fixture;

void assert_ok(struct error *err)
{
    if (err)
        fail_msg("%s (%s)", error_text(err), error_origin(err));
}

void assert_code(struct error *err, enum error_code code)
{
    assert_int_equal(error_get_code(err), code);
    error_free(err);
}

ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

struct error *write_one(const char *key, uint64_t expected, const char *text, uint64_t term)
{
    struct store_write write = {.key = key, .expected_version = expected};

    if (text)
        write.value = bytes(text);
    return store_commit(fixture.store,
                        &(struct store_change){.writes = &write, .n_writes = 1, .term = term});
}

struct store_record read_one(const char *key)
{
    struct store_record record;

    assert_ok(store_get(fixture.store, key, fixture.arena, &record));
    return record;
}

void assert_value(const struct store_record *record, const char *text)
{
    assert_true(record->version > 0);
    assert_int_equal(record->value.len, strlen(text));
    assert_memory_equal(record->value.data, text, strlen(text));
}

int store_setup(void **state)
{
    (void)state;
    fixture.arena = arena_new();
    if (ON_REDIS) {
        redis_server_start(&fixture.redis);
        fixture.store = redis_server_open(&fixture.redis);
    } else {
        assert_ok(store_open("memory:", NULL, &fixture.store));
    }
    return 0;
}

int store_teardown(void **state)
{
    (void)state;
    store_free(fixture.store);
    if (ON_REDIS)
        redis_server_end(&fixture.redis);
    arena_free(fixture.arena);
    return 0;
}
