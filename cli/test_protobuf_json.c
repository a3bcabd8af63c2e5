#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/protobuf_json.h"
#include "schemas/boot.pb-c.h"
#include "schemas/event.pb-c.h"
#include "schemas/host.pb-c.h"
#include "shared/base/cleanup.h"

static char *to_text(const void *message)
{
    _cleanup_(json_decrefp) json_t *json = protobuf_to_json(message);

    return json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
}

static void test_event_shows_names_and_hex_and_leaves_zeros_out(_unused_ void **state)
{
    uint8_t hash[2] = {0xab, 0x01};
    Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;

    event.workload_id = "w1";
    event.sequence = 3;
    event.kind = "running";
    event.status = COFFER__V1__WORKLOAD_STATUS__RUNNING;
    event.manifest_sha256 = (ProtobufCBinaryData){sizeof(hash), hash};
    _cleanup_free_ char *text = to_text(&event);
    assert_string_equal(text, "{\"workload_id\":\"w1\",\"sequence\":3,\"kind\":\"running\","
                              "\"status\":\"RUNNING\",\"manifest_sha256\":\"ab01\"}");
}

static void test_lists_and_nested_messages(_unused_ void **state)
{
    Coffer__V1__Resources total = COFFER__V1__RESOURCES__INIT;
    Coffer__V1__Vm vm = COFFER__V1__VM__INIT;
    Coffer__V1__Vm *vms[] = {&vm};
    Coffer__V1__HostHeartbeat beat = COFFER__V1__HOST_HEARTBEAT__INIT;

    total.cpus = 8;
    vm.workload_id = "w1";
    vm.state = (Coffer__V1__VmState)77;
    beat.total = &total;
    beat.vms = vms;
    beat.n_vms = 1;
    _cleanup_free_ char *text = to_text(&beat);
    assert_string_equal(text,
                        "{\"total\":{\"cpus\":8},\"vms\":[{\"workload_id\":\"w1\",\"state\":77}]}");
}

static void test_credentials_are_not_shown(_unused_ void **state)
{
    uint8_t sealed[5] = "seal";
    Coffer__V1__StartVmRequest start = COFFER__V1__START_VM_REQUEST__INIT;
    Coffer__V1__AttestReply reply = COFFER__V1__ATTEST_REPLY__INIT;

    start.guest_credentials = "canary";
    reply.sealed_bundle = (ProtobufCBinaryData){sizeof(sealed), sealed};
    _cleanup_free_ char *one = to_text(&start);
    _cleanup_free_ char *two = to_text(&reply);
    assert_string_equal(one, "{\"guest_credentials\":\"(hidden)\"}");
    assert_string_equal(two, "{\"sealed_bundle\":\"(5 bytes)\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_shows_names_and_hex_and_leaves_zeros_out),
        cmocka_unit_test(test_lists_and_nested_messages),
        cmocka_unit_test(test_credentials_are_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
