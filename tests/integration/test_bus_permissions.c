/*
 * Who may say what to whom on the bus, by the identities that 'coffer fleet init' makes. Every
 * refusal is shown beside a message that does arrive by the same way, so that silence is not taken
 * for safety.
 */
#include "tests/integration/test_leaf_kit.h"

#include "shared/base/log.h"
#include "shared/bus/subject.h"

enum { AT_HUB, AT_LEAF_A, AT_LEAF_B };

static int port_of(const struct leaf_fixture *fixture, int at)
{
    return at == AT_HUB ? fixture->hub.port : fixture->leafs[at - AT_LEAF_A].port;
}

static char *resolve_creds(const struct leaf_fixture *fixture, const char *creds)
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
static bool arrives_at_hub(const struct leaf_fixture *fixture, const struct publish_row *row)
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
static bool is_heard(const struct leaf_fixture *fixture, const struct publish_row *row)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_each_identity_may_say),
        cmocka_unit_test(test_what_each_identity_may_hear),
    };

    if (!nats_server_is_available(2, 10)) {
        printf("no nats-server 2.10 or later in PATH or $NATS_SERVER: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, leaf_setup, leaf_teardown);
}
