#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <sys/stat.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/fleet/fleet.h"
#include "shared/fleet/nkeys.h"

static const char *const two_hosts[] = {"host-1", "host-2"};

static const char *const secrets[] = {"authority/sign.key",      "authority/box.key",
                                      "gateway/sign.key",        "release/sign.key",
                                      "operator/operator.seed",  "operator/account.seed",
                                      "operator/system.seed",    "nats/account-signing.seed",
                                      "nats/scheduler.creds",    "nats/api-gateway.creds",
                                      "nats/monitor.creds",      "nats/ops.creds",
                                      "hosts/host-1/leaf.creds", "hosts/host-1/host-agent.creds"};
static const char *const public_files[] = {"fleet.json", "nats/hub.conf", "hosts/host-1/leaf.conf",
                                           "hosts/host-1/leaf-auth.conf"};

static void check(struct error *err)
{
    if (err)
        fail_msg("%s (%s)", error_text(err), error_origin(err));
}

static int setup(void **state)
{
    char *dir = xstrdup("/tmp/coffer-fleet-XXXXXX");

    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    _cleanup_free_ char *dir = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", dir);

    return system(command) == 0 ? 0 : -1;
}

static char *read_file(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    char *text = NULL;

    check(file_read_text(path, 1024 * 1024, &text));
    return text;
}

static unsigned mode_of(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    struct stat st;

    if (stat(path, &st) != 0)
        fail_msg("no '%s'", path);
    return st.st_mode & 07777;
}

static void init(const char *dir, size_t n_hosts)
{
    const struct fleet_options options = {
        .hosts = two_hosts, .n_hosts = n_hosts, .workload_domain = "w.example.test"};

    check(fleet_init(dir, &options));
}

static void test_secrets_are_for_the_owner_only(void **state)
{
    const char *dir = *state;

    init(dir, 1);
    for (size_t i = 0; i < ELEMENTSOF(secrets); i++)
        assert_int_equal(mode_of(dir, secrets[i]), 0600);
    for (size_t i = 0; i < ELEMENTSOF(public_files); i++)
        assert_int_equal(mode_of(dir, public_files[i]), 0644);
    assert_int_equal(mode_of(dir, "authority"), 0700);
    assert_int_equal(mode_of(dir, "hosts/host-1"), 0700);
}

static void test_a_second_run_adds_hosts_and_keeps_every_key(void **state)
{
    const char *dir = *state;
    char *before[ELEMENTSOF(secrets)];

    init(dir, 1);
    _cleanup_free_ char *hub = read_file(dir, "nats/hub.conf");
    for (size_t i = 0; i < ELEMENTSOF(secrets); i++)
        before[i] = read_file(dir, secrets[i]);
    init(dir, 2);
    for (size_t i = 0; i < ELEMENTSOF(secrets); i++) {
        _cleanup_free_ char *after = read_file(dir, secrets[i]);
        assert_string_equal(after, before[i]);
        free(before[i]);
    }
    _cleanup_free_ char *hub_after = read_file(dir, "nats/hub.conf");
    assert_string_equal(hub_after, hub);
    assert_int_equal(mode_of(dir, "hosts/host-2/leaf.creds"), 0600);
}

static void test_public_files_hold_no_seed(void **state)
{
    const char *dir = *state;

    init(dir, 1);
    for (size_t i = 0; i < ELEMENTSOF(secrets); i++) {
        _cleanup_free_ char *secret = read_file(dir, secrets[i]);
        static const char mark[] = "NKEY SEED-----\n";
        const char *seed = strstr(secret, mark);
        char needle[33];
        snprintf(needle, sizeof(needle), "%.32s", seed ? seed + strlen(mark) : secret);
        for (size_t k = 0; k < ELEMENTSOF(public_files); k++) {
            _cleanup_free_ char *text = read_file(dir, public_files[k]);
            assert_null(strstr(text, needle));
        }
    }
}

static void test_a_host_is_listed_once_it_is_enrolled(void **state)
{
    const char *dir = *state;
    uint8_t chip_id[FLEET_CHIP_ID_SIZE] = {0xab};

    init(dir, 2);
    check(fleet_enroll_host(dir, "host-1", chip_id));
    chip_id[0] = 0xcd;
    check(fleet_enroll_host(dir, "host-1", chip_id)); /* its board was replaced */
    init(dir, 2);
    _cleanup_free_ char *text = read_file(dir, "fleet.json");
    _cleanup_(json_decrefp) json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *hosts = json_object_get(root, "hosts");
    assert_int_equal(json_array_size(hosts), 1);
    const json_t *host = json_array_get(hosts, 0);
    assert_string_equal(json_string_value(json_object_get(host, "id")), "host-1");
    assert_int_equal(strncmp(json_string_value(json_object_get(host, "chip_id")), "cd0000", 6), 0);
    assert_string_equal(json_string_value(json_object_get(root, "workload_domain")),
                        "w.example.test");
    assert_int_equal(strlen(json_string_value(json_object_get(root, "authority_box_public"))), 64);
}

static void test_wrong_names_are_refused(void **state)
{
    static const char *const bad[] = {"", "Host", "a.b", "../x", "a b", "*", ">"};
    const char *dir = *state;
    const uint8_t chip_id[FLEET_CHIP_ID_SIZE] = {0};

    init(dir, 0);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        const struct fleet_options options = {.hosts = &bad[i], .n_hosts = 1};
        struct error *err = fleet_init(dir, &options);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
        err = fleet_enroll_host(dir, bad[i], chip_id);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
}

static void test_guests_are_minted_with_the_signing_key_only(void **state)
{
    const char *dir = *state;
    char *creds = NULL;

    init(dir, 1);
    _cleanup_free_ char *seed = read_file(dir, "nats/account-signing.seed");
    _cleanup_free_ char *operator_seed = read_file(dir, "operator/operator.seed");
    static const char account[] = "ABAIHMJEENYSAC4DAOGL6EKCMOVAAY2AN7RMCIL4T6VAJOI7XRDYGLLX";
    check(fleet_mint_guest_credentials(seed, account, "host-1", "w1", 3, 1000, 60, &creds));
    assert_non_null(strstr(creds, "BEGIN NATS USER JWT"));
    assert_null(strstr(creds, seed));
    free(creds);
    creds = NULL;
    static const struct {
        const char *account;
        const char *host;
        const char *workload;
    } bad[] = {{"nonsense", "host-1", "w1"}, {account, "host.1", "w1"}, {account, "host-1", ">"}};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        struct error *err = fleet_mint_guest_credentials(seed, bad[i].account, bad[i].host,
                                                         bad[i].workload, 3, 1000, 60, &creds);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
    struct error *err =
        fleet_mint_guest_credentials(operator_seed, account, "host-1", "w1", 3, 1000, 60, &creds);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    error_free(err);
    assert_null(creds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_secrets_are_for_the_owner_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_run_adds_hosts_and_keeps_every_key, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_public_files_hold_no_seed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_host_is_listed_once_it_is_enrolled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_names_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guests_are_minted_with_the_signing_key_only, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
