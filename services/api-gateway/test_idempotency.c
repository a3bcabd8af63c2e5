/* Idempotency-Key: what is asked for twice happens once, and has one answer. */
#include "services/api-gateway/test_scene.h"

#include <stdatomic.h>

#include "schemas/catalog.pb-c.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/routes.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define HOUR_MS  INT64_C(3600000)
#define KEY      "Idempotency-Key: "

#define WEBHOOKS "/api/v1/webhooks/"

/* The scene's store with commits of ours. Tests run one after another; in one of them requests run
 * at the same time. */
static struct {
    struct store_ops ops;
    const struct store_ops *real;
    pthread_mutex_t lock;
    struct buffer written;        /* all that was written to records of idempotency keys */
    atomic_uint records;          /* how many of those writes */
    atomic_bool lose_answers;     /* changes happen, and are reported as UNAVAILABLE ... */
    atomic_bool lose_all_answers; /* ... and all other commits too */
    atomic_bool drop_ends;   /* the gateway dies before it can keep an answer or release the key */
    atomic_bool away;        /* nothing is written, and nobody knows */
    atomic_bool drop_claims; /* a claim expires before its change is committed */
} hook;

static bool is_record(const struct store_write *write)
{
    return strncmp(write->key, KEY_IDEMPOTENCY, strlen(KEY_IDEMPOTENCY)) == 0;
}

static void note(const struct store_change *change)
{
    pthread_mutex_lock(&hook.lock);
    for (size_t i = 0; i < change->n_writes; i++) {
        if (!is_record(&change->writes[i]))
            continue;
        buffer_add_text(&hook.written, change->writes[i].key);
        buffer_add(&hook.written, change->writes[i].value.data, change->writes[i].value.len);
        atomic_fetch_add(&hook.records, 1);
    }
    pthread_mutex_unlock(&hook.lock);
}

static void expire(struct store *store, const char *key)
{
    const struct store_write write = {.key = key, .expected_version = UINT64_MAX};
    const struct store_change change = {.writes = &write, .n_writes = 1};

    assert_null(hook.real->commit(store, &change));
}

static struct error *on_commit(struct store *store, const struct store_change *change)
{
    bool is_change = change->n_lists == AUDIT_LISTS && change->n_writes > 0;
    bool is_end = change->n_writes == 1 && is_record(&change->writes[0]) &&
                  change->writes[0].expected_version != 0;

    note(change);
    if (hook.away || (hook.drop_ends && is_end))
        return error_new(ERROR_UNAVAILABLE, "as the test wants it");
    if (hook.drop_claims && is_change)
        expire(store, change->writes[change->n_writes - 1].key);
    struct error *err = hook.real->commit(store, change);
    if (err || !(hook.lose_all_answers || (hook.lose_answers && is_change)))
        return err;
    return error_new(ERROR_UNAVAILABLE, "as the test wants it");
}

static void set_hook(struct store *store)
{
    memset(&hook, 0, sizeof(hook));
    pthread_mutex_init(&hook.lock, NULL);
    hook.real = store->ops;
    hook.ops = *hook.real;
    hook.ops.commit = on_commit;
    store->ops = &hook.ops;
}

/* Before the gateway has threads that use the store. */
static struct scene *hooked_scene(void)
{
    return scene_new_with(set_hook);
}

static void hooked_scene_free(struct scene **scene)
{
    scene_free(*scene);
    buffer_done(&hook.written);
    pthread_mutex_destroy(&hook.lock);
}

#define _cleanup_scene_ _cleanup_(hooked_scene_free)

/* header: a whole line, or NULL. */
static struct answer call(const struct scene *scene, enum actor actor, const char *header,
                          const char *method, const char *path, const char *body)
{
    const char *const headers[] = {header, NULL};

    return scene_call_with(scene, actor, method, path, headers, body);
}

static bool is_replayed(const struct answer *answer)
{
    _cleanup_free_ char *value = answer_header(answer, "Idempotent-Replayed");

    return value && strcmp(value, "true") == 0;
}

static void check_refused(const struct answer *answer, long status, const char *kind)
{
    assert_int_equal(answer->status, status);
    assert_string_equal(answer_text(answer, "kind"), kind);
    assert_false(is_replayed(answer));
}

static void check_same(const struct answer *first, const struct answer *again)
{
    assert_int_equal(again->status, first->status);
    assert_string_equal(buffer_text(&again->body), buffer_text(&first->body));
    assert_false(is_replayed(first));
    assert_true(is_replayed(again));
    _cleanup_free_ char *type = answer_header(again, "Content-Type");
    assert_string_equal(type, "application/json");
}

static void test_which_keys_are_keys(_unused_ void **state)
{
    char longest[257];

    memset(longest, 'k', sizeof(longest) - 1);
    longest[256] = '\0';
    const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"a", true},           {"8c5a3f0e-2a3e-4f0e-9a55-0f3c6f0f9a11", true},
        {"\"quoted\"", true},  {"!~", true},
        {longest + 1, true}, /* 255 */
        {longest, false},      {"", false},
        {" ", false},          {"a b", false},
        {"a ", false},         {" a", false},
        {"a\tb", false},       {"a\nb", false},
        {"a\x01", false},      {"a\x7f", false},
        {"k\xc3\xa9y", false}, {"\xff", false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (idempotency_key_is_valid(rows[i].text) != rows[i].valid)
            fail_msg("row %zu: '%s'", i, rows[i].text);
}

static void test_bad_keys_are_refused_and_change_nothing(_unused_ void **state)
{
    static const char *const rows[][3] = {
        {"Idempotency-Key;", NULL}, /* curl's way to send an empty one */
        {KEY "two words", NULL},      {KEY "k\xc3\xa9y", NULL},
        {KEY "one", KEY "two", NULL}, {KEY "same", "idempotency-key: same", NULL},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_free_ char *before = scene_dump(scene);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = scene_call_with(
            scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/create", rows[i], "{\"name\":\"n\"}");
        check_refused(&answer, 400, "INVALID_IDEMPOTENCY_KEY");
    }
    _cleanup_free_ char *after = scene_dump(scene);
    assert_string_equal(before, after);
    assert_int_equal(atomic_load(&hook.records), 0);
}

/* Every route, so that none is forgotten: a bad key is refused exactly where keys count. */
static void test_which_routes_take_a_key(_unused_ void **state)
{
    static const char *const ignore[] = {
        "/api/v1/workloads/logs",           "/api/v1/workloads/stats",
        "/api/v1/workload-containers/list", "/api/v1/workload-containers/logs",
        "/api/v1/workload-events/list",     "/api/v1/workloads/plan",
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (const struct route *route = gateway_routes; route->path; route++) {
        bool ignores = strcmp(route->method, "GET") == 0;
        if (ignores)
            continue;
        for (size_t i = 0; i < ELEMENTSOF(ignore); i++)
            ignores = ignores || strcmp(route->path, ignore[i]) == 0;
        enum actor actor = route->scope == SCOPE_ADMIN ? GLOBAL_ADMIN : ACCOUNT_ADMIN;
        _cleanup_answer_ struct answer answer =
            call(scene, actor, KEY "no key", route->method, route->path, "{}");
        if ((strcmp(answer_text(&answer, "kind"), "INVALID_IDEMPOTENCY_KEY") == 0) == ignores)
            fail_msg("%s %s: %ld", route->method, route->path, answer.status);
    }
}

static void test_the_first_answer_again(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");
    _cleanup_free_ char *before = scene_dump(scene);

    assert_int_equal(first.status, 200);
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&scene->clock, 7 * HOUR_MS);
        _cleanup_answer_ struct answer again = call(scene, GLOBAL_ADMIN, KEY "k", "POST",
                                                    "/api/v1/accounts/create", "{\"name\":\"n\"}");
        check_same(&first, &again);
    }
    _cleanup_free_ char *after = scene_dump(scene);
    assert_string_equal(before, after);
}

static void test_a_day_later_it_is_a_new_request(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");

    clock_fake_advance(&scene->clock, 24 * HOUR_MS);
    _cleanup_answer_ struct answer later =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");
    assert_int_equal(later.status, 200);
    assert_false(is_replayed(&later));
    assert_string_not_equal(answer_text(&later, "accountId"), answer_text(&first, "accountId"));
}

/* One key stands for one request of one caller. */
static void test_a_key_is_not_for_another_request(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        const char *method;
        const char *path;
        const char *body;
    } rows[] = {
        {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create",
         "{\"accountId\":\"$OURS\",\"type\":\"user\",\"name\":\"other\"}"},
        {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create",
         "{\"accountId\":\"$OURS\",\"type\":\"user\"} "}, /* not byte by byte */
        {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/delete",
         "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
        {ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
         "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
        /* another key of the account must not get what was shown to the first once */
        {DEPLOYER, "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}"},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first =
        call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create",
             "{\"accountId\":\"$OURS\",\"type\":\"user\"}");

    assert_int_equal(first.status, 200);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            call(scene, rows[i].actor, KEY "k", rows[i].method, rows[i].path, rows[i].body);
        check_refused(&answer, 422, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_int_equal(scene->f->commands, 0);
}

static void test_a_secret_is_told_again_to_its_owner_only(_unused_ void **state)
{
    static const char body[] = "{\"accountId\":\"$OURS\",\"type\":\"account-admin\"}";
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first =
        call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create", body);
    _cleanup_answer_ struct answer again =
        call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create", body);
    const char *secret = answer_text(&first, "id");

    check_same(&first, &again);
    snprintf(scene->secrets[FOREIGN], sizeof(scene->secrets[FOREIGN]), "%s", secret);
    _cleanup_answer_ struct answer other =
        call(scene, FOREIGN, KEY "k", "POST", "/api/v1/api-keys/create", body);
    check_refused(&other, 422, "IDEMPOTENCY_KEY_REUSED");
    assert_null(strstr(buffer_text(&other.body), secret));
}

/* Neither what is shown once, nor the key, nor what a body's plain hash would give away. */
static void test_the_store_learns_no_secret(_unused_ void **state)
{
    static const char body[] = "{\"accountId\":\"$OURS\",\"type\":\"user\",\"name\":\"word\"}";
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_free_ char *real = xasprintf("{\"accountId\":\"%s\",\"type\":\"user\",\"name\":"
                                          "\"word\"}",
                                          scene->ours);
    _cleanup_answer_ struct answer first =
        call(scene, ACCOUNT_ADMIN, KEY "open-sesame", "POST", "/api/v1/api-keys/create", body);
    uint8_t digest[SHA256_SIZE];
    char hex[65];

    sha256(real, strlen(real), digest);
    hex_encode(digest, sizeof(digest), hex);
    const char *const unwanted[] = {answer_text(&first, "id"), scene->secrets[ACCOUNT_ADMIN],
                                    "open-sesame", "word", hex};
    assert_int_equal(first.status, 200);
    assert_int_equal(atomic_load(&hook.records), 2);
    for (size_t i = 0; i < ELEMENTSOF(unwanted); i++)
        assert_null(strstr(buffer_text(&hook.written), unwanted[i]));
}

static void test_accounts_have_their_own_keys(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer ours =
        call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create",
             "{\"accountId\":\"$OURS\",\"type\":\"user\"}");
    _cleanup_answer_ struct answer theirs =
        call(scene, FOREIGN, KEY "k", "POST", "/api/v1/api-keys/create",
             "{\"accountId\":\"$THEIRS\",\"type\":\"user\"}");
    _cleanup_answer_ struct answer operators =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create",
             "{\"accountId\":\"$OURS\",\"type\":\"user\"}");

    assert_int_equal(ours.status, 200);
    assert_int_equal(theirs.status, 200);
    assert_int_equal(operators.status, 200);
    assert_false(is_replayed(&theirs) || is_replayed(&operators));
}

/* The operator's key is the same caller in either header. */
static void test_the_admin_may_change_the_header(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");
    _cleanup_answer_ struct answer again =
        call(scene, ADMIN_BEARER, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");

    check_same(&first, &again);
}

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
            call(scene, GLOBAL_ADMIN, key, "POST", rows[i].path, rows[i].body);
        _cleanup_answer_ struct answer again =
            call(scene, GLOBAL_ADMIN, key, "POST", rows[i].path, rows[i].body);
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
        _cleanup_answer_ struct answer first = call(
            scene, DEPLOYER, key, "POST", "/api/v1/workloads/restart", "{\"workloadId\":\"w-1\"}");
        assert_int_equal(first.status, rows[i].status);
        scene->f->answer_code = ERROR_OK;
        _cleanup_answer_ struct answer again = call(
            scene, DEPLOYER, key, "POST", "/api/v1/workloads/restart", "{\"workloadId\":\"w-1\"}");
        assert_int_equal(again.status, rows[i].kept ? rows[i].status : 200);
        assert_int_equal(is_replayed(&again), rows[i].kept);
        assert_int_equal(scene->f->commands, rows[i].kept ? 1 : 2);
    }
}

static void *stop_it(void *state)
{
    struct answer *answer = xnew(struct answer);

    *answer = call(state, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop",
                   "{\"workloadId\":\"w-1\"}");
    return answer;
}

/* The scheduler of the test does not answer while we hold its lock. */
static void test_meanwhile_the_key_is_in_use(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    void *first = NULL;
    pthread_t thread;

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    pthread_mutex_lock(&scene->f->lock);
    assert_int_equal(pthread_create(&thread, NULL, stop_it, scene), 0);
    while (!atomic_load(&hook.records))
        usleep(1000);
    _cleanup_answer_ struct answer meanwhile = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer other = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-2\"}");
    pthread_mutex_unlock(&scene->f->lock);
    pthread_join(thread, &first);
    check_refused(&meanwhile, 409, "IDEMPOTENCY_KEY_IN_USE");
    _cleanup_free_ char *retry = answer_header(&meanwhile, "Retry-After");
    assert_string_equal(retry, "1");
    check_refused(&other, 422, "IDEMPOTENCY_KEY_REUSED");
    _cleanup_answer_ struct answer again = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    check_same(first, &again);
    assert_int_equal(scene->f->commands, 1);
    answer_done(first);
    free(first);
}

/* Whoever claimed the key died. Others wait for as long as a claim lasts, not for a day. */
static void test_a_claim_without_an_end_expires(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    hook.drop_ends = true;
    _cleanup_answer_ struct answer lost = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    assert_int_equal(lost.status, 200); /* the scheduler did it: that is what is told */
    hook.drop_ends = false;
    clock_fake_advance(&scene->clock, IDEMPOTENCY_LEASE_MS - 1);
    _cleanup_answer_ struct answer early = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    check_refused(&early, 409, "IDEMPOTENCY_KEY_IN_USE");
    clock_fake_advance(&scene->clock, 1);
    _cleanup_answer_ struct answer retry = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer again = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    assert_int_equal(retry.status, 200);
    check_same(&retry, &again);
    assert_int_equal(scene->f->commands, 1); /* what the scheduler noted is not asked for again */
}

static const struct change {
    const char *method;
    const char *path;
    const char *body;
} changes[] = {
    {"POST", "/api/v1/accounts/create", "{\"name\":\"n\"}"},
    {"POST", "/api/v1/accounts/create",
     "{\"name\":\"n\",\"walletAddress\":\"0x00112233445566778899aabbccddeeff00112233\"}"},
    {"PUT", "/api/v1/accounts/update", "{\"accountId\":\"$OURS\",\"name\":\"n\"}"},
    {"POST", "/api/v1/accounts/add-balance", "{\"accountId\":\"$OURS\",\"balance\":0.1}"},
    {"POST", "/api/v1/members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"viewer\"}"},
    {"POST", "/api/v1/api-keys/create", "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
    {"PUT", "/api/v1/api-keys/update", "{\"id\":\"$DEPLOYER\",\"active\":false}"},
    {"POST", "/api/v1/api-keys/delete", "{\"id\":\"$DEPLOYER\"}"},
};

/* The worst 503: it happened, and nobody knows. The retry has the first answer. */
static void test_a_lost_commit_happens_once(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        const struct change *c = &changes[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        hook.lose_answers = true;
        _cleanup_answer_ struct answer lost =
            call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        check_refused(&lost, 503, "UNAVAILABLE");
        hook.lose_answers = false;
        _cleanup_free_ char *before = scene_dump(scene);
        _cleanup_answer_ struct answer retry =
            call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        assert_int_equal(retry.status, 200);
        assert_true(is_replayed(&retry));
        _cleanup_free_ char *after = scene_dump(scene);
        assert_string_equal(before, after);
    }
}

/* The same for what only an account has: webhooks. */
static void test_a_lost_change_of_a_webhook_happens_once(_unused_ void **state)
{
    static const char list_path[] = "/api/v1/webhooks/list";
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer made = call(scene, DEPLOYER, NULL, "POST", WEBHOOKS "create",
                                               "{\"url\":\"https://hooks.example/in\"}");
    _cleanup_free_ char *rotate =
        xasprintf("{\"webhookId\":\"%s\",\"rotateSecret\":true}", answer_text(&made, "webhookId"));
    _cleanup_free_ char *one = xasprintf("{\"webhookId\":\"%s\"}", answer_text(&made, "webhookId"));
    const struct change rows[] = {
        {"POST", WEBHOOKS "create", "{\"url\":\"https://hooks.example/in\"}"},
        {"PUT", WEBHOOKS "update", rotate},
        {"POST", WEBHOOKS "delete", one},
    };

    assert_int_equal(made.status, 200);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct change *c = &rows[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        hook.lose_answers = true;
        _cleanup_answer_ struct answer lost =
            call(scene, DEPLOYER, key, c->method, c->path, c->body);
        check_refused(&lost, 503, "UNAVAILABLE");
        hook.lose_answers = false;
        _cleanup_answer_ struct answer before = call(scene, DEPLOYER, NULL, "GET", list_path, NULL);
        _cleanup_answer_ struct answer retry =
            call(scene, DEPLOYER, key, c->method, c->path, c->body);
        if (retry.status != 200 || !is_replayed(&retry))
            fail_msg("row %zu: %ld %s", i, retry.status, buffer_text(&retry.body));
        assert_int_equal(*answer_text(&retry, "secret") != '\0', i < 2);
        _cleanup_answer_ struct answer after = call(scene, DEPLOYER, NULL, "GET", list_path, NULL);
        assert_true(json_equal(before.json, after.json));
    }
}

static size_t deliveries(const struct scene *scene, const char *webhook)
{
    _cleanup_free_ char *path = xasprintf(WEBHOOKS "%s/deliveries", webhook);
    _cleanup_answer_ struct answer answer = call(scene, DEPLOYER, NULL, "GET", path, NULL);

    return json_array_size(json_object_get(answer.json, "deliveries"));
}

/* A test event is no record with an answer in its commit: it has a name that follows from the key.
 */
static void test_a_lost_test_of_a_webhook_happens_once(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer made = call(scene, DEPLOYER, NULL, "POST", WEBHOOKS "create",
                                               "{\"url\":\"https://hooks.example/in\"}");
    const char *id = answer_text(&made, "webhookId");
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", id);
    const char *const keys[] = {KEY "k", KEY "k", KEY "other", NULL};
    const size_t wanted[] = {1, 1, 2, 3};

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        hook.lose_answers = i == 0;
        _cleanup_answer_ struct answer answer =
            call(scene, DEPLOYER, keys[i], "POST", WEBHOOKS "test", body);
        hook.lose_answers = false;
        assert_int_equal(answer.status, i == 0 ? 503 : 200);
        assert_int_equal(deliveries(scene, id), wanted[i]);
    }
}

/* Without a claim nothing is asked of anybody. */
static void test_without_the_store_nothing_happens(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    hook.away = true;
    _cleanup_answer_ struct answer answer = call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    hook.away = false;
    check_refused(&answer, 503, "UNAVAILABLE");
    assert_int_equal(scene->f->commands, 0);
}

/* Also when no commit is answered: the claim is known by its owner. */
static void test_a_lost_claim_holds_nobody_up(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        const struct change *c = &changes[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        hook.lose_all_answers = true;
        _cleanup_answer_ struct answer lost =
            call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        _cleanup_answer_ struct answer retry =
            call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        hook.lose_all_answers = false;
        check_refused(&lost, 503, "UNAVAILABLE");
        assert_int_equal(retry.status, 200);
        assert_true(is_replayed(&retry));
    }
}

static void test_what_is_replayed_is_what_is_there(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    static const char add[] = "{\"accountId\":\"$OURS\",\"balance\":0.1}";

    hook.lose_answers = true;
    _cleanup_answer_ struct answer lost =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/add-balance", add);
    hook.lose_answers = false;
    _cleanup_answer_ struct answer retry =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/add-balance", add);
    _cleanup_answer_ struct answer account =
        call(scene, GLOBAL_ADMIN, NULL, "GET", "/api/v1/accounts/$OURS", NULL);
    json_object_del(account.json, "burnRatePerMin"); /* told by GET only */
    assert_true(json_equal(retry.json, account.json));
    assert_non_null(strstr(buffer_text(&retry.body), "\"balance\":10.1"));
}

/* A commit whose claim is gone changes nothing: another try may have been made since. */
static void test_who_lost_the_claim_changes_nothing(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        const struct change *c = &changes[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        _cleanup_free_ char *before = scene_dump(scene);
        hook.drop_claims = true;
        _cleanup_answer_ struct answer late =
            call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        check_refused(&late, 503, "UNAVAILABLE");
        hook.drop_claims = false;
        _cleanup_free_ char *after = scene_dump(scene);
        assert_string_equal(before, after);
        _cleanup_answer_ struct answer retry =
            call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        assert_int_equal(retry.status, 200);
        assert_false(is_replayed(&retry));
    }
}

#define CREATE_BODY "{" CREATE_REST
#define CREATE_REST                                                                                \
    "\"name\":\"one\",\"dockerCompose\":\"services:\\n  web:\\n    image: "                        \
    "docker.io/library/nginx@sha256:"                                                              \
    "0000000000000000000000000000000000000000000000000000000000000001\\n    expose: [80]\\n\","    \
    "\"publicContainerName\":\"web\",\"publicContainerPort\":80,"                                  \
    "\"artifactsVersion\":\"" TEST_IMAGE "\",\"cpus\":1,\"memory\":1024,\"disk\":10,\"gpus\":0}"

#define SECRET_BODY                                                                                \
    "{\"secretFiles\":{\"a\":{\"content\":\"aGk=\"},\"b\":{\"content\":\"aGk=\"}},"                \
    "\"workloadId\":\"w-new\"," CREATE_REST

/* The scheduler knows a repeated create by its id. */
static void test_a_new_workloads_id_follows_from_the_key(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        const char *key;
        bool same;
    } rows[] = {
        {DEPLOYER, KEY "k-1", true},
        {DEPLOYER, KEY "k-2", false},
        {FOREIGN, KEY "k-1", false},
        {DEPLOYER, NULL, false},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();

    scene->f->answer_code = ERROR_UNAVAILABLE;
    scene->f->answer_text = "away";
    _cleanup_answer_ struct answer lost =
        call(scene, DEPLOYER, KEY "k-1", "POST", "/api/v1/workloads/create", CREATE_BODY);
    assert_int_equal(lost.status, 503);
    Coffer__V1__CreateWorkloadRequest *asked = coffer__v1__create_workload_request__unpack(
        NULL, scene->f->last_payload.size, scene->f->last_payload.data);
    assert_non_null(asked);
    assert_int_equal(strlen(asked->workload_id), 36);
    assert_int_equal(asked->workload_id[14], '8');
    scene->f->answer_code = ERROR_OK;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = call(scene, rows[i].actor, rows[i].key, "POST",
                                                     "/api/v1/workloads/create", CREATE_BODY);
        assert_int_equal(answer.status, 200);
        assert_int_equal(strcmp(answer_text(&answer, "workloadId"), asked->workload_id) == 0,
                         rows[i].same);
    }
    coffer__v1__create_workload_request__free_unpacked(asked, NULL);
}

/* The manifest of the create that the scheduler was asked for last. */
static void take_manifest(const struct scene *scene, struct buffer *ret_manifest)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const Coffer__V1__CreateWorkloadRequest *asked =
        last_request(scene->f, &coffer__v1__create_workload_request__descriptor, arena);

    assert_non_null(asked);
    buffer_done(ret_manifest);
    buffer_add(ret_manifest, asked->manifest.data, asked->manifest.len);
}

/* By its manifest, too: a secret file without a salt of the owner's has the same one again. */
static void test_a_repeated_create_is_the_same_to_the_scheduler(_unused_ void **state)
{
    static const char path[] = "/api/v1/workloads/create";
    static const struct {
        enum actor actor;
        const char *key;
        bool same;
    } rows[] = {
        {DEPLOYER, KEY "k-1", true},
        {DEPLOYER, KEY "k-2", false},
        {ACCOUNT_ADMIN, KEY "k-3", false},
        {DEPLOYER, NULL, false},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_buffer_ struct buffer first = {0};
    _cleanup_buffer_ struct buffer next = {0};

    scene->f->answer_code = ERROR_DEADLINE_EXCEEDED;
    scene->f->answer_text = "late";
    _cleanup_answer_ struct answer lost =
        call(scene, DEPLOYER, KEY "k-1", "POST", path, SECRET_BODY);
    assert_int_equal(lost.status, 504);
    take_manifest(scene, &first);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer again =
            call(scene, rows[i].actor, rows[i].key, "POST", path, SECRET_BODY);
        assert_int_equal(again.status, 504);
        take_manifest(scene, &next);
        if ((strcmp(buffer_text(&next), buffer_text(&first)) == 0) != rows[i].same)
            fail_msg("row %zu: %s", i, buffer_text(&next));
    }
}

/* So it is with tiers. */
static void test_a_new_tiers_id_follows_from_the_key(_unused_ void **state)
{
    static const char body[] = "{\"name\":\"small\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,"
                               "\"diskGb\":10,\"cost\":0.25}";
    _cleanup_scene_ struct scene *scene = hooked_scene();

    scene->f->answer_code = ERROR_DEADLINE_EXCEEDED;
    scene->f->answer_text = "late";
    _cleanup_answer_ struct answer lost =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/workload-tiers/create", body);
    assert_int_equal(lost.status, 504);
    Coffer__V1__WorkloadTier *asked = coffer__v1__workload_tier__unpack(
        NULL, scene->f->last_payload.size, scene->f->last_payload.data);
    assert_non_null(asked);
    scene->f->answer_code = ERROR_OK;
    _cleanup_answer_ struct answer retry =
        call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/workload-tiers/create", body);
    _cleanup_answer_ struct answer other =
        call(scene, GLOBAL_ADMIN, NULL, "POST", "/api/v1/workload-tiers/create", body);
    assert_int_equal(retry.status, 200);
    assert_string_equal(answer_text(&retry, "tierId"), asked->tier_id);
    assert_string_not_equal(answer_text(&other, "tierId"), asked->tier_id);
    coffer__v1__workload_tier__free_unpacked(asked, NULL);
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
        _cleanup_answer_ struct answer first = call(scene, DEPLOYER, key, "POST", url, "");
        _cleanup_answer_ struct answer again = call(scene, DEPLOYER, key, "POST", url, "");
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

/* Questions may be asked again and again with whatever header. */
static void test_questions_ignore_the_key(_unused_ void **state)
{
    static const char *const ids[] = {"w-1", "w-2", "w-1"};
    _cleanup_scene_ struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_workload(scene->f, "w-2", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        _cleanup_free_ char *body = xasprintf("{\"workloadId\":\"%s\"}", ids[i]);
        _cleanup_answer_ struct answer answer =
            call(scene, READER, KEY "k", "POST", "/api/v1/workload-events/list", body);
        assert_int_equal(answer.status, 200);
        assert_false(is_replayed(&answer));
    }
    assert_int_equal(atomic_load(&hook.records), 0);
}

static void test_without_a_key_nothing_is_kept(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_answer_ struct answer answer =
            call(scene, GLOBAL_ADMIN, NULL, changes[i].method, changes[i].path, changes[i].body);
        assert_int_equal(answer.status, 200);
    }
    assert_int_equal(atomic_load(&hook.records), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_keys_are_keys),
        cmocka_unit_test(test_bad_keys_are_refused_and_change_nothing),
        cmocka_unit_test(test_which_routes_take_a_key),
        cmocka_unit_test(test_the_first_answer_again),
        cmocka_unit_test(test_a_day_later_it_is_a_new_request),
        cmocka_unit_test(test_a_key_is_not_for_another_request),
        cmocka_unit_test(test_a_secret_is_told_again_to_its_owner_only),
        cmocka_unit_test(test_the_store_learns_no_secret),
        cmocka_unit_test(test_accounts_have_their_own_keys),
        cmocka_unit_test(test_the_admin_may_change_the_header),
        cmocka_unit_test(test_refusals_are_answers_too),
        cmocka_unit_test(test_what_the_scheduler_says_is_kept),
        cmocka_unit_test(test_meanwhile_the_key_is_in_use),
        cmocka_unit_test(test_a_claim_without_an_end_expires),
        cmocka_unit_test(test_a_lost_commit_happens_once),
        cmocka_unit_test(test_a_lost_change_of_a_webhook_happens_once),
        cmocka_unit_test(test_a_lost_test_of_a_webhook_happens_once),
        cmocka_unit_test(test_without_the_store_nothing_happens),
        cmocka_unit_test(test_a_lost_claim_holds_nobody_up),
        cmocka_unit_test(test_what_is_replayed_is_what_is_there),
        cmocka_unit_test(test_who_lost_the_claim_changes_nothing),
        cmocka_unit_test(test_a_new_workloads_id_follows_from_the_key),
        cmocka_unit_test(test_a_repeated_create_is_the_same_to_the_scheduler),
        cmocka_unit_test(test_a_new_tiers_id_follows_from_the_key),
        cmocka_unit_test(test_what_is_kept_of_an_answer),
        cmocka_unit_test(test_questions_ignore_the_key),
        cmocka_unit_test(test_without_a_key_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
