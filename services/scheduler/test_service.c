/*
 * The program itself on a real NATS server (operator mode, identities of 'coffer fleet init') and a
 * real Redis, killed with -9 at every step of a deploy; then both servers are restarted. Hosts and
 * guest are the test kit's, on their own credentials. Skips (77) without nats-server 2.10 or Redis.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "services/scheduler/test_kit.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "tests/integration/nats_server.h"

enum { PATIENCE_MS = 60000, PAUSE_MS = 50, HEARTBEAT_MS = 1000 };

struct world {
    struct nats_server nats;
    char dir[64]; /* Redis */
    pid_t redis;
    pid_t scheduler;
    struct kit *kit;
    int64_t heartbeat_at_ms;
};

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static void pause_short(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

static pid_t spawn(char *const *argv, const char *log_path)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid)
        return pid;
    /* A test that dies takes its processes with it. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen(log_path, "a", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
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

static void start_redis(struct world *world)
{
    _cleanup_free_ char *socket = xasprintf("%s/redis.sock", world->dir);
    _cleanup_free_ char *log = xasprintf("%s/redis.log", world->dir);
    char *argv[] = {"redis-server", "--port", "0", "--unixsocket", socket, "--dir",
                    world->dir,     "--save", "",  "--appendonly", "yes",  "--appendfsync",
                    "always",       NULL};

    world->redis = spawn(argv, log);
}

static void start_nats(struct world *world)
{
    _cleanup_free_ char *config =
        xasprintf("listen: 127.0.0.1:%d\nmax_payload: 1114112\n"
                  "jetstream { store_dir: \"%s/store\" }\n"
                  "include ..%s/fleet/nats/hub.conf\n",
                  world->nats.port, world->nats.dir, strrchr(world->kit->dir, '/'));

    kit_ok(nats_server_start(&world->nats, config));
}

static char *setting(const char *name, const char *value)
{
    return xasprintf("--%s=%s", name, value);
}

static void start_scheduler(struct world *world)
{
    const struct scheduler_config *config = &world->kit->config;
    _cleanup_free_ char *log = xasprintf("%s/scheduler.log", world->dir);
    _cleanup_free_ char *nats = xasprintf("nats://127.0.0.1:%d", world->nats.port);
    _cleanup_free_ char *creds = xasprintf("%s/nats/scheduler.creds", config->fleet_dir);
    _cleanup_free_ char *redis = xasprintf("redis+unix://%s/redis.sock", world->dir);
    char *argv[] = {
        xstrdup(SCHEDULER_PROGRAM),
        setting("coffer-nats-url", nats),
        setting("coffer-nats-creds", creds),
        setting("coffer-redis-url", redis),
        setting("scheduler-fleet-dir", config->fleet_dir),
        setting("scheduler-images-dir", config->images_dir),
        setting("scheduler-acme-eab-file", config->acme_eab_file),
        setting("scheduler-trust-root-dir", config->trust_root_dir),
        setting("scheduler-allow-software-tee", "true"),
        NULL,
    };

    world->scheduler = spawn(argv, log);
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
}

static void kill_scheduler(struct world *world)
{
    reap(&world->scheduler, SIGKILL);
    start_scheduler(world);
}

static struct bus *connect_as(struct world *world, const char *creds, bool content,
                              const char *inbox)
{
    _cleanup_free_ char *url = xasprintf("nats://127.0.0.1:%d", world->nats.port);
    _cleanup_free_ char *path =
        content ? xstrdup(creds) : xasprintf("%s/fleet/%s.creds", world->kit->dir, creds);
    struct bus *bus;

    kit_ok(bus_connect(&(struct bus_options){.url = url,
                                             .credentials = path,
                                             .credentials_are_content = content,
                                             .name = inbox,
                                             .inbox_prefix = inbox},
                       false, &bus));
    return bus;
}

/* Reads what the program writes, with the same code; never writes. */
static void open_reader(struct world *world)
{
    struct kit *kit = world->kit;
    _cleanup_free_ char *url = xasprintf("redis+unix://%s/redis.sock", world->dir);

    kit->scheduler = scheduler_new(&kit->config, NULL, clock_system());
    kit_ok(authority_load(kit->config.fleet_dir, &kit->scheduler->authority));
    kit_ok(store_open(url, NULL, &kit->scheduler->store));
    kit->store = kit->scheduler->store;
    for (int64_t give_up = now_ms() + PATIENCE_MS;; pause_short()) {
        struct error *err = store_ping(kit->store);
        if (!err)
            return;
        error_free(err);
        int status;
        if (waitpid(world->redis, &status, WNOHANG) == world->redis)
            exit(WIFEXITED(status) && WEXITSTATUS(status) == 127 ? 77 : 1);
        assert_true(now_ms() < give_up);
    }
}

static int setup(void **state)
{
    struct world *world = xnew(struct world);

    world->kit = kit_new();
    kit_ok(nats_server_init(&world->nats, 0));
    strcpy(world->dir, "/tmp/scheduler-world-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    start_redis(world);
    start_nats(world);
    open_reader(world);
    start_scheduler(world);
    world->kit->bus = connect_as(world, "nats/ops", false, "_INBOX.ops");
    world->kit->gateway = connect_as(world, "nats/api-gateway", false, "_INBOX.api-gateway");
    kit_start_host(world->kit, 0,
                   connect_as(world, "hosts/h1/host-agent", false, "_INBOX.host-agent-h1"));
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", world->dir);

    kit_stop_host(&world->kit->hosts[0]);
    bus_free(world->kit->gateway);
    bus_free(world->kit->bus);
    scheduler_free(world->kit->scheduler);
    reap(&world->scheduler, SIGTERM);
    nats_server_done(&world->nats);
    reap(&world->redis, SIGKILL);
    assert_int_equal(system(command), 0);
    kit_free(world->kit);
    free(world);
    return 0;
}

static void keep_beating(struct world *world)
{
    if (now_ms() < world->heartbeat_at_ms)
        return;
    world->heartbeat_at_ms = now_ms() + HEARTBEAT_MS;
    kit_heartbeat(world->kit, 0);
}

static void show_log(const struct world *world)
{
    _cleanup_free_ char *command = xasprintf("tail -n 40 '%s/scheduler.log'", world->dir);

    assert_int_equal(system(command), 0);
}

static void wait_for_status(struct world *world, enum status status)
{
    int64_t give_up = now_ms() + PATIENCE_MS;

    while (kit_status(world->kit, "w1") != status) {
        keep_beating(world);
        pause_short();
        if (now_ms() < give_up)
            continue;
        show_log(world);
        fail_msg("w1 is %s, not %s", status_name(kit_status(world->kit, "w1")),
                 status_name(status));
    }
}

/* Until the reader sees a host that is ready. */
static void wait_for_host(struct world *world)
{
    int64_t give_up = now_ms() + PATIENCE_MS;

    for (;;) {
        keep_beating(world);
        const Coffer__V1__Host *host = kit_host_record(world->kit, "h1");
        if (host && host->status == COFFER__V1__HOST_STATUS__READY)
            return;
        if (now_ms() > give_up)
            show_log(world);
        assert_true(now_ms() < give_up);
        pause_short();
    }
}

static void connect_guest(struct world *world, struct kit_guest *guest)
{
    _cleanup_free_ char *inbox =
        xasprintf("_INBOX.guest-agent-%s.%s", guest->host_id, guest->workload_id);

    guest->bus = connect_as(world, world->kit->hosts[0].credentials, true, inbox);
}

static void wait_for_events(struct world *world, const char *expected)
{
    int64_t give_up = now_ms() + PATIENCE_MS;
    const char *events;

    while (strcmp(events = kit_events(world->kit, "w1"), expected) != 0) {
        keep_beating(world);
        pause_short();
        if (now_ms() > give_up)
            fail_msg("events: %s", events);
    }
}

static void wait_for_stages(struct world *world, size_t n)
{
    int64_t give_up = now_ms() + PATIENCE_MS;

    while (kit_workload(world->kit, "w1")->n_stages < n) {
        keep_beating(world);
        pause_short();
        if (now_ms() > give_up)
            show_log(world);
        assert_true(now_ms() < give_up);
    }
}

static void test_kill_nine_at_every_step(void **state)
{
    struct world *world = *state;
    struct kit *kit = world->kit;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    static const char *const stages[] = {"release", "login", "pull", "lint", "up", "certificate"};

    wait_for_host(world);
    kill_scheduler(world);
    kit_create(kit, "w1");
    kill_scheduler(world);
    kit_create(kit, "w1");
    wait_for_status(world, STATUS_STARTING);
    kill_scheduler(world);
    kit_guest_init(kit, &guest, "w1");
    connect_guest(world, &guest);
    kit_ok(kit_challenge(kit, &guest));
    kill_scheduler(world);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    kill_scheduler(world);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    for (size_t i = 0; i < ELEMENTSOF(stages); i++) {
        kill_scheduler(world);
        clock_fake_advance(&kit->clock, 100);
        kit_stage(kit, &guest, stages[i], NULL, true);
        wait_for_stages(world, i + 1);
    }
    wait_for_status(world, STATUS_RUNNING);
    assert_int_equal(kit->hosts[0].starts, 1);
    assert_int_equal(kit->hosts[0].ends, 0);
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 1024);
    wait_for_events(world, "created scheduled starting stage:verified stage:release stage:login "
                           "stage:pull stage:lint stage:up awaitingCert stage:certificate running");

    /* Both servers away and back: it goes on, and says what happened meanwhile. */
    reap(&world->redis, SIGKILL);
    nats_server_stop(&world->nats);
    pause_short();
    start_redis(world);
    start_nats(world);
    for (int64_t give_up = now_ms() + PATIENCE_MS; !bus_is_connected(guest.bus); pause_short())
        assert_true(now_ms() < give_up);
    kit_health(kit, &guest, false, true);
    wait_for_status(world, STATUS_DEGRADED);
    for (int64_t give_up = now_ms() + PATIENCE_MS;; pause_short()) {
        struct error *err = kit_wish(kit, "delete", "w1");
        if (!err)
            break;
        error_free(err);
        assert_true(now_ms() < give_up);
    }
    wait_for_status(world, STATUS_DELETED);
    assert_int_equal(kit->hosts[0].n_vms, 0);
    wait_for_events(world, "created scheduled starting stage:verified stage:release stage:login "
                           "stage:pull stage:lint stage:up awaitingCert stage:certificate running "
                           "degraded deleting deleted");
    bus_free(guest.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill_nine_at_every_step, setup, teardown),
    };

    /* Older servers read the identities otherwise. */
    if (!nats_server_is_available(2, 10)) {
        printf("no nats-server 2.10 or later in PATH or $NATS_SERVER: skipped\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
