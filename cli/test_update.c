/* update, env and domains: the plan first, then the change with the ETag that it was planned
 * against. */
#include <pty.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/command.h"
#include "cli/frame.h"
#include "cli/test_program.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"
#include "shared/seal/seal.h"

#define WORKLOAD                                                                                   \
    "{\"workloadId\":\"0a0a0a0a-0000-4000-8000-000000000001\",\"name\":\"mine\",\"status\":"       \
    "\"running\",\"domain\":\"mine.example.com\",\"ingressAddress\":\"192.0.2.7\","                \
    "\"envVarNames\":[\"A\"],\"fileNames\":[\"old.conf\",\"kept.conf\"],"                          \
    "\"secretFileNames\":[\"old.key\"],"                                                           \
    "\"artifactsVersion\":\"0.3.0\",\"manifestHash\":\"%s\",\"generation\":%d}"
#define ID     "0a0a0a0a-0000-4000-8000-000000000001"
#define PATH   "/api/v1/workloads/" ID
#define LOSES  "\"dataLoss\":[\"everything on the state disk\"]"
#define CHANGE "\"changes\":[{\"field\":\"artifactsVersion\",\"from\":\"0.3.0\",\"to\":\"0.3.1\"}]"

static char hash[65]; /* of the document that the plan shows */
static char *present;
static char *after;
static char *plan;

/* A plan whose hash is that of its document, and workloads before and after it. */
static void make(const char *changes, const char *loss, const char *compose)
{
    _cleanup_(json_decrefp) json_t *document = json_pack("{s:s}", "schema", "test");
    _cleanup_buffer_ struct buffer bytes = {0};
    uint8_t digest[SHA256_SIZE];

    if (compose) {
        char hex[65];
        sha256(compose, strlen(compose), digest);
        hex_encode(digest, sizeof(digest), hex);
        json_object_set_new(document, "compose_sha256", json_string(hex));
    }
    assert_null(canonical_json(document, &bytes));
    sha256(bytes.data, bytes.size, digest);
    hex_encode(digest, sizeof(digest), hash);
    free(present);
    free(after);
    free(plan);
    present = xasprintf(WORKLOAD, "00", 1);
    after = xasprintf(WORKLOAD, hash, 2);
    plan =
        xasprintf("{\"valid\":true,\"admitted\":true,\"findings\":[],%s,%s,\"manifest\":{\"hash\":"
                  "\"%s\",\"previousHash\":\"00\",\"unchanged\":false},\"manifestDocument\":%s}",
                  changes, loss, hash, buffer_text(&bytes));
}

static void serve(void)
{
    static struct gateway_answer rows[7];

    rows[0] = (struct gateway_answer)ROW("GET", "/api/v1/workloads/list", NULL);
    _cleanup_free_ char *list = xasprintf("[%s]", present);
    static char kept[2048];
    snprintf(kept, sizeof(kept), "%s", list);
    rows[0].body = kept;
    rows[1] = (struct gateway_answer)ROW("GET", PATH, present, .etag = "\"1-7-abc\"");
    rows[2] = (struct gateway_answer)ROW("POST", "/api/v1/workloads/plan", plan);
    rows[3] = (struct gateway_answer)ROW("POST", "/api/v1/workloads/update", after);
    rows[4] = (struct gateway_answer)ROW("GET", "/api/v1/fleet",
                                         "{\"workloadDomain\":\"w.example.com\"}");
    rows[5] = (struct gateway_answer)ROW("GET", PATH "/env", "{\"names\":[\"A\",\"B\"]}");
    rows[6] = (struct gateway_answer)ROW(
        "GET", PATH "/events",
        "retry: 1\ndata: {\"details\":{\"kind\":\"running\",\"generation\":1}}\n\n"
        "data: {\"details\":{\"kind\":\"starting\",\"generation\":2}}\n\n"
        "data: {\"details\":{\"kind\":\"running\",\"generation\":2}}\n\n");
    gateway_answer(rows, ELEMENTSOF(rows));
}

static void test_the_plan_is_shown_and_the_change_is_sent_with_its_etag(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    EXPECT(EXIT_OK, "update", "mine", "--image", "0.3.1", "--confirm-data-loss", "--reason", "cve");
    assert_asked("POST /api/v1/workloads/plan {\"workloadId\":\"" ID
                 "\",\"artifactsVersion\":\"0.3.1\",\"reason\":\"cve\"}");
    assert_asked("POST /api/v1/workloads/update [If-Match: \"1-7-abc\"] {\"workloadId\":\"" ID
                 "\",\"artifactsVersion\":\"0.3.1\",\"reason\":\"cve\",\"confirmDataLoss\":true}");
    assert_output("changes        artifactsVersion: 0.3.0 -> 0.3.1\n");
    assert_output("what is lost   everything on the state disk\n");
    assert_output("manifest hash  00\n            -> ");
    assert_output(hash);
}

/* What the gateway says is another's: it is shown, not obeyed. */
static void test_what_changes_does_not_steer_the_terminal(_unused_ void **state)
{
    make("\"changes\":[{\"field\":\"name\",\"from\":\"a\\u001b]0;x\\u0007\\nverdict\",\"to\":"
         "\"b\\u009b2J\"},{\"field\":\"files\",\"from\":null,\"to\":[\"\\u009b1m\"]}]",
         LOSES, NULL);
    serve();
    EXPECT(EXIT_OK, "update", "mine", "--name", "other", "--dry-run");
    assert_output("name: a\\x1b]0;x\\x07\\x0averdict -> b\\x9b2J\n");
    assert_output("files: - -> [\"\\x9b1m\"]\n");
    ANSWERS(ROW("GET", PATH "/env", "{\"names\":[\"A\\u001b[2J\"]}"));
    EXPECT(EXIT_OK, "env", "ls", ID);
    assert_output("A\\x1b[2J\n");
    ANSWERS(ROW("POST", "/api/v1/webhooks/create",
                "{\"webhookId\":\"w\\u001b[2J\",\"secret\":\"s\\u001b[2J\"}"));
    EXPECT(EXIT_OK, "webhooks", "create", "https://example.com/");
    assert_output("s\\x1b[2J\n");
    assert_errors("webhook w\\x1b[2J.");
}

static void test_data_is_not_lost_without_a_word(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    gateway.input = "mine\n"; /* no terminal: this is no answer */
    EXPECT(EXIT_CONFLICT, "update", "mine", "--image", "0.3.1");
    assert_errors("--confirm-data-loss");
    assert_output("what is lost");
    assert_not_asked("/update");
    EXPECT(EXIT_OK, "update", "mine", "--image", "0.3.1", "--dry-run");
    assert_not_asked("/update");
    make(CHANGE, "\"dataLoss\":[]", NULL);
    serve();
    EXPECT(EXIT_OK, "update", "mine", "--name", "other");
    assert_asked("\"name\":\"other\",\"confirmDataLoss\":false}");
}

/* The program on a terminal, with an answer to its question. Returns the exit code. */
static int on_terminal(const char *const *argv, const char *question, const char *typed,
                       char **ret_shown)
{
    _cleanup_buffer_ struct buffer shown = {0};
    char block[1024];
    int terminal;
    int status;
    int argc = 0;

    while (argv[argc])
        argc++;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    assert_true(child >= 0);
    if (child == 0) {
        int code = frame_run(argc, (char **)argv);
        fflush(NULL);
        _exit(code);
    }
    for (ssize_t n; (n = read(terminal, block, sizeof(block))) > 0;) {
        buffer_add(&shown, block, (size_t)n);
        if (typed && strstr(buffer_text(&shown), question)) {
            assert_true(write(terminal, typed, strlen(typed)) > 0);
            typed = NULL;
        }
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    close(terminal);
    *ret_shown = xstrdup(buffer_text(&shown));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_the_question_does_not_steer_the_terminal(_unused_ void **state)
{
    static const char *const argv[] = {"coffer", "update", ID, "--image", "0.3.1", NULL};
    _cleanup_free_ char *shown = NULL;

    make(CHANGE, LOSES, NULL);
    char *at = strstr(present, "\"mine\"");
    assert_non_null(at);
    _cleanup_free_ char *evil =
        xasprintf("%.*s\"m\\u001b[2J\"%s", (int)(at - present), present, at + strlen("\"mine\""));
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = PATH, .body = evil, .etag = "\"1\""},
        {.method = "POST", .path = "/api/v1/workloads/plan", .body = plan},
    };
    gateway_answer(rows, ELEMENTSOF(rows));
    (void)on_terminal(argv, "to go on: ", "no\n", &shown);
    assert_non_null(strstr(shown, "(m\\x1b[2J)"));
    assert_null(strchr(shown, '\x1b'));
}

static void test_the_loss_is_confirmed_by_typing_the_name(_unused_ void **state)
{
    static const struct {
        const char *typed;
        int code;
    } rows[] = {
        {"mine\n", EXIT_OK}, {"y\n", EXIT_FAILED}, {"\n", EXIT_FAILED}, {"minee\n", EXIT_FAILED}};

    static const char *const argv[] = {"coffer", "update", "mine", "--image", "0.3.1", NULL};

    make(CHANGE, LOSES, NULL);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *shown = NULL;
        serve();
        buffer_done(&gateway.asked);
        int code = on_terminal(argv, "to go on: ", rows[i].typed, &shown);
        if (code != rows[i].code)
            fail_msg("'%s': %d\n%s", rows[i].typed, code, shown);
        assert_non_null(strstr(shown, "what is lost"));
        if (code == EXIT_OK)
            assert_asked("\"confirmDataLoss\":true");
        else
            assert_not_asked("/update");
    }
}

static void test_wait_takes_no_event_of_before(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    EXPECT(EXIT_OK, "update", ID, "--image", "0.3.1", "--confirm-data-loss", "--wait");
    assert_output("starting");
    assert_not_asked("/list");
}

static void test_what_ends_an_update(_unused_ void **state)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *says;
        int code;
    } rows[] = {
        {"{\"error\":\"it changed\",\"kind\":\"PRECONDITION_FAILED\"}", 412,
         "somebody else changed the workload", EXIT_CONFLICT},
        {"{\"error\":\"no money\",\"kind\":\"NOT_ENOUGH_BALANCE\"}", 412, "no money", EXIT_LIMIT},
        {"{\"workloadId\":\"w\",\"manifestHash\":\"11\"}", 200, "the gateway's manifest is 11",
         EXIT_FAILED},
    };

    make(CHANGE, LOSES, NULL);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct gateway_answer answers[] = {
            ROW("GET", PATH, present, .etag = "\"e\""),
            ROW("POST", "/api/v1/workloads/plan", plan),
            ROW("POST", "/api/v1/workloads/update", rows[i].body, .status = rows[i].status),
        };
        gateway_answer(answers, ELEMENTSOF(answers));
        EXPECT(rows[i].code, "update", ID, "--image", "0.3.1", "--confirm-data-loss");
        assert_errors(rows[i].says);
    }
}

static void test_a_plan_that_lies_is_not_followed(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    memset(strstr(plan, hash), '1', 64);
    serve();
    EXPECT(EXIT_FAILED, "update", ID, "--image", "0.3.1", "--confirm-data-loss");
    assert_errors("the plan's manifest has the hash");
    assert_not_asked("/update");
    make(CHANGE, LOSES, "services: {evil: {}}\n");
    serve();
    EXPECT(EXIT_FAILED, "update", ID, "--compose", gateway_write("c.yaml", "services: {}\n"),
           "--confirm-data-loss");
    assert_errors("of another compose file");
    assert_not_asked("/update");
}

static void test_the_etag_that_somebody_has_in_mind(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    EXPECT(EXIT_CONFLICT, "update", ID, "--image", "0.3.1", "--if-match", "\"old\"");
    assert_errors("its ETag is \"1-7-abc\"");
    assert_not_asked("/plan");
    EXPECT(EXIT_OK, "update", ID, "--image", "0.3.1", "--if-match", "\"1-7-abc\"", "--dry-run");
    assert_asked("/plan");
}

static void test_refused_and_empty_updates(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    EXPECT(EXIT_USAGE, "update", ID);
    assert_errors("nothing to change");
    EXPECT(EXIT_USAGE, "update");
    EXPECT(EXIT_USAGE, "update", ID, "--compose", "x", "--cpus", "2");
    EXPECT(EXIT_USAGE, "plan", ID);
    make("\"changes\":[]", "\"dataLoss\":[]", NULL);
    serve();
    EXPECT(EXIT_OK, "update", ID, "--image", "0.3.0");
    assert_output("nothing would change");
    assert_not_asked("/update");
    const struct gateway_answer answers[] = {
        ROW("GET", PATH, present, .etag = "\"e\""),
        ROW("POST", "/api/v1/workloads/plan",
            "{\"valid\":true,\"admitted\":false,\"refusal\":{\"code\":\"QUOTA_EXCEEDED\","
            "\"message\":\"over quota\"},\"changes\":[],\"dataLoss\":[]}"),
    };
    gateway_answer(answers, ELEMENTSOF(answers));
    EXPECT(EXIT_FAILED, "plan", ID, "--image", "0.3.0");
    assert_output("would be refused: over quota (QUOTA_EXCEEDED)");
}

static void test_a_coffer_yaml_says_the_whole(_unused_ void **state)
{
    char folder[64];

    make(CHANGE, LOSES, "services: {}\n");
    serve();
    snprintf(folder, sizeof(folder), "%s/p", gateway.dir);
    mkdir(folder, 0700);
    gateway_write("p/compose.yaml", "services: {}\n");
    gateway_write("p/coffer.yaml", "name: mine\npublic: {service: web, port: 80}\n"
                                   "resources: {cpus: 2}\nenv: {B: sec-ret}\nfiles: [kept.conf]\n");
    gateway_write("p/kept.conf", "x");
    EXPECT(EXIT_OK, "update", "mine", folder, "--confirm-data-loss");
    assert_asked("\"dockerCompose\":\"services: {}\\n\"");
    assert_asked("\"envVars\":{\"B\":\"sec-ret\"},\"files\":{\"kept.conf\":\"eA==\"},"
                 "\"removeFiles\":[\"old.conf\",\"old.key\"]");
    assert_not_asked("setEnvVars");
    assert_not_asked("\"cpus\"");
    assert_not_said("sec-ret", false);
}

static void test_single_changes(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    setenv("ONE", "sec-ret", 1);
    EXPECT(EXIT_OK, "update", ID, "--env", "ONE", "--unset-env", "A", "--remove-file", "old.conf",
           "--confirm-data-loss");
    assert_asked("\"setEnvVars\":{\"ONE\":\"sec-ret\"},\"unsetEnvVars\":[\"A\"],\"removeFiles\":["
                 "\"old.conf\"]");
    assert_not_said("sec-ret", false);
}

static void test_env(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    EXPECT(EXIT_OK, "env", "ls", "mine");
    assert_string_equal(gateway.output, "A\nB\n");
    setenv("ONE", "sec-ret-one", 1);
    EXPECT(EXIT_OK, "env", "set", "mine", "ONE", "--confirm-data-loss");
    assert_asked("/update [If-Match: \"1-7-abc\"] {\"workloadId\":\"" ID
                 "\",\"setEnvVars\":{\"ONE\":\"sec-ret-one\"},\"confirmDataLoss\":true}");
    assert_not_said("sec-ret", false);
    gateway.input = "sec-ret-two\nmore\n";
    EXPECT(EXIT_OK, "env", "set", "mine", "TWO", "--stdin", "--confirm-data-loss");
    assert_asked("{\"TWO\":\"sec-ret-two\"}");
    EXPECT(EXIT_OK, "env", "set", "mine", "--env-file", gateway_write("e", "# c\nX=1\nY=a=b\n"),
           "--confirm-data-loss");
    assert_asked("{\"X\":\"1\",\"Y\":\"a=b\"}");
    EXPECT(EXIT_OK, "env", "unset", "mine", "A", "B", "--confirm-data-loss");
    assert_asked("\"unsetEnvVars\":[\"A\",\"B\"]");
}

static void test_env_values_are_no_arguments(_unused_ void **state)
{
    static const char *const rows[][3] = {
        {"ONE=sec-ret", NULL, "visible to everyone"},
        {"1X", NULL, "not a variable's name"},
        {"NOT_SET_ANYWHERE", "--stdin", "standard input has ended"},
        {NULL, "--stdin", "exactly one name"},
        {NULL, NULL, "which values?"},
    };

    make(CHANGE, LOSES, NULL);
    serve();
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        EXPECT(EXIT_USAGE, "env", "set", "mine", rows[i][0], rows[i][1]);
        assert_errors(rows[i][2]);
        assert_not_said("sec-ret", true);
        assert_int_equal(gateway.asked.size, 0);
    }
    EXPECT(EXIT_USAGE, "env", "set", "mine", "--env-file", gateway_write("e", "sec-ret\n"));
    assert_errors("line 1 is not NAME=value");
    assert_not_said("sec-ret", true);
    EXPECT(EXIT_USAGE, "env", "unset", "mine", "A=1");
    EXPECT(EXIT_USAGE, "env", "unset", "mine");
}

static void test_a_value_that_is_asked_for_is_not_shown(_unused_ void **state)
{
    static const char *const argv[] = {
        "coffer", "env", "set", "mine", "NOT_SET_ANYWHERE", "--confirm-data-loss", NULL};
    _cleanup_free_ char *shown = NULL;

    make(CHANGE, LOSES, NULL);
    serve();
    buffer_done(&gateway.asked);
    assert_int_equal(on_terminal(argv, "NOT_SET_ANYWHERE: ", "sec-ret\n", &shown), EXIT_OK);
    assert_asked("/update [If-Match: \"1-7-abc\"]");
    assert_asked("{\"NOT_SET_ANYWHERE\":\"sec-ret\"}");
    assert_null(strstr(shown, "sec-ret"));
    EXPECT(EXIT_CONFLICT, "env", "set", "mine", "ONE", "-o", "json"); /* nobody is asked */
    assert_not_asked("/update");
}

static void test_domains(_unused_ void **state)
{
    make(CHANGE, LOSES, NULL);
    serve();
    EXPECT(EXIT_OK, "domains", "set", "mine", "app.example.org", "--confirm-data-loss");
    assert_asked("\"domain\":\"app.example.org\"");
    assert_output("DNS record     app.example.org. 300 IN A 192.0.2.7 (now: ");
    EXPECT(EXIT_OK, "domains", "unset", "mine", "--confirm-data-loss");
    assert_asked("\"domain\":null");
    EXPECT(EXIT_USAGE, "domains", "set", "mine", "NoDomain");
    EXPECT(EXIT_USAGE, "domains", "set", "mine");
    EXPECT(EXIT_OK, "domains", "ls", "mine");
    assert_output("A 192.0.2.7");
    EXPECT(EXIT_OK, "domains", "ls", "-o", "json");
    assert_output("\"recordType\": \"A\"");
    assert_output("\"own\": true");
    ANSWERS(ROW("GET", "/api/v1/fleet", "{\"workloadDomain\":\"w.example.com\"}"),
            ROW("GET", "/api/v1/workloads/list",
                "[{\"workloadId\":\"w\",\"name\":\"n\",\"domain\":\"127.0.0.1\","
                "\"ingressAddress\":\"127.0.0.1\"},{\"workloadId\":\"v\",\"name\":\"m\","
                "\"domain\":\"v.w.example.com\",\"ingressAddress\":\"h1.example.net\"},"
                "{\"workloadId\":\"u\",\"name\":\"k\",\"domain\":\"127.0.0.2\","
                "\"ingressAddress\":\"127.0.0.1\"}]"));
    EXPECT(EXIT_OK, "domains", "ls", "--json");
    assert_output("\"resolves\": \"yes\"");
    assert_output("\"resolves\": \"elsewhere\"");
    assert_output("\"own\": false");
    assert_output("\"recordType\": \"CNAME\"");
}

static int teardown(void **state)
{
    free(present);
    free(after);
    free(plan);
    return gateway_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_plan_is_shown_and_the_change_is_sent_with_its_etag),
        cmocka_unit_test(test_what_changes_does_not_steer_the_terminal),
        cmocka_unit_test(test_the_question_does_not_steer_the_terminal),
        cmocka_unit_test(test_data_is_not_lost_without_a_word),
        cmocka_unit_test(test_the_loss_is_confirmed_by_typing_the_name),
        cmocka_unit_test(test_wait_takes_no_event_of_before),
        cmocka_unit_test(test_what_ends_an_update),
        cmocka_unit_test(test_a_plan_that_lies_is_not_followed),
        cmocka_unit_test(test_the_etag_that_somebody_has_in_mind),
        cmocka_unit_test(test_refused_and_empty_updates),
        cmocka_unit_test(test_a_coffer_yaml_says_the_whole),
        cmocka_unit_test(test_single_changes),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_env_values_are_no_arguments),
        cmocka_unit_test(test_a_value_that_is_asked_for_is_not_shown),
        cmocka_unit_test(test_domains),
    };

    return cmocka_run_group_tests(tests, gateway_setup, teardown);
}
