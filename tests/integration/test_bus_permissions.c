/*
 * The trust boundaries of the bus on real servers: a hub and two hosts' leafs in operator mode,
 * identities as 'coffer fleet init' makes them. Every refusal is shown beside a message that does
 * arrive by the same way, so that silence is not taken for safety.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nats/nats.h>
#include <pthread.h>
#include <time.h>

#include "schemas/boot.pb-c.h"
#include "schemas/guest.pb-c.h"
#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/bus/bus.h"
#include "shared/bus/subject.h"
#include "shared/fleet/fleet.h"
#include "tests/integration/nats_server.h"

enum { WAIT_MS = 10000 };

static const char *const hosts[] = {"host-a", "host-b"};

struct fixture {
    char dir[64];
    struct nats_server hub;
    struct nats_server leafs[2];
    int leaf_port; /* of the hub */
};

static void check(struct error *err)
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

static void start_hub(struct fixture *fixture)
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
static void start_leaf(struct fixture *fixture, size_t i)
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

/* NULL when the server refuses the credentials. Three times: nats.c loses the signature of one
 * nonce in 256 (bus: nats_credentials.c), and a starved server may give up on its client. */
static natsConnection *connect_creds(int port, const char *creds_path)
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

static char *creds_of(const struct fixture *fixture, const char *name)
{
    return xasprintf("%s/%s.creds", fixture->dir, name);
}

static char *mint(const struct fixture *fixture, const char *host, const char *workload,
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

/* A guest's credentials as a file beside the others: "guests/<h>.<w>". */
static char *mint_file(const struct fixture *fixture, const char *host, const char *workload)
{
    _cleanup_free_ char *text = mint(fixture, host, workload, 600);
    char *path = xasprintf("%s/guest.%s.%s.creds", fixture->dir, host, workload);

    check(file_write_atomic(path, text, strlen(text), 0600));
    return path;
}

static struct bus *bus_as(const struct fixture *fixture, int port, const char *creds_name,
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

static struct bus *guest_bus(const struct fixture *fixture, size_t leaf, const char *workload)
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
static void wait_for_links(const struct fixture *fixture)
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

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);
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

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", fixture->dir);

    nats_server_done(&fixture->leafs[0]);
    nats_server_done(&fixture->leafs[1]);
    nats_server_done(&fixture->hub);
    if (strncmp(fixture->dir, "/tmp/coffer-fleet-", 18) == 0 && system(command) != 0)
        fprintf(stderr, "could not remove '%s'\n", fixture->dir);
    free(fixture);
    return 0;
}

/* ---- who may publish what ---- */

enum { AT_HUB, AT_LEAF_A, AT_LEAF_B };

static int port_of(const struct fixture *fixture, int at)
{
    return at == AT_HUB ? fixture->hub.port : fixture->leafs[at - AT_LEAF_A].port;
}

static char *resolve_creds(const struct fixture *fixture, const char *creds)
{
    char host[64];
    char workload[64];

    if (strncmp(creds, "guest.", 6) != 0)
        return creds_of(fixture, creds);
    assert_true(subject_token(creds, 1, host, sizeof(host)));
    assert_true(subject_token(creds, 2, workload, sizeof(workload)));
    return mint_file(fixture, host, workload);
}

struct publish_row {
    int at;
    const char *creds;
    const char *subject;
    bool arrives;
};

/* At the leaf: the identity's own permissions. */
static const struct publish_row publish_rows[] = {
    {AT_LEAF_A, "hosts/host-a/host-agent", "hb.host.host-a", true},
    {AT_LEAF_A, "hosts/host-a/host-agent", "src.host.host-a.vm", true},
    {AT_LEAF_A, "hosts/host-a/host-agent", "stat.host.host-a", true},
    {AT_LEAF_A, "hosts/host-a/host-agent", "_INBOX.scheduler.to.host.host-a.r1", true},
    {AT_LEAF_A, "hosts/host-a/host-agent", "hb.host.host-b", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "src.host.host-b.vm", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "stat.host.host-b", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "_INBOX.scheduler.to.host.host-b.r1", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "_INBOX.scheduler.r1", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "evt.workload.w1.running", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "cmd.host.host-b.stop", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "svc.scheduler.workload.delete", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "svc.scheduler.artifact.enable", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "svc.scheduler.tier.delete", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "svc.scheduler.host.delete", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "obj.files.host-a.w1.0", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "$JS.API.STREAM.DELETE.EVENTS", false},
    {AT_LEAF_A, "guest.host-a.w1", "src.guest.host-a.w1.stage", true},
    {AT_LEAF_A, "guest.host-a.w1", "log.host-a.w1.web", true},
    {AT_LEAF_A, "guest.host-a.w1", "stat.guest.host-a.w1", true},
    {AT_LEAF_A, "guest.host-a.w1", "boot.host-a.w1.attest", true},
    {AT_LEAF_A, "guest.host-a.w1", "_INBOX.api-gateway.to.guest.host-a.w1.r1", true},
    {AT_LEAF_A, "guest.host-a.w1", "src.guest.host-a.w2.stage", false},
    {AT_LEAF_A, "guest.host-a.w1", "log.host-a.w2.web", false},
    {AT_LEAF_A, "guest.host-a.w1", "stat.guest.host-a.w2", false},
    {AT_LEAF_A, "guest.host-a.w1", "boot.host-a.w2.attest", false},
    {AT_LEAF_A, "guest.host-a.w1", "_INBOX.api-gateway.to.guest.host-a.w2.r1", false},
    {AT_LEAF_A, "guest.host-a.w1", "_INBOX.guest-agent-host-a.w2.to._.r1", false},
    {AT_LEAF_A, "guest.host-a.w1", "hb.host.host-a", false},
    {AT_LEAF_A, "guest.host-a.w1", "src.host.host-a.vm", false},
    {AT_LEAF_A, "guest.host-a.w1", "cmd.guest.host-a.w2.logs", false},
    {AT_LEAF_A, "guest.host-a.w1", "evt.workload.w1.running", false},
    {AT_LEAF_A, "guest.host-a.w1", "svc.scheduler.tier.update", false},
    {AT_LEAF_A, "guest.host-a.w1", "$JS.API.STREAM.INFO.EVENTS", false},
    /* On another host's leaf its credentials are good, but that leaf's link is not for it. */
    {AT_LEAF_B, "guest.host-a.w1", "src.guest.host-a.w1.stage", false},
    {AT_LEAF_B, "hosts/host-a/host-agent", "hb.host.host-a", false},
    {AT_LEAF_B, "guest.host-b.w1", "src.guest.host-b.w1.stage", true},
    /* The link itself: a host that has taken over its own leaf (here: an identity that its leaf
     * lets say anything) still speaks for itself only. */
    {AT_LEAF_A, "nats/ops", "hb.host.host-a", true},
    {AT_LEAF_A, "nats/ops", "src.guest.host-a.w1.stage", true},
    {AT_LEAF_A, "nats/ops", "log.host-a.w1.web", true},
    {AT_LEAF_A, "nats/ops", "_INBOX.scheduler.to.host.host-a.r1", true},
    {AT_LEAF_A, "nats/ops", "_INBOX.scheduler.to.guest.host-a.w1.r1", true},
    {AT_LEAF_A, "nats/ops", "hb.host.host-b", false},
    {AT_LEAF_A, "nats/ops", "src.host.host-b.vm", false},
    {AT_LEAF_A, "nats/ops", "src.guest.host-b.w1.stage", false},
    {AT_LEAF_A, "nats/ops", "log.host-b.w1.web", false},
    {AT_LEAF_A, "nats/ops", "stat.guest.host-b.w1", false},
    {AT_LEAF_A, "nats/ops", "boot.host-b.w1.attest", false},
    {AT_LEAF_A, "nats/ops", "_INBOX.scheduler.to.host.host-b.r1", false},
    {AT_LEAF_A, "nats/ops", "_INBOX.scheduler.to.guest.host-b.w1.r1", false},
    {AT_LEAF_A, "nats/ops", "_INBOX.scheduler.to._.r1", false},
    {AT_LEAF_A, "nats/ops", "evt.workload.w1.running", false},
    {AT_LEAF_A, "nats/ops", "cmd.host.host-b.stop", false},
    {AT_LEAF_A, "nats/ops", "cmd.guest.host-b.w1.logs", false},
    {AT_LEAF_A, "nats/ops", "svc.scheduler.workload.delete", false},
    {AT_LEAF_A, "nats/ops", "svc.scheduler.host.delete", false},
    {AT_LEAF_A, "nats/ops", "obj.files.host-b.w1.0", false},
    {AT_LEAF_A, "nats/ops", "$JS.API.STREAM.DELETE.EVENTS", false},
    {AT_LEAF_A, "nats/ops", "$JS.API.DIRECT.GET.FILES.obj.files.host-b.w1.0", false},
    {AT_LEAF_A, "nats/ops", "get.obj.files.host-b.w1.0", false},
    /* The control plane, at the hub. */
    {AT_HUB, "nats/scheduler", "evt.workload.w1.running", true},
    {AT_HUB, "nats/scheduler", "cmd.host.host-a.start", true},
    {AT_HUB, "nats/scheduler", "hb.host.host-a", false},
    {AT_HUB, "nats/scheduler", "src.guest.host-a.w1.stage", false},
    {AT_HUB, "nats/api-gateway", "svc.scheduler.workload.create", true},
    {AT_HUB, "nats/api-gateway", "svc.scheduler.artifact.disable", true},
    {AT_HUB, "nats/api-gateway", "svc.scheduler.tier.create", true},
    {AT_HUB, "nats/api-gateway", "svc.scheduler.host.delete", true},
    {AT_HUB, "nats/api-gateway", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.WEBHOOKS", true},
    {AT_HUB, "nats/api-gateway", "$JS.ACK.EVENTS.WEBHOOKS.1.1.1.1.1", true},
    {AT_HUB, "nats/api-gateway", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.monitor", false},
    {AT_HUB, "nats/api-gateway", "$JS.API.CONSUMER.MSG.NEXT.SOURCES.scheduler", false},
    {AT_HUB, "nats/api-gateway", "$JS.ACK.SOURCES.scheduler.1.1.1.1.1", false},
    {AT_HUB, "nats/api-gateway", "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.WEBHOOKS", false},
    {AT_HUB, "nats/api-gateway", "$JS.API.CONSUMER.CREATE.EVENTS", false},
    {AT_HUB, "nats/api-gateway", "$JS.API.CONSUMER.DELETE.EVENTS.WEBHOOKS", false},
    {AT_HUB, "nats/monitor", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.WEBHOOKS", false},
    {AT_HUB, "nats/monitor", "svc.scheduler.artifact.disable", false},
    {AT_HUB, "nats/api-gateway", "cmd.guest.host-a.w1.logs", true},
    {AT_HUB, "nats/api-gateway", "cmd.host.host-a.delete", false},
    {AT_HUB, "nats/api-gateway", "evt.workload.w1.running", false},
    {AT_HUB, "nats/api-gateway", "src.host.host-a.vm", false},
    {AT_HUB, "nats/api-gateway", "_INBOX.scheduler.to.host.host-a.r1", false},
    {AT_HUB, "nats/monitor", "evt.workload.w1.running", false},
    {AT_HUB, "nats/monitor", "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.mine", false},
    {AT_HUB, "nats/monitor", "$JS.API.CONSUMER.CREATE.EVENTS", false},
    {AT_HUB, "nats/monitor", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.monitor", true},
};

/*
 * Publishes at the place, looks at the hub. The observer hears everything; behind each message in
 * question goes a marker by the same connection that is known to arrive, so that what has not come
 * before the marker never comes.
 */
static bool arrives_at_hub(const struct fixture *fixture, const struct publish_row *row)
{
    _cleanup_free_ char *ops_path = creds_of(fixture, "nats/ops");
    _cleanup_free_ char *creds = resolve_creds(fixture, row->creds);
    natsConnection *observer = connect_creds(fixture->hub.port, ops_path);
    natsConnection *speaker = connect_creds(port_of(fixture, row->at), creds);
    natsConnection *marker = connect_creds(port_of(fixture, row->at), ops_path);
    const char *marker_subject = row->at == AT_LEAF_B ? "stat.host.host-b" : "stat.host.host-a";
    natsSubscription *sub = NULL;
    bool arrived = false;
    bool marked = false;

    assert_non_null(observer);
    assert_non_null(speaker);
    assert_non_null(marker);
    assert_int_equal(natsConnection_SubscribeSync(&sub, observer, ">"), NATS_OK);
    natsConnection_Flush(observer);
    /* Interest in ">" reaches the leafs before the first marker comes back. */
    for (int n = 0; n < 100 && !marked; n++) {
        natsMsg *msg = NULL;
        natsConnection_PublishString(marker, marker_subject, "ready");
        if (natsSubscription_NextMsg(&msg, sub, 100) == NATS_OK)
            marked = strcmp(natsMsg_GetData(msg), "ready") == 0;
        natsMsg_Destroy(msg);
    }
    assert_true(marked);
    natsConnection_PublishString(speaker, row->subject, "question");
    natsConnection_Flush(speaker);
    natsConnection_PublishString(marker, marker_subject, "end");
    for (marked = false; !marked;) {
        natsMsg *msg = NULL;
        assert_int_equal(natsSubscription_NextMsg(&msg, sub, WAIT_MS), NATS_OK);
        marked = strcmp(natsMsg_GetData(msg), "end") == 0;
        arrived = arrived || strcmp(natsMsg_GetData(msg), "question") == 0;
        natsMsg_Destroy(msg);
    }
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(marker);
    natsConnection_Destroy(speaker);
    natsConnection_Destroy(observer);
    return arrived;
}

static void test_what_each_identity_may_say(void **state)
{
    size_t wrong = 0;

    for (size_t i = 0; i < ELEMENTSOF(publish_rows); i++) {
        const struct publish_row *row = &publish_rows[i];
        if (arrives_at_hub(*state, row) == row->arrives)
            continue;
        wrong++;
        printf("place %d, '%s' on '%s' should %sarrive\n", row->at, row->creds, row->subject,
               row->arrives ? "" : "not ");
    }
    assert_int_equal(wrong, 0);
}

/* ---- who may hear what ---- */

static const struct publish_row subscribe_rows[] = {
    {AT_LEAF_A, "hosts/host-a/host-agent", "cmd.host.host-a.start", true},
    {AT_LEAF_A, "hosts/host-a/host-agent", "_INBOX.host-agent-host-a.x.1", true},
    {AT_LEAF_A, "hosts/host-a/host-agent", "cmd.host.host-b.start", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "cmd.guest.host-a.w1.logs", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "_INBOX.host-agent-host-b.x.1", false},
    {AT_LEAF_A, "hosts/host-a/host-agent", "evt.workload.w1.running", false},
    {AT_LEAF_A, "guest.host-a.w1", "cmd.guest.host-a.w1.logs", true},
    {AT_LEAF_A, "guest.host-a.w1", "_INBOX.guest-agent-host-a.w1.to._.1", true},
    {AT_LEAF_A, "guest.host-a.w1", "cmd.guest.host-a.w2.logs", false},
    {AT_LEAF_A, "guest.host-a.w1", "_INBOX.guest-agent-host-a.w2.to._.1", false},
    {AT_LEAF_A, "guest.host-a.w1", "cmd.host.host-a.start", false},
    {AT_LEAF_A, "guest.host-a.w1", "log.host-a.w2.web", false},
    {AT_LEAF_A, "guest.host-a.w1", "evt.workload.w1.running", false},
    {AT_LEAF_B, "hosts/host-a/host-agent", "cmd.host.host-a.start", false},
    /* What the link lets a host hear, whatever its own leaf allows. */
    {AT_LEAF_A, "nats/ops", "cmd.host.host-a.start", true},
    {AT_LEAF_A, "nats/ops", "cmd.guest.host-a.w1.logs", true},
    {AT_LEAF_A, "nats/ops", "cmd.host.host-b.start", false},
    {AT_LEAF_A, "nats/ops", "cmd.guest.host-b.w1.logs", false},
    {AT_LEAF_A, "nats/ops", "_INBOX.host-agent-host-b.x.1", false},
    {AT_LEAF_A, "nats/ops", "_INBOX.guest-agent-host-b.w1.to._.1", false},
    {AT_LEAF_A, "nats/ops", "_INBOX.scheduler.to.host.host-a.1", false},
    {AT_LEAF_A, "nats/ops", "evt.workload.w1.running", false},
    {AT_LEAF_A, "nats/ops", "log.host-b.w1.web", false},
    {AT_LEAF_A, "nats/ops", "boot.host-b.w1.attest", false},
    {AT_LEAF_A, "nats/ops", "svc.scheduler.workload.create", false},
    {AT_HUB, "nats/scheduler", "boot.host-a.w1.attest", true},
    {AT_HUB, "nats/scheduler", "log.host-a.w1.web", false},
    {AT_HUB, "nats/api-gateway", "evt.workload.w1.running", true},
    {AT_HUB, "nats/api-gateway", "log.host-a.w1.web", true},
    {AT_HUB, "nats/api-gateway", "svc.scheduler.workload.create", false},
    {AT_HUB, "nats/api-gateway", "boot.host-a.w1.attest", false},
    {AT_HUB, "nats/monitor", "evt.workload.w1.running", true},
    {AT_HUB, "nats/monitor", "log.host-a.w1.web", false},
};

/* The listener asks for the one subject; the hub says it until it is heard, or until a listener
 * that may hear everything there has heard the marker behind it. */
static bool is_heard(const struct fixture *fixture, const struct publish_row *row)
{
    _cleanup_free_ char *ops_path = creds_of(fixture, "nats/ops");
    _cleanup_free_ char *creds = resolve_creds(fixture, row->creds);
    natsConnection *speaker = connect_creds(fixture->hub.port, ops_path);
    natsConnection *listener = connect_creds(port_of(fixture, row->at), creds);
    natsConnection *marker = connect_creds(port_of(fixture, row->at), ops_path);
    const char *marker_subject =
        row->at == AT_LEAF_B ? "cmd.host.host-b.marker" : "cmd.host.host-a.marker";
    natsSubscription *sub = NULL;
    natsSubscription *marker_sub = NULL;
    natsMsg *msg = NULL;
    int rounds = 0;

    assert_non_null(speaker);
    assert_non_null(listener);
    assert_non_null(marker);
    assert_int_equal(natsConnection_SubscribeSync(&sub, listener, row->subject), NATS_OK);
    natsConnection_Flush(listener);
    assert_int_equal(natsConnection_SubscribeSync(&marker_sub, marker, marker_subject), NATS_OK);
    natsConnection_Flush(marker);
    /* Two markers through: the interest of the listener, older, had time to spread as well. */
    for (int n = 0; n < 100 && rounds < 2; n++) {
        natsMsg *mark = NULL;
        natsConnection_PublishString(speaker, row->subject, "question");
        natsConnection_PublishString(speaker, marker_subject, "marker");
        if (natsSubscription_NextMsg(&mark, marker_sub, 100) == NATS_OK)
            rounds++;
        natsMsg_Destroy(mark);
    }
    assert_int_equal(rounds, 2);
    natsConnection_Flush(listener);
    bool heard = natsSubscription_NextMsg(&msg, sub, row->arrives ? WAIT_MS : 20) == NATS_OK;
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(marker_sub);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(marker);
    natsConnection_Destroy(listener);
    natsConnection_Destroy(speaker);
    return heard;
}

static void test_what_each_identity_may_hear(void **state)
{
    size_t wrong = 0;

    for (size_t i = 0; i < ELEMENTSOF(subscribe_rows); i++) {
        const struct publish_row *row = &subscribe_rows[i];
        if (is_heard(*state, row) == row->arrives)
            continue;
        wrong++;
        printf("place %d, '%s' should %shear '%s'\n", row->at, row->creds,
               row->arrives ? "" : "not ", row->subject);
    }
    assert_int_equal(wrong, 0);
}

/* ---- the real paths through the bus library ---- */

static struct error *on_list(void *state, struct bus_call *call)
{
    (void)state;
    (void)call;
    return NULL;
}

static struct error *on_challenge(void *state, struct bus_call *call)
{
    Coffer__V1__ChallengeReply *reply = call->out;

    (void)state;
    reply->boot_number = 7;
    return NULL;
}

static struct error *on_containers(void *state, struct bus_call *call)
{
    (void)state;
    (void)call;
    return NULL;
}

static const struct bus_handler list_row = {"cmd.host.host-a.list", &coffer__v1__empty__descriptor,
                                            &coffer__v1__list_vms_reply__descriptor, on_list, NULL};
static const struct bus_handler challenge_row = {
    "boot.*.*.challenge", &coffer__v1__challenge_request__descriptor,
    &coffer__v1__challenge_reply__descriptor, on_challenge, NULL};
static const struct bus_handler containers_row = {
    "cmd.guest.host-a.w1.containers", &coffer__v1__guest_query__descriptor,
    &coffer__v1__containers_reply__descriptor, on_containers, NULL};

static void test_requests_work_both_ways_across_the_leaf(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *gateway =
        bus_as(fixture, fixture->hub.port, "nats/api-gateway", "_INBOX.api-gateway");
    _cleanup_(bus_freep) struct bus *agent = bus_as(
        fixture, fixture->leafs[0].port, "hosts/host-a/host-agent", "_INBOX.host-agent-host-a");
    _cleanup_(bus_freep) struct bus *guest = guest_bus(fixture, 0, "w1");
    Coffer__V1__Empty empty = COFFER__V1__EMPTY__INIT;
    Coffer__V1__ChallengeRequest challenge = COFFER__V1__CHALLENGE_REQUEST__INIT;
    Coffer__V1__GuestQuery query = COFFER__V1__GUEST_QUERY__INIT;
    struct bus_subscription *subscriptions[3] = {0};
    void *out = NULL;

    check(bus_subscribe(agent, &list_row, list_row.subject, NULL, &subscriptions[0]));
    check(bus_subscribe(scheduler, &challenge_row, challenge_row.subject, NULL, &subscriptions[1]));
    check(bus_subscribe(guest, &containers_row, containers_row.subject, NULL, &subscriptions[2]));
    check(bus_call(scheduler, "cmd.host.host-a.list", &empty.base,
                   &coffer__v1__list_vms_reply__descriptor, NULL, NULL, WAIT_MS, arena, &out,
                   NULL));
    check(bus_call(guest, "boot.host-a.w1.challenge", &challenge.base,
                   &coffer__v1__challenge_reply__descriptor, NULL, NULL, WAIT_MS, arena, &out,
                   NULL));
    assert_int_equal(((Coffer__V1__ChallengeReply *)out)->boot_number, 7);
    check(bus_call(gateway, "cmd.guest.host-a.w1.containers", &query.base,
                   &coffer__v1__containers_reply__descriptor, NULL, NULL, WAIT_MS, arena, &out,
                   NULL));
    for (size_t i = 0; i < ELEMENTSOF(subscriptions); i++)
        bus_unsubscribe(subscriptions[i]);
}

static void test_durable_publishes_are_acknowledged_across_the_leaf(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *agent = bus_as(
        fixture, fixture->leafs[0].port, "hosts/host-a/host-agent", "_INBOX.host-agent-host-a");
    _cleanup_(bus_freep) struct bus *guest = guest_bus(fixture, 0, "w1");
    const struct bus_message of_host = {.subject = "src.host.host-a.vm", .message_id = "h1"};
    const struct bus_message of_guest = {.subject = "src.guest.host-a.w1.stage",
                                         .message_id = "g1"};
    const struct bus_message forged = {.subject = "src.guest.host-a.w2.stage", .message_id = "f1"};
    struct bus_message message = {0};

    check(bus_ensure_streams(scheduler));
    check(bus_publish_durable(agent, &of_host, WAIT_MS));
    check(bus_publish_durable(guest, &of_guest, WAIT_MS));
    struct error *err = bus_publish_durable(guest, &forged, 500);
    assert_int_equal(error_get_code(err), ERROR_DEADLINE_EXCEEDED);
    error_free(err);
    check(bus_stream_next(scheduler, "SOURCES", "src.>", 1, WAIT_MS, arena, &message));
    assert_string_equal(message.subject, of_host.subject);
    check(bus_stream_next(scheduler, "SOURCES", "src.>", 2, WAIT_MS, arena, &message));
    assert_string_equal(message.subject, of_guest.subject);
    err = bus_stream_next(scheduler, "SOURCES", "src.>", 3, WAIT_MS, arena, &message);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    error_free(err);
}

static void test_a_host_reads_its_own_files_only(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *agent = bus_as(
        fixture, fixture->leafs[0].port, "hosts/host-a/host-agent", "_INBOX.host-agent-host-a");
    ProtobufCBinaryData data = {0};

    check(bus_ensure_streams(scheduler));
    check(bus_object_put(scheduler, "files/host-a/w1", "mine", 4, WAIT_MS));
    check(bus_object_put(scheduler, "files/host-b/w2", "theirs", 6, WAIT_MS));
    check(bus_object_get(agent, "files/host-a/w1", 100, arena, &data, WAIT_MS));
    assert_int_equal(data.len, 4);
    struct error *err = bus_object_get(agent, "files/host-b/w2", 100, arena, &data, 500);
    assert_int_equal(error_get_code(err), ERROR_DEADLINE_EXCEEDED);
    error_free(err);
}

static void test_the_scheduler_consumes_and_the_gateway_reads_history(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *gateway =
        bus_as(fixture, fixture->hub.port, "nats/api-gateway", "_INBOX.api-gateway");
    const struct bus_message event = {.subject = "evt.workload.w1.created", .message_id = "w1.1"};
    struct bus_message message = {0};

    check(bus_ensure_streams(scheduler));
    check(bus_publish_durable(scheduler, &event, WAIT_MS));
    check(bus_stream_next(gateway, "EVENTS", "evt.workload.w1.>", 1, WAIT_MS, arena, &message));
    assert_string_equal(message.subject, event.subject);
    uint64_t last = 0;
    check(bus_stream_last(gateway, "EVENTS", "evt.workload.w1.*", WAIT_MS, &last));
    assert_int_equal(last, message.stream_sequence);
}

static void test_the_monitor_pulls_from_the_consumer_made_for_it(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    const struct bus_message event = {.subject = "evt.workload.w9.created", .message_id = "w9.1"};
    _cleanup_free_ char *creds = creds_of(fixture, "nats/monitor");
    natsConnection *monitor;
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;

    check(bus_ensure_streams(scheduler));
    check(bus_publish_durable(scheduler, &event, WAIT_MS));
    monitor = connect_creds(fixture->hub.port, creds);
    assert_non_null(monitor);
    assert_int_equal(natsConnection_SubscribeSync(&sub, monitor, "_INBOX.monitor.1"), NATS_OK);
    natsConnection_PublishRequestString(monitor, "$JS.API.CONSUMER.MSG.NEXT.EVENTS.monitor",
                                        "_INBOX.monitor.1", "1");
    assert_int_equal(natsSubscription_NextMsg(&msg, sub, WAIT_MS), NATS_OK);
    assert_int_equal(strncmp(natsMsg_GetSubject(msg), "evt.workload.", 13), 0);
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(monitor);
}

struct latest {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char subject[80];
};

static enum bus_ack on_event(void *state, const struct bus_message *message)
{
    struct latest *latest = state;

    pthread_mutex_lock(&latest->lock);
    snprintf(latest->subject, sizeof(latest->subject), "%s", message->subject);
    pthread_cond_signal(&latest->changed);
    pthread_mutex_unlock(&latest->lock);
    return BUS_ACK;
}

static void test_the_gateway_consumes_what_was_made_for_it(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *gateway =
        bus_as(fixture, fixture->hub.port, "nats/api-gateway", "_INBOX.api-gateway");
    const struct bus_message host = {.subject = "evt.host.h1.joined", .message_id = "h1.1"};
    const struct bus_message event = {.subject = "evt.workload.w7.running", .message_id = "w7.1"};
    struct latest latest = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, ""};
    struct bus_subscription *subscription = NULL;
    struct timespec deadline;
    int rc = 0;

    check(bus_ensure_streams(scheduler));
    check(bus_consume(gateway, "EVENTS", BUS_WEBHOOKS_CONSUMER, BUS_WEBHOOKS_FILTER, on_event,
                      &latest, &subscription));
    check(bus_publish_durable(scheduler, &host, WAIT_MS));
    check(bus_publish_durable(scheduler, &event, WAIT_MS));
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&latest.lock);
    while (strcmp(latest.subject, event.subject) != 0 && rc == 0) /* earlier ones first */
        rc = pthread_cond_timedwait(&latest.changed, &latest.lock, &deadline);
    pthread_mutex_unlock(&latest.lock);
    bus_unsubscribe(subscription);
    assert_string_equal(latest.subject, event.subject);
}

static void test_a_guests_largest_message_does_not_close_the_link(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_free_ char *creds = mint_file(fixture, "host-a", "w5");
    _cleanup_free_ char *large = xcalloc(1, 1024 * 1024 + 64 * 1024);
    natsConnection *raw = connect_creds(fixture->leafs[0].port, creds);
    natsConnection *observer;
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;
    _cleanup_free_ char *ops = creds_of(fixture, "nats/ops");

    assert_non_null(raw);
    observer = connect_creds(fixture->hub.port, ops);
    assert_non_null(observer);
    assert_int_equal(natsConnection_SubscribeSync(&sub, observer, "log.host-a.w5.*"), NATS_OK);
    natsConnection_Flush(observer);
    for (int n = 0; n < 100 && !msg; n++) {
        natsConnection_Publish(raw, "log.host-a.w5.web", large, 1024 * 1024 + 64 * 1024);
        natsSubscription_NextMsg(&msg, sub, 100);
    }
    assert_non_null(msg);
    assert_int_equal(natsMsg_GetDataLength(msg), 1024 * 1024 + 64 * 1024);
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(observer);
    natsConnection_Destroy(raw);
    _cleanup_free_ char *log = nats_server_log(&fixture->hub);
    assert_null(strstr(log, "maximum payload"));
}

/* ---- credentials ---- */

static void test_every_nonce_can_be_signed(void **state)
{
    const struct fixture *fixture = *state;

    for (int i = 0; i < 600; i++)
        bus_free(bus_as(fixture, fixture->hub.port, "nats/monitor", "_INBOX.monitor"));
}

static void test_a_new_guest_is_admitted_without_reload_and_an_expired_one_is_not(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_free_ char *url = xasprintf("nats://127.0.0.1:%d", fixture->leafs[0].port);
    _cleanup_free_ char *expired = mint(fixture, "host-a", "w3", -1);
    const struct bus_options options = {.url = url,
                                        .credentials = expired,
                                        .credentials_are_content = true,
                                        .inbox_prefix = "_INBOX.guest-agent-host-a.w3"};
    struct bus *bus = NULL;

    bus_free(guest_bus(fixture, 0, "w3"));
    struct error *err = bus_connect(&options, false, &bus);
    assert_int_equal(error_get_code(err), ERROR_PERMISSION_DENIED);
    error_free(err);
}

static void test_a_fleet_of_another_operator_is_not_admitted(void **state)
{
    const struct fixture *fixture = *state;
    const struct fleet_options options = {.hosts = hosts, .n_hosts = 1};
    _cleanup_free_ char *other = xasprintf("%s/other", fixture->dir);
    _cleanup_free_ char *creds = xasprintf("%s/nats/ops.creds", other);

    check(fleet_init(other, &options));
    assert_null(connect_creds(fixture->hub.port, creds));
    assert_null(connect_creds(fixture->leafs[0].port, creds));
}

static void test_a_leafs_credentials_are_for_the_link_only(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_free_ char *creds = creds_of(fixture, "hosts/host-a/leaf");

    assert_null(connect_creds(fixture->hub.port, creds));
    assert_null(connect_creds(fixture->leafs[0].port, creds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_work_both_ways_across_the_leaf),
        cmocka_unit_test(test_durable_publishes_are_acknowledged_across_the_leaf),
        cmocka_unit_test(test_a_host_reads_its_own_files_only),
        cmocka_unit_test(test_the_scheduler_consumes_and_the_gateway_reads_history),
        cmocka_unit_test(test_the_monitor_pulls_from_the_consumer_made_for_it),
        cmocka_unit_test(test_the_gateway_consumes_what_was_made_for_it),
        cmocka_unit_test(test_a_guests_largest_message_does_not_close_the_link),
        cmocka_unit_test(test_every_nonce_can_be_signed),
        cmocka_unit_test(test_a_new_guest_is_admitted_without_reload_and_an_expired_one_is_not),
        cmocka_unit_test(test_a_fleet_of_another_operator_is_not_admitted),
        cmocka_unit_test(test_a_leafs_credentials_are_for_the_link_only),
        cmocka_unit_test(test_what_each_identity_may_say),
        cmocka_unit_test(test_what_each_identity_may_hear),
    };

    if (!nats_server_is_available(2, 10)) {
        printf("no nats-server 2.10 or later in PATH or $NATS_SERVER: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, setup, teardown);
}
