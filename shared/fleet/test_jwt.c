#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/fleet/jwt.h"

enum { PART_MAX = 16384 };

/* base64url without padding to bytes, through the strict decoder of the other alphabet. */
static size_t decode_part(const char *part, size_t length, uint8_t **ret_data)
{
    char text[PART_MAX];
    size_t size = 0;

    assert_true(length + 4 < sizeof(text));
    for (size_t i = 0; i < length; i++)
        text[i] = part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i];
    while (length % 4)
        text[length++] = '=';
    text[length] = '\0';
    assert_null(base64_decode_new(text, PART_MAX, ret_data, &size));
    return size;
}

/* Checks header and signature as a server does; gives the claims. */
static json_t *verify(const char *jwt, const struct nkey *issuer)
{
    const char *first = strchr(jwt, '.');
    const char *second = strrchr(jwt, '.');
    _cleanup_free_ uint8_t *header = NULL;
    _cleanup_free_ uint8_t *payload = NULL;
    _cleanup_free_ uint8_t *signature = NULL;
    char issuer_text[NKEY_PUBLIC_TEXT_SIZE];

    assert_true(first && second > first);
    decode_part(jwt, (size_t)(first - jwt), &header);
    decode_part(first + 1, (size_t)(second - first - 1), &payload);
    assert_int_equal(decode_part(second + 1, strlen(second + 1), &signature), SIGN_SIZE);
    assert_string_equal((char *)header, "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}");
    assert_null(sign_verify(issuer->key.public, jwt, (size_t)(second - jwt), signature));
    json_t *claims = json_loads((char *)payload, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(claims);
    nkey_public_text(issuer, issuer_text);
    assert_string_equal(json_string_value(json_object_get(claims, "iss")), issuer_text);
    assert_int_equal(strlen(json_string_value(json_object_get(claims, "jti"))), 52);
    return claims;
}

static const char *nats_text(const json_t *claims, const char *name)
{
    return json_string_value(json_object_get(json_object_get(claims, "nats"), name));
}

static void test_operator_and_account_are_signed_by_the_operator(_unused_ void **state)
{
    struct nkey operator_key;
    char account[] = "ABAIHMJEENYSAC4DAOGL6EKCMOVAAY2AN7RMCIL4T6VAJOI7XRDYGLLX";
    const struct jwt_account facts = {.account = account,
                                      .name = "coffer",
                                      .signing_key = "ASIGN",
                                      .jetstream = true,
                                      .map_from = "get.obj.>",
                                      .map_to = "x.>"};
    _cleanup_free_ char *operator_jwt = NULL;
    _cleanup_free_ char *account_jwt = NULL;

    assert_null(nkey_generate(NKEY_OPERATOR, &operator_key));
    assert_null(jwt_operator(&operator_key, "coffer", account, 1000, &operator_jwt));
    assert_null(jwt_account(&operator_key, &facts, 1000, &account_jwt));
    _cleanup_(json_decrefp) json_t *operator_claims = verify(operator_jwt, &operator_key);
    _cleanup_(json_decrefp) json_t *account_claims = verify(account_jwt, &operator_key);
    assert_string_equal(nats_text(operator_claims, "type"), "operator");
    assert_string_equal(nats_text(operator_claims, "system_account"), account);
    assert_string_equal(json_string_value(json_object_get(account_claims, "sub")), account);
    const json_t *nats = json_object_get(account_claims, "nats");
    const json_t *limits = json_object_get(nats, "limits");
    assert_int_equal(json_integer_value(json_object_get(limits, "disk_storage")), -1);
    assert_int_equal(json_integer_value(json_object_get(nats, "version")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(nats, "signing_keys"), 0)),
                        "ASIGN");
    assert_non_null(json_object_get(json_object_get(nats, "mappings"), "get.obj.>"));
}

static void test_a_user_carries_exactly_its_permissions(_unused_ void **state)
{
    struct nkey signing_key;
    struct permissions permissions;
    _cleanup_free_ char *jwt = NULL;

    assert_null(nkey_generate(NKEY_ACCOUNT, &signing_key));
    assert_null(permissions_of(IDENTITY_GUEST, "h1", "w1", &permissions));
    assert_null(
        jwt_user(&signing_key, "AACCOUNT", "UUSER", "guest", &permissions, 1000, 1600, &jwt));
    _cleanup_(json_decrefp) json_t *claims = verify(jwt, &signing_key);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 1600);
    assert_string_equal(nats_text(claims, "issuer_account"), "AACCOUNT");
    const json_t *nats = json_object_get(claims, "nats");
    const json_t *allow = json_object_get(json_object_get(nats, "pub"), "allow");
    assert_int_equal(json_integer_value(json_object_get(nats, "subs")), 64);
    assert_int_equal(json_array_size(allow), permissions.n_publish);
    for (size_t i = 0; i < permissions.n_publish; i++)
        assert_string_equal(json_string_value(json_array_get(allow, i)), permissions.publish[i]);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(nats, "allowed_connection_types"), 0)),
        "STANDARD");
}

static void test_an_identity_without_permissions_may_nothing(_unused_ void **state)
{
    struct nkey signing_key;
    const struct permissions none = {.connection_type = "STANDARD", .max_subscriptions = -1};
    _cleanup_free_ char *jwt = NULL;

    assert_null(nkey_generate(NKEY_ACCOUNT, &signing_key));
    assert_null(jwt_user(&signing_key, "A", "U", "none", &none, 1000, 0, &jwt));
    _cleanup_(json_decrefp) json_t *claims = verify(jwt, &signing_key);
    assert_null(json_object_get(claims, "exp"));
    const json_t *nats = json_object_get(claims, "nats");
    for (size_t i = 0; i < 2; i++) {
        const json_t *side = json_object_get(nats, i ? "sub" : "pub");
        assert_null(json_object_get(side, "allow"));
        assert_string_equal(json_string_value(json_array_get(json_object_get(side, "deny"), 0)),
                            ">");
    }
}

static void test_permissions_need_the_names_they_are_made_of(_unused_ void **state)
{
    static const struct {
        enum identity identity;
        const char *host;
        const char *workload;
        bool right;
    } cases[] = {
        {IDENTITY_SCHEDULER, NULL, NULL, true}, {IDENTITY_LEAF, "h1", NULL, true},
        {IDENTITY_LEAF, NULL, NULL, false},     {IDENTITY_LEAF, ">", NULL, false},
        {IDENTITY_LEAF, "*", NULL, false},      {IDENTITY_LEAF, "h1.x", NULL, false},
        {IDENTITY_LEAF, "H1", NULL, false},     {IDENTITY_GUEST, "h1", "w1", true},
        {IDENTITY_GUEST, "h1", NULL, false},    {IDENTITY_GUEST, "h1", "*", false},
        {IDENTITY_GUEST, "h1", ">", false},     {IDENTITY_GUEST, "h1", "", false},
    };
    struct permissions permissions;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct error *err =
            permissions_of(cases[i].identity, cases[i].host, cases[i].workload, &permissions);
        assert_int_equal(error_get_code(err), cases[i].right ? ERROR_OK : ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
}

static void test_creds_text_holds_jwt_and_seed(_unused_ void **state)
{
    struct nkey user;
    char seed[NKEY_SEED_TEXT_SIZE];

    assert_null(nkey_generate(NKEY_USER, &user));
    nkey_seed_text(&user, seed);
    _cleanup_free_ char *text = creds_text("the.jwt.text", &user);
    assert_non_null(strstr(text, "-----BEGIN NATS USER JWT-----\nthe.jwt.text\n"));
    assert_non_null(strstr(text, seed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator_and_account_are_signed_by_the_operator),
        cmocka_unit_test(test_a_user_carries_exactly_its_permissions),
        cmocka_unit_test(test_an_identity_without_permissions_may_nothing),
        cmocka_unit_test(test_permissions_need_the_names_they_are_made_of),
        cmocka_unit_test(test_creds_text_holds_jwt_and_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
