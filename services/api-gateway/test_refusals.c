/* Requests about accounts and keys that must be refused: status and kind of each, nothing of ours
 * said that the caller may not know, and nothing changed. */
#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"

#define A_CREATE   "/api/v1/accounts/create"
#define A_UPDATE   "/api/v1/accounts/update"
#define A_ADD      "/api/v1/accounts/add-balance"
#define K_CREATE   "/api/v1/api-keys/create"
#define K_UPDATE   "/api/v1/api-keys/update"
#define K_DELETE   "/api/v1/api-keys/delete"
#define K_LIST     "/api/v1/api-keys/account/"
#define M_CREATE   "/api/v1/members/create"
#define M_UPDATE   "/api/v1/members/update"
#define M_DELETE   "/api/v1/members/delete"
#define M_LIST     "/api/v1/members/account/"
#define AUDIT      "/api/v1/audit"
#define TEXT16     "0123456789abcdef"
#define TEXT128    TEXT16 TEXT16 TEXT16 TEXT16 TEXT16 TEXT16 TEXT16 TEXT16
#define UNKNOWN_ID "00000000-0000-4000-8000-000000000000"

static const struct row {
    enum actor actor;
    const char *method;
    const char *path;
    const char *body;
    long status;
    const char *kind;
} rows[] = {
    /* no key, or one that is not valid (any more) */
    {NOBODY, "POST", A_CREATE, "{\"name\":\"n\"}", 401, "UNAUTHORIZED"},
    {UNKNOWN, "POST", A_CREATE, "{\"name\":\"n\"}", 401, "UNAUTHORIZED"},
    {NOBODY, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":1}", 401, "UNAUTHORIZED"},
    {INACTIVE, "PUT", A_UPDATE, "{\"accountId\":\"$OURS\",\"name\":\"n\"}", 401, "UNAUTHORIZED"},
    {EXPIRED, "PUT", A_UPDATE, "{\"accountId\":\"$OURS\",\"name\":\"n\"}", 401, "UNAUTHORIZED"},
    {EXPIRED, "GET", "/api/v1/accounts/me", NULL, 401, "UNAUTHORIZED"},
    {INACTIVE, "GET", AUDIT, NULL, 401, "UNAUTHORIZED"},
    {INACTIVE, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"user\"}", 401,
     "UNAUTHORIZED"},
    {EXPIRED, "POST", K_DELETE, "{\"id\":\"$DEPLOYER\"}", 401, "UNAUTHORIZED"},
    {NOBODY, "GET", K_LIST "$OURS", NULL, 401, "UNAUTHORIZED"},
    {EXPIRED, "POST", M_CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"owner\"}", 401,
     "UNAUTHORIZED"},
    {NOBODY, "GET", M_LIST "$OURS", NULL, 401, "UNAUTHORIZED"},

    /* a good key that may not */
    {ACCOUNT_ADMIN, "POST", A_CREATE, "{\"name\":\"n\"}", 401, "ACCESS_DENIED"},
    {DEPLOYER, "POST", A_CREATE, "{\"name\":\"n\"}", 401, "ACCESS_DENIED"},
    {ACCOUNT_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":1}", 401, "ACCESS_DENIED"},
    {ACCOUNT_ADMIN, "GET", "/api/v1/accounts/list", NULL, 401, "ACCESS_DENIED"},
    {AUDITOR, "PUT", A_UPDATE, "{\"accountId\":\"$OURS\",\"name\":\"n\"}", 401, "ACCESS_DENIED"},
    {AUDITOR, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"user\"}", 401,
     "ACCESS_DENIED"},
    {AUDITOR, "POST", K_DELETE, "{\"id\":\"$DEPLOYER\"}", 401, "ACCESS_DENIED"},
    {DEPLOYER, "PUT", K_UPDATE, "{\"id\":\"$DEPLOYER\",\"type\":\"account-admin\"}", 401,
     "ACCESS_DENIED"},
    {DEPLOYER, "GET", K_LIST "$OURS", NULL, 401, "ACCESS_DENIED"},
    {DEPLOYER, "GET", AUDIT, NULL, 401, "ACCESS_DENIED"},
    {AUDITOR, "POST", M_CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"owner\"}", 401,
     "ACCESS_DENIED"},
    {AUDITOR, "PUT", M_UPDATE, "{\"memberId\":\"m\",\"name\":\"n\"}", 401, "ACCESS_DENIED"},
    {AUDITOR, "POST", M_DELETE, "{\"memberId\":\"m\"}", 401, "ACCESS_DENIED"},
    {DEPLOYER, "GET", M_LIST "$OURS", NULL, 401, "ACCESS_DENIED"},
    {READER, "POST", "/api/v1/workloads/delete", "{\"workloadId\":\"w-1\"}", 401, "ACCESS_DENIED"},
    {READER, "POST", "/api/v1/workloads/create", "{}", 401, "ACCESS_DENIED"},
    {GLOBAL_ADMIN, "GET", "/api/v1/accounts/me", NULL, 401, "ACCESS_DENIED"},
    {GLOBAL_ADMIN, "POST", "/api/v1/workloads/create", "{}", 401, "ACCESS_DENIED"},

    /* what is others' is not there, and what is not there neither */
    {FOREIGN, "GET", "/api/v1/accounts/$OURS", NULL, 404, "NOT_FOUND"},
    {FOREIGN, "PUT", A_UPDATE, "{\"accountId\":\"$OURS\",\"name\":\"n\"}", 404, "NOT_FOUND"},
    {FOREIGN, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"user\"}", 404, "NOT_FOUND"},
    {FOREIGN, "GET", K_LIST "$OURS", NULL, 404, "NOT_FOUND"},
    {FOREIGN, "PUT", K_UPDATE, "{\"id\":\"$DEPLOYER\",\"active\":false}", 404, "NOT_FOUND"},
    {FOREIGN, "PUT", K_UPDATE, "{\"id\":\"$SECRET\",\"active\":false}", 404, "NOT_FOUND"},
    {FOREIGN, "POST", K_DELETE, "{\"id\":\"$DEPLOYER\"}", 404, "NOT_FOUND"},
    {FOREIGN, "POST", K_DELETE, "{\"id\":\"$SECRET\"}", 404, "NOT_FOUND"},
    {ACCOUNT_ADMIN, "POST", K_DELETE, "{\"id\":\"$FOREIGNSECRET\"}", 404, "NOT_FOUND"},
    {FOREIGN, "GET", AUDIT "?accountId=$OURS", NULL, 404, "NOT_FOUND"},
    {FOREIGN, "POST", M_CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"owner\"}", 404,
     "NOT_FOUND"},
    {FOREIGN, "GET", M_LIST "$OURS", NULL, 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "PUT", M_UPDATE, "{\"memberId\":\"" UNKNOWN_ID "\",\"name\":\"n\"}", 404,
     "NOT_FOUND"},
    {GLOBAL_ADMIN, "POST", M_DELETE, "{\"memberId\":\"../dev\"}", 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "GET", M_LIST UNKNOWN_ID, NULL, 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "GET", "/api/v1/accounts/" UNKNOWN_ID, NULL, 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "PUT", A_UPDATE, "{\"accountId\":\"" UNKNOWN_ID "\",\"name\":\"n\"}", 404,
     "NOT_FOUND"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"" UNKNOWN_ID "\",\"balance\":1}", 404,
     "NOT_FOUND"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"../dev\",\"balance\":1}", 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "POST", K_CREATE, "{\"accountId\":\"" UNKNOWN_ID "\",\"type\":\"user\"}", 404,
     "NOT_FOUND"},
    {GLOBAL_ADMIN, "GET", K_LIST UNKNOWN_ID, NULL, 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "POST", K_DELETE, "{\"id\":\"" UNKNOWN_ID "\"}", 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "GET", AUDIT "?accountId=" UNKNOWN_ID, NULL, 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "GET", AUDIT "?accountId=", NULL, 404, "NOT_FOUND"},

    /* paths and queries */
    {GLOBAL_ADMIN, "GET", "/api/v1/accounts/No.Id", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", "/api/v1/accounts/a%00b", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", "/api/v1/accounts/..%2flist", NULL, 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "GET", K_LIST "No.Id", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", M_LIST "No.Id", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", K_LIST, NULL, 404, "NOT_FOUND"},
    {GLOBAL_ADMIN, "GET", AUDIT "?limit=0", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", AUDIT "?limit=1001", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", AUDIT "?limit=-1", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", AUDIT "?limit=1x", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", AUDIT "?limit=", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", AUDIT "?limit=99999999999999999999", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", AUDIT "?cursor=x", NULL, 400, "INVALID_PATH"},
    {GLOBAL_ADMIN, "GET", A_CREATE "?", "", 404, "NOT_FOUND"}, /* an account called "create" */
    {GLOBAL_ADMIN, "POST", A_UPDATE, "{}", 405, "METHOD_NOT_ALLOWED"},
    {GLOBAL_ADMIN, "DELETE", AUDIT, NULL, 405, "METHOD_NOT_ALLOWED"},

    /* bodies */
    {GLOBAL_ADMIN, "POST", A_CREATE, "", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "[]", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "\"n\"", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"\xff\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"a\\u0000b\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"a\\u001b[2Jb\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"a\",\"name\":\"b\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":1}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":null}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"" TEXT128 "x\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"extra\":1}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"walletAddress\":1}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"walletAddress\":\"\"}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"walletAddress\":\"0x12\"}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE,
     "{\"name\":\"n\",\"walletAddress\":\"0x0011223344556677889900112233445566778g\"}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"balance\":\"1\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"balance\":-1}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"balance\":NaN}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"balance\":1e999}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_CREATE, "{\"name\":\"n\",\"balance\":1e12}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "PUT", A_UPDATE, "{\"accountId\":\"$OURS\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "PUT", A_UPDATE, "{\"name\":\"n\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "PUT", A_UPDATE, "{\"accountId\":[],\"name\":\"n\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "PUT", A_UPDATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"balance\":1}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\"}", 400, "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":\"NaN\"}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":null}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":Infinity}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":1e308}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":9223372036854775807}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":9223372036854775808}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":0.0000001}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":999999999}", 400,
     "INVALID_PAYLOAD"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":-10.000001}", 412,
     "NOT_ENOUGH_BALANCE"},
    {GLOBAL_ADMIN, "POST", A_ADD, "{\"accountId\":\"$OURS\",\"balance\":1,\"balance\":2}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"accountId\":\"$OURS\"}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"type\":\"user\"}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"root\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"global-admin\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"user\",\"active\":1}",
     400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"name\":\"a\\nb\"}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"scopes\":[\"admin\"]}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"user\",\"scopes\":[]}",
     400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"scopes\":\"read\"}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"user\",\"scopes\":[1]}",
     400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"scopes\":[\"none\"]}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE, "{\"accountId\":\"$OURS\",\"type\":\"user\",\"expiresAt\":1}",
     400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"expiresAt\":\"tomorrow\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"expiresAt\":\"2030-01-01T00:00:00+02:00\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"expiresAt\":\"2030-01-01T00:00:00.5Z\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"expiresAt\":\"2030-02-30T00:00:00Z\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"expiresAt\":\"2001-01-01T00:00:00Z\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_CREATE,
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"expiresat\":\"2030-01-01T00:00:00Z\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "PUT", K_UPDATE, "{\"id\":\"$DEPLOYER\"}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "PUT", K_UPDATE, "{\"active\":false}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "PUT", K_UPDATE, "{\"id\":\"\",\"active\":false}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "PUT", K_UPDATE, "{\"id\":\"$DEPLOYER\",\"accountId\":\"$THEIRS\"}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "PUT", K_UPDATE, "{\"id\":\"$DEPLOYER\",\"scopes\":[\"admin\"]}", 400,
     "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "PUT", K_UPDATE,
     "{\"id\":\"$DEPLOYER\",\"type\":\"user\",\"scopes\":[\"admin\"]}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_DELETE, "{}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_DELETE, "{\"id\":7}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_DELETE, "{\"id\":\"$SECRET", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_DELETE, "{\"id\" \"$SECRET\"}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_DELETE, "{\"$SECRET\":1,\"$SECRET\":2}", 400, "INVALID_PAYLOAD"},
    {ACCOUNT_ADMIN, "POST", K_DELETE, "{\"id\":\"$DEPLOYER\",\"force\":true}", 400,
     "INVALID_PAYLOAD"},
};

/* Secrets do not come back, whatever was asked. */
static void check_no_secret(const struct scene *scene, const struct answer *answer)
{
    for (size_t i = 0; i < ACTORS_; i++)
        if (*scene->secrets[i])
            assert_null(strstr(buffer_text(&answer->body), scene->secrets[i]));
}

static void test_each_is_refused_and_nothing_changes(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *before = scene_dump(scene);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct row *row = &rows[i];
        _cleanup_answer_ struct answer answer =
            scene_call(scene, row->actor, row->method, row->path, row->body);
        if (answer.status != row->status || strcmp(answer_text(&answer, "kind"), row->kind) != 0)
            fail_msg("row %zu: %s %s %s: %ld: %s", i, row->method, row->path, row->body ?: "",
                     answer.status, buffer_text(&answer.body));
        assert_true(*answer_text(&answer, "error") && *answer_text(&answer, "ts"));
        check_no_secret(scene, &answer);
        _cleanup_free_ char *after = scene_dump(scene);
        if (strcmp(before, after) != 0)
            fail_msg("row %zu: %s %s %s: changed something", i, row->method, row->path,
                     row->body ?: "");
    }
    assert_int_equal(scene->f->commands, 0);
}

/* Another's object and none at all get one and the same answer. */
static void test_foreign_is_as_missing(_unused_ void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *foreign;
        const char *missing;
    } pairs[] = {
        {"PUT", K_UPDATE, "{\"id\":\"$DEPLOYER\",\"active\":false}",
         "{\"id\":\"" UNKNOWN_ID "\",\"active\":false}"},
        {"POST", K_DELETE, "{\"id\":\"$SECRET\"}", "{\"id\":\"" UNKNOWN_ID "\"}"},
        {"PUT", A_UPDATE, "{\"accountId\":\"$OURS\",\"name\":\"n\"}",
         "{\"accountId\":\"" UNKNOWN_ID "\",\"name\":\"n\"}"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
        _cleanup_answer_ struct answer foreign =
            scene_call(scene, FOREIGN, pairs[i].method, pairs[i].path, pairs[i].foreign);
        _cleanup_answer_ struct answer missing =
            scene_call(scene, FOREIGN, pairs[i].method, pairs[i].path, pairs[i].missing);
        assert_int_equal(foreign.status, missing.status);
        assert_string_equal(answer_text(&foreign, "error"), answer_text(&missing, "error"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_refused_and_nothing_changes),
        cmocka_unit_test(test_foreign_is_as_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
