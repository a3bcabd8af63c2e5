/* deploy, plan of a new workload, manifest and init, from a folder with a coffer.yaml. */
#include <stdio.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/test_program.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

#define SIGN "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY  "2222222222222222222222222222222222222222222222222222222222222222"
#define FLEET                                                                                      \
    "{\"authority\":{\"sign\":\"" SIGN "\",\"box\":\"" SIGN "\"},\"acme\":{\"directory\":"         \
    "\"https://acme.example/dir\",\"ca\":\"\"},\"registryCas\":{},\"workloadDomain\":"             \
    "\"w.example.com\",\"images\":[\"0.3.1\"]}"
#define COMPOSE                                                                                    \
    "services:\n  web:\n    image: registry.example.com/hello:1\n    environment:\n"               \
    "      GREETING: ${GREETING}\n      LEVEL: ${LEVEL}\n      TOKEN: ${TOKEN}\n"
#define YAML                                                                                       \
    "name: hello\npublic: {service: web, port: 8080}\nresources: {cpus: 1, memory: 1G, disk: 5}\n" \
    "env:\n  GREETING:\n  LEVEL: debug\n  TOKEN: {from_file: token.txt}\n"                         \
    "registries:\n  - {server: registry.example.com, username: me, password: {from_env: PW}}\n"
#define EVENT(n, kind, more)                                                                       \
    "id: " #n "\nevent: " kind "\ndata: {\"workloadId\":\"w-1\",\"details\":{\"kind\":\"" kind     \
    "\",\"generation\":1" more "}}\n\n"
#define REFUSED_PLAN                                                                               \
    "{\"valid\":false,\"admitted\":false,\"changes\":[],\"dataLoss\":[],\"findings\":[{\"rule\":"  \
    "\"privileged\",\"where\":\"services.web.privileged\",\"line\":4,\"what\":\"a privileged "     \
    "container\",\"why\":\"it owns the guest\",\"fix\":\"remove the line\"}]}"

static char project[64];

static void write_project(const char *yaml)
{
    snprintf(project, sizeof(project), "%s/hello", gateway.dir);
    mkdir(project, 0700);
    gateway_write("hello/compose.yaml", COMPOSE);
    gateway_write("hello/coffer.yaml", yaml);
    gateway_write("hello/token.txt", "sec-ret-token\n");
    setenv("GREETING", "sec-ret-greeting", 1);
    setenv("PW", "sec-ret-password", 1);
}

/* The hash that the program computes for the project, 64 hex digits. */
static char *computed_hash(void)
{
    uint8_t digest[SHA256_SIZE];

    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET));
    EXPECT(EXIT_OK, "manifest", "--config", gateway_write("hello/coffer.yaml", YAML));
    sha256(gateway.output, strlen(gateway.output), digest);
    return hex_encode_new(digest, sizeof(digest));
}

static char *workload(const char *hash, const char *status)
{
    return xasprintf(
        "{\"workloadId\":\"w-1\",\"name\":\"hello\",\"status\":\"%s\",\"generation\":1,"
        "\"domain\":\"w-1.w.example.com\",\"artifactsVersion\":\"0.3.1\","
        "\"evidenceKind\":\"sev-snp (software, development)\",\"manifestHash\":\"%s\"}",
        status, hash);
}

#define IMAGE "{\"version\":\"0.3.1\",\"signature\":{\"key\":\"" KEY "\",\"value\":\"x\"}}"

static void test_deploy_sends_what_coffer_yaml_says(_unused_ void **state)
{
    write_project(YAML);
    _cleanup_free_ char *hash = computed_hash();
    _cleanup_free_ char *w = workload(hash, "scheduled");
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = "/api/v1/fleet", .body = FLEET},
        {.method = "GET", .path = "/api/v1/workloads/list", .body = "[]"},
        {.method = "POST", .path = "/api/v1/workloads/create", .body = w},
        {.method = "GET", .path = "/api/v1/images/0.3.1", .body = IMAGE},
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_OK, "deploy", project);
    assert_asked("\"name\":\"hello\",\"artifactsVersion\":\"0.3.1\"");
    assert_asked("\"publicContainerName\":\"web\",\"publicContainerPort\":8080,\"memory\":1024,"
                 "\"cpus\":1,\"disk\":5,\"gpus\":0,\"envVars\":{\"GREETING\":\"sec-ret-greeting\","
                 "\"LEVEL\":\"debug\",\"TOKEN\":\"sec-ret-token\"}");
    assert_asked("{\"server\":\"registry.example.com\",\"username\":\"me\",\"password\":"
                 "\"sec-ret-password\"}");
    assert_not_said("sec-ret", false);
    assert_output("workload       w-1\nURL            https://w-1.w.example.com\n");
    _cleanup_free_ char *command = xasprintf(
        "curl -fsS -o image.json %s/api/v1/images/0.3.1 && coffer verify "
        "https://w-1.w.example.com --manifest %s --image ./image.json --release-key " KEY "\n",
        getenv("COFFER_API_URL"), hash);
    assert_output(command);
    assert_output("compare it with the operator's own");
    assert_output("its --trust-root and --ca");
    assert_output("coffer events ");
}

/* With an authority of the gateway's own the command needs it too. */
static void test_the_command_to_verify_with_knows_the_authority(_unused_ void **state)
{
    write_project(YAML);
    _cleanup_free_ char *hash = computed_hash();
    _cleanup_free_ char *w = workload(hash, "scheduled");
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = "/api/v1/fleet", .body = FLEET},
        {.method = "GET", .path = "/api/v1/workloads/list", .body = "[]"},
        {.method = "POST", .path = "/api/v1/workloads/create", .body = w},
        {.method = "GET", .path = "/api/v1/images/0.3.1", .body = IMAGE},
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    setenv("COFFER_CA_FILE", "/home/o'brien/ca.pem", 1);
    int code = COFFER("deploy", project);
    unsetenv("COFFER_CA_FILE");
    gateway_expect(EXIT_OK, code);
    assert_output("curl -fsS --cacert '/home/o'\\''brien/ca.pem' -o image.json http");
}

static void test_options_win(_unused_ void **state)
{
    write_project(YAML);
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET), ROW("POST", "/api/v1/workloads/plan", REFUSED_PLAN),
            ROW("GET", "/api/v1/workload-tiers/list",
                "[{\"tierId\":\"t-1\",\"name\":\"small\",\"cpus\":8,\"memoryMb\":999,\"diskGb\":7,"
                "\"gpus\":2,\"cost\":1}]"));
    setenv("LEVEL", "info", 1);
    EXPECT(EXIT_FAILED, "deploy", project, "--dry-run", "--name", "other", "--public", "web:90",
           "--env", "LEVEL", "--tier", "small", "--domain", "a.example.com");
    unsetenv("LEVEL");
    assert_asked("POST /api/v1/workloads/plan {\"name\":\"other\"");
    assert_asked("\"publicContainerPort\":90,\"memory\":999,\"cpus\":8,\"disk\":7,\"gpus\":2");
    assert_asked("\"LEVEL\":\"info\"");
    assert_asked("\"domain\":\"a.example.com\"");
    assert_not_asked("workloadId");
    assert_not_asked("/create");
}

static void test_a_plan_shows_findings_with_their_lines(_unused_ void **state)
{
    write_project(YAML);
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET),
            ROW("POST", "/api/v1/workloads/plan", REFUSED_PLAN));
    EXPECT(EXIT_FAILED, "plan", project);
    assert_output("line 4: services.web.privileged: a privileged container\n");
    assert_output("fix: remove the line");
    assert_output("would be refused: see the findings");
    EXPECT(EXIT_FAILED, "plan", project, "-o", "json");
    assert_output("\"rule\": \"privileged\"");
    assert_not_said("sec-ret", false);
}

static void test_a_plan_that_would_be_accepted(_unused_ void **state)
{
    write_project(YAML);
    _cleanup_free_ char *hash = computed_hash();
    _cleanup_free_ char *plan = xasprintf(
        "{\"valid\":true,\"admitted\":true,\"findings\":[],\"changes\":[],\"dataLoss\":[],"
        "\"manifest\":{\"hash\":\"%s\",\"unchanged\":false},\"measurements\":{\"expected\":[{"
        "\"vcpus\":1,\"cpuModel\":\"EPYC-v4\",\"measurement\":\"abcd\"}]},\"placement\":{"
        "\"hostId\":"
        "\"h1\",\"candidates\":2,\"notes\":[{\"reason\":\"not enough memory\",\"hosts\":3}]},"
        "\"cost\":{\"usdCostPerMin\":0.002,\"tier\":\"small\",\"accountBurnRatePerMin\":0.004,"
        "\"minutesLeft\":90}}",
        hash);
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = "/api/v1/fleet", .body = FLEET},
        {.method = "POST", .path = "/api/v1/workloads/plan", .body = plan},
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_OK, "plan", project);
    assert_output(hash);
    assert_output("will measure   1 vCPU EPYC-v4  abcd");
    assert_output("placement      h1, of 2 that could\n               not enough memory: 3\n");
    assert_output("0.002000 USD a minute, tier small");
    assert_output("has money for 90 minutes");
    assert_output("verdict        would be accepted");
}

static void test_another_manifest_than_ours_is_refused(_unused_ void **state)
{
    write_project(YAML);
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET), ROW("GET", "/api/v1/workloads/list", "[]"),
            ROW("POST", "/api/v1/workloads/create",
                "{\"workloadId\":\"w-1\",\"manifestHash\":\"" KEY "\"}"),
            ROW("POST", "/api/v1/workloads/plan",
                "{\"valid\":true,\"admitted\":true,\"manifest\":{\"hash\":\"" KEY "\"}}"));
    EXPECT(EXIT_FAILED, "deploy", project);
    assert_errors("the gateway's manifest is " KEY ", computed here: ");
    EXPECT(EXIT_FAILED, "plan", project);
    assert_errors("the gateway's manifest is " KEY ", computed here: ");
}

static void test_a_second_one_of_the_name_is_probably_an_update(_unused_ void **state)
{
    write_project(YAML);
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET),
            ROW("GET", "/api/v1/workloads/list",
                "[{\"workloadId\":\"w-0\",\"name\":\"hello\",\"status\":\"deleting\"},"
                "{\"workloadId\":\"w-9\",\"name\":\"hello\",\"status\":\"running\"}]"));
    EXPECT(EXIT_CONFLICT, "deploy", project);
    assert_errors("coffer update w-9");
    assert_not_asked("create");
    EXPECT(EXIT_NOT_FOUND, "deploy", project, "--again"); /* no such path here */
    assert_asked("create");
}

static void test_wait_shows_stages_and_what_to_hand_on(_unused_ void **state)
{
    write_project(YAML);
    _cleanup_free_ char *hash = computed_hash();
    _cleanup_free_ char *scheduled = workload(hash, "scheduled");
    _cleanup_free_ char *running = workload(hash, "running");
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = "/api/v1/fleet", .body = FLEET},
        {.method = "GET", .path = "/api/v1/workloads/list", .body = "[]"},
        {.method = "POST", .path = "/api/v1/workloads/create", .body = scheduled},
        {.method = "GET",
         .path = "/api/v1/workloads/w-1/events",
         .body = "retry: 1\n\n" EVENT(1, "scheduled", "")
             EVENT(2, "stage", ",\"stage\":\"pull\",\"durationMs\":1500")},
        {.method = "GET", .path = "/api/v1/workloads/w-1/events", .body = EVENT(3, "running", "")},
        {.method = "GET", .path = "/api/v1/workloads/w-1", .body = running},
        {.method = "GET", .path = "/api/v1/images/0.3.1", .body = IMAGE},
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_OK, "deploy", project, "--wait");
    assert_asked("GET /api/v1/workloads/w-1/events [Last-Event-ID: 2]");
    assert_output("stage         pull (1.5 s)\n");
    assert_output("coffer verify https://w-1.w.example.com --manifest ");
    EXPECT(EXIT_OK, "deploy", project, "--wait", "--json");
    assert_true(gateway.output[0] == '{'); /* the stages are on stderr */
    assert_errors("pull (1.5 s)");
}

static void test_wait_says_why_not_and_what_to_do(_unused_ void **state)
{
    write_project(YAML);
    _cleanup_free_ char *hash = computed_hash();
    _cleanup_free_ char *w = workload(hash, "scheduled");
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = "/api/v1/fleet", .body = FLEET},
        {.method = "GET", .path = "/api/v1/workloads/list", .body = "[]"},
        {.method = "POST", .path = "/api/v1/workloads/create", .body = w},
        {.method = "GET",
         .path = "/api/v1/workloads/w-1/events",
         .body = EVENT(4, "error", ",\"code\":\"pull_failed\",\"error\":\"manifest unknown\"")},
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_CONFLICT, "deploy", project, "--wait");
    assert_errors("did not come up: manifest unknown (pull_failed)");
    assert_errors("--registry gives credentials");
    assert_null(strstr(gateway.output, "coffer verify"));
}

/* What docs/cli.md promises of --idempotency-key: the same request again, which the gateway answers
 * as before. So nothing in it is made up anew, and what the first one made is not in its way. */
static void test_the_same_deploy_again(_unused_ void **state)
{
    char *asked[2] = {NULL};
    write_project(YAML);
    _cleanup_free_ char *hash = computed_hash();
    _cleanup_free_ char *w = workload(hash, "scheduled");
    _cleanup_free_ char *list = xasprintf("[%s]", w);
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = "/api/v1/fleet", .body = FLEET},
        {.method = "GET", .path = "/api/v1/workloads/list", .body = list},
        {.method = "POST", .path = "/api/v1/workloads/create", .body = w},
        {.method = "GET", .path = "/api/v1/images/0.3.1", .body = IMAGE},
    };

    for (int i = 0; i < 2; i++) {
        gateway_answer(rows, ELEMENTSOF(rows));
        EXPECT(EXIT_OK, "deploy", project, "--idempotency-key", "pipeline-7");
        const char *create = strstr(buffer_text(&gateway.asked), "POST /api/v1/workloads/create");
        assert_non_null(create);
        asked[i] = xstrndup(create, strcspn(create, "\n"));
        assert_output("coffer events w-1 -f");
    }
    assert_string_equal(asked[0], asked[1]);
    free(asked[0]);
    free(asked[1]);
}

static void test_secret_files_are_salted_here(_unused_ void **state)
{
    write_project(YAML "files: [token.txt]\nsecret_files: [tls.key]\n");
    gateway_write("hello/tls.key", "sec-ret-key");
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET),
            ROW("POST", "/api/v1/workloads/plan", REFUSED_PLAN));
    EXPECT(EXIT_FAILED, "plan", project);
    assert_asked("\"files\":{\"token.txt\":\"c2VjLXJldC10b2tlbgo=\"}");
    assert_asked("\"secretFiles\":{\"tls.key\":{\"content\":\"c2VjLXJldC1rZXk=\",\"salt\":\"");
    assert_output("salts of each workload's own");
    assert_not_said("sec-ret", false);
}

static void test_pinned_images(_unused_ void **state)
{
    write_project(YAML "pin: required\n");
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET));
    EXPECT(EXIT_USAGE, "deploy", project);
    assert_errors("web: registry.example.com/hello:1");
    assert_not_asked("create");
}

static void test_what_is_refused_before_anything_is_asked(_unused_ void **state)
{
    static const struct {
        const char *yaml;
        const char *arguments[4];
        const char *says;
    } rows[] = {
        {"xname: x\n", {NULL}, "line 1: unknown key 'xname', did you mean 'name'?"},
        {"name: x\n", {NULL}, "--public SERVICE:PORT, or 'public' in coffer.yaml"},
        {"env: [NOT_SET_ANYWHERE]\n", {NULL}, "no variable 'NOT_SET_ANYWHERE'"},
        {"env: {A: {from_file: nowhere}}\n", {NULL}, "line 1: A: "},
        {"env_file: nowhere\n", {NULL}, "nowhere"},
        {"files: [nowhere]\n", {NULL}, "nowhere"},
        {"compose: nowhere.yaml\n", {NULL}, "compose file"},
        {YAML, {"--env", "A=sec-ret"}, "visible to everyone"},
        {YAML, {"--tier", "small", "--cpus", "2"}, "--tier is a size"},
        {YAML, {"--cpus", "0"}, "--cpus must be"},
        {YAML, {"--gpus", "17"}, "--gpus"},
        {YAML, {"--unset-env", "A"}, "--unset-env"},
        {YAML, {"--public", "web"}, "SERVICE:PORT"},
        {YAML, {"--file", "token.txt", "--secret-file", "token.txt"}, "both plain and secret"},
        {YAML "files: [token.txt]\n", {"--secret-file", "token.txt"}, "both plain and secret"},
        {YAML, {"--config", "/nowhere/coffer.yaml"}, "nowhere"},
        {YAML, {"another"}, "one operand too many"},
        {YAML, {"--enb", "A"}, "--enb"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *const *a = rows[i].arguments;
        write_project(rows[i].yaml);
        int code = COFFER("deploy", project, a[0], a[1], a[2], a[3]);
        if ((code != EXIT_USAGE && code != EXIT_NOT_FOUND) || gateway.asked.size)
            fail_msg("row %zu: %d %s", i, code, gateway.errors);
        assert_errors(rows[i].says);
        assert_not_said("sec-ret", false);
    }
    EXPECT(EXIT_USAGE, "deploy");
}

static void test_init_writes_what_the_compose_file_says(_unused_ void **state)
{
    write_project("x");
    gateway_write("hello/compose.yaml",
                  "services:\n  db:\n    image: db\n  web:\n    image: ${TAG}\n    ports:\n"
                  "      - '127.0.0.1:80:8080/tcp'\n    environment: [\"A=${SECRET:-x}$$NOT\", "
                  "'B=$PLAIN']\n    volumes: ['${FILES}/a:/a']\n");
    EXPECT(EXIT_CONFLICT, "init", project); /* there is one */
    EXPECT(EXIT_OK, "init", project, "--force");
    assert_output("next: coffer plan");
    EXPECT(EXIT_OK, "init", project, "--file", "-");
    assert_output("compose: compose.yaml\n");
    assert_output("public: {service: web, port: 8080}\n");
    assert_output("env:\n  TAG:\n  SECRET:\n  PLAIN:\n");
    assert_null(strstr(gateway.output, "  NOT:"));
    assert_null(strstr(gateway.output, "  FILES:"));
    setenv("TAG", "1", 1);
    setenv("SECRET", "1", 1);
    setenv("PLAIN", "1", 1);
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET),
            ROW("POST", "/api/v1/workloads/plan", REFUSED_PLAN));
    EXPECT(EXIT_FAILED, "plan", project); /* it can be read back */
    assert_asked("\"envVars\":{\"TAG\":\"1\",\"SECRET\":\"1\",\"PLAIN\":\"1\"}");
    gateway_write("hello/compose.yaml", "a: [\n");
    EXPECT(EXIT_USAGE, "init", project, "--force");
    EXPECT(EXIT_NOT_FOUND, "init", "/nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deploy_sends_what_coffer_yaml_says),
        cmocka_unit_test(test_the_command_to_verify_with_knows_the_authority),
        cmocka_unit_test(test_options_win),
        cmocka_unit_test(test_a_plan_shows_findings_with_their_lines),
        cmocka_unit_test(test_a_plan_that_would_be_accepted),
        cmocka_unit_test(test_another_manifest_than_ours_is_refused),
        cmocka_unit_test(test_a_second_one_of_the_name_is_probably_an_update),
        cmocka_unit_test(test_wait_shows_stages_and_what_to_hand_on),
        cmocka_unit_test(test_wait_says_why_not_and_what_to_do),
        cmocka_unit_test(test_the_same_deploy_again),
        cmocka_unit_test(test_secret_files_are_salted_here),
        cmocka_unit_test(test_pinned_images),
        cmocka_unit_test(test_what_is_refused_before_anything_is_asked),
        cmocka_unit_test(test_init_writes_what_the_compose_file_says),
    };

    return cmocka_run_group_tests(tests, gateway_setup, gateway_teardown);
}
