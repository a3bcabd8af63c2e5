/* Keys of ID blocks against published ones (COFFER_VECTORS, see test_verifier_vectors.c). */
#include "shared/attestation/test_attest.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/appraisal.h"
#include "shared/attestation/id_key.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

#define AUTH_SIZE       4096
#define AUTH_ID_KEY     0x240
#define AUTH_AUTHOR_KEY 0x880
#define AUTH_KEY_SIZE   0x404

static const char *root_dir;
static json_t *manifest; /* NULL: no vectors */

static void need_vectors(void)
{
    if (!manifest) {
        print_message("skipped: no ID block vectors at '%s' (set COFFER_VECTORS)\n", root_dir);
        skip();
    }
}

static char *path_of(const char *name)
{
    return xasprintf("%s/snp/_launch_digest/id_block/%s", root_dir, name);
}

/* The public half, as PEM; frees the key. */
static struct error *digest_of(EVP_PKEY *key, uint8_t ret_digest[ID_KEY_DIGEST_SIZE])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem = NULL;

    assert_non_null(key);
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    long size = BIO_get_mem_data(bio, &pem);
    struct error *err = id_key_digest(pem, (size_t)size, ret_digest);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return err;
}

static void published_key(const char *name, uint8_t ret_digest[ID_KEY_DIGEST_SIZE])
{
    _cleanup_free_ char *path = path_of(name);
    _cleanup_buffer_ struct buffer pem = {};

    expect_ok(file_read(path, ID_KEY_PEM_MAX, &pem));
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    expect_ok(digest_of(key, ret_digest));
}

static void published_digest(const char *name, uint8_t ret_digest[ID_KEY_DIGEST_SIZE])
{
    _cleanup_free_ uint8_t *digest = NULL;
    size_t size = 0;

    expect_ok(
        base64_decode_new(json_string_value(json_object_get(manifest, name)), 64, &digest, &size));
    assert_int_equal(size, ID_KEY_DIGEST_SIZE);
    memcpy(ret_digest, digest, ID_KEY_DIGEST_SIZE);
}

static const struct key_case {
    const char *key;
    const char *digest; /* in the manifest; NULL: in the ID authentication information */
    size_t at;
} keys[] = {
    {"measure_id_key_test.pem", "id_key_digest_b64", 0},
    {"measure_author_key_test.pem", "author_key_digest_b64", 0},
    {"sev_test_id_key.pem", NULL, AUTH_ID_KEY},
    {"sev_test_auth_key.pem", NULL, AUTH_AUTHOR_KEY},
};

static void published_digests_are_computed(void **state)
{
    (void)state;
    need_vectors();
    _cleanup_free_ char *path = path_of("sev_test_auth_block.bin");
    _cleanup_buffer_ struct buffer auth = {};

    expect_ok(file_read(path, AUTH_SIZE, &auth));
    assert_int_equal(auth.size, AUTH_SIZE);
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        uint8_t actual[ID_KEY_DIGEST_SIZE], expected[ID_KEY_DIGEST_SIZE];

        published_key(keys[i].key, actual);
        if (keys[i].digest)
            published_digest(keys[i].digest, expected);
        else
            assert_int_equal(EVP_Digest(auth.data + keys[i].at, AUTH_KEY_SIZE, expected, NULL,
                                        EVP_sha384(), NULL),
                             1);
        assert_memory_equal(actual, expected, sizeof(expected));
        print_message("vector id_block/%s: digest is equal\n", keys[i].key);
    }
}

/* The step on a report of a launch that these keys vouched for; "" when it passes. */
static const char *judge(const uint8_t policy_keys[2][ID_KEY_DIGEST_SIZE],
                         struct verify_result *ret_result)
{
    const struct verify_policy policy = {.id_keys = &policy_keys[0],
                                         .n_id_keys = 1,
                                         .author_keys = &policy_keys[1],
                                         .n_author_keys = 1};
    struct appraisal a = {.policy = &policy, .result = ret_result, .report.key_info = 1};

    verify_result_init(ret_result);
    published_digest("id_key_digest_b64", a.report.id_key_digest);
    published_digest("author_key_digest_b64", a.report.author_key_digest);
    appraise_launch(&a);
    for (size_t i = 0; i < ret_result->n_steps; i++)
        if (strcmp(ret_result->steps[i].id, "id_block") == 0)
            return ret_result->steps[i].code;
    fail_msg("there is no step 'id_block'");
    return NULL;
}

static void expect_judged(const char *id_key, const char *author_key, const char *code)
{
    uint8_t policy_keys[2][ID_KEY_DIGEST_SIZE];
    struct verify_result result;

    published_key(id_key, policy_keys[0]);
    published_key(author_key, policy_keys[1]);
    assert_string_equal(judge((const uint8_t(*)[ID_KEY_DIGEST_SIZE])policy_keys, &result), code);
    verify_result_done(&result);
    print_message("vector id_block, policy with %s and %s: %s\n", id_key, author_key,
                  code[0] ? code : "passes");
}

static void step_accepts_these_keys_alone(void **state)
{
    (void)state;
    need_vectors();
    expect_judged("measure_id_key_test.pem", "measure_author_key_test.pem", "");
    expect_judged("sev_test_id_key.pem", "measure_author_key_test.pem", "id_block_id_key");
    expect_judged("measure_id_key_test.pem", "sev_test_auth_key.pem", "id_block_author_key");
}

static void keys_of_other_kinds_are_refused(void **state)
{
    (void)state;
    uint8_t digest[ID_KEY_DIGEST_SIZE];

    expect_ok(digest_of(EVP_EC_gen("P-384"), digest));
    expect_code(digest_of(EVP_EC_gen("P-256"), digest), ERROR_INVALID_ARGUMENT);
    expect_code(digest_of(EVP_EC_gen("brainpoolP384r1"), digest), ERROR_INVALID_ARGUMENT);
    expect_code(digest_of(EVP_RSA_gen(2048), digest), ERROR_INVALID_ARGUMENT);
    expect_code(digest_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), digest),
                ERROR_INVALID_ARGUMENT);
}

static void texts_that_are_no_key_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-256-CBC,00000000000000000000000000000000\n\nAAAA\n-----END PUBLIC "
        "KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    };
    _cleanup_free_ char *large = xcalloc(ID_KEY_PEM_MAX + 1, 1);
    uint8_t digest[ID_KEY_DIGEST_SIZE];

    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        expect_code(id_key_digest(texts[i], strlen(texts[i]), digest), ERROR_INVALID_ARGUMENT);
    expect_code(id_key_digest(large, ID_KEY_PEM_MAX + 1, digest), ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests_are_computed),
        cmocka_unit_test(step_accepts_these_keys_alone),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(texts_that_are_no_key_are_refused),
    };

    root_dir = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    _cleanup_free_ char *path = path_of("manifest.json");
    manifest = json_load_file(path, 0, NULL);
    int failed = cmocka_run_group_tests_name("id_key", tests, NULL, NULL);
    json_decref(manifest);
    return failed;
}
