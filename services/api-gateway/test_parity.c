/* The existing system's clients find here what they find there: the table of test_parity_table.c,
 * driven through the handlers. */
#include "services/api-gateway/test_parity_table.h"

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "services/api-gateway/test_fake_guest.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

struct world {
    struct scene *scene;
    struct guest guest;
};

static void put_host(const struct fixture *f)
{
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__Host host = COFFER__V1__HOST__INIT;

    heartbeat.public_address = "192.0.2.7";
    heartbeat.agent_version = "0.9";
    host.host_id = TEST_HOST;
    host.heartbeat = &heartbeat;
    host.first_seen_at_ms = 1700000000000;
    host.last_seen_at_ms = 1700000000123;
    put_message(f, KEY_HOST TEST_HOST, &host.base);
}

static void put_tiers(const struct fixture *f, const uint64_t *costs, size_t n)
{
    Coffer__V1__WorkloadTiers all = COFFER__V1__WORKLOAD_TIERS__INIT;
    Coffer__V1__WorkloadTier tiers[4];
    Coffer__V1__WorkloadTier *list[4];

    for (size_t i = 0; i < n; i++) {
        coffer__v1__workload_tier__init(&tiers[i]);
        tiers[i].tier_id = "t-1";
        tiers[i].name = "small";
        tiers[i].usd_micros_per_minute = costs[i];
        list[i] = &tiers[i];
    }
    all.tiers = list;
    all.n_tiers = n;
    put_message(f, KEY_TIERS, &all.base);
}

static void put_failure(const struct fixture *f)
{
    Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;
    _cleanup_buffer_ struct buffer packed = {0};

    event.workload_id = TEST_WORKLOAD;
    event.sequence = 1;
    event.kind = "error";
    event.message = "pull failed";
    event.at_ms = 1700000000000;
    size_t size = coffer__v1__workload_event__get_packed_size(&event);
    _cleanup_free_ uint8_t *bytes = xcalloc(1, size);
    coffer__v1__workload_event__pack(&event, bytes);
    assert_null(store_list_push(f->store, KEY_EVENTS_OF TEST_WORKLOAD, bytes, size, 10));
}

/* A workload of the account that was created here, and whose guest answers. */
static void put_running(struct world *world)
{
    struct fixture *f = world->scene->f;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_record record;
    void *message = NULL;
    _cleanup_answer_ struct answer created = scene_call(
        world->scene, DEPLOYER, "POST", "/api/v1/workloads/create",
        "{\"workloadId\":\"" TEST_WORKLOAD "\",\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE
        "\",\"dockerCompose\":\"" PARITY_COMPOSE "\",\"publicContainerName\":"
        "\"web\",\"publicContainerPort\":80,\"memory\":1024,\"cpus\":2,\"disk\":5,"
        "\"envVars\":{\"A\":\"x\"}}");

    assert_int_equal(created.status, 200);
    assert_null(store_get(f->store, KEY_WORKLOAD TEST_WORKLOAD, arena, &record));
    assert_null(bus_unpack(&coffer__v1__workload__descriptor, record.value.data, record.value.len,
                           arena, &message));
    guest_start(f, &world->guest, world->scene->ours);
    Coffer__V1__Workload *workload = message;
    workload->status = COFFER__V1__WORKLOAD_STATUS__RUNNING;
    workload->boot_number = 1;
    workload->guest_sign_public =
        (ProtobufCBinaryData){.len = 32, .data = (uint8_t *)f->guest_key.public};
    put_message(f, KEY_WORKLOAD TEST_WORKLOAD, &workload->base);
}

static void world_start(struct world *world)
{
    static const uint64_t cost = 250000;

    world->scene = scene_new();
    put_host(world->scene->f);
    put_tiers(world->scene->f, &cost, 1);
    put_running(world);
    put_failure(world->scene->f);
}

static void world_end(struct world *world)
{
    scene_free(world->scene);
}

static bool is_time(const char *text)
{
    return text && strlen(text) == 24 && text[10] == 'T' && text[23] == 'Z';
}

static bool has_type(const json_t *value, const char *type)
{
    if (type[1] == '0' && json_is_null(value))
        return true;
    switch (type[0]) {
    case 's':
        return json_is_string(value);
    case 't':
        return is_time(json_string_value(value));
    case 'n':
        return json_is_number(value);
    case 'b':
        return json_is_boolean(value);
    case 'a':
        return json_is_array(value);
    case 'o':
        return json_is_object(value);
    default:
        return false;
    }
}

/* "memory.total", and "cpus[].name" of the first. */
static json_t *find(json_t *json, const char *path)
{
    size_t size = strcspn(path, ".");
    const bool list = size > 2 && strncmp(path + size - 2, "[]", 2) == 0;
    _cleanup_free_ char *name = xasprintf("%.*s", (int)(size - (list ? 2 : 0)), path);
    json_t *value = json_object_get(json, name);

    if (list)
        value = json_array_get(value, 0);
    return path[size] ? find(value, path + size + 1) : value;
}

/* Takes each field out; what is left is not in the table. */
static void check_object(const struct parity_row *row, json_t *object, const char *fields)
{
    _cleanup_free_ char *words = xstrdup(fields);
    char *rest = NULL;

    assert_true(json_is_object(object));
    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        const bool optional = *w == '?';
        char *name = w + strspn(w, "+?");
        char *type = strchr(name, ':');
        assert_non_null(type);
        *type++ = '\0';
        const json_t *value = find(object, name);
        if (!has_type(value, type) && (value || !optional))
            fail_msg("%s %s: '%s' is missing or not %s", row->method, row->path, name, type);
    }
    memcpy(words, fields, strlen(fields) + 1);
    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        char *name = w + strspn(w, "+?");
        name[strcspn(name, ":")] = '\0';
        json_object_del(object, name);
    }
    if (json_object_size(object))
        fail_msg("%s %s: '%s' is not in the table", row->method, row->path,
                 json_object_iter_key(json_object_iter(object)));
}

static void check_answer(const struct parity_row *row, const struct answer *answer)
{
    json_t *item;
    size_t i;

    if (row->text) {
        assert_string_equal(buffer_text(&answer->body), row->text);
    } else if (strcmp(row->answer, "+") == 0) {
        assert_true(json_is_object(answer->json));
    } else if (*row->answer != '[') {
        check_object(row, answer->json, row->answer);
    } else {
        _cleanup_free_ char *fields =
            xasprintf("%.*s", (int)strlen(row->answer) - 2, row->answer + 1);
        assert_true(json_array_size(answer->json) > 0);
        json_array_foreach(answer->json, i, item) check_object(row, item, fields);
    }
}

struct field {
    const char *name;
    char type;
    char mark; /* 0, '?' or '*' */
    const char *example;
};

enum { FIELDS_MAX = 24 };

struct request_spec {
    char *text;
    struct field fields[FIELDS_MAX];
    size_t n;
};

static void spec_parse(const char *fields, struct request_spec *ret_spec)
{
    char *rest = NULL;

    *ret_spec = (struct request_spec){.text = xstrdup(fields ?: "")};
    for (char *w = strtok_r(ret_spec->text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        struct field *field = &ret_spec->fields[ret_spec->n++];
        char *type = strchr(w, ':');
        assert_true(type && ret_spec->n < FIELDS_MAX);
        *type++ = '\0';
        *field = (struct field){.name = w, .type = *type, .mark = type[1] == '=' ? 0 : type[1]};
        field->example = strchr(type, '=') + 1;
    }
}

static void spec_done(struct request_spec *spec)
{
    free(spec->text);
}

/* left_out NULL: none; wrong: the field whose value is of another type. Caller frees. */
static char *body_of(const struct request_spec *spec, bool optional_too,
                     const struct field *left_out, const struct field *wrong)
{
    _cleanup_buffer_ struct buffer text = {0};
    const char *comma = "";

    buffer_add_text(&text, "{");
    for (size_t i = 0; i < spec->n; i++) {
        const struct field *field = &spec->fields[i];
        if (field == left_out || (field->mark == '?' && !optional_too && field != wrong))
            continue;
        const char *other = strchr("oa", field->type) ? "5" : "[]";
        buffer_printf(&text, "%s\"%s\":%s", comma, field->name,
                      field == wrong ? other : field->example);
        comma = ",";
    }
    buffer_add_text(&text, "}");
    return xstrdup(buffer_text(&text));
}

static void check_sent(const struct parity_row *row, const struct request_spec *spec,
                       bool optional_too)
{
    struct world world;
    _cleanup_free_ char *body = row->request ? body_of(spec, optional_too, NULL, NULL) : NULL;

    world_start(&world);
    _cleanup_answer_ struct answer answer =
        scene_call(world.scene, row->actor, row->method, row->path, body);
    if (answer.status != 200)
        fail_msg("%s %s %s: %ld: %s", row->method, row->path, body ?: "", answer.status,
                 buffer_text(&answer.body));
    check_answer(row, &answer);
    world_end(&world);
}

static void test_requests_and_answers(_unused_ void **state)
{
    for (size_t i = 0; i < parity_n_rows; i++) {
        struct request_spec spec;
        spec_parse(parity_rows[i].request, &spec);
        check_sent(&parity_rows[i], &spec, true);
        if (spec.n)
            check_sent(&parity_rows[i], &spec, false);
        spec_done(&spec);
    }
}

static void expect(const struct scene *scene, const struct parity_row *row, enum actor actor,
                   const char *body, long status, const char *kind)
{
    static const struct parity_row problem = {"", "", NOBODY, NOBODY, NULL, NULL, NULL};
    _cleanup_answer_ struct answer answer = scene_call(scene, actor, row->method, row->path, body);

    if (answer.status != status || strcmp(answer_text(&answer, "kind"), kind) != 0)
        fail_msg("%s %s %s: %ld: %s", row->method, row->path, body ?: "", answer.status,
                 buffer_text(&answer.body));
    check_object(&problem, answer.json, "ts:t error:s kind:s +requestId:s ?findings:a");
}

/* Each field that is required and missing, and each of another type. */
static void check_fields_are_judged(const struct scene *scene, const struct parity_row *row,
                                    const struct request_spec *spec)
{
    for (size_t i = 0; i < spec->n; i++) {
        const struct field *field = &spec->fields[i];
        _cleanup_free_ char *wrong = body_of(spec, false, NULL, field);
        _cleanup_free_ char *missing = body_of(spec, false, field, NULL);
        expect(scene, row, row->actor, wrong, 400, "INVALID_PAYLOAD");
        if (!field->mark)
            expect(scene, row, row->actor, missing, 400, "INVALID_PAYLOAD");
    }
}

static void test_callers_and_fields_are_judged(_unused_ void **state)
{
    struct world world;

    world_start(&world);
    for (size_t i = 0; i < parity_n_rows; i++) {
        const struct parity_row *row = &parity_rows[i];
        struct request_spec spec;
        spec_parse(row->request, &spec);
        _cleanup_free_ char *body = row->request ? body_of(&spec, true, NULL, NULL) : NULL;
        if (row->actor != NOBODY)
            expect(world.scene, row, NOBODY, body, 401, "UNAUTHORIZED");
        if (row->weak != NOBODY)
            expect(world.scene, row, row->weak, body, 401, "ACCESS_DENIED");
        check_fields_are_judged(world.scene, row, &spec);
        spec_done(&spec);
    }
    world_end(&world);
}

static void test_refusals_have_their_status_and_kind(_unused_ void **state)
{
    struct world world;

    world_start(&world);
    for (size_t i = 0; i < parity_n_refusals; i++) {
        const struct parity_refusal *refusal = &parity_refusals[i];
        const struct parity_row row = {.method = refusal->method, .path = refusal->path};
        world.scene->f->answer_code = refusal->code;
        world.scene->f->answer_reason = refusal->reason;
        world.scene->f->answer_text = "told";
        expect(world.scene, &row, refusal->actor, refusal->body, refusal->status, refusal->kind);
    }
    world_end(&world);
}

/* Where the operator wants it, as theirs. */
static void test_semantic_versions_only(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    const struct parity_row row = {.method = "POST", .path = "/api/v1/artifacts/enable"};

    scene->f->config.semver_only = true;
    expect(scene, &row, GLOBAL_ADMIN, "{\"version\":\"nightly\"}", 400,
           "ARTIFACT_VERSION_NOT_SEMVER");
    assert_int_equal(scene->f->commands, 0);
    _cleanup_answer_ struct answer good =
        scene_call(scene, GLOBAL_ADMIN, row.method, row.path, "{\"version\":\"1.2.3-rc.1\"}");
    assert_int_equal(good.status, 200);
    scene->f->config.semver_only = false;
    _cleanup_answer_ struct answer any =
        scene_call(scene, GLOBAL_ADMIN, row.method, row.path, "{\"version\":\"nightly\"}");
    assert_int_equal(any.status, 200);
}

/* The members of that name, one after the other. */
static void check_order(const struct scene *scene, const char *path, const char *name,
                        const char *expected)
{
    _cleanup_answer_ struct answer answer = scene_call(scene, GLOBAL_ADMIN, "GET", path, NULL);
    _cleanup_buffer_ struct buffer text = {0};
    const json_t *item;
    size_t i;

    json_array_foreach(answer.json, i, item)
    {
        _cleanup_free_ char *value =
            json_dumps(json_object_get(item, name), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        buffer_printf(&text, "%s ", value);
    }
    assert_string_equal(buffer_text(&text), expected);
}

static void test_orders(_unused_ void **state)
{
    static const uint64_t costs[] = {500000, 100000, 250000};
    static const struct {
        const char *version;
        int64_t built_at_ms;
    } artifacts[] = {{"nightly-1", 5}, {"0.9.0", 9}, {"0.10.0", 1}, {"nightly-2", 6}};
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    put_tiers(scene->f, costs, ELEMENTSOF(costs));
    for (size_t i = 0; i < ELEMENTSOF(artifacts); i++)
        put_artifact(scene->f, artifacts[i].version, true, artifacts[i].built_at_ms);
    check_order(scene, "/api/v1/workload-tiers/list", "cost", "0.1 0.25 0.5 ");
    check_order(scene, "/api/v1/artifacts/list", "version",
                "\"0.10.0\" \"0.9.0\" \"0.1.0\" \"nightly-2\" \"nightly-1\" ");
    for (int i = 0; i < 3; i++) {
        _cleanup_free_ char *body =
            xasprintf("{\"accountId\":\"$THEIRS\",\"type\":\"user\",\"name\":\"%d\"}", i);
        clock_fake_advance(&scene->clock, 1000);
        _cleanup_answer_ struct answer made =
            scene_call(scene, GLOBAL_ADMIN, "POST", "/api/v1/api-keys/create", body);
        assert_int_equal(made.status, 200);
    }
    check_order(scene, "/api/v1/api-keys/account/$THEIRS", "name", "\"2\" \"1\" \"0\" \"\" ");
}

/* As there, pages of any origin may read the description. */
static void test_the_description_is_for_every_origin(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer answer =
        http_call(f, "GET", "/openapi.json", "Origin: https://other.test", NULL);
    _cleanup_free_ char *allowed = answer_header(&answer, "Access-Control-Allow-Origin");

    assert_int_equal(answer.status, 200);
    assert_string_equal(allowed ?: "", "*");
    assert_true(json_is_object(json_object_get(answer.json, "paths")));
}

/* It has one there from the beginning to the end, and clients that are strict want the member. */
static void test_a_workload_without_a_host(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;

    workload.workload_id = "w-9";
    workload.account_id = "dev";
    workload.status = COFFER__V1__WORKLOAD_STATUS__STOPPED;
    put_message(f, KEY_WORKLOAD "w-9", &workload.base);
    _cleanup_answer_ struct answer answer = http_get(f, "/api/v1/workloads/w-9");
    assert_int_equal(answer.status, 200);
    const char *domain = json_string_value(json_object_get(answer.json, "metalInstanceDomain"));
    assert_true(domain && !*domain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_and_answers),
        cmocka_unit_test(test_callers_and_fields_are_judged),
        cmocka_unit_test(test_refusals_have_their_status_and_kind),
        cmocka_unit_test(test_semantic_versions_only),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_the_description_is_for_every_origin),
        cmocka_unit_test(test_a_workload_without_a_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
