/* What stands in the store and the streams: records of the scheduler's, as it would write them. */
#include "services/api-gateway/test_fixture_parts.h"

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

/* Fails the test, or is a finding of another thread's. */
static void require(const struct fixture *fixture, struct error *err)
{
    bool right = expect_no_error(err);

    if (pthread_equal(pthread_self(), fixture->own_thread))
        assert_true(right);
}

static struct error *put(const struct fixture *fixture, const char *key, const void *data,
                         size_t size)
{
    const struct store_write write = {.key = key,
                                      .expected_version = UINT64_MAX,
                                      .value = {.data = (uint8_t *)data, .len = size}};

    return store_commit(fixture->store, &(struct store_change){.writes = &write, .n_writes = 1});
}

struct error *keep_message(const struct fixture *fixture, const char *key,
                           const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    _cleanup_free_ uint8_t *packed = xcalloc(1, size + 1);

    protobuf_c_message_pack(message, packed);
    return put(fixture, key, packed, size);
}

void put_message(const struct fixture *fixture, const char *key, const ProtobufCMessage *message)
{
    require(fixture, keep_message(fixture, key, message));
}

struct error *keep_index(const struct fixture *fixture, const char *set, const char *member)
{
    const struct store_index_edit edit = {.set = set, .member = member};

    return store_commit(fixture->store, &(struct store_change){.edits = &edit, .n_edits = 1});
}

void index_add(const struct fixture *fixture, const char *set, const char *member)
{
    require(fixture, keep_index(fixture, set, member));
}

void put_artifact(const struct fixture *fixture, const char *version, bool enabled,
                  int64_t built_at_ms)
{
    Coffer__V1__Artifact artifact = COFFER__V1__ARTIFACT__INIT;
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_ARTIFACT, version);

    artifact.version = (char *)version;
    artifact.enabled = enabled;
    artifact.built_at_ms = built_at_ms;
    put_message(fixture, key, &artifact.base);
    index_add(fixture, KEY_ARTIFACTS, version);
}

void put_image(const struct fixture *fixture, const char *version, const char *json)
{
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_IMAGE, version);

    put_artifact(fixture, version, true, 1700000000123);
    require(fixture, put(fixture, key, json, strlen(json)));
}

void put_host(const struct fixture *fixture)
{
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__ImageState image = COFFER__V1__IMAGE_STATE__INIT;
    Coffer__V1__ImageState *images[] = {&image};
    Coffer__V1__Host host = COFFER__V1__HOST__INIT;

    image.version = TEST_IMAGE;
    image.ready = true;
    heartbeat.images = images;
    heartbeat.n_images = 1;
    heartbeat.public_address = "192.0.2.7";
    host.host_id = TEST_HOST;
    host.heartbeat = &heartbeat;
    put_message(fixture, KEY_HOST TEST_HOST, &host.base);
    index_add(fixture, KEY_HOSTS, TEST_HOST);
    put_artifact(fixture, TEST_IMAGE, true, 1700000000123);
    assert_null(put(fixture, KEY_IMAGE TEST_IMAGE, "{\"version\":\"" TEST_IMAGE "\"}", 19));
}

void put_workload(const struct fixture *fixture, const char *id, const char *account,
                  Coffer__V1__WorkloadStatus status)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_WORKLOAD, id);
    _cleanup_free_ char *set = xasprintf("%s%s", KEY_WORKLOADS_OF, account);

    workload.workload_id = (char *)id;
    workload.account_id = (char *)account;
    workload.name = "one";
    workload.status = status;
    workload.host_id = TEST_HOST;
    workload.domain = "one.w.coffer.test";
    workload.boot_number = 1;
    workload.created_at_ms = 1700000000123;
    workload.guest_sign_public =
        (ProtobufCBinaryData){.len = 32, .data = (uint8_t *)fixture->guest_key.public};
    put_message(fixture, key, &workload.base);
    index_add(fixture, set, id);
}

void put_event(const struct fixture *fixture, const char *id, const char *account,
               uint64_t sequence, const char *kind)
{
    Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;
    _cleanup_free_ char *subject = xasprintf("evt.workload.%s.%s", id, kind);
    _cleanup_free_ char *message_id = xasprintf("%s.%d", id, (int)sequence);

    event.workload_id = (char *)id;
    event.account_id = (char *)account;
    event.sequence = sequence;
    event.kind = (char *)kind;
    event.at_ms = 1700000000000;
    event.message = "words";
    require(fixture, bus_send(fixture->peer, subject, &event.base, message_id, NULL, 1000));
}
