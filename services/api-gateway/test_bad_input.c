/*
 * Bad input to every route: each request is refused with the right status, kind and words, writes
 * nothing, asks the scheduler nothing, and nothing that it holds comes back. The tables are in
 * test_bad_input_*.c; bodies are also made wrong systematically, member by member.
 */
#include "services/api-gateway/test_bad_scene.h"

#include "shared/base/alloc.h"

static void check_rows(const char *name, const struct bad_row *rows, size_t n)
{
    _cleanup_(bad_scene_freep) struct bad_scene *bad = bad_scene_new();

    for (size_t i = 0; i < n; i++)
        bad_check(bad, &rows[i]);
    bad_end(bad, name);
}

static void test_accounts_and_keys(_unused_ void **state)
{
    check_rows("accounts and keys", bad_accounts, n_bad_accounts);
}

static void test_callers(_unused_ void **state)
{
    check_rows("callers and their things", bad_callers, n_bad_callers);
}

static void test_values(_unused_ void **state)
{
    check_rows("values", bad_values, n_bad_values);
}

static void test_places(_unused_ void **state)
{
    check_rows("paths, queries and headers", bad_places, n_bad_places);
}

/* Another's object and none at all get one and the same answer. */
static void test_foreign_is_as_missing(_unused_ void **state)
{
#define UNKNOWN_ID "00000000-0000-4000-8000-000000000000"
    static const struct {
        const char *method;
        const char *path;
        const char *foreign;
        const char *missing;
    } pairs[] = {
        {"PUT", "/api/v1/api-keys/update", "{\"id\":\"$DEPLOYER\",\"active\":false}",
         "{\"id\":\"" UNKNOWN_ID "\",\"active\":false}"},
        {"POST", "/api/v1/api-keys/delete", "{\"id\":\"$SECRET\"}", "{\"id\":\"" UNKNOWN_ID "\"}"},
        {"PUT", "/api/v1/accounts/update", "{\"accountId\":\"$OURS\",\"name\":\"n\"}",
         "{\"accountId\":\"" UNKNOWN_ID "\",\"name\":\"n\"}"},
        {"POST", "/api/v1/members/delete", "{\"memberId\":\"$MEMBER\"}",
         "{\"memberId\":\"" UNKNOWN_ID "\"}"},
        {"POST", "/api/v1/webhooks/delete", "{\"webhookId\":\"$WEBHOOK\"}",
         "{\"webhookId\":\"" UNKNOWN_ID "\"}"},
        {"POST", "/api/v1/workloads/delete", "{\"workloadId\":\"$WORKLOAD\"}",
         "{\"workloadId\":\"" UNKNOWN_ID "\"}"},
    };
    _cleanup_(bad_scene_freep) struct bad_scene *bad = bad_scene_new();

    for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
        const struct bad_row row = {FOREIGN, pairs[i].method, pairs[i].path, pairs[i].foreign,
                                    .text = ""};
        struct bad_row other = row;
        other.body = pairs[i].missing;
        _cleanup_answer_ struct answer foreign = bad_send(bad, &row);
        _cleanup_answer_ struct answer missing = bad_send(bad, &other);
        assert_int_equal(foreign.status, 404);
        assert_int_equal(missing.status, 404);
        assert_string_equal(answer_text(&foreign, "error"), answer_text(&missing, "error"));
    }
}

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    if (!json)
        fail_msg("not JSON: %s", text);
    return json;
}

/* Of every type but the one that it has, and a few of that type that nobody takes. */
static const char *const *wrong_values(const json_t *good)
{
    static const char *const texts[] = {"7", "true", "[]", "{}", "[\"" MARK "\"]", NULL};
    static const char *const numbers[] = {"\"" MARK "\"", "true", "[]", "{}", NULL};
    static const char *const wholes[] = {"\"" MARK "\"",         "true", "[]", "{}", "-1", "1.5",
                                         "-9223372036854775808", "1e-2", NULL};
    static const char *const booleans[] = {"\"true\"", "1", "[]", "{}", "\"" MARK "\"", NULL};
    static const char *const lists[] = {"\"" MARK "\"", "7", "{}", "true", NULL};
    static const char *const objects[] = {"\"" MARK "\"", "7", "[]", "true", NULL};

    switch (json_typeof(good)) {
    case JSON_STRING:
        return texts;
    case JSON_INTEGER:
        return wholes;
    case JSON_REAL:
        return numbers;
    case JSON_ARRAY:
        return lists;
    case JSON_OBJECT:
        return objects;
    default:
        return booleans;
    }
}

static void check_body(struct bad_scene *bad, const struct bad_body *body, const char *text,
                       const char *words)
{
    const struct bad_row row = {body->caller, body->method,      body->path, text,
                                400,          "INVALID_PAYLOAD", words,      NULL};

    bad_check(bad, &row);
}

static void check_member(struct bad_scene *bad, const struct bad_body *body, const char *name,
                         const json_t *good)
{
    const char *const *values = wrong_values(good);

    for (; *values; values++) {
        _cleanup_(json_decrefp) json_t *all = parse(body->good);
        json_object_set_new(all, name, json_loads(*values, JSON_DECODE_ANY, NULL));
        _cleanup_free_ char *text = json_dumps(all, JSON_COMPACT);
        check_body(bad, body, text, name);
    }
}

static void test_every_member_of_a_wrong_type(_unused_ void **state)
{
    _cleanup_(bad_scene_freep) struct bad_scene *bad = bad_scene_new();
    const char *name;
    json_t *good;

    for (size_t i = 0; i < n_bad_bodies; i++) {
        _cleanup_(json_decrefp) json_t *all = parse(bad_bodies[i].good);
        json_object_foreach(all, name, good) check_member(bad, &bad_bodies[i], name, good);
    }
    bad_end(bad, "members of wrong types");
}

/* What a body is made into; "%s" is the good one without its first brace. */
static const struct {
    const char *format;
    const char *text;
} breaks[] = {
    {"{\"extra\":1,%s", "1 problem, see findings"}, /* and only this one: the rest is right */
    {"{\"extra\":\"" MARK "\",%s", "there is no field 'extra'"},
    {"{\"extra\":1,\"extra\":2,%s", "duplicate object key"},
    {"{\"extra\":\"\xff" MARK "\",%s", "unable to decode byte 0xff"},
    {"{\"extra\":\"\xc3(" MARK "\",%s", "unable to decode byte 0xc3"},
    {"{\"extra\":\"\xed\xa0\x80" MARK "\",%s", "unable to decode byte 0xed"},
    {"{\"extra\":\"a\\u0000" MARK "\",%s", "\\\\u0000 is not allowed"},
    {"{\"extra\":\"\\ud800" MARK "\",%s", "invalid Unicode"},
    {"{\"extra\":\"\\udc00" MARK "\",%s", "invalid Unicode"},
    {"{\"extra\":\"a\x01" MARK "\",%s", "control character 0x1"},
    {"{\"extra\":\"a\n" MARK "\",%s", "unexpected newline"},
    {"{\"extra\":\"\\x41" MARK "\",%s", "invalid escape"},
    {"{\"extra\":99999999999999999999999,%s", "too big integer"},
    {"{\"extra\":1e9999,%s", "real number overflow"},
    {"{\"extra\":01,%s", "line 1: "},
    {"{\"extra\":+1,%s", "invalid token"},
    {"{\"extra\":NaN,%s", "invalid token"},
    {"{\"extra\":'" MARK "',%s", "invalid token"},
    {"{\"extra\":$DEEP,%s", "maximum parsing depth reached"},
    {"{\"extra\":$DEEPER,%s", "maximum parsing depth reached"},
    {"{extra:1,%s", "string or '}' expected"},
    {"{\"extra\" 1,%s", "':' expected"},
    {"{,%s", "string or '}' expected"},
    {"{/* " MARK " */%s", "string or '}' expected"},
    {"\xef\xbb\xbf{%s", "'[' or '{' expected"}, /* a byte order mark */
    {"{%s " MARK, "end of file expected"},
    {"{%s{}", "end of file expected"},
    {"[{%s]", "the body is not a JSON object"},
};

static void check_broken(struct bad_scene *bad, const struct bad_body *body)
{
    for (size_t i = 0; i < ELEMENTSOF(breaks); i++) {
        const char *format = breaks[i].format;
        const char *place = strstr(format, "%s");
        _cleanup_free_ char *text =
            xasprintf("%.*s%s%s", (int)(place - format), format, body->good + 1, place + 2);
        check_body(bad, body, text, breaks[i].text);
    }
}

static void check_shortened(struct bad_scene *bad, const struct bad_body *body)
{
    static const struct bad_row rows[] = {
        {.body = NULL, .text = "it is empty"},
        {.body = "", .text = "it is empty"},
        {.body = " \r\n\t", .text = "the body is not JSON"},
        {.body = "null", .text = "the body is not JSON"},
        {.body = "\"" MARK "\"", .text = "the body is not JSON"},
        {.body = "workloadId=" MARK "&id=1", .text = "the body is not JSON"},
        {.body = "<body>" MARK "</body>", .text = "the body is not JSON"},
        {.body = "[]", .text = "the body is not a JSON object"},
        {.body = "{", .text = "the body is not JSON"},
        {.body = "$DEEP", .text = "maximum parsing depth reached"},
    };
    _cleanup_free_ char *half = xasprintf("%.*s", (int)strlen(body->good) - 1, body->good);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        check_body(bad, body, rows[i].body, rows[i].text);
    check_body(bad, body, half, "the body is not JSON");
}

static void test_every_body_broken(_unused_ void **state)
{
    _cleanup_(bad_scene_freep) struct bad_scene *bad = bad_scene_new();

    for (size_t i = 0; i < n_bad_bodies; i++) {
        check_shortened(bad, &bad_bodies[i]);
        check_broken(bad, &bad_bodies[i]);
    }
    bad_end(bad, "broken bodies");
}

static void test_requests_by_hand(_unused_ void **state)
{
    _cleanup_(bad_scene_freep) struct bad_scene *bad = bad_scene_new();

    for (size_t i = 0; i < n_bad_raws; i++)
        bad_check_raw(bad, &bad_raws[i]);
    bad_end(bad, "requests by hand");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts_and_keys),
        cmocka_unit_test(test_callers),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_foreign_is_as_missing),
        cmocka_unit_test(test_every_member_of_a_wrong_type),
        cmocka_unit_test(test_every_body_broken),
        cmocka_unit_test(test_requests_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
