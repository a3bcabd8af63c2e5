/*
 * Target functions: routes_find, auth_check, idempotency_begin, every handler: one whole request,
 * as text, without a network. libmicrohttpd's look at headers and queries is answered from the
 * input; the store takes no change, so each input meets the same state. Whatever comes, the answer
 * is no 500, has the form of an answer, and holds no key.
 */
#include <assert.h>
#include <dlfcn.h>

#include "services/api-gateway/audit.h"
#include "services/api-gateway/auth.h"
#include "services/api-gateway/http_unescape.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/problem.h"
#include "services/api-gateway/rate_limit.h"
#include "services/api-gateway/routes.h"
#include "services/api-gateway/test_fixture.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAIRS_MAX = 64 };

struct pair {
    const char *name;
    const char *value; /* NULL: none, as in "?limit" */
};

struct pairs {
    struct pair items[PAIRS_MAX];
    size_t n;
};

/* What stands for a connection of libmicrohttpd. */
static struct input {
    char *method;
    char *path;
    struct pairs headers;
    struct pairs query;
    bool names_key; /* a key stands where names do, which findings repeat */
} input;

static struct fixture *fixture;
static struct store_ops ops;
static const struct store_ops *real_ops;
static bool frozen;
static char claimed[128]; /* the key of the store */

static bool is_ours(const struct MHD_Connection *connection)
{
    return (const void *)connection == (const void *)&input;
}

static const struct pairs *pairs_of(enum MHD_ValueKind kind)
{
    return kind == MHD_HEADER_KIND ? &input.headers : &input.query;
}

/* The fixture's own server, which the state is made with, still has libmicrohttpd's. */
static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    assert(function);
    return function;
}

const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                        const char *name)
{
    const struct pairs *pairs = pairs_of(kind);

    if (!is_ours(connection)) {
        __typeof__(MHD_lookup_connection_value) *next = real("MHD_lookup_connection_value");
        return next(connection, kind, name);
    }
    for (size_t i = 0; i < pairs->n; i++)
        if (strcasecmp(pairs->items[i].name, name) == 0)
            return pairs->items[i].value;
    return NULL;
}

int MHD_get_connection_values(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                              MHD_KeyValueIterator iterator, void *state)
{
    const struct pairs *pairs = pairs_of(kind);

    if (!is_ours(connection)) {
        __typeof__(MHD_get_connection_values) *next = real("MHD_get_connection_values");
        return next(connection, kind, iterator, state);
    }
    for (size_t i = 0; i < pairs->n; i++)
        if (iterator(state, kind, pairs->items[i].name, pairs->items[i].value) != MHD_YES)
            break;
    return (int)pairs->n;
}

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
                                                        enum MHD_ConnectionInfoType type, ...)
{
    if (is_ours(connection))
        return NULL;
    __typeof__(MHD_get_connection_info) *next = real("MHD_get_connection_info");
    return next(connection, type);
}

static bool is_claim(const struct store_write *write)
{
    return strncmp(write->key, KEY_IDEMPOTENCY, strlen(KEY_IDEMPOTENCY)) == 0;
}

/* A frozen store says yes, and keeps nothing but what an Idempotency-Key needs until its end. */
static struct error *commit_until_frozen(struct store *store, const struct store_change *change)
{
    if (!frozen)
        return real_ops->commit(store, change);
    for (size_t i = 0; i < change->n_writes; i++)
        if (is_claim(&change->writes[i])) {
            const struct store_change claim = {.writes = &change->writes[i], .n_writes = 1};
            snprintf(claimed, sizeof(claimed), "%s", change->writes[i].key);
            return real_ops->commit(store, &claim);
        }
    return NULL;
}

static void forget_claim(void)
{
    const struct store_write write = {.key = claimed, .expected_version = UINT64_MAX};
    const struct store_change change = {.writes = &write, .n_writes = 1};

    if (*claimed)
        error_free(real_ops->commit(fixture->store, &change));
    *claimed = '\0';
}

/* A workload of the account "dev", one of another, and a store that keeps what it has. */
static void begin(void)
{
    static const char workload[] =
        "{\"workloadId\":\"w-1\",\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE "\","
        "\"dockerCompose\":\"services: {web: {image: a}}\",\"publicContainerName\":\"web\","
        "\"publicContainerPort\":80,\"memory\":1024,\"cpus\":1,\"disk\":10,\"gpus\":0}";
    struct store *store = store_memory_new();

    real_ops = store->ops;
    ops = *real_ops;
    ops.commit = commit_until_frozen;
    store->ops = &ops;
    fixture = fixture_new_with(clock_system(), store);
    _cleanup_answer_ struct answer answer =
        http_post(fixture, "/api/v1/workloads/create", workload);
    assert(answer.status == 200);
    put_workload(fixture, "w-2", "other", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    store_cache_stop(fixture->gateway->cache); /* no long poll takes its time */
    frozen = true;
}

static void end(void)
{
    fixture_free(fixture);
}

static void add_pair(struct pairs *pairs, const char *name, const char *value)
{
    if (pairs->n < PAIRS_MAX)
        pairs->items[pairs->n++] = (struct pair){name, value};
}

static char *unescape(char *text)
{
    for (char *p = text; p && (p = strchr(p, '+')); p++)
        *p = ' ';
    if (text)
        (void)http_unescape(text);
    return text;
}

static void read_query(char *text)
{
    for (char *part; (part = strsep(&text, "&"));) {
        char *name = strsep(&part, "=");
        if (*name || part)
            add_pair(&input.query, unescape(name), unescape(part));
    }
}

/* "GET /path?query", and a header in each line up to an empty one. */
static void read_head(char *text)
{
    char *line = strsep(&text, "\n");
    char *target = line;

    input.method = strsep(&target, " ");
    input.path = target ? strsep(&target, "?") : input.method;
    (void)http_unescape(input.path);
    read_query(target);
    while ((line = strsep(&text, "\n"))) {
        char *name = strsep(&line, ":");
        if (*name && line)
            add_pair(&input.headers, name, line + strspn(line, " "));
    }
}

static bool has_key(const void *data, size_t size)
{
    static const char *const keys[] = {TEST_KEY, TEST_ADMIN};

    for (size_t i = 0; size && i < ELEMENTSOF(keys); i++)
        if (memmem(data, size, keys[i], strlen(keys[i])))
            return true;
    return false;
}

static bool query_has_key(void)
{
    for (size_t i = 0; i < input.query.n; i++)
        if (has_key(input.query.items[i].name, strlen(input.query.items[i].name)))
            return true;
    return false;
}

static struct error *serve(struct request *request)
{
    bool replayed = false;
    struct error *err = routes_find(gateway_routes, input.method, input.path, request);

    if (err || !request->route)
        return err;
    if (request->route->scope != SCOPE_NONE)
        err = rate_limit_check(request, auth_check(request));
    if (!err && request->body.size > request->route->body_max)
        err = error_new(ERROR_INVALID_ARGUMENT, "too large");
    err = err ?: idempotency_begin(request, &request->response, &replayed);
    if (err || replayed)
        return err;
    if (request->route->handle_now && request->route->handle_now(request, &request->response))
        return NULL;
    return request->route->handle(request, &request->response);
}

static void check_answer(const struct request *request)
{
    const struct response *response = &request->response;
    char *text = response->json ? json_dumps(response->json, 0) : NULL;

    assert(response->status != 500 && response->status >= 200 && response->status < 600);
    assert(!response->json || text);
    assert(!text || input.names_key || (!strstr(text, TEST_KEY) && !strstr(text, TEST_ADMIN)));
    for (size_t i = 0; i < response->n_headers; i++)
        assert(!strpbrk(response->headers[i].value, "\r\n"));
    free(text);
}

static void answer(struct request *request)
{
    struct error *err = serve(request);
    const struct route *route = request->route;

    if (err)
        problem_response(request, err, &request->response);
    idempotency_end(request, &request->response);
    rate_limit_headers(request, &request->response);
    if (route && (route->scope == SCOPE_DEPLOY || route->scope == SCOPE_ADMIN))
        audit_answer(request, request->response.status, request->response.json);
    check_answer(request);
    json_decref(request->response.json);
    buffer_done(&request->response.body);
    if (request->response.raw)
        MHD_destroy_response(request->response.raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_client client = {.fd = -1};
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const uint8_t *body = size ? memmem(data, size, "\n\n", 2) : NULL;
    size_t head_size = body ? (size_t)(body - data) : size;

    if (!fixture) {
        begin();
        (void)atexit(end);
    }
    input = (struct input){0};
    struct request request = {.gateway = fixture->gateway,
                              .connection = (struct MHD_Connection *)(void *)&input,
                              .arena = arena,
                              .client = &client,
                              .id = "fuzz",
                              .response = {.status = 200}};
    if (body)
        buffer_add(&request.body, body + 2, size - head_size - 2);
    read_head(arena_printf(arena, "%.*s", (int)head_size, size ? (const char *)data : ""));
    input.names_key = query_has_key() || has_key(request.body.data, request.body.size);
    answer(&request);
    forget_claim();
    buffer_done(&request.body);
    return 0;
}
