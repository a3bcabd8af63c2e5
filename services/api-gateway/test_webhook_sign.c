/* Secrets of webhooks: sealed, bound to their webhook, and what they sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "services/api-gateway/webhook_queue.h"
#include "services/api-gateway/webhook_sign.h"
#include "shared/base/encode.h"

#define ID "6b1c7a52-8f0e-4a39-9d51-000000000001"

static struct box_key key_of(uint8_t byte)
{
    struct sign_key gateway_key;
    struct box_key key;
    uint8_t secret[SIGN_KEY_SIZE];

    memset(secret, byte, sizeof(secret));
    assert_null(sign_key_from_secret(secret, &gateway_key));
    assert_null(webhook_key_init(&gateway_key, &key));
    sign_key_done(&gateway_key);
    return key;
}

static void test_a_secret_is_32_random_bytes(_unused_ void **state)
{
    char one[WEBHOOK_SECRET_SIZE];
    char other[WEBHOOK_SECRET_SIZE];

    assert_null(webhook_secret_make(one));
    assert_null(webhook_secret_make(other));
    assert_int_equal(strlen(one), WEBHOOK_SECRET_SIZE - 1);
    assert_memory_equal(one, "whsec_", 6);
    assert_string_not_equal(one, other);
    assert_int_equal(strspn(one + 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_"),
                     43);
}

static void test_copies_with_the_same_file_have_the_same_key(_unused_ void **state)
{
    struct box_key one = key_of(1);
    struct box_key same = key_of(1);
    struct box_key other = key_of(2);

    assert_memory_equal(one.secret, same.secret, SEAL_KEY_SIZE);
    assert_memory_not_equal(one.secret, other.secret, SEAL_KEY_SIZE);
    for (size_t i = 0; i < SEAL_KEY_SIZE; i++)
        if (one.secret[i] != 1)
            return;
    fail_msg("the gateway's own key is used");
}

static void test_a_sealed_secret_opens_for_its_webhook_and_key_only(_unused_ void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct box_key key = key_of(1);
    struct box_key other = key_of(2);
    char secret[WEBHOOK_SECRET_SIZE];
    char opened[WEBHOOK_SECRET_SIZE] = "";
    const char *sealed = NULL;

    assert_null(webhook_secret_make(secret));
    assert_null(webhook_secret_seal(&key, ID, secret, arena, &sealed));
    assert_null(strstr(sealed, secret + 6));
    assert_null(webhook_secret_open(&key, ID, sealed, opened));
    assert_string_equal(opened, secret);
    const struct {
        const struct box_key *key;
        const char *id;
        const char *sealed;
    } rows[] = {
        {&other, ID, sealed}, {&key, "another", sealed}, {&key, ID, ""},
        {&key, ID, "AAAA"},   {&key, ID, "not base64"},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(error_freep) struct error *err =
            webhook_secret_open(rows[i].key, rows[i].id, rows[i].sealed, opened);
        assert_int_equal(error_get_code(err), ERROR_INTERNAL);
        assert_null(strstr(error_text(err), secret));
    }
}

static void expect_mac(const char *secret, const char *bytes, char ret_hex[65])
{
    uint8_t mac[32];
    unsigned size = sizeof(mac);

    assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)bytes,
                         strlen(bytes), mac, &size));
    hex_encode(mac, sizeof(mac), ret_hex);
}

static void test_the_signature_is_over_time_and_body(_unused_ void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct box_key key = key_of(1);
    static const char *const secrets[] = {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                          "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"};
    const char *sealed[2] = {NULL, NULL};
    char value[WEBHOOK_SIGNATURE_MAX];
    char want[WEBHOOK_SIGNATURE_MAX];
    char first[65];
    char second[65];

    assert_null(webhook_secret_seal(&key, ID, secrets[0], arena, &sealed[0]));
    assert_null(webhook_sign(&key, ID, sealed, 1700000000, "{\"a\":1}", value));
    /* printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_AAA... */
    expect_mac(secrets[0], "1700000000.{\"a\":1}", first);
    snprintf(want, sizeof(want), "t=1700000000,v1=%s", first);
    assert_string_equal(value, want);

    assert_null(webhook_secret_seal(&key, ID, secrets[1], arena, &sealed[1]));
    assert_null(webhook_sign(&key, ID, sealed, 1700000000, "{\"a\":1}", value));
    expect_mac(secrets[1], "1700000000.{\"a\":1}", second);
    snprintf(want, sizeof(want), "t=1700000000,v1=%s,v1=%s", first, second);
    assert_string_equal(value, want);
}

static void test_the_old_secret_signs_for_its_day_only(_unused_ void **state)
{
    const struct webhook webhook = {
        .secret = "new", .previous_secret = "old", .previous_until_ms = 1000};
    const struct webhook first = {
        .secret = "new", .previous_secret = "", .previous_until_ms = 1000};
    const char *sealed[2];

    webhook_secrets(&webhook, 999, sealed);
    assert_string_equal(sealed[0], "new");
    assert_string_equal(sealed[1], "old");
    webhook_secrets(&webhook, 1000, sealed);
    assert_null(sealed[1]);
    webhook_secrets(&first, 0, sealed);
    assert_null(sealed[1]);
}

static void test_delays_double_up_to_an_hour(_unused_ void **state)
{
    static const int64_t most_s[] = {5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600};
    bool varies = false;

    for (unsigned i = 0; i < ELEMENTSOF(most_s); i++) {
        int64_t first = webhook_retry_delay_ms(i + 1);
        for (int n = 0; n < 100; n++) {
            int64_t delay = webhook_retry_delay_ms(i + 1);
            assert_true(delay <= most_s[i] * 1000);
            assert_true(delay > most_s[i] * 800);
            varies = varies || delay != first;
        }
    }
    assert_true(varies);
    assert_true(webhook_retry_delay_ms(1000000) <= 3600 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_is_32_random_bytes),
        cmocka_unit_test(test_copies_with_the_same_file_have_the_same_key),
        cmocka_unit_test(test_a_sealed_secret_opens_for_its_webhook_and_key_only),
        cmocka_unit_test(test_the_signature_is_over_time_and_body),
        cmocka_unit_test(test_the_old_secret_signs_for_its_day_only),
        cmocka_unit_test(test_delays_double_up_to_an_hour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
