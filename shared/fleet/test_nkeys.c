#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/fleet/nkeys.h"

/* A pair made by another implementation (the example of the NATS documentation). */
static const char known_seed[] = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
static const char known_public[] = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

static void test_a_known_seed_gives_its_public_key_and_itself(_unused_ void **state)
{
    char public[NKEY_PUBLIC_TEXT_SIZE];
    char seed[NKEY_SEED_TEXT_SIZE];
    struct nkey key;

    assert_null(nkey_from_seed(NKEY_USER, known_seed, &key));
    nkey_public_text(&key, public);
    nkey_seed_text(&key, seed);
    assert_string_equal(public, known_public);
    assert_string_equal(seed, known_seed);
}

static void test_generated_keys_start_with_their_type(_unused_ void **state)
{
    static const struct {
        enum nkey_type type;
        const char *public;
        const char *seed;
    } cases[] = {{NKEY_OPERATOR, "O", "SO"}, {NKEY_ACCOUNT, "A", "SA"}, {NKEY_USER, "U", "SU"}};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char public[NKEY_PUBLIC_TEXT_SIZE];
        char seed[NKEY_SEED_TEXT_SIZE];
        uint8_t raw[SIGN_KEY_SIZE];
        struct nkey key;
        struct nkey again;

        assert_null(nkey_generate(cases[i].type, &key));
        nkey_public_text(&key, public);
        nkey_seed_text(&key, seed);
        assert_int_equal(strncmp(public, cases[i].public, 1), 0);
        assert_int_equal(strncmp(seed, cases[i].seed, 2), 0);
        assert_int_equal(strlen(public), NKEY_PUBLIC_TEXT_SIZE - 1);
        assert_int_equal(strlen(seed), NKEY_SEED_TEXT_SIZE - 1);
        assert_null(nkey_from_seed(cases[i].type, seed, &again));
        assert_memory_equal(again.key.public, key.key.public, SIGN_KEY_SIZE);
        assert_null(nkey_public_decode(cases[i].type, public, raw));
        assert_memory_equal(raw, key.key.public, SIGN_KEY_SIZE);
    }
}

static void test_damaged_or_foreign_keys_are_refused(_unused_ void **state)
{
    static const struct {
        enum nkey_type type;
        const char *seed;
    } seeds[] = {
        {NKEY_ACCOUNT, "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"},
        {NKEY_USER, "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VA"},
        {NKEY_USER, "SUBCSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"},
        {NKEY_USER, "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3V"},
        {NKEY_USER, "suacssl3uahudxkfsnvuzrf5uhpmwz6bfdtj7m6usdxiednppqyyycu3vy"},
        {NKEY_USER, "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"},
        {NKEY_USER, ""},
    };
    static const char *const publics[] = {
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF5",
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF", "", "U"};
    uint8_t raw[SIGN_KEY_SIZE];
    struct nkey key;

    for (size_t i = 0; i < ELEMENTSOF(seeds); i++) {
        struct error *err = nkey_from_seed(seeds[i].type, seeds[i].seed, &key);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        assert_null(strstr(error_text(err), "SU"));
        error_free(err);
    }
    for (size_t i = 0; i < ELEMENTSOF(publics); i++) {
        struct error *err = nkey_public_decode(NKEY_USER, publics[i], raw);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
}

static void test_base32_matches_rfc_4648(_unused_ void **state)
{
    static const struct {
        const char *data;
        const char *text;
    } cases[] = {{"", ""},
                 {"f", "MY"},
                 {"fo", "MZXQ"},
                 {"foo", "MZXW6"},
                 {"foob", "MZXW6YQ"},
                 {"fooba", "MZXW6YTB"},
                 {"foobar", "MZXW6YTBOI"}};
    char text[32];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        base32_encode((const uint8_t *)cases[i].data, strlen(cases[i].data), text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_known_seed_gives_its_public_key_and_itself),
        cmocka_unit_test(test_generated_keys_start_with_their_type),
        cmocka_unit_test(test_damaged_or_foreign_keys_are_refused),
        cmocka_unit_test(test_base32_matches_rfc_4648),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
