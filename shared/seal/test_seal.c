#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/seal/seal.h"

static const char context[] = "bundle";

/* Secret key 32 x 0x42, ephemeral 32 x 0x17, context "known". */
#define KNOWN_BOX                                                                                  \
    "01f13fef3efa9598a2a23fc756bf688fe8bbd7f6cf9528bbaef3b4442688f0ab315c49651b6c9326547aca518aca" \
    "ff"                                                                                           \
    "75f86770e160e35dd1a098551fe6cfff6c9518ba2cc864254f"

static void expect_ok(struct error *err)
{
    if (err)
        fail_msg("%s (%s)", error_text(err), error_origin(err));
}

static void expect_code(struct error *err, enum error_code code)
{
    assert_non_null(err);
    assert_int_equal(error_get_code(err), code);
    error_free(err);
}

static void round_trip(size_t size)
{
    _cleanup_(box_opener_freep) struct box_opener *opener = NULL;
    struct box_key key;
    _cleanup_buffer_ struct buffer plain = {}, box = {}, opened = {};

    for (size_t i = 0; i < size; i++)
        buffer_add_u8(&plain, (uint8_t)(i * 7));
    expect_ok(box_key_generate(&key));
    expect_ok(seal_to(key.public, context, plain.data, plain.size, &box));
    assert_int_equal(box.size, size + SEAL_OVERHEAD);
    expect_ok(seal_open(&key, context, box.data, box.size, &opened));
    assert_int_equal(opened.size, size);
    if (size)
        assert_memory_equal(opened.data, plain.data, size);
    buffer_done(&opened);
    expect_ok(box_opener_new(&key, &opener));
    for (int i = 0; i < 2; i++) {
        _cleanup_buffer_ struct buffer again = {};
        expect_ok(box_opener_open(opener, context, box.data, box.size, &again));
        assert_int_equal(again.size, size);
        if (size)
            assert_memory_equal(again.data, plain.data, size);
        expect_code(box_opener_open(opener, "other", box.data, box.size, &again),
                    ERROR_PERMISSION_DENIED);
    }
    box_key_done(&key);
}

static void box_opens_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 65536, 1000003};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
        round_trip(sizes[i]);
}

static void every_changed_byte_is_refused(void **state)
{
    (void)state;
    struct box_key key;
    _cleanup_buffer_ struct buffer box = {};

    expect_ok(box_key_generate(&key));
    expect_ok(seal_to(key.public, context, "secret", 6, &box));
    for (size_t i = 0; i < box.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            _cleanup_buffer_ struct buffer opened = {};
            /* the top bit of an X25519 point is ignored by RFC 7748, but is in the HKDF salt */
            box.data[i] ^= (uint8_t)(1 << bit);
            expect_code(seal_open(&key, context, box.data, box.size, &opened),
                        ERROR_PERMISSION_DENIED);
            assert_int_equal(opened.size, 0);
            box.data[i] ^= (uint8_t)(1 << bit);
        }
    }
}

static void every_cut_and_every_tail_is_refused(void **state)
{
    (void)state;
    struct box_key key;
    _cleanup_buffer_ struct buffer box = {}, opened = {};

    expect_ok(box_key_generate(&key));
    expect_ok(seal_to(key.public, context, "secret", 6, &box));
    for (size_t size = 0; size < box.size; size++)
        expect_code(seal_open(&key, context, box.data, size, &opened), ERROR_PERMISSION_DENIED);
    buffer_add_u8(&box, 0);
    expect_code(seal_open(&key, context, box.data, box.size, &opened), ERROR_PERMISSION_DENIED);
}

static void other_key_and_other_context_are_refused(void **state)
{
    (void)state;
    struct box_key key, other;
    _cleanup_buffer_ struct buffer box = {}, opened = {};
    static const char *const contexts[] = {"", "bundl", "bundle2", "Bundle"};

    expect_ok(box_key_generate(&key));
    expect_ok(box_key_generate(&other));
    expect_ok(seal_to(key.public, context, "secret", 6, &box));
    expect_code(seal_open(&other, context, box.data, box.size, &opened), ERROR_PERMISSION_DENIED);
    for (size_t i = 0; i < ELEMENTSOF(contexts); i++)
        expect_code(seal_open(&key, contexts[i], box.data, box.size, &opened),
                    ERROR_PERMISSION_DENIED);
    /* a caller that mixes up the public halves opens nothing either */
    memcpy(key.public, other.public, SEAL_KEY_SIZE);
    expect_code(seal_open(&key, context, box.data, box.size, &opened), ERROR_PERMISSION_DENIED);
}

static void small_order_receiver_is_refused(void **state)
{
    (void)state;
    static const uint8_t zero[SEAL_KEY_SIZE];
    _cleanup_buffer_ struct buffer box = {};

    struct error *err = seal_to(zero, context, "secret", 6, &box);
    assert_non_null(err);
    error_free(err);
    assert_int_equal(box.size, 0);
}

/* A box made once by an independent implementation of the header's text: the format is fixed. */
static void known_box_opens(void **state)
{
    (void)state;
    uint8_t secret[32], box[SEAL_OVERHEAD + 11];
    struct box_key key;
    _cleanup_buffer_ struct buffer opened = {};

    expect_ok(
        hex_decode("4242424242424242424242424242424242424242424242424242424242424242", secret, 32));
    expect_ok(hex_decode(KNOWN_BOX, box, sizeof(box)));
    expect_ok(box_key_from_secret(secret, &key));
    expect_ok(seal_open(&key, "known", box, sizeof(box), &opened));
    assert_string_equal(buffer_text(&opened), "hello world");
}

/* RFC 8032 section 7.1, test 2. */
static void signature_equals_the_rfc(void **state)
{
    (void)state;
    uint8_t seed[32], public[32], expected[64], actual[64];
    struct sign_key key;
    static const uint8_t message[] = {0x72};

    expect_ok(
        hex_decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", seed, 32));
    expect_ok(
        hex_decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", public, 32));
    expect_ok(hex_decode("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
                         expected, 64));
    expect_ok(sign_key_from_secret(seed, &key));
    assert_memory_equal(key.public, public, 32);
    expect_ok(sign_bytes(&key, message, sizeof(message), actual));
    assert_memory_equal(actual, expected, 64);
}

static void changed_signature_key_or_data_is_refused(void **state)
{
    (void)state;
    struct sign_key key, other;
    uint8_t signature[SIGN_SIZE];
    char data[] = "what is signed";

    expect_ok(sign_key_generate(&key));
    expect_ok(sign_key_generate(&other));
    expect_ok(sign_bytes(&key, data, sizeof(data), signature));
    expect_ok(sign_verify(key.public, data, sizeof(data), signature));
    expect_code(sign_verify(other.public, data, sizeof(data), signature), ERROR_PERMISSION_DENIED);
    expect_code(sign_verify(key.public, data, sizeof(data) - 1, signature),
                ERROR_PERMISSION_DENIED);
    for (size_t i = 0; i < SIGN_SIZE; i++) {
        signature[i] ^= 1;
        expect_code(sign_verify(key.public, data, sizeof(data), signature),
                    ERROR_PERMISSION_DENIED);
        signature[i] ^= 1;
    }
    data[3] ^= 1;
    expect_code(sign_verify(key.public, data, sizeof(data), signature), ERROR_PERMISSION_DENIED);
}

static char *temp_path(const char *name)
{
    static char dir[] = "/tmp/coffer-seal-XXXXXX";
    static char path[128];

    if (dir[strlen(dir) - 1] == 'X')
        assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void key_file_round_trip_and_mode(void **state)
{
    (void)state;
    struct sign_key key, loaded;
    struct box_key box;
    struct stat st;
    const char *path = temp_path("key");

    expect_ok(sign_key_generate(&key));
    expect_ok(key_file_save(path, key.secret));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect_ok(sign_key_load(path, &loaded));
    assert_memory_equal(&loaded, &key, sizeof(key));
    expect_ok(box_key_load(path, &box));
    assert_int_equal(chmod(path, 0640), 0);
    expect_code(sign_key_load(path, &loaded), ERROR_FAILED_PRECONDITION);
    unlink(path);
    expect_code(sign_key_load(path, &loaded), ERROR_NOT_FOUND);
}

static void bad_key_files_are_refused_and_not_quoted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "0011",
        "zz00000000000000000000000000000000000000000000000000000000000000\n",
        "00000000000000000000000000000000000000000000000000000000000000000\n",
        "000000000000000000000000000000000000000000000000000000000000000",
        " 00000000000000000000000000000000000000000000000000000000000000 ",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        const char *path = temp_path("bad");
        struct sign_key key;

        expect_ok(file_write_atomic(path, texts[i], strlen(texts[i]), 0600));
        struct error *err = sign_key_load(path, &key);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        if (strlen(texts[i]) > 2)
            assert_null(strstr(error_text(err), "0000"));
        error_free(err);
        unlink(path);
    }
    char *dir = temp_path("");
    dir[strlen(dir) - 1] = '\0';
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(box_opens_again),
        cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(every_cut_and_every_tail_is_refused),
        cmocka_unit_test(other_key_and_other_context_are_refused),
        cmocka_unit_test(small_order_receiver_is_refused),
        cmocka_unit_test(known_box_opens),
        cmocka_unit_test(signature_equals_the_rfc),
        cmocka_unit_test(changed_signature_key_or_data_is_refused),
        cmocka_unit_test(key_file_round_trip_and_mode),
        cmocka_unit_test(bad_key_files_are_refused_and_not_quoted),
    };

    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
