/* Pages, cursors and filters of every list. */
#include "services/api-gateway/test_scene.h"

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "services/api-gateway/list_page.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

static void put_one(const struct fixture *f, const char *id, const char *name, int64_t created_ms,
                    Coffer__V1__WorkloadStatus status)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_WORKLOAD, id);

    workload.workload_id = (char *)id;
    workload.account_id = "dev";
    workload.name = (char *)name;
    workload.status = status;
    workload.domain = "one.w.coffer.test";
    workload.image_version = status == COFFER__V1__WORKLOAD_STATUS__RUNNING ? "1.0.0" : "2.0.0";
    workload.created_at_ms = created_ms;
    put_message(f, key, &workload.base);
    index_add(f, KEY_WORKLOADS_OF "dev", id);
}

static void remove_one(const struct fixture *f, const char *id)
{
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_WORKLOAD, id);
    const struct store_write write = {.key = key, .expected_version = UINT64_MAX};
    const struct store_index_edit edit = {
        .set = KEY_WORKLOADS_OF "dev", .member = id, .remove = true};

    assert_null(store_commit(
        f->store,
        &(struct store_change){.writes = &write, .n_writes = 1, .edits = &edit, .n_edits = 1}));
}

/* The value of a header, or NULL; the caller frees. */
static char *header_of(const struct answer *answer, const char *name)
{
    _cleanup_free_ char *wanted = xasprintf("\n%s: ", name);
    const char *at = strcasestr(buffer_text(&answer->headers), wanted);

    if (!at)
        return NULL;
    at += strlen(wanted);
    return xstrndup(at, strcspn(at, "\r\n"));
}

/* The path that Link names, or NULL. */
static char *next_of(const struct answer *answer)
{
    _cleanup_free_ char *link = header_of(answer, "Link");
    _cleanup_free_ char *cursor = header_of(answer, "Coffer-Next-Cursor");

    assert_int_equal(!link, !cursor);
    if (!link)
        return NULL;
    char *end = strstr(link, ">; rel=\"next\"");
    assert_non_null(end);
    *end = '\0';
    assert_non_null(strstr(link, cursor));
    return xstrdup(link + 1);
}

enum { STABLE = 23 };

struct walk {
    struct fixture *f;
    const char *key;
    const char *id_name;
    unsigned seen[STABLE];
    size_t told;
};

/* Ids of what stays are "s-<number>". */
static void count(struct walk *walk, const json_t *list, size_t limit)
{
    const json_t *item;
    size_t i;

    assert_true(json_array_size(list) <= limit);
    json_array_foreach(list, i, item)
    {
        const char *id = json_string_value(json_object_get(item, walk->id_name));
        walk->told++;
        if (strncmp(id, "s-", 2) == 0)
            walk->seen[atoi(id + 2)]++;
    }
}

static void disturb(const struct walk *walk, unsigned step)
{
    char id[32];

    snprintf(id, sizeof(id), "%c-new-%u", "at"[step % 2], step);
    put_one(walk->f, id, step % 3 ? "aaa" : "zzz", 1000 + step,
            COFFER__V1__WORKLOAD_STATUS__RUNNING);
    if (step >= 2) {
        snprintf(id, sizeof(id), "%c-new-%u", "at"[step % 2], step - 2);
        remove_one(walk->f, id);
    }
}

static void walk_pages(struct walk *walk, const char *path, size_t limit)
{
    _cleanup_free_ char *next =
        xasprintf("%s%climit=%zu", path, strchr(path, '?') ? '&' : '?', limit);

    memset(walk->seen, 0, sizeof(walk->seen));
    for (unsigned step = 0; next; step++) {
        _cleanup_answer_ struct answer answer = http_call(walk->f, "GET", next, walk->key, NULL);
        assert_int_equal(answer.status, 200);
        count(walk, answer.json, limit);
        free(next);
        next = next_of(&answer);
        if (step < 60) /* with pages of one, what is always put in front would never end */
            disturb(walk, step);
        assert_true(step < 1000);
    }
    for (size_t i = 0; i < STABLE; i++)
        assert_int_equal(walk->seen[i], 1);
}

static void test_pages_tell_each_once_while_others_come_and_go(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/api/v1/workloads/list",
        "/api/v1/workloads/list?sort=createdAt",
        "/api/v1/workloads/list?sort=-createdAt",
        "/api/v1/workloads/list?sort=name",
        "/api/v1/workloads/list?status=running,stopped&sort=name",
    };
    static const size_t limits[] = {1, 2, 3, 7, 22, 23, 24, 1000};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct walk walk = {.f = f, .key = TEST_KEY, .id_name = "workloadId"};

    for (int i = 0; i < STABLE; i++) {
        char id[16];
        snprintf(id, sizeof(id), "s-%d", i);
        put_one(f, id, i % 4 ? "same name" : id, 1000 + i / 3,
                i % 2 ? COFFER__V1__WORKLOAD_STATUS__RUNNING
                      : COFFER__V1__WORKLOAD_STATUS__STOPPED);
    }
    for (size_t i = 0; i < ELEMENTSOF(paths); i++)
        for (size_t k = 0; k < ELEMENTSOF(limits); k++)
            walk_pages(&walk, paths[i], limits[k]);
}

static void test_filters_of_workloads(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *ids; /* in this order */
    } rows[] = {
        {"", "a b c d "},
        {"?status=running", "a c "},
        {"?status=running,error", "a c d "},
        {"?name=web", "a b "},
        {"?name=%25", ""},
        {"?artifactsVersion=1.0.0", "a c "},
        {"?artifactsVersion=1", ""},
        {"?domain=one.w.coffer.test", "a b c d "},
        {"?domain=w.coffer.test", ""},
        {"?createdAfter=1970-01-01T00:00:02Z", "c d "},
        {"?createdBefore=1970-01-01T00:00:02Z", "a "},
        {"?createdAfter=1970-01-01T00:00:01Z&createdBefore=1970-01-01T00:00:03.001Z", "b c "},
        {"?sort=name", "d c b a "},
        {"?sort=-createdAt", "d c b a "},
        {"?sort=createdAt&limit=2", "a b "},
        {"?status=running&limit=1", "a "},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_one(f, "a", "web z", 1000, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_one(f, "b", "my web", 2000, COFFER__V1__WORKLOAD_STATUS__STOPPED);
    put_one(f, "c", "db", 3000, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_one(f, "d", "Cache", 4000, COFFER__V1__WORKLOAD_STATUS__ERROR);
    put_one(f, "e", "web", 5000, COFFER__V1__WORKLOAD_STATUS__DELETED);
    for (size_t i = 0; i < 2 * ELEMENTSOF(rows); i++) { /* the second time from memory */
        _cleanup_free_ char *path =
            xasprintf("/api/v1/workloads/list%s", rows[i % ELEMENTSOF(rows)].query);
        _cleanup_answer_ struct answer answer = http_get(f, path);
        _cleanup_buffer_ struct buffer ids = {0};
        const json_t *item;
        size_t k;
        assert_int_equal(answer.status, 200);
        json_array_foreach(answer.json, k, item)
            buffer_printf(&ids, "%s ", json_string_value(json_object_get(item, "workloadId")));
        assert_string_equal(buffer_text(&ids), rows[i % ELEMENTSOF(rows)].ids);
    }
}

#define DAY "2023-11-14T22:13:20Z"

static void test_what_is_wrong_with_a_query_is_found(void **state)
{
    (void)state;
    static const struct {
        enum actor actor;
        const char *path;
        const char *where;
    } rows[] = {
        {DEPLOYER, "/api/v1/workloads/list?limit=0", "limit"},
        {DEPLOYER, "/api/v1/workloads/list?limit=1001", "limit"},
        {DEPLOYER, "/api/v1/workloads/list?limit=-1", "limit"},
        {DEPLOYER, "/api/v1/workloads/list?limit=1x", "limit"},
        {DEPLOYER, "/api/v1/workloads/list?limit=", "limit"},
        {DEPLOYER, "/api/v1/workloads/list?limit=99999999999999999999", "limit"},
        {DEPLOYER, "/api/v1/workloads/list?cursor=", "cursor"},
        {DEPLOYER, "/api/v1/workloads/list?cursor=nonsense", "cursor"},
        {DEPLOYER, "/api/v1/workloads/list?cursor=%2B%2F%3D", "cursor"},
        {DEPLOYER, "/api/v1/workloads/list?cursor=Hx8", "cursor"},         /* no id */
        {DEPLOYER, "/api/v1/workloads/list?cursor=bmFtZR9hH2I", "cursor"}, /* of sort=name */
        {DEPLOYER, "/api/v1/workloads/list?sort=domain", "sort"},
        {DEPLOYER, "/api/v1/workloads/list?sort=-name", "sort"},
        {DEPLOYER, "/api/v1/workloads/list?status=flying", "status"},
        {DEPLOYER, "/api/v1/workloads/list?status=running,", "status"},
        {DEPLOYER, "/api/v1/workloads/list?createdAfter=yesterday", "createdAfter"},
        {DEPLOYER, "/api/v1/workloads/list?createdBefore=2023-02-30T00:00:00Z", "createdBefore"},
        {DEPLOYER, "/api/v1/workloads/list?nmae=web", "nmae"},
        {DEPLOYER, "/api/v1/workloads/list?Limit=1", "Limit"},
        {DEPLOYER, "/api/v1/artifacts/list?enabled=1", "enabled"},
        {DEPLOYER, "/api/v1/artifacts/list?status=running", "status"},
        {DEPLOYER, "/api/v1/workload-tiers/list?cost=1", "cost"},
        {ACCOUNT_ADMIN, "/api/v1/api-keys/account/$OURS?active=maybe", "active"},
        {ACCOUNT_ADMIN, "/api/v1/api-keys/account/$OURS?type=root", "type"},
        {ACCOUNT_ADMIN, "/api/v1/api-keys/account/$OURS?sort=name", "sort"},
        {GLOBAL_ADMIN, "/api/v1/accounts/list?id=x", "id"},
        {GLOBAL_ADMIN, "/api/v1/metal-instances/list?state=asleep", "state"},
        {GLOBAL_ADMIN, "/api/v1/audit?who=me", "who"},
        {GLOBAL_ADMIN, "/api/v1/audit?since=2023", "since"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, rows[i].actor, "GET", rows[i].path, NULL);
        assert_int_equal(json_array_size(json_object_get(answer.json, "findings")), 1);
        if (answer.status != 400 || !has_finding(&answer, rows[i].where) ||
            strcmp(answer_text(&answer, "kind"), "INVALID_PAYLOAD") != 0)
            fail_msg("%s: %d %s", rows[i].path, (int)answer.status, buffer_text(&answer.body));
    }
}

/* Walks a list two by two; returns how many, all different. */
static size_t walk_all(const struct scene *scene, enum actor actor, const char *path,
                       const char *id_name)
{
    _cleanup_free_ char *next = xstrdup(path);
    _cleanup_(json_decrefp) json_t *seen = json_object();

    while (next) {
        _cleanup_answer_ struct answer answer = scene_call(scene, actor, "GET", next, NULL);
        const json_t *item;
        size_t i;
        assert_int_equal(answer.status, 200);
        assert_true(json_array_size(answer.json) <= 2);
        json_array_foreach(answer.json, i, item)
        {
            const char *id = json_string_value(json_object_get(item, id_name));
            assert_null(json_object_get(seen, id));
            json_object_set_new(seen, id, json_true());
        }
        free(next);
        next = next_of(&answer);
    }
    return json_object_size(seen);
}

static void put_tiers(const struct fixture *f)
{
    Coffer__V1__WorkloadTiers all = COFFER__V1__WORKLOAD_TIERS__INIT;
    Coffer__V1__WorkloadTier tiers[5];
    Coffer__V1__WorkloadTier *places[5];
    static const char *const ids[] = {"t1", "t2", "t3", "t4", "t5"};

    for (size_t i = 0; i < 5; i++) {
        coffer__v1__workload_tier__init(&tiers[i]);
        tiers[i].tier_id = (char *)ids[i];
        tiers[i].name = i ? "some" : "one";
        tiers[i].usd_micros_per_minute = 1000 - 100 * (i / 2);
        places[i] = &tiers[i];
    }
    all.n_tiers = 5;
    all.tiers = places;
    put_message(f, KEY_TIERS, &all.base);
}

static void put_hosts(const struct fixture *f)
{
    static const char *const ids[] = {"h1", "h2", "h3"};

    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        Coffer__V1__Host host = COFFER__V1__HOST__INIT;
        _cleanup_free_ char *key = xasprintf("%s%s", KEY_HOST, ids[i]);
        host.host_id = (char *)ids[i];
        host.status = i ? COFFER__V1__HOST_STATUS__READY : COFFER__V1__HOST_STATUS__LOST;
        put_message(f, key, &host.base);
        index_add(f, KEY_HOSTS, ids[i]);
    }
}

static void make_three(const struct scene *scene, enum actor actor, const char *path,
                       const char *body)
{
    for (int i = 0; i < 3; i++) {
        _cleanup_answer_ struct answer made = scene_call(scene, actor, "POST", path, body);
        assert_int_equal(made.status, 200);
    }
}

static void test_every_list_has_pages_and_filters(void **state)
{
    (void)state;
    static const struct {
        enum actor actor;
        const char *path;
        const char *id_name;
        size_t n;
    } rows[] = {
        {GLOBAL_ADMIN, "/api/v1/accounts/list?limit=2", "accountId", 3},
        {GLOBAL_ADMIN, "/api/v1/accounts/list?limit=2&name=ours", "accountId", 1},
        {ACCOUNT_ADMIN, "/api/v1/api-keys/account/$OURS?limit=2", "keyId", 6},
        {ACCOUNT_ADMIN, "/api/v1/api-keys/account/$OURS?limit=2&active=false", "keyId", 1},
        {ACCOUNT_ADMIN, "/api/v1/api-keys/account/$OURS?limit=2&type=user", "keyId", 2},
        {DEPLOYER, "/api/v1/workload-tiers/list?limit=2", "tierId", 5},
        {DEPLOYER, "/api/v1/workload-tiers/list?limit=2&name=some", "tierId", 4},
        {DEPLOYER, "/api/v1/artifacts/list?limit=2", "version", 6},
        {DEPLOYER, "/api/v1/artifacts/list?limit=2&enabled=true", "version", 6},
        {DEPLOYER, "/api/v1/artifacts/list?limit=2&enabled=false", "version", 1},
        {GLOBAL_ADMIN, "/api/v1/metal-instances/list?limit=2", "metalInstanceId", 4},
        {GLOBAL_ADMIN, "/api/v1/metal-instances/list?limit=2&state=ready", "metalInstanceId", 2},
        {ACCOUNT_ADMIN, "/api/v1/members/account/$OURS?limit=2", "memberId", 3},
        {DEPLOYER, "/api/v1/webhooks/list?limit=2", "webhookId", 3},
    };
    static const char *const versions[] = {"1.0.0", "2.0.0-rc.1", "2.0.0", "odd", "even"};
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    put_tiers(scene->f);
    put_hosts(scene->f);
    for (size_t i = 0; i < ELEMENTSOF(versions); i++)
        put_artifact(scene->f, versions[i], true, (int64_t)i);
    put_artifact(scene->f, "0.0.1", false, 1);
    make_three(scene, ACCOUNT_ADMIN, "/api/v1/members/create",
               "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"viewer\"}");
    make_three(scene, DEPLOYER, "/api/v1/webhooks/create",
               "{\"url\":\"https://hooks.example/in\"}");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        assert_int_equal(walk_all(scene, rows[i].actor, rows[i].path, rows[i].id_name), rows[i].n);
}

static void test_audit_filters(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        size_t n;
    } rows[] = {
        {"action=accounts/create", 2},
        {"action=accounts/create&limit=1", 1},
        {"action=accounts", 0},
        {"object=$OURS", 1},
        {"actor=global-admin&action=api-keys/create", 7},
        {"actor=user", 0},
        {"result=ok&action=accounts/create", 2},
        {"result=CONFLICT", 0},
        {"until=" DAY, 0},
        {"since=" DAY "&action=accounts/create", 2},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/audit?%s", rows[i].query);
        _cleanup_answer_ struct answer answer = scene_call(scene, GLOBAL_ADMIN, "GET", path, NULL);
        const json_t *entries = json_object_get(answer.json, "entries");
        assert_int_equal(answer.status, 200);
        if (json_array_size(entries) != rows[i].n)
            fail_msg("%s: %s", path, buffer_text(&answer.body));
    }
}

static void test_a_cursor_reads_back_what_it_was_made_of(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    static const char *const keys[] = {"", "a", "with space", "\x1f", "\xc3\xa4\xff", "=+/"};
    const char *key;
    const char *id;

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const struct list_item item = {.key = keys[i], .id = "id-1"};
        const char *cursor = list_cursor_new(arena, "name", &item);
        assert_true(list_cursor_read(arena, cursor, "name", &key, &id));
        assert_string_equal(key, keys[i]);
        assert_string_equal(id, "id-1");
        assert_false(list_cursor_read(arena, cursor, "", &key, &id));
        assert_false(list_cursor_read(arena, cursor + 1, "name", &key, &id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_tell_each_once_while_others_come_and_go),
        cmocka_unit_test(test_filters_of_workloads),
        cmocka_unit_test(test_what_is_wrong_with_a_query_is_found),
        cmocka_unit_test(test_every_list_has_pages_and_filters),
        cmocka_unit_test(test_audit_filters),
        cmocka_unit_test(test_a_cursor_reads_back_what_it_was_made_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
