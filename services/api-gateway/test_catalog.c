/* Image versions, tiers and hosts over HTTP: the existing system's shapes, and what is refused. */
#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include <unistd.h>

#include "services/api-gateway/auth.h"
#include "services/api-gateway/money.h"
#include "services/api-gateway/semver.h"
#include "services/api-gateway/test_fixture.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/store/keys.h"

enum who { NOBODY, ACCOUNT, ADMIN };

static struct answer call_as(const struct fixture *f, enum who who, const char *method,
                             const char *path, const char *body)
{
    if (who == ADMIN)
        return http_admin(f, method, path, body);
    return http_call(f, method, path, who == ACCOUNT ? TEST_KEY : NULL, body);
}

struct test_tier {
    const char *id;
    uint32_t cpus;
    uint64_t micros;
};

enum { TEST_TIERS_MAX = 4 };

static void put_tiers(const struct fixture *f, const struct test_tier *rows, size_t n)
{
    Coffer__V1__WorkloadTiers all = COFFER__V1__WORKLOAD_TIERS__INIT;
    Coffer__V1__WorkloadTier tiers[TEST_TIERS_MAX];
    Coffer__V1__WorkloadTier *list[TEST_TIERS_MAX];
    Coffer__V1__Resources sizes[TEST_TIERS_MAX];

    for (size_t i = 0; i < n; i++) {
        coffer__v1__resources__init(&sizes[i]);
        sizes[i].cpus = rows[i].cpus;
        sizes[i].memory_mib = 1024;
        sizes[i].disk_gib = 10;
        coffer__v1__workload_tier__init(&tiers[i]);
        tiers[i].tier_id = (char *)rows[i].id;
        tiers[i].name = (char *)"a tier";
        tiers[i].resources = &sizes[i];
        tiers[i].usd_micros_per_minute = rows[i].micros;
        list[i] = &tiers[i];
    }
    all.tiers = list;
    all.n_tiers = n;
    put_message(f, KEY_TIERS, &all.base);
}

static void put_tier(const struct fixture *f)
{
    put_tiers(f, &(struct test_tier){"t-1", 2, 250000}, 1);
}

/* A host that has said everything. */
static void put_full_host(const struct fixture *f)
{
    Coffer__V1__Host host = COFFER__V1__HOST__INIT;
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__Resources total = COFFER__V1__RESOURCES__INIT;
    Coffer__V1__Resources used = COFFER__V1__RESOURCES__INIT;
    Coffer__V1__ImageState image = COFFER__V1__IMAGE_STATE__INIT;
    Coffer__V1__ImageState *images[] = {&image};
    static uint8_t chip[64] = {0xab};

    total.cpus = 64;
    total.memory_mib = 262144;
    total.disk_gib = 2000;
    total.gpus = 8;
    used.cpus = 4;
    used.gpus = 1;
    image.version = (char *)TEST_IMAGE;
    image.ready = true;
    heartbeat.host_id = (char *)TEST_HOST;
    heartbeat.agent_version = (char *)"0.9";
    heartbeat.total = &total;
    heartbeat.images = images;
    heartbeat.n_images = 1;
    heartbeat.public_address = (char *)"192.0.2.7";
    heartbeat.tee = (char *)"sev-snp";
    heartbeat.cpu_model = (char *)"EPYC-v4";
    heartbeat.hypervisor = (char *)"qemu";
    heartbeat.chip_id = (ProtobufCBinaryData){.len = sizeof(chip), .data = chip};
    host.host_id = (char *)TEST_HOST;
    host.status = COFFER__V1__HOST_STATUS__SUSPECT;
    host.eligible = true;
    host.heartbeat = &heartbeat;
    host.used = &used;
    host.first_seen_at_ms = 1700000000000;
    host.last_seen_at_ms = 1700000000123;
    put_message(f, KEY_HOST TEST_HOST, &host.base);
    index_add(f, KEY_WORKLOADS_ON TEST_HOST, "w-1");
}

#define TIER_BODY                                                                                  \
    "\"name\":\"small\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,\"diskGb\":10,\"cost\":0.25}"

static void test_no_secret_of_a_host_is_shown(void **state)
{
    static const char *const words[] = {"token", "secret", "password", "credential", "seed"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_full_host(f);
    _cleanup_answer_ struct answer answer =
        http_admin(f, "GET", "/api/v1/metal-instances/" TEST_HOST, NULL);
    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        assert_null(strcasestr(buffer_text(&answer.body), words[i]));
    assert_string_equal(answer_text(&answer, "state"), "suspect");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(answer.json, "workloads"), 0)), "w-1");
    assert_int_equal(strncmp(answer_text(&answer, "chipId"), "ab00", 4), 0);
}

/* What never reaches the scheduler. */
struct refused {
    const char *method;
    const char *path;
    enum who who;
    const char *body;
    long status;
    const char *kind;
    const char *finding; /* a place, or NULL */
};

#define ENABLE      "/api/v1/artifacts/enable"
#define DISABLE     "/api/v1/artifacts/disable"
#define TIER_CREATE "/api/v1/workload-tiers/create"
#define TIER_UPDATE "/api/v1/workload-tiers/update"
#define TIER_DELETE "/api/v1/workload-tiers/delete"
#define HOST_DELETE "/api/v1/metal-instances/delete"
#define BAD         400, "INVALID_PAYLOAD"
#define STRANGER    401, "UNAUTHORIZED", NULL
#define WEAK        401, "ACCESS_DENIED", NULL /* a good key, but not the admin's */
#define TIER(cpus, gpus, memory, disk, cost)                                                       \
    "{\"name\":\"t\",\"cpus\":" cpus ",\"gpus\":" gpus ",\"memoryMb\":" memory ",\"diskGb\":" disk \
    ",\"cost\":" cost "}"

static const struct refused refused_rows[] = {
    {"POST", ENABLE, NOBODY, "{\"version\":\"1\"}", STRANGER},
    {"POST", ENABLE, ACCOUNT, "{\"version\":\"1\"}", WEAK},
    {"POST", DISABLE, ACCOUNT, "{\"version\":\"1\"}", WEAK},
    {"POST", TIER_CREATE, ACCOUNT, TIER("1", "0", "1024", "10", "1"), WEAK},
    {"PUT", TIER_UPDATE, ACCOUNT, "{}", WEAK},
    {"POST", TIER_DELETE, ACCOUNT, "{\"tierId\":\"t-1\"}", WEAK},
    {"POST", HOST_DELETE, ACCOUNT, "{\"metalInstanceId\":\"host-1\"}", WEAK},
    {"GET", "/api/v1/metal-instances/list", ACCOUNT, NULL, WEAK},
    {"GET", "/api/v1/metal-instances/host-1", ACCOUNT, NULL, WEAK},
    {"GET", "/api/v1/metal-instances/list", NOBODY, NULL, STRANGER},
    {"GET", "/api/v1/artifacts/list", NOBODY, NULL, STRANGER},
    {"GET", "/api/v1/workload-tiers/list", NOBODY, NULL, STRANGER},
    {"GET", "/api/v1/workloads/list", ADMIN, NULL, WEAK},
    {"POST", "/api/v1/workloads/create", ADMIN, "{}", WEAK},
    {"GET", "/api/v1/metal-instances/nobody", ADMIN, NULL, 404, "NOT_FOUND", NULL},
    {"GET", "/api/v1/metal-instances/UPPER", ADMIN, NULL, 404, "NOT_FOUND", NULL},
    {"GET", "/api/v1/metal-instances/..%2fhosts", ADMIN, NULL, 404, "NOT_FOUND", NULL},
    {"GET", ENABLE, ADMIN, NULL, 405, "METHOD_NOT_ALLOWED", NULL},
    {"POST", TIER_UPDATE, ADMIN, "{}", 405, "METHOD_NOT_ALLOWED", NULL},
    {"DELETE", TIER_DELETE, ADMIN, NULL, 405, "METHOD_NOT_ALLOWED", NULL},
    {"POST", ENABLE, ADMIN, "", BAD, NULL},
    {"POST", ENABLE, ADMIN, "{", BAD, NULL},
    {"POST", ENABLE, ADMIN, "[\"0.1.0\"]", BAD, NULL},
    {"POST", ENABLE, ADMIN, "\xff", BAD, NULL},
    {"POST", ENABLE, ADMIN, "{\"version\":\"a\\u0000b\"}", BAD, NULL},
    {"POST", ENABLE, ADMIN, "{\"version\":\"1\",\"version\":\"2\"}", BAD, NULL},
    {"POST", ENABLE, ADMIN, "{}", BAD, "version"},
    {"POST", ENABLE, ADMIN, "{\"version\":null}", BAD, "version"},
    {"POST", ENABLE, ADMIN, "{\"version\":\"\"}", BAD, "version"},
    {"POST", ENABLE, ADMIN, "{\"version\":1}", BAD, "version"},
    {"POST", ENABLE, ADMIN, "{\"version\":[]}", BAD, "version"},
    {"POST", ENABLE, ADMIN, "{\"version\":\"1\",\"force\":true}", BAD, "force"},
    {"POST", ENABLE, ADMIN,
     "{\"version\":\"01234567890123456789012345678901234567890123456789012345678901234\"}", BAD,
     "version"},
    {"POST", DISABLE, ADMIN, "{\"version\":false}", BAD, "version"},
    {"POST", DISABLE, ADMIN, "{\"Version\":\"1\"}", BAD, "version"},
    {"POST", TIER_CREATE, ADMIN, "{}", BAD, "cost"},
    {"POST", TIER_CREATE, ADMIN, TIER("0", "0", "1024", "10", "1"), BAD, "cpus"},
    {"POST", TIER_CREATE, ADMIN, TIER("65", "0", "1024", "10", "1"), BAD, "cpus"},
    {"POST", TIER_CREATE, ADMIN, TIER("1.5", "0", "1024", "10", "1"), BAD, "cpus"},
    {"POST", TIER_CREATE, ADMIN, TIER("\"2\"", "0", "1024", "10", "1"), BAD, "cpus"},
    {"POST", TIER_CREATE, ADMIN, TIER("4294967298", "0", "1024", "10", "1"), BAD, "cpus"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "-1", "1024", "10", "1"), BAD, "gpus"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "17", "1024", "10", "1"), BAD, "gpus"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "511", "10", "1"), BAD, "memoryMb"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1e99", "10", "1"), BAD, "memoryMb"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "0", "1"), BAD, "diskGb"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "65537", "1"), BAD, "diskGb"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "10", "0"), BAD, "cost"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "10", "-0.5"), BAD, "cost"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "10", "\"1\""), BAD, "cost"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "10", "0.0000001"), BAD, "cost"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "10", "0.0000015"), BAD, "cost"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "10", "1000001"), BAD, "cost"},
    {"POST", TIER_CREATE, ADMIN, TIER("1", "0", "1024", "10", "1e400"), BAD, NULL},
    {"POST", TIER_CREATE, ADMIN, "{\"tierId\":\"mine\"," TIER_BODY, BAD, "tierId"},
    {"PUT", TIER_UPDATE, ADMIN, "{" TIER_BODY, BAD, "tierId"},
    {"PUT", TIER_UPDATE, ADMIN, "{\"tierId\":7," TIER_BODY, BAD, "tierId"},
    {"PUT", TIER_UPDATE, ADMIN, "{\"tierId\":\"t-1\",\"cost\":1}", BAD, "name"},
    {"POST", TIER_DELETE, ADMIN, "{}", BAD, "tierId"},
    {"POST", TIER_DELETE, ADMIN, "{\"tierId\":{}}", BAD, "tierId"},
    {"POST", HOST_DELETE, ADMIN, "{}", BAD, "metalInstanceId"},
    {"POST", HOST_DELETE, ADMIN, "{\"metalInstanceId\":true}", BAD, "metalInstanceId"},
    {"POST", HOST_DELETE, ADMIN, "{\"metalInstanceId\":\"host-1\",\"yes\":1}", BAD, "yes"},
};

static void test_refused(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_tier(f);
    for (size_t i = 0; i < ELEMENTSOF(refused_rows); i++) {
        const struct refused *row = &refused_rows[i];
        _cleanup_answer_ struct answer answer =
            call_as(f, row->who, row->method, row->path, row->body);
        const char *kind = answer_text(&answer, "kind");
        bool found = !row->finding || has_finding(&answer, row->finding);
        if (answer.status != row->status || strcmp(kind, row->kind) != 0 || !found)
            fail_msg("%s %s %s: %s", row->method, row->path, row->body, buffer_text(&answer.body));
        assert_int_not_equal(*answer_text(&answer, "error"), 0);
        assert_null(strstr(buffer_text(&answer.body), TEST_ADMIN));
    }
    assert_int_equal(f->commands, 0);
}

/* What the scheduler refuses, in the existing system's words. */
static void test_refusals_of_the_scheduler(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *body;
        enum error_code code;
        long status;
        const char *kind;
    } rows[] = {
        {"POST", ENABLE, "{\"version\":\"9\"}", ERROR_NOT_FOUND, 400,
         "ARTIFACT_VERSION_DOES_NOT_EXIST"},
        {"POST", ENABLE, "{\"version\":\"9\"}", ERROR_PERMISSION_DENIED, 401, "ACCESS_DENIED"},
        {"POST", DISABLE, "{\"version\":\"9\"}", ERROR_NOT_FOUND, 404, "NOT_FOUND"},
        {"POST", TIER_CREATE, "{" TIER_BODY, ERROR_ALREADY_EXISTS, 409, "ALREADY_EXISTS"},
        {"PUT", TIER_UPDATE, "{\"tierId\":\"t\"," TIER_BODY, ERROR_NOT_FOUND, 404, "NOT_FOUND"},
        {"POST", TIER_DELETE, "{\"tierId\":\"t\"}", ERROR_NOT_FOUND, 404, "NOT_FOUND"},
        {"POST", HOST_DELETE, "{\"metalInstanceId\":\"h\"}", ERROR_NOT_FOUND, 404, "NOT_FOUND"},
        {"POST", HOST_DELETE, "{\"metalInstanceId\":\"h\"}", ERROR_FAILED_PRECONDITION, 412,
         "METAL_INSTANCE_MANAGING_WORKLOADS"},
        {"POST", HOST_DELETE, "{\"metalInstanceId\":\"h\"}", ERROR_ABORTED, 412,
         "METAL_INSTANCE_ALIVE"},
        {"POST", HOST_DELETE, "{\"metalInstanceId\":\"h\"}", ERROR_UNAVAILABLE, 503, "UNAVAILABLE"},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    f->answer_text = "told";
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        f->answer_code = rows[i].code;
        _cleanup_answer_ struct answer answer =
            http_admin(f, rows[i].method, rows[i].path, rows[i].body);
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer_text(&answer, "kind"), rows[i].kind);
    }
}

#define LONG_VERSION                                                                               \
    "0123456789012345678901234567890123456789012345678901234567890-\xc3\xa4" /* 64 bytes */

/* What an operator changed is in the fleet's trail, under the id of what it was. */
static void test_changes_are_in_the_audit_trail(void **state)
{
    static const struct {
        const char *method, *path, *body, *action, *object;
    } rows[] = {
        {"POST", ENABLE, "{\"version\":\"9\"}", "artifacts/enable", "9"},
        {"POST", DISABLE, "{\"version\":\"9\"}", "artifacts/disable", "9"},
        {"POST", DISABLE, "{\"version\":\"" LONG_VERSION "\"}", "artifacts/disable", LONG_VERSION},
        {"PUT", TIER_UPDATE, "{\"tierId\":\"t\"," TIER_BODY, "workload-tiers/update", "t"},
        {"POST", TIER_DELETE, "{\"tierId\":\"t\"}", "workload-tiers/delete", "t"},
        {"POST", HOST_DELETE, "{\"metalInstanceId\":\"h\"}", "metal-instances/delete", "h"},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    f->answer_text = "told";
    f->answer_code = ERROR_UNAVAILABLE; /* it may have happened: also that is told */
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer done =
            http_admin(f, rows[i].method, rows[i].path, rows[i].body);
        _cleanup_answer_ struct answer audit = http_admin(f, "GET", "/api/v1/audit?limit=1", NULL);
        const json_t *entry = json_array_get(json_object_get(audit.json, "entries"), 0);
        assert_int_equal(done.status, 503);
        assert_string_equal(json_string_value(json_object_get(entry, "action")), rows[i].action);
        assert_string_equal(json_string_value(json_object_get(entry, "object")), rows[i].object);
        assert_string_equal(json_string_value(json_object_get(entry, "result")), "UNAVAILABLE");
    }
}

static void test_what_reaches_the_scheduler(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    Coffer__V1__WorkloadTier *tier;

    (void)state;
    _cleanup_answer_ struct answer answer =
        http_admin(f, "PUT", TIER_UPDATE, "{\"tierId\":\"t-1\"," TIER_BODY);
    assert_string_equal(f->last_subject, "svc.scheduler.tier.update");
    tier = coffer__v1__workload_tier__unpack(NULL, f->last_payload.size, f->last_payload.data);
    assert_string_equal(tier->tier_id, "t-1");
    assert_string_equal(tier->name, "small");
    assert_int_equal(tier->resources->cpus, 2);
    assert_int_equal(tier->resources->memory_mib, 2048);
    assert_int_equal(tier->resources->disk_gib, 10);
    assert_int_equal(tier->usd_micros_per_minute, 250000);
    coffer__v1__workload_tier__free_unpacked(tier, NULL);
    _cleanup_answer_ struct answer disabled =
        http_admin(f, "POST", DISABLE, "{\"version\":\"0.1.0\"}");
    assert_string_equal(f->last_subject, "svc.scheduler.artifact.disable");
    assert_non_null(memmem(f->last_payload.data, f->last_payload.size, "0.1.0", 5));
}

static void test_artifacts_are_sorted_and_only_enabled_ones(void **state)
{
    static const char *const expected[] = {"v2.0.0",   "1.10.0", "1.9.0", "1.9.0-rc.1",
                                           TEST_IMAGE, "newest", "older"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_artifact(f, "older", true, 1000);
    put_artifact(f, "1.9.0-rc.1", true, 5);
    put_artifact(f, "1.10.0", true, 1);
    put_artifact(f, "newest", true, 2000);
    put_artifact(f, "9.0.0", false, 3000);
    put_artifact(f, "1.9.0", true, 9);
    put_artifact(f, "v2.0.0", true, 0);
    _cleanup_answer_ struct answer answer = http_get(f, "/api/v1/artifacts/list");
    assert_int_equal(json_array_size(answer.json), ELEMENTSOF(expected));
    for (size_t i = 0; i < ELEMENTSOF(expected); i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(answer.json, i), "version")),
            expected[i]);
}

static void test_tiers_are_sorted_by_cost(void **state)
{
    static const struct test_tier rows[] = {{"t-a", 4, 3000000}, {"t-b", 1, 1}, {"t-c", 2, 100000}};
    static const char *const expected[] = {"t-b", "t-c", "t-a"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    _cleanup_answer_ struct answer none = http_get(f, "/api/v1/workload-tiers/list");
    assert_string_equal(buffer_text(&none.body), "[]");
    put_tiers(f, rows, ELEMENTSOF(rows));
    _cleanup_answer_ struct answer answer = http_get(f, "/api/v1/workload-tiers/list");
    for (size_t i = 0; i < ELEMENTSOF(expected); i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(answer.json, i), "tierId")),
            expected[i]);
    assert_non_null(strstr(buffer_text(&answer.body), "\"cost\":0.1}"));
}

static void test_a_disabled_image_is_not_offered_but_can_be_verified(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_artifact(f, TEST_IMAGE, false, 1);
    _cleanup_answer_ struct answer fleet = http_get(f, "/api/v1/fleet");
    assert_int_equal(json_array_size(json_object_get(fleet.json, "images")), 0);
    _cleanup_answer_ struct answer image = http_get(f, "/api/v1/images/" TEST_IMAGE);
    assert_int_equal(image.status, 200);
}

static void test_without_the_setting_nobody_is_an_operator(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    static const struct gateway_config unset = {.admin_key_file = (char *)""};
    struct gateway gateway = {.config = &unset};

    (void)state;
    assert_null(auth_load_admin_key(&gateway));
    assert_false(gateway.has_admin_key);
    f->gateway->has_admin_key = false;
    _cleanup_answer_ struct answer answer =
        http_admin(f, "GET", "/api/v1/metal-instances/list", NULL);
    assert_int_equal(answer.status, 401);
    memset(f->gateway->admin_key_sha256, 0, sizeof(f->gateway->admin_key_sha256));
    _cleanup_answer_ struct answer again =
        http_admin(f, "GET", "/api/v1/metal-instances/list", NULL);
    assert_int_equal(again.status, 401);
}

static void test_bad_operator_keys_stop_the_start(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_free_ char *path = xasprintf("%s/admin-key", f->dir);
    struct gateway gateway = {.config = &f->config};

    (void)state;
    assert_null(file_write_atomic(path, "short", 5, 0600));
    struct error *err = auth_load_admin_key(&gateway);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    assert_null(strstr(error_text(err), "short"));
    error_free(err);
    assert_int_equal(unlink(path), 0);
    err = auth_load_admin_key(&gateway);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    error_free(err);
    assert_false(gateway.has_admin_key);
}

static void test_the_admins_key_counts_in_either_header(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer bearer =
        http_call(f, "GET", "/api/v1/metal-instances/list", TEST_ADMIN, NULL);
    _cleanup_answer_ struct answer own = http_admin(f, "GET", "/api/v1/metal-instances/list", NULL);

    (void)state;
    assert_int_equal(bearer.status, 200);
    assert_int_equal(own.status, 200);
}

static void test_semantic_versions(void **state)
{
    /* Each is higher than the one before. */
    static const char *const rising[] = {"0.0.0",           "0.0.1-alpha",
                                         "0.0.1-alpha.1",   "0.0.1-alpha.beta",
                                         "0.0.1-beta",      "0.0.1-beta.2",
                                         "0.0.1-beta.11",   "0.0.1-rc.1",
                                         "0.0.1",           "v0.1.0",
                                         "0.9.0",           "0.10.0",
                                         "1.0.0-0",         "1.0.0--",
                                         "1.0.0+build.007", "2.0.0",
                                         "10.0.0",          "99999999999999999999.0.0"};
    static const char *const bad[] = {
        "",        "1",          "1.0",      "1.0.0.0",        "01.0.0",    "1.00.0",
        "1.0.0-",  "1.0.0-a..b", "1.0.0-01", "1.0.0+",         "1.0.0+a+b", "a.b.c",
        "vv1.0.0", "1.0.0 ",     "-1.0.0",   "1.0.0-\xc3\xa4", "1..0",      "1.0.0."};

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rising); i++)
        for (size_t k = 0; k < ELEMENTSOF(rising); k++) {
            int order = semver_compare(rising[i], rising[k]);
            assert_true(semver_is_valid(rising[i]));
            if ((order > 0) - (order < 0) != (i > k) - (i < k))
                fail_msg("%s and %s", rising[i], rising[k]);
        }
    assert_int_equal(semver_compare("1.0.0+a", "v1.0.0+b"), 0);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        if (semver_is_valid(bad[i]))
            fail_msg("'%s'", bad[i]);
}

static void test_money(void **state)
{
    static const uint64_t exact[] = {1, 10, 100000, 250000, 333333, 1000001, 999999999999};

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(exact); i++) {
        _cleanup_(json_decrefp) json_t *json = usd_to_json(exact[i]);
        uint64_t back = 0;
        assert_true(usd_from_json(json, &back));
        assert_int_equal(back, exact[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_secret_of_a_host_is_shown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refusals_of_the_scheduler),
        cmocka_unit_test(test_changes_are_in_the_audit_trail),
        cmocka_unit_test(test_what_reaches_the_scheduler),
        cmocka_unit_test(test_artifacts_are_sorted_and_only_enabled_ones),
        cmocka_unit_test(test_tiers_are_sorted_by_cost),
        cmocka_unit_test(test_a_disabled_image_is_not_offered_but_can_be_verified),
        cmocka_unit_test(test_without_the_setting_nobody_is_an_operator),
        cmocka_unit_test(test_bad_operator_keys_stop_the_start),
        cmocka_unit_test(test_the_admins_key_counts_in_either_header),
        cmocka_unit_test(test_semantic_versions),
        cmocka_unit_test(test_money),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
