/* logs, events and stats: history, then live; what is missing is told. */
#include "cli/command.h"
#include "cli/test_program.h"
#include "shared/base/alloc.h"

#define ID     "0a0a0a0a-0000-4000-8000-000000000001"
#define LOGS   "/api/v1/workloads/" ID "/logs"
#define EVENTS "/api/v1/workloads/" ID "/events"
#define EVENT(n, kind)                                                                             \
    "id: " n "\nevent: " kind "\ndata: {\"workloadId\":\"" ID "\",\"timestamp\":\"2030\","         \
    "\"details\":{\"kind\":\"" kind "\"}}\n\n"
#define LOG(n, text) "id: " n "\nevent: log\ndata: {\"source\":\"web\",\"text\":\"" text "\"}\n\n"
#define GONE         "{\"error\":\"no such workload\",\"kind\":\"NOT_FOUND\"}"

static void test_a_stream_goes_on_where_it_ended(_unused_ void **state)
{
    ANSWERS(ROW("GET", EVENTS, "retry: 1\n\n" EVENT("41", "scheduled") EVENT("42", "starting")),
            ROW("GET", EVENTS, EVENT("43", "running")), ROW("GET", EVENTS, GONE, .status = 404));
    EXPECT(EXIT_NOT_FOUND, "events", ID, "-f");
    assert_asked("GET " EVENTS " \n");
    assert_asked("GET " EVENTS " [Last-Event-ID: 42] \n");
    assert_asked("GET " EVENTS " [Last-Event-ID: 43] \n");
    assert_output("scheduled");
    assert_output("running");
    EXPECT(EXIT_NOT_FOUND, "events", ID, "-f", "--since-id", "40", "-o", "json");
    assert_asked("GET " EVENTS " [Last-Event-ID: 40] \n");
    assert_output("\"streamId\":\"43\"}\n");
}

static void test_a_server_that_leaves_is_come_back_to(_unused_ void **state)
{
    ANSWERS(ROW("GET", "/api/v1/events",
                "retry: 60000\n\n" EVENT("7", "running") "event: reconnect\ndata: {}\n\n"),
            ROW("GET", "/api/v1/events", "retry: 1\n\n" EVENT("8", "stopped")),
            ROW("GET", "/api/v1/events", GONE, .status = 404));
    EXPECT(EXIT_NOT_FOUND, "events", "-f"); /* at once, not after a minute */
    assert_asked("[Last-Event-ID: 7]");
    assert_output("stopped");
    assert_null(strstr(gateway.output, "reconnect"));
}

static void test_a_busy_gateway_is_waited_for_once_there_was_a_stream(_unused_ void **state)
{
    ANSWERS(ROW("GET", EVENTS, "retry: 1\n\n" EVENT("7", "running")),
            ROW("GET", EVENTS, "{\"error\":\"away\",\"kind\":\"UNAVAILABLE\"}", .status = 503),
            ROW("GET", EVENTS, EVENT("8", "stopped")), ROW("GET", EVENTS, GONE, .status = 404));
    EXPECT(EXIT_NOT_FOUND, "events", ID, "-f");
    assert_output("stopped");
}

static void test_a_gap_is_told(_unused_ void **state)
{
    static const struct {
        const char *data;
        const char *says;
    } rows[] = {
        {"{\"from\":5,\"to\":104}", "up to 100 entries are missing here (5 to 104)"},
        {"{\"from\":5,\"to\":4}", "coffer: entries are missing here"},
        {"{\"from\":5}", "entries are missing here"},
        {"nonsense", "entries are missing here"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *body =
            xasprintf("retry: 1\nevent: gap\ndata: %s\n\n" LOG("9", "after"), rows[i].data);
        const struct gateway_answer answers[] = {ROW("GET", LOGS, body),
                                                 ROW("GET", LOGS, GONE, .status = 404)};
        gateway_answer(answers, ELEMENTSOF(answers));
        EXPECT(EXIT_NOT_FOUND, "logs", ID, "-f", "--since", "10m", "-c", "web");
        assert_asked("GET " LOGS "&container=web&since=10m");
        assert_errors(rows[i].says);
        assert_string_equal(gateway.output, "after\n");
    }
}

static void test_logs(_unused_ void **state)
{
    ANSWERS(ROW("POST", "/api/v1/workload-containers/logs", "{\"lines\":[\"a\",\"b\"]}"),
            ROW("POST", "/api/v1/workloads/logs", "{\"lines\":[\"agent\"]}"),
            ROW("GET", LOGS, "retry: 1\n\n" LOG("1", "live")),
            ROW("GET", LOGS, GONE, .status = 404));
    EXPECT(EXIT_OK, "logs", ID, "--container", "web", "--tail", "2");
    assert_asked("{\"workloadId\":\"" ID "\",\"tail\":true,\"container\":\"web\",\"maxLines\":2}");
    assert_string_equal(gateway.output, "a\nb\n");
    EXPECT(EXIT_OK, "logs", ID, "-o", "json");
    assert_string_equal(gateway.output, "\"agent\"\n");
    EXPECT(EXIT_NOT_FOUND, "logs", ID, "-f", "--container", "web", "-n", "2");
    assert_string_equal(gateway.output, "a\nb\nlive\n");
    assert_asked("&container=web&since=1s");
}

static void test_logs_of_a_while_end_by_themselves(_unused_ void **state)
{
    ANSWERS(ROW("GET", LOGS, "retry: 500\n\n" LOG("1", "old")), ROW("GET", LOGS, ": alive\n\n"));
    EXPECT(EXIT_OK, "logs", ID, "--since", "10m", "-c", "web");
    assert_string_equal(gateway.output, "old\n");
}

/* The gateway says where now is: then nothing is guessed, and silence is only silence. */
static void test_logs_end_exactly_where_now_is(_unused_ void **state)
{
    ANSWERS(
        ROW("GET", LOGS, "retry: 1\n\nevent: until\ndata: {\"sequence\":9}\n\n" LOG("8", "old")),
        ROW("GET", LOGS,
            "retry: 1\n\nevent: until\ndata: {\"sequence\":9}\n\n" LOG(
                "9", "last") "event: end\ndata: {}\n\n" LOG("10", "later")),
        ROW("GET", LOGS, GONE, .status = 404));
    EXPECT(EXIT_OK, "logs", ID, "--since", "10m", "-c", "web");
    assert_asked("GET " LOGS "&container=web&since=10m&until=now \n");
    assert_asked("&until=now [Last-Event-ID: 8] \n"); /* cut off is not the end */
    assert_string_equal(gateway.output, "old\nlast\n");
    assert_string_equal(gateway.errors, "");
    EXPECT(EXIT_NOT_FOUND, "logs", ID, "-f", "--since", "10m");
    assert_not_asked("until=now");
    EXPECT(EXIT_OK, "logs", ID, "--since", "10m", "-o", "json");
    assert_null(strstr(gateway.output, "sequence"));
}

/* Later than the guess for older gateways would have waited. */
static void test_a_slow_history_is_waited_for(_unused_ void **state)
{
    ANSWERS(ROW("GET", LOGS, "retry: 4000\n\nevent: until\ndata: {\"sequence\":9}\n\n"),
            ROW("GET", LOGS, LOG("9", "last") "event: end\ndata: {}\n\n"));
    EXPECT(EXIT_OK, "logs", ID, "--since", "10m", "-c", "web");
    assert_string_equal(gateway.output, "last\n");
}

/* Nothing was read: that is no end of what there is. */
static void test_a_gateway_that_is_away_is_no_empty_log(_unused_ void **state)
{
    ANSWERS(ROW("GET", LOGS, "{\"error\":\"away\",\"kind\":\"UNAVAILABLE\"}", .status = 503));
    EXPECT(EXIT_CANNOT_TELL, "logs", ID, "--since", "10m");
    assert_errors("coffer: away (UNAVAILABLE, HTTP 503)");
    ANSWERS(ROW("GET", LOGS, "<html>welcome</html>", .type = "text/html; charset=utf-8"));
    EXPECT(EXIT_FAILED, "logs", ID, "--since", "10m");
    assert_errors("coffer: gateway: the answer is no stream of events");
    ANSWERS(ROW("GET", EVENTS, "<html></html>", .type = "text/html"));
    EXPECT(EXIT_FAILED, "events", ID, "-f");
    ANSWERS(ROW("GET", LOGS, "", .status = 302));
    EXPECT(EXIT_FAILED, "logs", ID, "--since", "10m");
    assert_errors("https");
}

static void test_events_of_the_past(_unused_ void **state)
{
    ANSWERS(ROW("POST", "/api/v1/workload-events/list",
                "{\"events\":[{\"timestamp\":\"2030\",\"workloadId\":\"" ID
                "\",\"details\":{\"kind\":\"error\",\"error\":\"bad\\u001b[2J\"}}]}"));
    EXPECT(EXIT_OK, "events", ID, "--after", "3", "--limit", "10");
    assert_asked("{\"workloadId\":\"" ID "\",\"afterSequence\":3,\"limit\":10}");
    assert_output("error");
    assert_null(strchr(gateway.output, '\033'));
}

static void test_stats(_unused_ void **state)
{
    ANSWERS(ROW("POST", "/api/v1/workloads/stats",
                "{\"memory\":{\"total\":1073741824,\"used\":536870912},\"cpus\":[{\"name\":\"0\","
                "\"usage\":10},{\"name\":\"1\",\"usage\":30}],\"disks\":[{\"mountPoint\":\"/\","
                "\"size\":2097152,\"used\":1048576}]}"));
    EXPECT(EXIT_OK, "stats", ID);
    assert_output("memory      512 of 1024 MiB\n");
    EXPECT(EXIT_OK, "stats", ID, "--watch", "--interval", "0", "--count", "3");
    assert_output("  memory 512/1024 MiB  cpu 20.0 %  / 1/2 MiB\n");
    assert_null(strchr(gateway.output, '\033'));
    size_t lines = 0;
    for (const char *at = gateway.output; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 3);
    EXPECT(EXIT_OK, "stats", ID, "-w", "--interval", "0", "--count", "2", "-o", "json");
    assert_output("}\n{\"memory\"");
}

static void test_what_is_refused_before_anything_is_asked(_unused_ void **state)
{
    static const char *const rows[][6] = {
        {"logs"},
        {"logs", ID, "x"},
        {"logs", ID, "--tail", "0"},
        {"logs", ID, "--tail", "1001"},
        {"logs", ID, "--tail", "1", "--since=1m"},
        {"logs", ID, "--since-id", "4"},
        {"events"},
        {"events", ID, "--since-id", "4"},
        {"events", ID, "-f", "--after", "4"},
        {"events", ID, "--limit", "x"},
        {"stats"},
        {"stats", ID, "--interval", "-1"},
        {"stats", ID, "--count", "0"},
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
        cmocka_unit_test(test_a_stream_goes_on_where_it_ended),
        cmocka_unit_test(test_a_server_that_leaves_is_come_back_to),
        cmocka_unit_test(test_a_busy_gateway_is_waited_for_once_there_was_a_stream),
        cmocka_unit_test(test_a_gap_is_told),
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_logs_of_a_while_end_by_themselves),
        cmocka_unit_test(test_logs_end_exactly_where_now_is),
        cmocka_unit_test(test_a_slow_history_is_waited_for),
        cmocka_unit_test(test_a_gateway_that_is_away_is_no_empty_log),
        cmocka_unit_test(test_events_of_the_past),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_what_is_refused_before_anything_is_asked),
    };

    return cmocka_run_group_tests(tests, gateway_setup, gateway_teardown);
}
