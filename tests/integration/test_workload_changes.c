/*
 * The gateway and the scheduler as programs on a real NATS server and Redis, with one host of the
 * scheduler's test kit: a plan says what the create or update then does, secrets, money and quotas
 * are judged by the one that decides, and each change is in the audit trail. Skips (77) without the
 * servers.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "services/scheduler/test_kit.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "tests/integration/nats_server.h"

#define KEY   "test-key-0123456789abcdef" /* of account "dev" */
#define ADMIN "admin-key-0123456789abcdef"
#define SALT  "0101010101010101010101010101010101010101010101010101010101010101"
#define TRUST "{\"acme\":{\"directory\":\"https://acme.test/dir\",\"ca\":\"\"},\"registry_cas\":{}}"

enum { PATIENCE_MS = 60000, PAUSE_MS = 50 };

struct world {
    struct nats_server nats;
    char dir[64];
    pid_t redis;
    pid_t scheduler;
    pid_t gateway;
    int port; /* of the gateway */
    struct kit *kit;
};

struct answer {
    long status;
    struct buffer body;
    json_t *json;   /* NULL: not JSON */
    char etag[128]; /* "" without one */
};

static void answer_done(struct answer *answer)
{
    buffer_done(&answer->body);
    json_decref(answer->json);
}

#define _cleanup_answer_ _cleanup_(answer_done)

static void pause_short(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

static pid_t spawn(const struct world *world, char *const *argv)
{
    _cleanup_free_ char *log = xasprintf("%s/log", world->dir);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies takes its processes with it */
    if (!freopen(log, "a", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

static void reap(pid_t *pid, int how)
{
    if (*pid <= 0)
        return;
    kill(*pid, how);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

/* Settings of programs that are started from now on. */
static void set(const char *name, const char *format, ...) _printf_(2, 3);
static void set(const char *name, const char *format, ...)
{
    char value[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    assert_int_equal(setenv(name, value, 1), 0);
}

static void put_file(const struct world *world, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", world->dir, name);

    kit_ok(file_write_atomic(path, text, strlen(text), 0600));
}

static void set_all(const struct world *world)
{
    const struct scheduler_config *config = &world->kit->config;

    set("COFFER_NATS_URL", "nats://127.0.0.1:%d", world->nats.port);
    set("COFFER_REDIS_URL", "redis+unix://%s/redis.sock", world->dir);
    set("SCHEDULER_FLEET_DIR", "%s", config->fleet_dir);
    set("SCHEDULER_IMAGES_DIR", "%s", config->images_dir);
    set("SCHEDULER_ACME_EAB_FILE", "%s", config->acme_eab_file);
    set("SCHEDULER_TRUST_ROOT_DIR", "%s", config->trust_root_dir);
    set("SCHEDULER_ALLOW_SOFTWARE_TEE", "true");
    set("GATEWAY_LISTEN", "127.0.0.1:%d", world->port);
    set("GATEWAY_METRICS_LISTEN", "127.0.0.1:0");
    set("GATEWAY_FLEET_DIR", "%s", config->fleet_dir);
    set("GATEWAY_TRUST_FILE", "%s/trust.json", world->dir);
    set("GATEWAY_BOOTSTRAP_KEY_FILE", "%s/key", world->dir);
    set("GATEWAY_ADMIN_KEY_FILE", "%s/admin-key", world->dir);
    put_file(world, "trust.json", TRUST);
    put_file(world, "key", KEY "\n");
    put_file(world, "admin-key", ADMIN "\n");
}

static void start_servers(struct world *world)
{
    _cleanup_free_ char *socket = xasprintf("%s/redis.sock", world->dir);
    _cleanup_free_ char *config = xasprintf("listen: 127.0.0.1:%d\nmax_payload: 1114112\n"
                                            "jetstream { store_dir: \"%s/store\" }\n",
                                            world->nats.port, world->nats.dir);
    char *redis[] = {"redis-server", "--port", "0", "--unixsocket", socket, "--dir", world->dir,
                     "--save",       "",       NULL};
    char *scheduler[] = {SCHEDULER_PROGRAM, NULL};
    char *gateway[] = {GATEWAY_PROGRAM, NULL};

    world->redis = spawn(world, redis);
    kit_ok(nats_server_start(&world->nats, config));
    set_all(world);
    world->scheduler = spawn(world, scheduler);
    world->gateway = spawn(world, gateway);
}

static size_t on_data(char *data, size_t size, size_t n, void *buffer)
{
    buffer_add(buffer, data, size * n);
    return size * n;
}

static size_t on_header(char *line, size_t size, size_t n, void *state)
{
    static const char name[] = "etag:";
    struct answer *answer = state;

    if (size * n > strlen(name) && strncasecmp(line, name, strlen(name)) == 0) {
        const char *value = line + strlen(name);
        const char *end = line + size * n;
        while (value < end && *value == ' ')
            value++;
        while (value < end && (end[-1] == '\r' || end[-1] == '\n'))
            end--;
        snprintf(answer->etag, sizeof(answer->etag), "%.*s", (int)(end - value), value);
    }
    return size * n;
}

/* Status 0: nobody answers. */
static struct answer call(const struct world *world, const char *method, const char *path,
                          const char *header, const char *body)
{
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d/api/v1/%s", world->port, path);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    CURL *curl = curl_easy_init();
    struct answer answer = {0};

    headers = curl_slist_append(headers, "Authorization: Bearer " KEY);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    answer.json = json_loadb(buffer_text(&answer.body), answer.body.size, 0, NULL);
    return answer;
}

static struct answer admin_with(const struct world *world, const char *method, const char *path,
                                const char *header, const char *body)
{
    _cleanup_free_ char *both = xasprintf("%s\r\nx-api-key: " ADMIN, header);

    return call(world, method, path, both, body);
}

static struct answer admin(const struct world *world, const char *method, const char *path,
                           const char *body)
{
    return admin_with(world, method, path, "X-Nothing: 1", body);
}

static struct answer post(const struct world *world, const char *verb, const char *body)
{
    _cleanup_free_ char *path = xasprintf("workloads/%s", verb);

    return call(world, "POST", path, "X-Nothing: 1", body);
}

static const char *text(const struct answer *answer, const char *name)
{
    return json_string_value(json_object_get(answer->json, name)) ?: "";
}

static const char *inside(const struct answer *answer, const char *object, const char *name)
{
    return json_string_value(json_object_get(json_object_get(answer->json, object), name)) ?: "";
}

static void expect(const struct answer *answer, long status, const char *kind)
{
    if (answer->status != status || strcmp(text(answer, "kind"), kind) != 0)
        fail_msg("%ld: %s", answer->status, buffer_text(&answer->body));
}

/* The scheduler leads, and has heard of the host. */
static void wait_for_host(struct world *world)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
        kit_heartbeat(world->kit, 0);
        pause_short();
        _cleanup_answer_ struct answer hosts = admin(world, "GET", "metal-instances/list", NULL);
        if (hosts.status == 200 &&
            strcmp(json_string_value(json_object_get(json_array_get(hosts.json, 0), "state")) ?: "",
                   "ready") == 0)
            return;
    }
    _cleanup_free_ char *command = xasprintf("tail -n 40 '%s/log' >&2", world->dir);
    assert_int_equal(system(command), 0);
    fail_msg("no host is ready");
}

static int setup(void **state)
{
    struct world *world = xnew(struct world);
    _cleanup_free_ char *url = NULL;
    struct bus *bus;

    world->kit = kit_new();
    kit_ok(nats_server_init(&world->nats, 0));
    strcpy(world->dir, "/tmp/changes-world-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->port = free_port();
    start_servers(world);
    url = xasprintf("nats://127.0.0.1:%d", world->nats.port);
    kit_ok(bus_connect(&(struct bus_options){.url = url, .name = "h1", .inbox_prefix = "_INBOX.h1"},
                       false, &bus));
    world->kit->gateway = bus; /* the scheduler is another process */
    kit_start_host(world->kit, 0, bus);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", world->dir);

    reap(&world->gateway, SIGTERM);
    reap(&world->scheduler, SIGTERM);
    kit_stop_host(&world->kit->hosts[0]);
    nats_server_done(&world->nats);
    reap(&world->redis, SIGKILL);
    assert_int_equal(system(command), 0);
    kit_free(world->kit);
    free(world);
    return 0;
}

#define PROJECT                                                                                    \
    "\"name\":\"n\",\"artifactsVersion\":\"" KIT_IMAGE "\",\"dockerCompose\":\"services: {web: "   \
    "{image: a, environment: {A: '${A:-}'}}}\",\"publicContainerName\":\"web\","                   \
    "\"publicContainerPort\":80,\"memory\":1024,\"cpus\":2,\"disk\":10,\"envVars\":{\"A\":\"1\"}," \
    "\"files\":{\"f\":\"aGk=\"},\"secretFiles\":{\"k\":{\"content\":\"aGk=\",\"salt\":\"" SALT     \
    "\"}},\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\",\"password\":\"p\"}]"

static void pay(const struct world *world, const char *usd)
{
    _cleanup_free_ char *body = xasprintf("{\"accountId\":\"dev\",\"balance\":%s}", usd);
    _cleanup_answer_ struct answer answer = admin(world, "POST", "accounts/add-balance", body);

    expect(&answer, 200, "");
}

static void check_burn_rate(const struct world *world, double usd)
{
    _cleanup_answer_ struct answer me = call(world, "GET", "accounts/me", "X-Nothing: 1", NULL);

    assert_true(json_number_value(json_object_get(me.json, "burnRatePerMin")) == usd);
}

/* Five minutes at 0.1 USD and a cent: not one millionth less. */
static void check_balance_is_judged(const struct world *world)
{
    _cleanup_answer_ struct answer tier =
        admin(world, "POST", "workload-tiers/create",
              "{\"name\":\"small\",\"cpus\":2,\"gpus\":0,\"memoryMb\":1024,\"diskGb\":10,"
              "\"cost\":0.1}");
    expect(&tier, 200, "");
    check_burn_rate(world, 0); /* makes the account, too */
    pay(world, "0.509999");
    _cleanup_answer_ struct answer poor =
        post(world, "create", "{\"workloadId\":\"w-1\"," PROJECT "}");
    expect(&poor, 412, "NOT_ENOUGH_BALANCE");
    _cleanup_answer_ struct answer planned = post(world, "plan", "{" PROJECT "}");
    expect(&planned, 200, "");
    assert_string_equal(inside(&planned, "refusal", "code"), "NOT_ENOUGH_BALANCE");
    assert_string_equal(inside(&planned, "cost", "tier"), "small");
    pay(world, "0.000001");
    _cleanup_answer_ struct answer enough = post(world, "plan", "{" PROJECT "}");
    assert_true(json_is_true(json_object_get(enough.json, "admitted")));
    _cleanup_answer_ struct answer made =
        post(world, "create", "{\"workloadId\":\"w-1\"," PROJECT "}");
    expect(&made, 200, "");
    assert_string_equal(text(&made, "manifestHash"), inside(&enough, "manifest", "hash"));
    check_burn_rate(world, 0.1);
    _cleanup_answer_ struct answer second =
        post(world, "create", "{\"workloadId\":\"w-2\"," PROJECT "}");
    expect(&second, 412, "NOT_ENOUGH_BALANCE");
}

/* One after the other; what each leaves out the scheduler must still have. */
static void check_updates(const struct world *world)
{
    static const char *const changes[] = {
        "\"setEnvVars\":{\"B\":\"2\"}",
        "\"name\":\"other\"",
        "\"unsetEnvVars\":[\"A\"],\"setEnvVars\":{\"C\":\"\"}",
        "\"secretFiles\":{\"f\":{\"content\":\"aGk=\",\"salt\":\"" SALT "\"}}",
        "\"files\":{\"k\":\"aGk=\"},\"removeFiles\":[\"k\"]",
        "\"dockerCredentials\":[{\"server\":\"s.test\",\"username\":\"u\",\"password\":\"p\"}]",
        "\"dockerCredentials\":[]",
        "\"domain\":\"app.example.com\"",
        "\"domain\":null",
        "\"envVars\":{}",
        "\"removeFiles\":[\"f\",\"k\"]",
    };

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_free_ char *body =
            xasprintf("{\"workloadId\":\"w-1\",\"confirmDataLoss\":true,%s}", changes[i]);
        _cleanup_answer_ struct answer planned = post(world, "plan", body);
        _cleanup_answer_ struct answer updated = post(world, "update", body);
        _cleanup_answer_ struct answer again = post(world, "plan", "{\"workloadId\":\"w-1\"}");
        if (planned.status != 200 || updated.status != 200)
            fail_msg("%s: %s %s", changes[i], buffer_text(&planned.body),
                     buffer_text(&updated.body));
        assert_string_equal(text(&updated, "manifestHash"), inside(&planned, "manifest", "hash"));
        assert_true(json_array_size(json_object_get(planned.json, "changes")) > 0);
        assert_string_equal(inside(&again, "manifest", "hash"),
                            inside(&planned, "manifest", "hash"));
        assert_int_equal(json_array_size(json_object_get(again.json, "changes")), 0);
    }
}

static void check_expectations(const struct world *world)
{
    static const char body[] =
        "{\"workloadId\":\"w-1\",\"publicContainerPort\":81,\"confirmDataLoss\":true}";
    _cleanup_answer_ struct answer unconfirmed =
        post(world, "update", "{\"workloadId\":\"w-1\",\"publicContainerPort\":81}");
    _cleanup_answer_ struct answer old =
        call(world, "POST", "workloads/update", "If-Match: \"1-1-00000000\"", body);
    _cleanup_answer_ struct answer any =
        call(world, "POST", "workloads/update", "If-Match: *", body);

    expect(&unconfirmed, 412, "DATA_LOSS_NOT_CONFIRMED");
    expect(&old, 412, "PRECONDITION_FAILED");
    expect(&any, 200, "");
}

static void set_quota(const struct world *world, const char *quota)
{
    _cleanup_free_ char *body = xasprintf("{\"accountId\":\"dev\",\"quota\":%s}", quota);
    _cleanup_answer_ struct answer answer = admin(world, "PUT", "accounts/update", body);

    expect(&answer, 200, "");
}

static void check_quota_is_judged(const struct world *world)
{
    static const char *const small[] = {"{\"maxCpus\":3}", "{\"maxMemoryMb\":2047}",
                                        "{\"maxDiskGb\":19}", "{\"maxWorkloads\":1}"};

    pay(world, "100");
    for (size_t i = 0; i < ELEMENTSOF(small); i++) {
        set_quota(world, small[i]);
        _cleanup_answer_ struct answer over =
            post(world, "create", "{\"workloadId\":\"w-2\"," PROJECT "}");
        expect(&over, 412, "QUOTA_EXCEEDED");
        _cleanup_answer_ struct answer planned = post(world, "plan", "{" PROJECT "}");
        assert_string_equal(inside(&planned, "refusal", "code"), "QUOTA_EXCEEDED");
        _cleanup_answer_ struct answer own = post(world, "restart", "{\"workloadId\":\"w-1\"}");
        expect(&own, 200, ""); /* is within it */
    }
    set_quota(world, "{\"maxCpus\":4,\"maxMemoryMb\":2048,\"maxDiskGb\":20,\"maxWorkloads\":2}");
    _cleanup_answer_ struct answer fits =
        post(world, "create", "{\"workloadId\":\"w-2\"," PROJECT "}");
    expect(&fits, 200, "");
    check_burn_rate(world, 0.2);
}

enum { AT_ONCE = 4, EACH = 3 };

struct updater {
    pthread_t thread;
    const struct world *world;
    int index;
    unsigned done;
};

static void *update_again_and_again(void *data)
{
    struct updater *updater = data;

    for (int i = 0; i < EACH; i++) {
        _cleanup_free_ char *body = xasprintf("{\"workloadId\":\"w-2\",\"confirmDataLoss\":true,"
                                              "\"setEnvVars\":{\"T%d_%d\":\"x\"}}",
                                              updater->index, i);
        _cleanup_answer_ struct answer answer = post(updater->world, "update", body);
        updater->done += answer.status == 200;
    }
    return NULL;
}

/* Each adds values of its own to the same workload; in the end all of them are there. */
static void check_none_is_lost(const struct world *world)
{
    struct updater updaters[AT_ONCE];
    unsigned done = 0;

    for (int i = 0; i < AT_ONCE; i++) {
        updaters[i] = (struct updater){.world = world, .index = i};
        assert_int_equal(
            pthread_create(&updaters[i].thread, NULL, update_again_and_again, &updaters[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_join(updaters[i].thread, NULL);
        done += updaters[i].done;
    }
    _cleanup_answer_ struct answer env =
        call(world, "GET", "workloads/w-2/env", "X-Nothing: 1", NULL);
    assert_int_equal(done, AT_ONCE * EACH);
    assert_int_equal(json_array_size(json_object_get(env.json, "names")), 1 + AT_ONCE * EACH);
}

/* Of a list or a workload, as a line for the next request; caller frees. */
static char *if_match(const struct world *world, const char *path)
{
    _cleanup_answer_ struct answer answer = call(world, "GET", path, "X-Nothing: 1", NULL);

    assert_true(answer.etag[0] == '"');
    return xasprintf("If-Match: %s", answer.etag);
}

/* Two administrators and more who have seen the same tiers. */
struct administrator {
    pthread_t thread;
    const struct world *world;
    const char *header;
    const char *tier;
    int price;
    long status;
};

static void *change_price(void *data)
{
    struct administrator *one = data;
    _cleanup_free_ char *body =
        xasprintf("{\"tierId\":\"%s\",\"name\":\"small\",\"cpus\":2,\"gpus\":0,"
                  "\"memoryMb\":1024,\"diskGb\":10,\"cost\":%d}",
                  one->tier, one->price);
    _cleanup_answer_ struct answer answer =
        admin_with(one->world, "PUT", "workload-tiers/update", one->header, body);

    one->status = answer.status;
    return NULL;
}

static void check_one_price_wins(const struct world *world, const char *tier)
{
    _cleanup_free_ char *header = if_match(world, "workload-tiers/list");
    struct administrator several[AT_ONCE];
    unsigned done = 0;
    unsigned refused = 0;

    for (int i = 0; i < AT_ONCE; i++) {
        several[i] =
            (struct administrator){.world = world, .header = header, .tier = tier, .price = i + 1};
        assert_int_equal(pthread_create(&several[i].thread, NULL, change_price, &several[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_join(several[i].thread, NULL);
        done += several[i].status == 200;
        refused += several[i].status == 412;
    }
    assert_int_equal(done, 1);
    assert_int_equal(refused, AT_ONCE - 1);
}

static void check_tiers_change_as_they_were_seen(const struct world *world)
{
    _cleanup_answer_ struct answer tiers = admin(world, "GET", "workload-tiers/list", NULL);
    const char *tier = text(&(struct answer){.json = json_array_get(tiers.json, 0)}, "tierId");

    for (int round = 0; round < 10; round++)
        check_one_price_wins(world, tier);
}

static json_int_t generation(const struct world *world)
{
    _cleanup_answer_ struct answer answer =
        call(world, "GET", "workloads/w-1", "X-Nothing: 1", NULL);

    return json_integer_value(json_object_get(answer.json, "generation"));
}

/* The scheduler stands still until the gateway has given up; then both the first request and its
 * retry reach it, and the ETag has moved. */
static void check_a_lost_answer_is_found(const struct world *world)
{
    static const char body[] =
        "{\"workloadId\":\"w-1\",\"setEnvVars\":{\"LOST\":\"1\"},\"confirmDataLoss\":true}";
    const json_int_t before = generation(world);
    _cleanup_free_ char *tag = if_match(world, "workloads/w-1");
    _cleanup_free_ char *header = xasprintf("Idempotency-Key: lost\r\n%s", tag);

    kill(world->scheduler, SIGSTOP);
    _cleanup_answer_ struct answer lost = call(world, "POST", "workloads/update", header, body);
    kill(world->scheduler, SIGCONT);
    assert_true(lost.status == 503 || lost.status == 504);
    for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
        _cleanup_answer_ struct answer again =
            call(world, "POST", "workloads/update", header, body);
        if (again.status == 200) {
            assert_int_equal(generation(world), before + 1);
            return;
        }
        if (again.status < 500)
            fail_msg("%s", buffer_text(&again.body));
        pause_short();
    }
    fail_msg("the scheduler does not come back");
}

/* So many entries of the trail are of that kind; nobody has two with one id. */
static void expect_entries(const struct world *world, const char *filter, size_t n)
{
    _cleanup_free_ char *path = xasprintf("audit?limit=1000&%s", filter);
    _cleanup_answer_ struct answer audit = admin(world, "GET", path, NULL);
    const json_t *entries = json_object_get(audit.json, "entries");
    json_t *ids = json_object();
    const json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry)
        json_object_set_new(ids, json_string_value(json_object_get(entry, "id")), json_true());
    if (json_array_size(entries) != n || json_object_size(ids) != n)
        fail_msg("%s: %zu with %zu ids", filter, json_array_size(entries), json_object_size(ids));
    json_decref(ids);
}

/* One for each of the changes above. */
static void check_trail(const struct world *world)
{
    expect_entries(world, "result=ok&action=workloads/create", 2);
    expect_entries(world, "result=ok&action=workloads/update", 12 + AT_ONCE * EACH);
    expect_entries(world, "result=ok&action=workloads/restart", 4);
    expect_entries(world, "result=ok&action=workload-tiers/create", 1);
    expect_entries(world, "result=ok&action=workload-tiers/update", 10);
    expect_entries(world, "result=QUOTA_EXCEEDED&action=workloads/create", 4);
}

/* How the change ended is told by who made it. */
static void wait_for_entry(const struct world *world, const char *request_id)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
        _cleanup_answer_ struct answer audit = admin(
            world, "GET", "audit?limit=1000&result=ok&object=w-1&action=workloads/restart", NULL);
        const json_t *entry;
        size_t i;
        json_array_foreach(json_object_get(audit.json, "entries"), i,
                           entry) if (strcmp(json_string_value(json_object_get(entry, "requestId")),
                                             request_id) == 0) return;
        pause_short();
    }
    fail_msg("nobody recorded the change");
}

/* The scheduler stands still until the gateway that has asked it is dead. */
static void check_a_dead_gateway_is_not_needed(struct world *world)
{
    char *gateway[] = {GATEWAY_PROGRAM, NULL};

    kill(world->scheduler, SIGSTOP);
    _cleanup_answer_ struct answer lost = call(
        world, "POST", "workloads/restart", "X-Request-Id: last-words", "{\"workloadId\":\"w-1\"}");
    reap(&world->gateway, SIGKILL);
    kill(world->scheduler, SIGCONT);
    assert_true(lost.status == 503 || lost.status == 504);
    world->gateway = spawn(world, gateway);
    wait_for_entry(world, "last-words");
}

static void test_changes(void **state)
{
    struct world *world = *state;

    wait_for_host(world);
    check_balance_is_judged(world);
    check_updates(world);
    check_expectations(world);
    check_quota_is_judged(world);
    check_none_is_lost(world);
    check_tiers_change_as_they_were_seen(world);
    check_trail(world);
    check_a_lost_answer_is_found(world);
    check_a_dead_gateway_is_not_needed(world);
}

static bool has_redis(void)
{
    return system("redis-server --version >/dev/null 2>&1") == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
    };

    if (!nats_server_is_available(2, 2) || !has_redis()) {
        printf("no nats-server or no redis-server: skipped\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
