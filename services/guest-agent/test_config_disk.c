/* The config disk: every byte of it is held against the manifest, the manifest against HOST_DATA.
 */
#include "services/guest-agent/config_disk.h"
#include "services/guest-agent/test_support.h"
#include "shared/base/file.h"

struct fixture {
    struct support_fleet fleet;
    struct support_workload workload;
    struct arena *arena;
};

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);

    support_fleet_init(&fixture->fleet);
    support_workload_init(&fixture->workload, &fixture->fleet);
    fixture->arena = arena_new();
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    support_workload_done(&fixture->workload);
    arena_free(fixture->arena);
    free(fixture);
    return 0;
}

static struct guest_config *parse(struct fixture *fixture,
                                  void (*change)(Coffer__V1__ConfigDisk *disk))
{
    _cleanup_buffer_ struct buffer disk = {0};
    struct guest_config *config = NULL;

    support_disk(&fixture->workload, change, &disk);
    support_check(config_disk_parse(disk.data, disk.size, fixture->arena, &config));
    return config;
}

static void test_a_good_disk_passes(void **state)
{
    struct fixture *fixture = *state;
    struct guest_config *config = parse(fixture, NULL);
    struct support_tee tee;
    const char *code;

    support_check(config_check_hashes(config, fixture->arena, &code));
    support_tee_init(&tee, fixture->workload.manifest_sha256);
    support_check(config_check_host_data(config, &tee.base, &code));
    assert_string_equal(config->workload_id, SUPPORT_WORKLOAD);
    assert_int_equal(config->generation, 3);
    _cleanup_buffer_ struct buffer collateral = {0};
    support_collateral(&collateral);
    assert_int_equal(config->collateral.size, collateral.size);
    assert_memory_equal(config->collateral.data, collateral.data, collateral.size);
    assert_int_equal(config->collateral_at_ms, SUPPORT_COLLATERAL_AT_MS);
    assert_string_equal(config->manifest->public_service, "web");
    assert_int_equal(config->n_files, 1);
}

static void spoil_manifest(Coffer__V1__ConfigDisk *disk)
{
    disk->manifest.data[disk->manifest.len - 1] = ' ';
}

static void no_manifest(Coffer__V1__ConfigDisk *disk)
{
    disk->manifest.len = 0;
}

static void other_compose(Coffer__V1__ConfigDisk *disk)
{
    static char other[] = "services: {web: {image: evil:1}}\n";

    disk->compose = (ProtobufCBinaryData){strlen(other), (uint8_t *)other};
}

static void no_compose(Coffer__V1__ConfigDisk *disk)
{
    disk->compose.len = 0;
}

static void other_file(Coffer__V1__ConfigDisk *disk)
{
    static char other[] = "listen = 9090\n";

    disk->files[0]->content = (ProtobufCBinaryData){strlen(other), (uint8_t *)other};
}

static void renamed_file(Coffer__V1__ConfigDisk *disk)
{
    disk->files[0]->path = "other.conf";
}

static void no_file(Coffer__V1__ConfigDisk *disk)
{
    disk->n_files = 0;
}

static void file_twice(Coffer__V1__ConfigDisk *disk)
{
    static Coffer__V1__File *two[2];

    two[0] = two[1] = disk->files[0];
    disk->files = two;
    disk->n_files = 2;
}

static void test_a_disk_that_was_changed_is_refused(void **state)
{
    static const struct {
        void (*change)(Coffer__V1__ConfigDisk *disk);
        const char *code;
    } rows[] = {
        {spoil_manifest, "manifest_invalid"},    {no_manifest, "manifest_invalid"},
        {other_compose, "config_hash_mismatch"}, {no_compose, "config_hash_mismatch"},
        {other_file, "config_hash_mismatch"},    {renamed_file, "config_hash_mismatch"},
        {no_file, "config_hash_mismatch"},       {file_twice, "config_hash_mismatch"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *code = NULL;
        support_workload_write(&fixture->workload); /* a row may have spoilt it */
        struct guest_config *config = parse(fixture, rows[i].change);
        struct error *err = config_check_hashes(config, fixture->arena, &code);
        if (!err)
            fail_msg("row %zu was accepted", i);
        error_free(err);
        assert_string_equal(code, rows[i].code);
    }
}

static void bad_workload_id(Coffer__V1__ConfigDisk *disk)
{
    disk->hints->workload_id = "a.b.>";
}

static void bad_host_id(Coffer__V1__ConfigDisk *disk)
{
    disk->hints->host_id = "";
}

static void no_hints(Coffer__V1__ConfigDisk *disk)
{
    disk->hints = NULL;
}

static void collateral_too_large(Coffer__V1__ConfigDisk *disk)
{
    static uint8_t large[TEE_CERTIFICATES_MAX + 1];

    disk->hints->collateral = (ProtobufCBinaryData){sizeof(large), large};
}

static void collateral_of_no_time(Coffer__V1__ConfigDisk *disk)
{
    disk->hints->collateral_at_ms = INT64_MAX;
}

static void collateral_before_time(Coffer__V1__ConfigDisk *disk)
{
    disk->hints->collateral_at_ms = -1;
}

static void path_up(Coffer__V1__ConfigDisk *disk)
{
    disk->files[0]->path = "../../etc/passwd";
}

static void path_absolute(Coffer__V1__ConfigDisk *disk)
{
    disk->files[0]->path = "/etc/passwd";
}

static void path_inside_up(Coffer__V1__ConfigDisk *disk)
{
    disk->files[0]->path = "a/../b";
}

static void path_newline(Coffer__V1__ConfigDisk *disk)
{
    disk->files[0]->path = "a\nb";
}

static void test_a_malformed_message_is_refused(void **state)
{
    static void (*const rows[])(Coffer__V1__ConfigDisk *) = {
        bad_workload_id,
        bad_host_id,
        no_hints,
        path_up,
        path_absolute,
        path_inside_up,
        path_newline,
        collateral_too_large,
        collateral_of_no_time,
        collateral_before_time,
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer disk = {0};
        struct guest_config *config = NULL;
        support_disk(&fixture->workload, rows[i], &disk);
        support_refused(config_disk_parse(disk.data, disk.size, fixture->arena, &config),
                        ERROR_INVALID_ARGUMENT);
        assert_null(config);
    }
}

static void test_broken_framing_is_refused(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_buffer_ struct buffer disk = {0};
    struct guest_config *config;

    support_disk(&fixture->workload, NULL, &disk);
    for (size_t size = 0; size < disk.size; size++)
        support_refused(config_disk_parse(disk.data, size, fixture->arena, &config),
                        ERROR_INVALID_ARGUMENT);
    static const struct {
        size_t at;
        uint8_t value;
    } rows[] = {{0, 'X'}, {11, 2}, {12, 0xff}, {13, 0xff}};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        uint8_t before = disk.data[rows[i].at];
        disk.data[rows[i].at] = rows[i].value;
        support_refused(config_disk_parse(disk.data, disk.size, fixture->arena, &config),
                        ERROR_INVALID_ARGUMENT);
        disk.data[rows[i].at] = before;
    }
}

static void test_host_data_must_be_the_manifests_hash(void **state)
{
    struct fixture *fixture = *state;
    struct guest_config *config = parse(fixture, NULL);
    struct support_tee tee;
    const char *code;

    support_check(config_check_hashes(config, fixture->arena, &code));
    support_tee_init(&tee, fixture->workload.manifest_sha256);
    tee.host_data[31] ^= 1;
    support_refused(config_check_host_data(config, &tee.base, &code), ERROR_PERMISSION_DENIED);
    assert_string_equal(code, "host_data_mismatch");

    support_tee_init(&tee, fixture->workload.manifest_sha256);
    tee.stale = true;
    support_refused(config_check_host_data(config, &tee.base, &code), ERROR_PERMISSION_DENIED);
    assert_string_equal(code, "host_data_mismatch");

    support_tee_init(&tee, fixture->workload.manifest_sha256);
    tee.fails = ERROR_UNAVAILABLE;
    support_refused(config_check_host_data(config, &tee.base, &code), ERROR_UNAVAILABLE);
    assert_string_equal(code, "report_failed");
    support_refused(config_check_host_data(config, NULL, &code), ERROR_NOT_FOUND);
}

static void test_the_disk_is_found_by_its_serial_and_read_once(void **state)
{
    struct fixture *fixture = *state;
    char dir[] = "/tmp/test_config_disk.XXXXXX";
    _cleanup_buffer_ struct buffer disk = {0};
    _cleanup_buffer_ struct buffer copy = {0};
    _cleanup_free_ char *found = NULL;

    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *image = xasprintf("%s/disk", dir);
    _cleanup_free_ char *one = xasprintf("%s/block/vda", dir);
    _cleanup_free_ char *two = xasprintf("%s/block/vdb", dir);
    _cleanup_free_ char *one_serial = xasprintf("%s/serial", one);
    _cleanup_free_ char *two_serial = xasprintf("%s/serial", two);
    support_check(dir_make(one, 0700));
    support_check(dir_make(two, 0700));
    support_check(file_write_atomic(one_serial, "coffer-root", 11, 0600));
    support_refused(config_disk_find(dir, &found), ERROR_NOT_FOUND);
    support_check(file_write_atomic(two_serial, "coffer-config\n", 14, 0600));
    support_check(config_disk_find(dir, &found));
    assert_string_equal(found, "/dev/vdb");

    support_disk(&fixture->workload, NULL, &disk);
    size_t framed = disk.size;
    uint8_t padding[4096] = {0};
    buffer_add(&disk, padding, sizeof(padding));
    support_check(file_write_atomic(image, disk.data, disk.size, 0600));
    support_check(config_disk_read(image, &copy));
    assert_int_equal(copy.size, framed); /* without the padding */
    assert_memory_equal(copy.data, disk.data, framed);
    _cleanup_free_ char *clean = xasprintf("rm -r '%s'", dir);
    assert_int_equal(system(clean), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_good_disk_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_disk_that_was_changed_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_malformed_message_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_framing_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_host_data_must_be_the_manifests_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_disk_is_found_by_its_serial_and_read_once, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
