/* Which credentials the servers admit, and where. */
#include "tests/integration/test_leaf_kit.h"

#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/fleet/fleet.h"

static void test_every_nonce_can_be_signed(void **state)
{
    const struct leaf_fixture *fixture = *state;

    for (int i = 0; i < 600; i++)
        bus_free(bus_as(fixture, fixture->hub.port, "nats/monitor", "_INBOX.monitor"));
}

static void test_a_new_guest_is_admitted_without_reload_and_an_expired_one_is_not(void **state)
{
    const struct leaf_fixture *fixture = *state;
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
    const struct leaf_fixture *fixture = *state;
    const struct fleet_options options = {.hosts = hosts, .n_hosts = 1};
    _cleanup_free_ char *other = xasprintf("%s/other", fixture->dir);
    _cleanup_free_ char *creds = xasprintf("%s/nats/ops.creds", other);

    check(fleet_init(other, &options));
    assert_null(connect_creds(fixture->hub.port, creds));
    assert_null(connect_creds(fixture->leafs[0].port, creds));
}

static void test_a_leafs_credentials_are_for_the_link_only(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_free_ char *creds = creds_of(fixture, "hosts/host-a/leaf");

    assert_null(connect_creds(fixture->hub.port, creds));
    assert_null(connect_creds(fixture->leafs[0].port, creds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_nonce_can_be_signed),
        cmocka_unit_test(test_a_new_guest_is_admitted_without_reload_and_an_expired_one_is_not),
        cmocka_unit_test(test_a_fleet_of_another_operator_is_not_admitted),
        cmocka_unit_test(test_a_leafs_credentials_are_for_the_link_only),
    };

    if (!nats_server_is_available(2, 10)) {
        printf("no nats-server 2.10 or later in PATH or $NATS_SERVER: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, leaf_setup, leaf_teardown);
}
