/* members, webhooks and quotas: what is asked, what is shown, and how often a secret is. */
#include "cli/command.h"
#include "cli/test_program.h"
#include "shared/base/alloc.h"

#define ME     "{\"accountId\":\"acc-1\",\"name\":\"ours\"}"
#define MEMBER "{\"memberId\":\"m-1\",\"accountId\":\"acc-1\",\"name\":\"Ada\",\"role\":\"viewer\"}"
#define HOOK                                                                                       \
    "\"webhookId\":\"h-1\",\"url\":\"https://x.example/hook\",\"events\":[\"running\",\"error\"]," \
    "\"description\":\"\",\"active\":true,\"createdAt\":\"2030-01-01T00:00:00.000Z\""

static void test_members(_unused_ void **state)
{
    ANSWERS(ROW("GET", "/api/v1/accounts/me", ME), ROW("POST", "/api/v1/members/create", MEMBER),
            ROW("GET", "/api/v1/members/account/acc-1", "[" MEMBER "]"),
            ROW("PUT", "/api/v1/members/update", MEMBER),
            ROW("POST", "/api/v1/members/delete", "{}"));
    EXPECT(EXIT_OK, "members", "create", "Ada", "--role", "viewer");
    assert_asked("POST /api/v1/members/create {\"accountId\":\"acc-1\",\"name\":\"Ada\",\"role\":"
                 "\"viewer\"}");
    assert_errors("coffer keys create --member m-1");
    EXPECT(EXIT_NOT_FOUND, "keys", "create", "--member", "m-1"); /* no such path here */
    assert_asked("POST /api/v1/api-keys/create {\"accountId\":\"acc-1\",\"type\":\"user\","
                 "\"memberId\":\"m-1\"}");
    EXPECT(EXIT_OK, "members", "ls", "--account", "acc-1");
    assert_not_asked("/accounts/me");
    assert_output("Ada");
    assert_output("viewer");
    EXPECT(EXIT_OK, "members", "update", "m-1", "--role", "owner", "--disable");
    assert_asked("{\"memberId\":\"m-1\",\"role\":\"owner\",\"active\":false}");
    EXPECT(EXIT_OK, "members", "rm", "m-1", "--yes", "--json");
    assert_asked("POST /api/v1/members/delete {\"memberId\":\"m-1\"}");
    EXPECT(EXIT_FAILED, "members", "rm", "m-1");
    assert_not_asked("delete");
}

static void test_a_webhooks_secret_is_all_of_stdout(_unused_ void **state)
{
    ANSWERS(ROW("POST", "/api/v1/webhooks/create", "{" HOOK ",\"secret\":\"sec-ret\"}"),
            ROW("PUT", "/api/v1/webhooks/update", "{" HOOK ",\"secret\":\"sec-ret2\"}"));
    EXPECT(EXIT_OK, "webhooks", "create", "https://x.example/hook", "--event", "running,error",
           "-e", "stopped", "--description", "ci");
    assert_asked("{\"url\":\"https://x.example/hook\",\"description\":\"ci\",\"events\":["
                 "\"running\",\"error\",\"stopped\"]}");
    assert_string_equal(gateway.output, "sec-ret\n");
    assert_errors("webhook h-1");
    assert_null(strstr(gateway.errors, "sec-ret"));
    EXPECT(EXIT_OK, "webhooks", "update", "h-1", "--rotate-secret");
    assert_asked("{\"webhookId\":\"h-1\",\"rotateSecret\":true}");
    assert_string_equal(gateway.output, "sec-ret2\n");
    EXPECT(EXIT_OK, "webhooks", "update", "h-1", "--enable");
    assert_asked("{\"webhookId\":\"h-1\",\"active\":true}");
    assert_string_equal(gateway.output, "h-1 changed\n");
}

static void test_webhooks(_unused_ void **state)
{
    ANSWERS(ROW("GET", "/api/v1/webhooks/list", "[{" HOOK "}]"),
            ROW("GET", "/api/v1/webhooks/h-1",
                "{" HOOK ",\"disabledReason\":\"it answered 410\",\"pendingDeliveries\":4}"),
            ROW("POST", "/api/v1/webhooks/delete", "{}"),
            ROW("POST", "/api/v1/webhooks/test", "{}"),
            ROW("GET", "/api/v1/webhooks/h-1/deliveries",
                "{\"deliveries\":[{\"deliveryId\":\"d-1\",\"kind\":\"running\",\"at\":"
                "\"2030-01-01T00:00:00.000Z\",\"attempts\":3,\"status\":\"pending\","
                "\"responseStatus\":500,\"error\":\"not 2xx\"}]}"));
    EXPECT(EXIT_OK, "webhooks", "ls");
    assert_output("https://x.example/hook");
    assert_output("running,error");
    EXPECT(EXIT_OK, "webhooks", "show", "h-1");
    assert_output("state          active\n");
    assert_output("because        it answered 410\nwaiting        4\n");
    EXPECT(EXIT_OK, "webhooks", "test", "h-1");
    assert_asked("POST /api/v1/webhooks/test {\"webhookId\":\"h-1\"}");
    EXPECT(EXIT_OK, "webhooks", "rm", "h-1", "-y");
    assert_asked("POST /api/v1/webhooks/delete {\"webhookId\":\"h-1\"}");
    EXPECT(EXIT_OK, "webhooks", "deliveries", "h-1");
    assert_output("pending");
    assert_output("HTTP 500: not 2xx");
    EXPECT(EXIT_OK, "webhooks", "deliveries", "h-1", "-o", "json");
    assert_output("\"deliveryId\": \"d-1\"");
}

static void test_quotas(_unused_ void **state)
{
    const char *key = gateway_write("admin-key", "admin-key\n");

    ANSWERS(ROW("GET", "/api/v1/accounts/me", ME),
            ROW("GET", "/api/v1/accounts/acc-1",
                "{\"accountId\":\"acc-1\",\"quota\":{\"maxCpus\":8,\"maxGpus\":1}}",
                .etag = "\"5\""),
            ROW("PUT", "/api/v1/accounts/update",
                "{\"accountId\":\"acc-1\",\"quota\":{\"maxCpus\":16,\"maxGpus\":1}}"));
    EXPECT(EXIT_OK, "accounts", "quota");
    assert_output("vCPUs          8\n");
    assert_output("workloads      no limit\n");
    EXPECT(EXIT_OK, "accounts", "quota", "acc-1", "--cpus", "16", "--admin-key-file", key);
    assert_asked("PUT /api/v1/accounts/update [x-api-key: admin-key] [If-Match: \"5\"] "
                 "{\"accountId\":\"acc-1\",\"quota\":{\"maxWorkloads\":0,\"maxCpus\":16,"
                 "\"maxMemoryMb\":0,\"maxDiskGb\":0,\"maxGpus\":1}}");
    assert_output("vCPUs          16\n");
    EXPECT(EXIT_OK, "accounts", "quota", "acc-1", "--none", "--admin-key-file", key);
    assert_asked("\"maxGpus\":0}");
    EXPECT(EXIT_DENIED, "accounts", "quota", "acc-1", "--cpus", "1"); /* not with a user's key */
}

static void test_what_is_refused_before_anything_is_asked(_unused_ void **state)
{
    static const char *const rows[][6] = {
        {"members", "create"},
        {"members", "create", "Ada"},
        {"members", "ls", "x"},
        {"members", "ls", "--account", "../x"},
        {"members", "update", "m-1"},
        {"members", "update", "m-1", "--enable", "--disable"},
        {"members", "update", "--role", "owner"},
        {"members", "rm", "a", "b"},
        {"webhooks", "create"},
        {"webhooks", "ls", "x"},
        {"webhooks", "show", "../accounts/me"},
        {"webhooks", "update", "h-1"},
        {"webhooks", "update", "h-1", "--enable", "--disable"},
        {"webhooks", "deliveries", "a/b"},
        {"accounts", "quota", "a", "b"},
        {"accounts", "quota", "../x"},
        {"accounts", "quota", "acc-1", "--cpus", "many"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *const *a = rows[i];
        EXPECT(EXIT_USAGE, a[0], a[1], a[2], a[3], a[4], a[5]);
        assert_int_equal(gateway.asked.size, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_a_webhooks_secret_is_all_of_stdout),
        cmocka_unit_test(test_webhooks),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_what_is_refused_before_anything_is_asked),
    };

    return cmocka_run_group_tests(tests, gateway_setup, gateway_teardown);
}
