/* What is kept of an answer for a repeat with the same Idempotency-Key. */
#include "services/api-gateway/test_idempotency_kit.h"

#include "services/api-gateway/idempotency.h"
#include "shared/base/alloc.h"

static void test_refusals_are_answers_too(_unused_ void **state)
{
    static const struct {
        const char *path;
        const char *body;
        long status;
    } rows[] = {
        {"/api/v1/accounts/create", "{\"nme\":\"n\"}", 400},
        {"/api/v1/accounts/create", "not JSON", 400},
        {"/api/v1/accounts/add-balance", "{\"accountId\":\"nobody\",\"balance\":1}", 404},
        {"/api/v1/accounts/add-balance", "{\"accountId\":\"$OURS\",\"balance\":-100}", 412},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        _cleanup_answer_ struct answer first =
            keyed_call(scene, GLOBAL_ADMIN, key, "POST", rows[i].path, rows[i].body);
        _cleanup_answer_ struct answer again =
            keyed_call(scene, GLOBAL_ADMIN, key, "POST", rows[i].path, rows[i].body);
        assert_int_equal(first.status, rows[i].status);
        check_same(&first, &again);
    }
}

static void test_what_the_scheduler_says_is_kept(_unused_ void **state)
{
    static const struct {
        enum error_code code;
        long status;
        bool kept;
    } rows[] = {
        {ERROR_OK, 200, true},
        {ERROR_FAILED_PRECONDITION, 412, true},
        {ERROR_ABORTED, 409, true},
        {ERROR_UNAVAILABLE, 503, false},
        {ERROR_DEADLINE_EXCEEDED, 504, false},
        {ERROR_RESOURCE_EXHAUSTED, 503, false},
        {ERROR_INTERNAL, 500, false},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        scene->f->commands = 0;
        scene->f->answer_code = rows[i].code;
        scene->f->answer_text = "as it is";
        _cleanup_answer_ struct answer first = keyed_call(
            scene, DEPLOYER, key, "POST", "/api/v1/workloads/restart", "{\"workloadId\":\"w-1\"}");
        assert_int_equal(first.status, rows[i].status);
        scene->f->answer_code = ERROR_OK;
        _cleanup_answer_ struct answer again = keyed_call(
            scene, DEPLOYER, key, "POST", "/api/v1/workloads/restart", "{\"workloadId\":\"w-1\"}");
        assert_int_equal(again.status, rows[i].kept ? rows[i].status : 200);
        assert_int_equal(is_replayed(&again), rows[i].kept);
        assert_int_equal(scene->f->commands, rows[i].kept ? 1 : 2);
    }
}

static struct error *on_made(struct request *request, struct response *ret_response)
{
    response_header(request, ret_response, "ETag", "\"7\"");
    response_header(request, ret_response, "Location", "/made/7");
    response_header(request, ret_response, "Coffer-Moment", "now");
    ret_response->status = 201;
    ret_response->json = json_pack("{s:f, s:s, s:n}", "z", 0.1, "a", "\xc3\xa9", "null");
    return NULL;
}

static struct error *on_slow_down(struct request *request, struct response *ret_response)
{
    (void)ret_response;
    return http_refuse(request, 429, "TOO_MANY_REQUESTS",
                       error_new(ERROR_RESOURCE_EXHAUSTED, "too much at a time"));
}

static struct error *on_words(struct request *request, struct response *ret_response)
{
    (void)request;
    buffer_add_text(&ret_response->body, "words");
    return NULL;
}

/* A change, and one that follows from it. */
static struct error *on_twice(struct request *request, struct response *ret_response)
{
    const struct store_write write = {.key = "coffer:test",
                                      .expected_version = UINT64_MAX,
                                      .value = {.data = (uint8_t *)"x", .len = 1}};
    const struct store_change change = {.writes = &write, .n_writes = 1};
    _cleanup_(json_decrefp) json_t *later = json_pack("{s:s}", "answer", "later");

    ret_response->json = json_pack("{s:s}", "answer", "first");
    struct error *err = idempotency_commit(request, &change, ret_response->json);
    return err ?: idempotency_commit(request, &change, later);
}

#define ROUTE(name, function)                                                                      \
    {                                                                                              \
        .method = "POST", .path = name, .scope = SCOPE_DEPLOY, .handle = function, .body_max = 9   \
    }

static const struct route test_routes[] = {
    ROUTE("/made", on_made),
    ROUTE("/twice", on_twice),
    ROUTE("/slow", on_slow_down),
    ROUTE("/words", on_words),
    {.path = NULL},
};

static void check_header(const struct answer *answer, const char *name, const char *value)
{
    _cleanup_free_ char *given = answer_header(answer, name);

    assert_true(value ? given && strcmp(given, value) == 0 : !given);
}

/* Of what handlers may answer, by routes of our own. */
static void test_what_is_kept_of_an_answer(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    const struct http_options options = {.listen = "127.0.0.1:0",
                                         .routes = test_routes,
                                         .gateway = scene->f->gateway,
                                         .max_connections = 4};
    static const char *const kept[] = {"{\"z\":0.1,\"a\":\"\xc3\xa9\",\"null\":null}",
                                       "{\"answer\":\"first\"}", NULL, NULL};
    struct http_server *server = NULL;

    assert_null(http_server_start(&options, &server));
    for (size_t i = 0; i < ELEMENTSOF(kept); i++) {
        _cleanup_free_ char *url =
            xasprintf("http://127.0.0.1:%u%s", http_server_port(server), test_routes[i].path);
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        _cleanup_answer_ struct answer first = keyed_call(scene, DEPLOYER, key, "POST", url, "");
        _cleanup_answer_ struct answer again = keyed_call(scene, DEPLOYER, key, "POST", url, "");
        assert_int_equal(is_replayed(&again), kept[i] != NULL);
        if (!kept[i])
            continue;
        check_same(&first, &again);
        assert_string_equal(buffer_text(&again.body), kept[i]);
        check_header(&again, "ETag", i == 0 ? "\"7\"" : NULL);
        check_header(&again, "Location", i == 0 ? "/made/7" : NULL);
        check_header(&again, "Coffer-Moment", NULL);
    }
    http_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_are_answers_too),
        cmocka_unit_test(test_what_the_scheduler_says_is_kept),
        cmocka_unit_test(test_what_is_kept_of_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
