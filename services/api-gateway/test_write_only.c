/*
 * What is secret goes in and never comes out: every route is called, in good and bad ways, with
 * and after secrets that are words of their own. Looked at are all answers with their headers, all
 * streams, the log, all that is written to the store, and all that goes over the bus.
 */
#include "services/api-gateway/test_fake_guest.h"

#include <unistd.h>

#include "services/api-gateway/handlers.h"
#include "services/api-gateway/routes.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

/* Every secret, and the same in the base64 in which it came. */
#define ENV       "zqxenvvalue71"
#define FILE_TEXT "zqxfilebytes72"
#define FILE_64   "enF4ZmlsZWJ5dGVzNzI="
#define USERNAME  "zqxusername73"
#define PASSWORD  "zqxpassword74"
#define NEW_ENV   "zqxnewvalue75"
#define MARK      "zqx"  /* of all in the clear */
#define MARK_64   "enF4" /* of all in base64 */

#define SECRETS                                                                                    \
    "\"envVars\":{\"A\":\"" ENV "\"},\"secretFiles\":{\"k\":{\"content\":\"" FILE_64               \
    "\",\"salt\":\"0101010101010101010101010101010101010101010101010101010101010101\"}},"          \
    "\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"" USERNAME                       \
    "\",\"password\":\"" PASSWORD "\"}]"
#define PROJECT                                                                                    \
    "\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE "\",\"dockerCompose\":\"services: {web: "  \
    "{image: a, environment: {A: '${A:-}'}}}\",\"publicContainerName\":\"web\","                   \
    "\"publicContainerPort\":80,\"memory\":1024,\"cpus\":2,\"disk\":10"
#define ID "\"workloadId\":\"" TEST_WORKLOAD "\""

/* What was written and sent; the doubles stand between the gateway and the fixture's own. */
static struct {
    pthread_mutex_t lock;
    struct buffer stored;
    struct buffer sent;
    struct bus_ops bus;
    struct store_ops store;
    const struct bus_ops *real_bus;
    const struct store_ops *real_store;
} spy = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(struct buffer *buffer, const void *data, size_t size)
{
    pthread_mutex_lock(&spy.lock);
    buffer_add(buffer, data, size);
    pthread_mutex_unlock(&spy.lock);
}

static void note_message(const struct bus_message *message)
{
    note(&spy.sent, message->subject, strlen(message->subject));
    note(&spy.sent, message->data, message->size);
    note(&spy.sent, message->error ?: "", strlen(message->error ?: ""));
}

static struct error *spy_publish(struct bus *bus, const struct bus_message *message)
{
    note_message(message);
    return spy.real_bus->publish(bus, message);
}

static struct error *spy_request(struct bus *bus, const struct bus_message *message, int timeout_ms,
                                 struct arena *arena, struct bus_message *ret_reply)
{
    note_message(message);
    struct error *err = spy.real_bus->request(bus, message, timeout_ms, arena, ret_reply);
    if (!err)
        note_message(ret_reply);
    return err;
}

static struct error *spy_object_put(struct bus *bus, const char *name, const void *data,
                                    size_t size, int timeout_ms)
{
    note(&spy.sent, data, size);
    return spy.real_bus->object_put(bus, name, data, size, timeout_ms);
}

static struct error *spy_commit(struct store *store, const struct store_change *change)
{
    for (size_t i = 0; i < change->n_writes; i++) {
        note(&spy.stored, change->writes[i].key, strlen(change->writes[i].key));
        note(&spy.stored, change->writes[i].value.data, change->writes[i].value.len);
    }
    for (size_t i = 0; i < change->n_edits; i++)
        note(&spy.stored, change->edits[i].member, strlen(change->edits[i].member));
    for (size_t i = 0; i < change->n_outbox; i++)
        note(&spy.stored, change->outbox[i].payload.data, change->outbox[i].payload.len);
    for (size_t i = 0; i < change->n_lists; i++)
        note(&spy.stored, change->lists[i].value.data, change->lists[i].value.len);
    return spy.real_store->commit(store, change);
}

static struct error *spy_list_push(struct store *store, const char *key, const void *data,
                                   size_t size, size_t max_length)
{
    note(&spy.stored, data, size);
    return spy.real_store->list_push(store, key, data, size, max_length);
}

static void spy_on(const struct fixture *f)
{
    spy.real_bus = f->bus->ops;
    spy.bus = *f->bus->ops;
    spy.bus.publish = spy_publish;
    spy.bus.request = spy_request;
    spy.bus.object_put = spy_object_put;
    f->bus->ops = &spy.bus;
    spy.real_store = f->store->ops;
    spy.store = *f->store->ops;
    spy.store.commit = spy_commit;
    spy.store.list_push = spy_list_push;
    f->store->ops = &spy.store;
}

static void spy_off(const struct fixture *f)
{
    f->bus->ops = spy.real_bus;
    f->store->ops = spy.real_store;
}

static bool holds(const struct buffer *buffer, const char *text)
{
    return buffer->size && memmem(buffer->data, buffer->size, text, strlen(text));
}

static void check_clean(const char *what, const struct buffer *buffer)
{
    if (holds(buffer, MARK) || holds(buffer, MARK_64))
        fail_msg("a secret is in %s: %s", what, buffer_text(buffer));
}

/* Returns the status. */
static long call(const struct fixture *f, const char *method, const char *path, const char *key,
                 const char *body)
{
    _cleanup_answer_ struct answer answer = http_call(f, method, path, key, body);

    check_clean(path, &answer.body);
    check_clean(path, &answer.headers);
    return answer.status;
}

/* The right ones come first; after them the secrets are there. */
static const struct {
    const char *path;
    const char *body;
    long status;
} posts[] = {
    {"plan", "{" PROJECT "," SECRETS "}", 200},
    {"create", "{" ID "," PROJECT "," SECRETS "}", 200},
    {"restart", "{" ID "," SECRETS "}", 200},
    {"update", "{" ID ",\"setEnvVars\":{\"A\":\"" NEW_ENV "\"}}", 412},
    {"update", "{" ID ",\"setEnvVars\":{\"A\":\"" NEW_ENV "\"},\"confirmDataLoss\":true}", 200},
    {"plan", "{" ID "," SECRETS "}", 200},
    {"update", "{" ID "," SECRETS ",\"name\":\"m\",\"confirmDataLoss\":true}", 200},

    /* bodies that are not JSON, broken off at or in a secret */
    {"create", "{\"envVars\":{\"A\":\"" ENV, 400},
    {"create", "{\"envVars\":{\"A\":\"" ENV "\\", 400},
    {"create", "{\"envVars\":{\"A\":" ENV "}}", 400},
    {"create", "{\"envVars\":{\"A\":\"" ENV "\" \"" ENV "\"}}", 400},
    {"create", "\"" ENV "\"", 400},
    {"create", ENV, 400},
    {"restart", "{" ID ",\"envVars\":{\"A\":\"" ENV "\",\"A\":\"" ENV "\"}}", 400},
    {"update", "{" ID ",\"setEnvVars\":{\"A\":\"" NEW_ENV "\n\"}}", 400},

    /* secrets in the wrong shape */
    {"create", "{" PROJECT "," SECRETS ",\"surprise\":\"" ENV "\"}", 400},
    {"create", "{" PROJECT ",\"envVars\":\"" ENV "\"}", 400},
    {"create", "{" PROJECT ",\"envVars\":[\"" ENV "\"]}", 400},
    {"create", "{" PROJECT ",\"envVars\":{\"A\":[\"" ENV "\"]}}", 400},
    {"create", "{" PROJECT ",\"envVars\":{\"LD_PRELOAD\":\"" ENV "\"}}", 400},
    {"create", "{" PROJECT ",\"secretFiles\":{\"k\":\"" FILE_64 "\"}}", 400},
    {"create", "{" PROJECT ",\"secretFiles\":{\"k\":{\"content\":\"" FILE_TEXT "!\"}}}", 400},
    {"create",
     "{" PROJECT ",\"secretFiles\":{\"k\":{\"content\":\"" FILE_64 "\",\"salt\":\"" ENV "\"}}}",
     400},
    {"create", "{" PROJECT ",\"secretFiles\":{\"../k\":{\"content\":\"" FILE_64 "\"}}}", 400},
    {"create",
     "{" PROJECT ",\"files\":{\"k\":\"\"},\"secretFiles\":{\"k\":{\"content\":\"" FILE_64 "\"}}}",
     400},
    {"create", "{" PROJECT ",\"dockerCredentials\":{\"password\":\"" PASSWORD "\"}}", 400},
    {"create", "{" PROJECT ",\"dockerCredentials\":[\"" PASSWORD "\"]}", 400},
    {"create",
     "{" PROJECT ",\"dockerCredentials\":[{\"username\":\"" USERNAME "\",\"password\":[\"" PASSWORD
     "\"]}]}",
     400},
    {"create",
     "{" PROJECT ",\"dockerCredentials\":[{\"server\":\"a b\",\"username\":\"" USERNAME
     "\",\"password\":\"" PASSWORD "\"}]}",
     400},
    {"restart", "{" ID ",\"envVars\":{\"A\":\"" ENV "\",\"B\":\"" ENV "\"}}", 400},
    {"restart",
     "{" ID ",\"envVars\":{\"A\":\"" ENV "\"},\"secretFiles\":{\"k\":{\"content\":\"" FILE_64
     "\"}}}",
     400},
    {"update", "{" ID ",\"setEnvVars\":{\"B-\":\"" NEW_ENV "\"}}", 400},
    {"update", "{" ID ",\"envVars\":{\"A\":\"" ENV "\"},\"setEnvVars\":{\"A\":\"" NEW_ENV "\"}}",
     400},
    {"plan", "{" PROJECT ",\"envVars\":{\"A\":[\"" ENV "\"]}}", 200},

    /* of somebody else, or nobody */
    {"restart", "{\"workloadId\":\"w-f\"," SECRETS "}", 404},
    {"update", "{\"workloadId\":\"w-f\"," SECRETS "}", 404},
    {"plan", "{\"workloadId\":\"none\"," SECRETS "}", 404},
};

static void call_posts(struct fixture *f)
{
    for (size_t i = 0; i < ELEMENTSOF(posts); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", posts[i].path);
        long status = call(f, "POST", path, TEST_KEY, posts[i].body);
        if (status != posts[i].status)
            fail_msg("%s %s: %ld", path, posts[i].body, status);
    }
}

/* The scheduler's own failures, and callers who may not. */
static void call_failing(struct fixture *f)
{
    static const struct {
        enum error_code code;
        const char *reason;
    } failures[] = {{ERROR_INTERNAL, NULL},
                    {ERROR_INVALID_ARGUMENT, NULL},
                    {ERROR_UNAVAILABLE, NULL},
                    {ERROR_FAILED_PRECONDITION, "over_quota"}};
    static const char *const keys[] = {NULL, "no-such-key-0123456789", "x-api-key: " TEST_ADMIN};

    f->answer_text = "told";
    for (size_t i = 0; i < ELEMENTSOF(failures); i++) {
        f->answer_code = failures[i].code;
        f->answer_reason = failures[i].reason;
        for (size_t k = 1; k < 7; k++) { /* those that reach it */
            _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", posts[k].path);
            assert_true(call(f, "POST", path, TEST_KEY, posts[k].body) >= 400 || k == 3);
        }
    }
    f->answer_code = ERROR_OK;
    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        assert_int_equal(call(f, "POST", "/api/v1/workloads/create", keys[i], posts[1].body), 401);
}

static bool is_stream(const struct route *route)
{
    return route->handle == on_workload_events_stream || route->handle == on_all_events_stream ||
           route->handle == on_logs_stream;
}

/* With an id in the place of a ':' part. */
static char *path_of(const struct route *route)
{
    const char *colon = strchr(route->path, ':');

    if (!colon)
        return xstrdup(route->path);
    const char *id = strstr(route->path, "account")   ? "dev"
                     : strstr(route->path, "metal")   ? TEST_HOST
                     : strstr(route->path, "version") ? TEST_IMAGE
                                                      : TEST_WORKLOAD;
    return xasprintf("%.*s%s%s", (int)(colon - route->path), route->path, id,
                     colon + strcspn(colon, "/"));
}

/* Whatever is in the table of routes, by the account and by the operator. Deletes are last: the
 * table has them where it has them, and here it is the fake scheduler who does nothing. */
static void call_every_route(const struct fixture *f)
{
    for (const struct route *route = gateway_routes; route->path; route++) {
        _cleanup_free_ char *path = path_of(route);
        const bool get = strcmp(route->method, "GET") == 0;
        if (is_stream(route)) {
            _cleanup_buffer_ struct buffer seen = {0};
            (void)http_stream_until(f, path, NULL, "\n\n", 1, &seen);
            check_clean(path, &seen);
            continue;
        }
        (void)call(f, route->method, path, TEST_KEY, get ? NULL : "{" ID "}");
        (void)call(f, route->method, path, "x-api-key: " TEST_ADMIN, get ? NULL : "{" ID "}");
    }
}

/* Otherwise nothing would be proven. */
static void check_secrets_arrived(const struct fixture *f)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const Coffer__V1__UpdateWorkloadRequest *sent =
        last_request(f, &coffer__v1__update_workload_request__descriptor, arena);
    const Coffer__V1__Secrets *secrets =
        open_secrets(f, TEST_WORKLOAD, sent->sealed_secrets, arena);

    assert_string_equal(secrets->environment[0]->value, ENV);
    assert_memory_equal(secrets->files[0]->content.data, FILE_TEXT, strlen(FILE_TEXT));
    assert_string_equal(secrets->registries[0]->username, USERNAME);
    assert_string_equal(secrets->registries[0]->password, PASSWORD);
}

/* From here on the log goes into the file. Returns where it went before. */
static int log_into(const char *path)
{
    int before = dup(STDERR_FILENO);

    assert_true(before >= 0);
    assert_non_null(freopen(path, "w", stderr));
    return before;
}

static void log_back(int before)
{
    fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
}

static void run(struct fixture *f, struct guest *guest)
{
    guest_start(f, guest, "dev");
    put_workload(f, "w-f", "foreign", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    call_posts(f);
    check_secrets_arrived(f);
    put_event(f, TEST_WORKLOAD, "dev", 1, "running");
    call_failing(f);
    call_every_route(f);
}

static void test_nothing_secret_comes_out(_unused_ void **state)
{
    char log[] = "/tmp/coffer-write-only-XXXXXX";
    _cleanup_close_ int fd = mkstemp(log);
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer logged = {0};
    struct guest guest;

    assert_true(fd >= 0);
    int before = log_into(log);
    spy_on(f);
    run(f, &guest);
    spy_off(f);
    log_back(before);
    assert_null(file_read(log, 16 * 1024 * 1024, &logged));
    unlink(log);
    assert_true(holds(&logged, "request failed")); /* it is the log */
    assert_true(holds(&spy.stored, "workloads/update") && holds(&spy.sent, "svc.scheduler"));
    check_clean("the log", &logged);
    check_clean("the store", &spy.stored);
    check_clean("the bus", &spy.sent);
    buffer_done(&spy.stored);
    buffer_done(&spy.sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_secret_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
