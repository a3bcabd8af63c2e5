/* Kept answers: only the same caller with the same key opens one, and only whole. */
#include "services/api-gateway/idempotency_seal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECRET "coffer_0123456789abcdefghijklmnopqrstuvwxyzABCDE"

static struct idempotency_seal seal_of(const char *secret, const char *account, const char *key)
{
    struct idempotency_seal seal;

    assert_null(idempotency_seal_init(&seal, secret, account, key));
    return seal;
}

static void test_the_same_caller_opens_it(_unused_ void **state)
{
    static const char *const plains[] = {"", "x", "{\"status\":200}"};

    for (size_t i = 0; i < ELEMENTSOF(plains); i++) {
        struct idempotency_seal one = seal_of(SECRET, "acme", "k-1");
        struct idempotency_seal again = seal_of(SECRET, "acme", "k-1");
        _cleanup_buffer_ struct buffer box = {0};
        _cleanup_buffer_ struct buffer plain = {0};
        size_t size = strlen(plains[i]);
        assert_null(idempotency_seal_close(&one, "record", plains[i], size, &box));
        assert_int_equal(box.size, size + IDEMPOTENCY_SEAL_OVERHEAD);
        assert_null(idempotency_seal_open(&again, "record", box.data, box.size, &plain));
        assert_string_equal(buffer_text(&plain), plains[i]);
    }
}

static void test_two_boxes_of_one_text_differ(_unused_ void **state)
{
    struct idempotency_seal seal = seal_of(SECRET, "acme", "k-1");
    _cleanup_buffer_ struct buffer one = {0};
    _cleanup_buffer_ struct buffer other = {0};

    assert_null(idempotency_seal_close(&seal, "record", "text", 4, &one));
    assert_null(idempotency_seal_close(&seal, "record", "text", 4, &other));
    assert_memory_not_equal(one.data, other.data, one.size);
}

static void test_nobody_else_opens_it(_unused_ void **state)
{
    static const struct {
        const char *secret;
        const char *account;
        const char *key;
        const char *context;
    } rows[] = {
        {SECRET "x", "acme", "k-1", "record"},
        {"another-key-of-the-account", "acme", "k-1", "record"},
        {SECRET, "other", "k-1", "record"},
        {SECRET, "", "k-1", "record"},
        {SECRET, "acme", "k-2", "record"},
        {SECRET, "acme", "k-1", "record2"},
        {SECRET, "acme", "k-1", ""},
        {SECRET, "acm", "k-1e", "record"},
    };
    struct idempotency_seal ours = seal_of(SECRET, "acme", "k-1");
    _cleanup_buffer_ struct buffer box = {0};

    assert_null(idempotency_seal_close(&ours, "record", "secret", 6, &box));
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct idempotency_seal theirs = seal_of(rows[i].secret, rows[i].account, rows[i].key);
        _cleanup_buffer_ struct buffer plain = {0};
        _cleanup_(error_freep) struct error *err =
            idempotency_seal_open(&theirs, rows[i].context, box.data, box.size, &plain);
        assert_int_equal(error_get_code(err), ERROR_PERMISSION_DENIED);
        assert_int_equal(plain.size, 0);
    }
}

static void test_a_changed_or_short_box_is_refused(_unused_ void **state)
{
    struct idempotency_seal seal = seal_of(SECRET, "acme", "k-1");
    _cleanup_buffer_ struct buffer box = {0};

    assert_null(idempotency_seal_close(&seal, "record", "secret", 6, &box));
    for (size_t bit = 0; bit < 8 * box.size; bit++) {
        _cleanup_buffer_ struct buffer plain = {0};
        box.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        _cleanup_(error_freep) struct error *err =
            idempotency_seal_open(&seal, "record", box.data, box.size, &plain);
        assert_int_equal(error_get_code(err), ERROR_PERMISSION_DENIED);
        box.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t size = 0; size < box.size; size++) {
        _cleanup_buffer_ struct buffer plain = {0};
        _cleanup_(error_freep) struct error *err =
            idempotency_seal_open(&seal, "record", box.data, size, &plain);
        assert_int_equal(error_get_code(err), ERROR_PERMISSION_DENIED);
    }
}

static void test_too_much_is_not_sealed(_unused_ void **state)
{
    struct idempotency_seal seal = seal_of(SECRET, "acme", "k-1");
    _cleanup_buffer_ struct buffer box = {0};
    _cleanup_(error_freep) struct error *err =
        idempotency_seal_close(&seal, "record", "", (size_t)SEAL_PLAINTEXT_MAX + 1, &box);

    assert_int_equal(error_get_code(err), ERROR_RESOURCE_EXHAUSTED);
}

/* Where one part ends and the next begins counts too. */
static void test_fingerprints(_unused_ void **state)
{
    static const struct {
        const char *secret;
        const char *method;
        const char *path;
        const char *body;
    } rows[] = {
        {SECRET, "POST", "/a", "body"},
        {SECRET, "PUT", "/a", "body"},
        {SECRET, "POST", "/ab", "ody"},
        {SECRET, "POST", "/a", "bod"},
        {SECRET, "POST", "/a", ""},
        {SECRET, "POS", "T/a", "body"},
        {"another-key-entirely", "POST", "/a", "body"},
    };
    uint8_t prints[ELEMENTSOF(rows)][SHA256_SIZE];

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct idempotency_seal seal = seal_of(rows[i].secret, "acme", "k-1");
        _cleanup_buffer_ struct buffer body = {0};
        uint8_t again[SHA256_SIZE];
        buffer_add_text(&body, rows[i].body);
        assert_null(
            idempotency_seal_fingerprint(&seal, rows[i].method, rows[i].path, &body, prints[i]));
        assert_null(
            idempotency_seal_fingerprint(&seal, rows[i].method, rows[i].path, &body, again));
        assert_memory_equal(prints[i], again, sizeof(again));
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(prints[i], prints[k], sizeof(again));
    }
}

static void test_done_leaves_nothing(_unused_ void **state)
{
    static const struct idempotency_seal nothing;
    struct idempotency_seal seal = seal_of(SECRET, "acme", "k-1");

    idempotency_seal_done(&seal);
    assert_memory_equal(&seal, &nothing, sizeof(seal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_caller_opens_it),
        cmocka_unit_test(test_two_boxes_of_one_text_differ),
        cmocka_unit_test(test_nobody_else_opens_it),
        cmocka_unit_test(test_a_changed_or_short_box_is_refused),
        cmocka_unit_test(test_too_much_is_not_sealed),
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_done_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
