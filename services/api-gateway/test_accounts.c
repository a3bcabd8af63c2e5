/* Accounts: what each route does when all is right, who sees what, and money under contention. */
#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

enum { WRITERS = 8, ADDS = 25 };

#define WALLET "0x00112233445566778899aAbBcCdDeEfF00112233"

static double balance_of(const struct scene *scene, const char *id)
{
    _cleanup_free_ char *path = xasprintf("/api/v1/accounts/%s", id);
    _cleanup_answer_ struct answer answer = scene_call(scene, GLOBAL_ADMIN, "GET", path, NULL);

    assert_int_equal(answer.status, 200);
    return json_number_value(json_object_get(answer.json, "balance"));
}

static void test_create_get_and_list(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer made =
        scene_call(scene, ADMIN_BEARER, "POST", "/api/v1/accounts/create",
                   "{\"name\":\"n\",\"walletAddress\":\"" WALLET "\",\"balance\":0.1}");
    _cleanup_free_ char *path = xasprintf("/api/v1/accounts/%s", answer_text(&made, "accountId"));
    _cleanup_answer_ struct answer got = scene_call(scene, GLOBAL_ADMIN, "GET", path, NULL);
    _cleanup_answer_ struct answer list =
        scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/accounts/list", NULL);

    assert_int_equal(made.status, 200);
    assert_string_equal(answer_text(&made, "walletAddress"), WALLET);
    assert_string_equal(answer_text(&made, "createdAt"), "2023-11-14T22:43:20.000Z");
    assert_non_null(strstr(buffer_text(&made.body), "\"balance\":0.1,"));
    assert_true(json_is_number(json_object_get(got.json, "burnRatePerMin")));
    json_object_del(got.json, "burnRatePerMin"); /* which only questions tell */
    assert_true(json_equal(made.json, got.json));
    assert_int_equal(json_array_size(list.json), 4); /* and "dev" */
    assert_true(json_equal(made.json, json_array_get(list.json, 3)));
}

static void test_a_wallet_has_one_account(_unused_ void **state)
{
    static const char *const same[] = {WALLET, "0x00112233445566778899AABBCCDDEEFF00112233"};
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(same); i++) {
        _cleanup_free_ char *body = xasprintf("{\"name\":\"n\",\"walletAddress\":\"%s\"}", same[i]);
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/create", body);
        assert_int_equal(answer.status, i == 0 ? 200 : 409);
        if (i == 1)
            assert_string_equal(answer_text(&answer, "kind"), "ALREADY_EXISTS");
    }
    for (size_t i = 0; i < 2; i++) { /* without a wallet there may be many */
        _cleanup_answer_ struct answer answer = scene_call(
            scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/create", "{\"name\":\"none\"}");
        assert_int_equal(answer.status, 200);
    }
}

static void test_update_and_me(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer renamed =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/accounts/update",
                   "{\"accountId\":\"$OURS\",\"name\":\"n\xc3\xa9w\"}");
    _cleanup_answer_ struct answer me =
        scene_call(scene, AUDITOR, "GET", "/api/v1/accounts/me", NULL);

    assert_int_equal(renamed.status, 200);
    assert_int_equal(me.status, 200);
    assert_string_equal(answer_text(&me, "name"), "n\xc3\xa9w");
    assert_string_equal(answer_text(&me, "accountId"), scene->ours);
    assert_true(json_is_number(json_object_get(me.json, "burnRatePerMin")));
    assert_true(balance_of(scene, scene->ours) == 10.0);
}

static void test_add_balance(_unused_ void **state)
{
    static const struct {
        const char *amount;
        long status;
        double after;
    } rows[] = {
        {"2.5", 200, 12.5},
        {"-12.5", 200, 0},
        {"-0.000001", 412, 0},
        {"0.000001", 200, 0.000001},
        {"999999999.999999", 400, 0.000001}, /* too large together */
        {"999999999", 200, 999999999.000001},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *body =
            xasprintf("{\"accountId\":\"$OURS\",\"balance\":%s}", rows[i].amount);
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/add-balance", body);
        assert_int_equal(answer.status, rows[i].status);
        if (answer.status == 412)
            assert_string_equal(answer_text(&answer, "kind"), "NOT_ENOUGH_BALANCE");
        assert_true(balance_of(scene, scene->ours) == rows[i].after);
    }
    assert_true(balance_of(scene, scene->theirs) == 10.0);
}

/* Finding M1 of the existing system: an account must not give itself money. */
static void test_no_account_credits_itself(_unused_ void **state)
{
    static const enum actor actors[] = {ACCOUNT_ADMIN, AUDITOR, DEPLOYER, READER, FOREIGN};
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(actors); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, actors[i], "POST", "/api/v1/accounts/add-balance",
                       "{\"accountId\":\"$OURS\",\"balance\":1}");
        assert_int_equal(answer.status, 401);
        assert_string_equal(answer_text(&answer, "kind"), "ACCESS_DENIED");
    }
    assert_true(balance_of(scene, scene->ours) == 10.0);
}

static void *add_often(void *state)
{
    const struct scene *scene = state;

    for (int i = 0; i < ADDS; i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/add-balance",
                       "{\"accountId\":\"$OURS\",\"balance\":0.01}");
        expect_that(answer.status == 200);
    }
    return NULL;
}

static void test_concurrent_adds_are_all_kept(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    pthread_t threads[WRITERS];

    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, scene), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(balance_of(scene, scene->ours) == 10.0 + WRITERS * ADDS * 0.01);
    _cleanup_answer_ struct answer audit =
        scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/audit?accountId=$OURS&limit=1000", NULL);
    size_t n = json_array_size(json_object_get(audit.json, "entries"));
    assert_int_equal(n, WRITERS * ADDS + 7); /* and the account and its six keys */
}

static void test_the_admin_key(_unused_ void **state)
{
    static const struct {
        const char *key;
        long status;
    } rows[] = {
        {ADMIN, 200},
        {TEST_ADMIN, 200},
        {"X-API-KEY: " TEST_ADMIN, 200},
        {ADMIN "x", 401},
        {"x-api-key: admin-key-0123456789abcde", 401},
        {"x-api-key: ", 401},
        {"x-api-key: " TEST_KEY, 401}, /* keys of accounts are bearers only */
        {"Authorization: Basic " TEST_ADMIN, 401},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            http_call(f, "GET", "/api/v1/accounts/list", rows[i].key, NULL);
        assert_int_equal(answer.status, rows[i].status);
    }
    f->gateway->has_admin_key = false; /* as without GATEWAY_ADMIN_KEY_FILE */
    _cleanup_answer_ struct answer none = http_call(f, "GET", "/api/v1/accounts/list", ADMIN, NULL);
    assert_int_equal(none.status, 401);
}

/* A record of before accounts had money, and its key without an id, work on and gain both. */
static void test_records_of_before_are_read(_unused_ void **state)
{
    static const char account[] = "{\"account\":\"dev\",\"name\":\"dev\",\"active\":true,"
                                  "\"created_at\":\"2023-11-14T22:13:20.000Z\"}";
    static const char key[] = "{\"account\":\"dev\",\"active\":true,\"created_at\":\"\"}";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    uint8_t digest[32];
    char hex[65];

    sha256(TEST_KEY, strlen(TEST_KEY), digest);
    hex_encode(digest, 32, hex);
    _cleanup_free_ char *name = xasprintf("%s%s", KEY_API_KEY, hex);
    const struct store_write writes[] = {
        {.key = KEY_ACCOUNT "dev", .value = {sizeof(account) - 1, (uint8_t *)account}},
        {.key = name, .value = {sizeof(key) - 1, (uint8_t *)key}},
    };
    assert_null(store_commit(f->store, &(struct store_change){.writes = writes, .n_writes = 2}));
    _cleanup_answer_ struct answer me = http_get(f, "/api/v1/accounts/me");
    assert_int_equal(me.status, 200);
    assert_string_equal(answer_text(&me, "createdAt"), "2023-11-14T22:13:20.000Z");
    _cleanup_answer_ struct answer keys = http_get(f, "/api/v1/api-keys/account/dev");
    assert_int_equal(json_array_size(keys.json), 1);
    _cleanup_answer_ struct answer list = http_call(f, "GET", "/api/v1/accounts/list", ADMIN, NULL);
    assert_int_equal(json_array_size(list.json), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_get_and_list),
        cmocka_unit_test(test_a_wallet_has_one_account),
        cmocka_unit_test(test_update_and_me),
        cmocka_unit_test(test_add_balance),
        cmocka_unit_test(test_no_account_credits_itself),
        cmocka_unit_test(test_concurrent_adds_are_all_kept),
        cmocka_unit_test(test_the_admin_key),
        cmocka_unit_test(test_records_of_before_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
