/* All ways to a 503: the caller reads plain words, our log has the particulars and the request. */
#include "services/api-gateway/test_fake_guest.h"
#include "services/api-gateway/test_scene.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"

#define A "/api/v1/"

/* What no caller may read, in any case: who stands behind us, where, and what they call things. */
#define SECRET                                                                                     \
    "redis: connect 10.1.2.3:6379: 'svc.scheduler.workload.stop' by nats: 'coffer:account:x'"
static const char *const internals[] = {
    "redis", "nats", "svc.", "cmd.", "evt.", "log.", "coffer:", "10.1.2.3", "6379", ".c:",
};

/* The backends of a scene, failing where a row says so. Tests run one after another. */
static struct {
    struct store_ops store;
    const struct store_ops *real_store;
    struct bus_ops bus;
    const struct bus_ops *real_bus;
    enum error_code reads;
    enum error_code commits;
    enum error_code requests;
} hook;

static struct error *broken(enum error_code code)
{
    return code == ERROR_OK ? NULL : error_new(code, "%s", SECRET);
}

static struct error *on_get(struct store *store, const char *key, struct arena *arena,
                            struct store_record *ret_record)
{
    struct error *err = broken(hook.reads);

    return err ?: hook.real_store->get(store, key, arena, ret_record);
}

static struct error *on_get_many(struct store *store, const char *const *keys, size_t n,
                                 struct arena *arena, struct store_record *ret_records)
{
    struct error *err = broken(hook.reads);

    return err ?: hook.real_store->get_many(store, keys, n, arena, ret_records);
}

static struct error *on_members(struct store *store, const char *set, size_t max,
                                struct arena *arena, const char ***ret_members, size_t *ret_n)
{
    struct error *err = broken(hook.reads);

    return err ?: hook.real_store->members(store, set, max, arena, ret_members, ret_n);
}

static struct error *on_list_range(struct store *store, const char *key, size_t max,
                                   struct arena *arena, ProtobufCBinaryData **ret_items,
                                   size_t *ret_n)
{
    struct error *err = broken(hook.reads);

    return err ?: hook.real_store->list_range(store, key, max, arena, ret_items, ret_n);
}

static struct error *on_commit(struct store *store, const struct store_change *change)
{
    struct error *err = broken(hook.commits);

    return err ?: hook.real_store->commit(store, change);
}

static struct error *on_ping(struct store *store)
{
    struct error *err = broken(hook.commits);

    return err ?: hook.real_store->ping(store);
}

/* As an answer of the peer, which is not asked for again. */
static struct error *on_request(struct bus *bus, const struct bus_message *message, int timeout_ms,
                                struct arena *arena, struct bus_message *ret_reply)
{
    if (hook.requests == ERROR_OK)
        return hook.real_bus->request(bus, message, timeout_ms, arena, ret_reply);
    ret_reply->status = hook.requests;
    return broken(hook.requests);
}

static void hook_backends(struct scene *scene)
{
    struct store *store = scene->f->store;
    struct bus *bus = scene->f->bus;

    memset(&hook, 0, sizeof(hook));
    hook.real_store = store->ops;
    hook.store = *store->ops;
    hook.store.get = on_get;
    hook.store.get_many = on_get_many;
    hook.store.members = on_members;
    hook.store.list_range = on_list_range;
    hook.store.commit = on_commit;
    hook.store.ping = on_ping;
    hook.real_bus = bus->ops;
    hook.bus = *bus->ops;
    hook.bus.request = on_request;
    store->ops = &hook.store;
    bus->ops = &hook.bus;
}

static void unhook_backends(struct scene *scene)
{
    scene->f->store->ops = hook.real_store;
    scene->f->bus->ops = hook.real_bus;
}

static struct buffer logged;
static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log_line(_unused_ void *data, const char *line)
{
    pthread_mutex_lock(&logged_lock);
    buffer_add_text(&logged, line);
    buffer_add_text(&logged, "\n");
    pthread_mutex_unlock(&logged_lock);
}

/* Whether one line has both. */
static bool was_logged(const char *id, const char *text)
{
    bool found = false;

    pthread_mutex_lock(&logged_lock);
    for (const char *at = buffer_text(&logged); at && !found; at = strchr(at, '\n')) {
        at += *at == '\n';
        _cleanup_free_ char *line = xstrndup(at, strcspn(at, "\n"));
        found = strstr(line, id) && strstr(line, text);
    }
    pthread_mutex_unlock(&logged_lock);
    return found;
}

/* What goes wrong, and which words it must have. */
static const struct way {
    enum error_code reads;
    enum error_code commits;
    enum error_code requests;
    const char *words;
} ways[] = {
    {.reads = ERROR_UNAVAILABLE, .words = "the fleet's store cannot be reached; ask again"},
    {.commits = ERROR_UNAVAILABLE, .words = "the fleet's store cannot be reached; ask again"},
    {.reads = ERROR_RESOURCE_EXHAUSTED, .words = "this is too much for the fleet"},
    {.requests = ERROR_UNAVAILABLE, .words = "the scheduler does not answer; ask again"},
    {.requests = ERROR_UNAVAILABLE, .words = "the guest does not answer; ask again"},
    {.requests = ERROR_DEADLINE_EXCEEDED, .words = "the scheduler does not answer; ask again"},
    {.requests = ERROR_RESOURCE_EXHAUSTED, .words = "this is too much for the fleet"},
    {.requests = ERROR_CANCELLED, .words = "this was broken off; ask again"},
    {.commits = ERROR_ABORTED, .words = "somebody else changed this at the same time; ask again"},
};

static const struct question {
    enum actor actor;
    const char *method;
    const char *path;
    const char *body;
} questions[] = {
    {ACCOUNT_ADMIN, "GET", A "workloads/list", NULL},
    {ACCOUNT_ADMIN, "GET", A "workloads/" TEST_WORKLOAD, NULL},
    {ACCOUNT_ADMIN, "GET", A "workloads/" TEST_WORKLOAD "/env", NULL},
    {DEPLOYER, "POST", A "workloads/stop", "{\"workloadId\":\"" TEST_WORKLOAD "\"}"},
    {DEPLOYER, "POST", A "workloads/stats", "{\"workloadId\":\"" TEST_WORKLOAD "\"}"},
    {DEPLOYER, "POST", A "workload-events/list", "{\"workloadId\":\"" TEST_WORKLOAD "\"}"},
    {GLOBAL_ADMIN, "POST", A "accounts/create", "{\"name\":\"n\"}"},
    {GLOBAL_ADMIN, "PUT", A "accounts/update", "{\"accountId\":\"$OURS\",\"name\":\"n\"}"},
    {GLOBAL_ADMIN, "GET", A "accounts/list", NULL},
    {ACCOUNT_ADMIN, "GET", A "accounts/me", NULL},
    {ACCOUNT_ADMIN, "POST", A "members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"owner\"}"},
    {ACCOUNT_ADMIN, "GET", A "members/account/$OURS", NULL},
    {ACCOUNT_ADMIN, "POST", A "api-keys/create", "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
    {ACCOUNT_ADMIN, "GET", A "api-keys/account/$OURS", NULL},
    {ACCOUNT_ADMIN, "GET", A "audit", NULL},
    {DEPLOYER, "POST", A "webhooks/create", "{\"url\":\"https://receiver.example/x\"}"},
    {DEPLOYER, "GET", A "webhooks/list", NULL},
    {GLOBAL_ADMIN, "POST", A "artifacts/enable", "{\"version\":\"" TEST_IMAGE "\"}"},
    {GLOBAL_ADMIN, "POST", A "workload-tiers/delete", "{\"tierId\":\"t\"}"},
    {GLOBAL_ADMIN, "POST", A "metal-instances/delete", "{\"metalInstanceId\":\"h\"}"},
    {GLOBAL_ADMIN, "GET", A "metal-instances/list", NULL},
    {NOBODY, "GET", A "fleet", NULL},
};

/* 1 when it failed with the way's words. */
static unsigned check_answer(const struct way *way, const struct question *q,
                             const struct answer *answer)
{
    bool told = answer->json && strcmp(answer_text(answer, "error") ?: "", way->words) == 0;

    if (answer->status == 200 || answer->status == 404)
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(internals); i++)
        if (strcasestr(buffer_text(&answer->body), internals[i]))
            fail_msg("%s %s: %s", q->method, q->path, buffer_text(&answer->body));
    if ((told || answer->status >= 500) &&
        !was_logged(answer_text(answer, "requestId"), "10.1.2.3:6379"))
        fail_msg("%s %s: not in the log: %s", q->method, q->path, buffer_text(&answer->body));
    return told;
}

static struct answer ask(const struct scene *scene, const struct question *q, const char *key)
{
    const char *const headers[] = {key, NULL};

    return scene_call_with(scene, q->actor, q->method, q->path, headers, q->body);
}

/* A claim that somebody else had would end otherwise. */
static void try_way(const struct scene *scene, size_t number)
{
    const struct way *way = &ways[number];
    unsigned n = 0;

    hook.reads = way->reads;
    hook.commits = way->commits;
    hook.requests = way->requests;
    for (size_t i = 0; i < ELEMENTSOF(questions); i++) {
        _cleanup_free_ char *key = xasprintf("Idempotency-Key: k-%zu-%zu", number, i);
        bool claims = way->commits != ERROR_ABORTED;
        _cleanup_answer_ struct answer without = ask(scene, &questions[i], NULL);
        _cleanup_answer_ struct answer with = ask(scene, &questions[i], claims ? key : NULL);
        n += check_answer(way, &questions[i], &without);
        n += check_answer(way, &questions[i], &with);
    }
    if (!n)
        fail_msg("nobody was told '%s'", way->words);
}

static void test_no_answer_tells_of_the_inside(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    struct guest guest;

    guest_start(scene->f, &guest, scene->ours);
    hook_backends(scene);
    log_set_sink(on_log_line, NULL);
    for (size_t i = 0; i < ELEMENTSOF(ways); i++)
        try_way(scene, i);
    log_set_sink(NULL, NULL);
    unhook_backends(scene);
    buffer_done(&logged);
}

/* Operators' eyes only, but the port may be scraped by many. */
static void test_readiness_tells_who_is_away(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *ready =
        xasprintf("http://127.0.0.1:%u/readyz", http_server_port(scene->f->gateway->metrics_http));

    hook_backends(scene);
    hook.commits = ERROR_UNAVAILABLE;
    _cleanup_answer_ struct answer away = http_call(scene->f, "GET", ready, NULL, NULL);
    hook.commits = ERROR_OK;
    scene->f->gateway->draining = true;
    _cleanup_answer_ struct answer leaving = http_call(scene->f, "GET", ready, NULL, NULL);
    scene->f->gateway->draining = false;
    unhook_backends(scene);
    assert_int_equal(away.status, 503);
    assert_string_equal(answer_text(&away, "error"),
                        "the fleet's store cannot be reached; ask again");
    assert_int_equal(leaving.status, 503);
    assert_string_equal(answer_text(&leaving, "error"), "shutting down");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_answer_tells_of_the_inside),
        cmocka_unit_test(test_readiness_tells_who_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
