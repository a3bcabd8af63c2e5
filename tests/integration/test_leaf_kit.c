#include "tests/integration/test_leaf_kit.h"

#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/fleet/fleet.h"

const char *const hosts[] = {"host-a", "host-b"};

void check(struct error *err)
{
    if (err)
        fail_msg("%s (%s)", error_text(err), error_origin(err));
}

static char *read_file(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    char *text = NULL;

    check(file_read_text(path, 1024 * 1024, &text));
    return text;
}

/* ---- servers ---- */

static void start_hub(struct leaf_fixture *fixture)
{
    _cleanup_free_ char *config = xasprintf("listen: 127.0.0.1:%d\n"
                                            "jetstream { store_dir: \"%s/store\" }\n"
                                            "leafnodes { listen: \"127.0.0.1:%d\" }\n"
                                            "include ..%s/nats/hub.conf\n",
                                            fixture->hub.port, fixture->hub.dir, fixture->leaf_port,
                                            strrchr(fixture->dir, '/'));

    check(nats_server_start(&fixture->hub, config));
}

/* Runs the very file that fleet_init() wrote; include paths are relative to the including file. */
static void start_leaf(struct leaf_fixture *fixture, size_t i)
{
    _cleanup_free_ char *port = xasprintf("%d", fixture->leafs[i].port);
    _cleanup_free_ char *url = xasprintf("nats-leaf://127.0.0.1:%d", fixture->leaf_port);
    _cleanup_free_ char *creds = xasprintf("%s/hosts/%s/leaf.creds", fixture->dir, hosts[i]);
    _cleanup_free_ char *config =
        xasprintf("include ..%s/hosts/%s/leaf.conf\n", strrchr(fixture->dir, '/'), hosts[i]);

    setenv("COFFER_LEAF_HOST", "127.0.0.1", 1);
    setenv("COFFER_LEAF_PORT", port, 1);
    setenv("COFFER_HUB_LEAF_URL", url, 1);
    setenv("COFFER_LEAF_CREDS", creds, 1);
    check(nats_server_start(&fixture->leafs[i], config));
}

/* ---- clients ---- */

natsConnection *connect_creds(int port, const char *creds_path)
{
    _cleanup_free_ char *url = xasprintf("nats://127.0.0.1:%d", port);
    natsOptions *options = NULL;
    natsConnection *connection = NULL;

    assert_int_equal(natsOptions_Create(&options), NATS_OK);
    natsOptions_SetURL(options, url);
    natsOptions_SetUserCredentialsFromFiles(options, creds_path, NULL);
    natsOptions_SetTimeout(options, WAIT_MS);
    natsStatus s = NATS_ERR;
    for (int i = 0; i < 3 && s != NATS_OK; i++)
        s = natsConnection_Connect(&connection, options);
    natsOptions_Destroy(options);
    if (s != NATS_OK && s != NATS_CONNECTION_AUTH_FAILED)
        fail_msg("connect with '%s': %s", creds_path, natsStatus_GetText(s));
    return s == NATS_OK ? connection : NULL;
}

char *creds_of(const struct leaf_fixture *fixture, const char *name)
{
    return xasprintf("%s/%s.creds", fixture->dir, name);
}

char *mint(const struct leaf_fixture *fixture, const char *host, const char *workload,
           int64_t ttl_s)
{
    _cleanup_free_ char *seed = read_file(fixture->dir, "nats/account-signing.seed");
    _cleanup_free_ char *facts = read_file(fixture->dir, "fleet.json");
    char *at = strstr(facts, "\"nats_account\": \"");
    char account[64] = "";
    char *creds = NULL;

    assert_non_null(at);
    snprintf(account, sizeof(account), "%.56s", at + strlen("\"nats_account\": \""));
    check(fleet_mint_guest_credentials(seed, account, host, workload, 1,
                                       (int64_t)time(NULL) - (ttl_s < 0 ? 100 : 0),
                                       ttl_s < 0 ? 50 : ttl_s, &creds));
    return creds;
}

char *mint_file(const struct leaf_fixture *fixture, const char *host, const char *workload)
{
    _cleanup_free_ char *text = mint(fixture, host, workload, 600);
    char *path = xasprintf("%s/guest.%s.%s.creds", fixture->dir, host, workload);

    check(file_write_atomic(path, text, strlen(text), 0600));
    return path;
}

struct bus *bus_as(const struct leaf_fixture *fixture, int port, const char *creds_name,
                   const char *inbox)
{
    _cleanup_free_ char *url = xasprintf("nats://127.0.0.1:%d", port);
    _cleanup_free_ char *creds = creds_of(fixture, creds_name);
    const struct bus_options options = {
        .url = url, .credentials = creds, .name = inbox, .inbox_prefix = inbox};
    struct bus *bus = NULL;

    check(bus_connect(&options, false, &bus));
    return bus;
}

struct bus *guest_bus(const struct leaf_fixture *fixture, size_t leaf, const char *workload)
{
    _cleanup_free_ char *url = xasprintf("nats://127.0.0.1:%d", fixture->leafs[leaf].port);
    _cleanup_free_ char *creds = mint(fixture, hosts[leaf], workload, 600);
    _cleanup_free_ char *inbox = xasprintf("_INBOX.guest-agent-%s.%s", hosts[leaf], workload);
    const struct bus_options options = {.url = url,
                                        .credentials = creds,
                                        .credentials_are_content = true,
                                        .name = "guest",
                                        .inbox_prefix = inbox};
    struct bus *bus = NULL;

    check(bus_connect(&options, false, &bus));
    return bus;
}

/* ---- fixture ---- */

/* The leaf links stand when a message of each host arrives at the hub. */
static void wait_for_links(const struct leaf_fixture *fixture)
{
    _cleanup_free_ char *ops_creds = creds_of(fixture, "nats/ops");
    natsConnection *ops = connect_creds(fixture->hub.port, ops_creds);
    natsSubscription *sub = NULL;

    assert_non_null(ops);
    assert_int_equal(natsConnection_SubscribeSync(&sub, ops, "hb.host.*"), NATS_OK);
    natsConnection_Flush(ops);
    for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
        _cleanup_free_ char *name = xasprintf("hosts/%s/host-agent", hosts[i]);
        _cleanup_free_ char *creds = creds_of(fixture, name);
        _cleanup_free_ char *subject = xasprintf("hb.host.%s", hosts[i]);
        natsConnection *agent = connect_creds(fixture->leafs[i].port, creds);
        natsMsg *msg = NULL;
        assert_non_null(agent);
        for (int n = 0; n < 100 && !msg; n++) {
            natsConnection_PublishString(agent, subject, "up");
            natsConnection_Flush(agent);
            natsSubscription_NextMsg(&msg, sub, 100);
        }
        if (!msg)
            fail_msg("the leaf of '%s' has no link to the hub", hosts[i]);
        natsMsg_Destroy(msg);
        natsConnection_Destroy(agent);
    }
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(ops);
}

int leaf_setup(void **state)
{
    struct leaf_fixture *fixture = xnew(struct leaf_fixture);
    const struct fleet_options options = {.hosts = hosts, .n_hosts = ELEMENTSOF(hosts)};

    *state = fixture;
    strcpy(fixture->dir, "/tmp/coffer-fleet-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    check(fleet_init(fixture->dir, &options));
    fixture->leaf_port = free_port();
    check(nats_server_init(&fixture->hub, 0));
    start_hub(fixture);
    for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
        check(nats_server_init(&fixture->leafs[i], 0));
        start_leaf(fixture, i);
    }
    wait_for_links(fixture);
    return 0;
}

int leaf_teardown(void **state)
{
    struct leaf_fixture *fixture = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", fixture->dir);

    nats_server_done(&fixture->leafs[0]);
    nats_server_done(&fixture->leafs[1]);
    nats_server_done(&fixture->hub);
    if (strncmp(fixture->dir, "/tmp/coffer-fleet-", 18) == 0 && system(command) != 0)
        fprintf(stderr, "could not remove '%s'\n", fixture->dir);
    free(fixture);
    return 0;
}
