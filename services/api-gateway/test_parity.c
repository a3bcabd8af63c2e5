/*
 * The existing system's interface, field by field: what its clients send, and what they find in
 * the answer. Rows follow its description; a new field of ours is written with a plus, so that
 * this table also says how ours differs. Nothing but what is listed may be in an answer.
 */
#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"

#define ACCOUNT "accountId:s name:s walletAddress:s createdAt:s balance:n"
#define API_KEY                                                                                    \
    "id:s accountId:s type:s active:b createdAt:s updatedAt:s "                                    \
    "+keyId:s +name:s +scopes:a +expiresAt:s0 +lastUsedAt:s0 +memberId:s0"
#define PROBLEM  "ts:s error:s kind:s +requestId:s"
#define FINDINGS PROBLEM " +findings:a"
#define WALLET   "0x00112233445566778899aAbBcCdDeEfF00112233"

/* fields: name:type, type s text, n number, b boolean, a list, with 0 also null; "[...]" a list
 * of such objects; "" an empty object. */
static const struct row {
    const char *method;
    const char *path;
    enum actor actor;
    const char *body;
    long status;
    const char *fields;
} rows[] = {
    {"POST", "/api/v1/accounts/create", GLOBAL_ADMIN,
     "{\"name\":\"n\",\"walletAddress\":\"" WALLET "\"}", 200, ACCOUNT},
    {"POST", "/api/v1/accounts/create", GLOBAL_ADMIN,
     "{\"name\":\"n\",\"walletAddress\":\"" WALLET "\",\"balance\":1.5}", 409, PROBLEM},
    {"POST", "/api/v1/accounts/create", ACCOUNT_ADMIN, "{\"name\":\"n\"}", 401, PROBLEM},
    {"POST", "/api/v1/accounts/create", GLOBAL_ADMIN, "{}", 400, FINDINGS},
    {"PUT", "/api/v1/accounts/update", ACCOUNT_ADMIN, "{\"accountId\":\"$OURS\",\"name\":\"ours\"}",
     200, ACCOUNT},
    {"PUT", "/api/v1/accounts/update", GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"name\":\"ours\"}",
     200, ACCOUNT},
    {"GET", "/api/v1/accounts/list", GLOBAL_ADMIN, NULL, 200, "[" ACCOUNT "]"},
    {"GET", "/api/v1/accounts/list", ACCOUNT_ADMIN, NULL, 401, PROBLEM},
    {"GET", "/api/v1/accounts/me", ACCOUNT_ADMIN, NULL, 200, ACCOUNT " burnRatePerMin:n"},
    {"GET", "/api/v1/accounts/me", DEPLOYER, NULL, 401, PROBLEM},
    {"GET", "/api/v1/accounts/$OURS", ACCOUNT_ADMIN, NULL, 200, ACCOUNT},
    {"GET", "/api/v1/accounts/$OURS", GLOBAL_ADMIN, NULL, 200, ACCOUNT},
    {"GET", "/api/v1/accounts/No.Id", GLOBAL_ADMIN, NULL, 400, PROBLEM},
    {"POST", "/api/v1/accounts/add-balance", GLOBAL_ADMIN,
     "{\"accountId\":\"$OURS\",\"balance\":-0.25}", 200, ACCOUNT},
    {"POST", "/api/v1/api-keys/create", ACCOUNT_ADMIN,
     "{\"accountId\":\"$OURS\",\"type\":\"user\"}", 200, API_KEY},
    {"POST", "/api/v1/api-keys/create", GLOBAL_ADMIN,
     "{\"accountId\":\"$OURS\",\"type\":\"account-admin\",\"active\":false}", 200, API_KEY},
    {"GET", "/api/v1/api-keys/account/$OURS", ACCOUNT_ADMIN, NULL, 200, "[" API_KEY "]"},
    {"GET", "/api/v1/api-keys/account/$OURS", GLOBAL_ADMIN, NULL, 200, "[" API_KEY "]"},
    {"PUT", "/api/v1/api-keys/update", ACCOUNT_ADMIN, "{\"id\":\"$SECRET\",\"active\":false}", 200,
     API_KEY},
    {"PUT", "/api/v1/api-keys/update", GLOBAL_ADMIN,
     "{\"id\":\"$SECRET\",\"type\":\"account-admin\",\"active\":true}", 200, API_KEY},
    {"POST", "/api/v1/api-keys/delete", ACCOUNT_ADMIN, "{\"id\":\"$SECRET\"}", 200, ""},
    {"POST", "/api/v1/api-keys/delete", ACCOUNT_ADMIN, "{\"id\":\"$SECRET\"}", 404, PROBLEM},
    /* ours only */
    {"GET", "/api/v1/audit?limit=3", AUDITOR, NULL, 200, "+entries:a +nextCursor:s0"},
};

static bool has_type(const json_t *value, const char *type)
{
    if (type[1] == '0' && json_is_null(value))
        return true;
    switch (type[0]) {
    case 's':
        return json_is_string(value);
    case 'n':
        return json_is_number(value);
    case 'b':
        return json_is_boolean(value);
    case 'a':
        return json_is_array(value);
    default:
        return false;
    }
}

/* Takes each field out; what is left is not in the table. */
static void check_object(const struct row *row, json_t *object, const char *fields)
{
    _cleanup_free_ char *words = xstrdup(fields);
    char *rest = NULL;

    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        char *type = strchr(w, ':');
        assert_non_null(type);
        *type++ = '\0';
        const char *name = *w == '+' ? w + 1 : w;
        if (!has_type(json_object_get(object, name), type))
            fail_msg("%s %s: '%s' is missing or not %s", row->method, row->path, name, type);
        json_object_del(object, name);
    }
    if (json_object_size(object))
        fail_msg("%s %s: '%s' is not in the table", row->method, row->path,
                 json_object_iter_key(json_object_iter(object)));
}

static void check_answer(const struct row *row, json_t *json)
{
    _cleanup_free_ char *fields = xstrdup(row->fields);
    json_t *item;
    size_t i;

    if (*fields != '[') {
        check_object(row, json, fields);
        return;
    }
    fields[strlen(fields) - 1] = '\0';
    assert_true(json_array_size(json) > 0);
    json_array_foreach(json, i, item) check_object(row, item, fields + 1);
}

static void test_requests_and_answers(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, rows[i].actor, rows[i].method, rows[i].path, rows[i].body);
        if (answer.status != rows[i].status)
            fail_msg("%s %s %s: %ld: %s", rows[i].method, rows[i].path, rows[i].body ?: "",
                     answer.status, buffer_text(&answer.body));
        check_answer(&rows[i], answer.json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
