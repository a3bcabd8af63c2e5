/* What the security processor says, from a stand-in for the kernel's device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/psp-sev.h>
#include <sys/ioctl.h>

#include "services/host-agent/chip.h"
#include "services/host-agent/testdata/folder.h"
#include "shared/base/file.h"

#define GENOA "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9\n"
#define TURIN "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC 9\n"

/* The device: what it answers, which command it refuses, and how many bytes an id has. */
static struct {
    size_t id_size;
    uint32_t refused;
    uint32_t firmware_status;
} device;

static void put_status(uint8_t *status)
{
    static const uint8_t reported[8] = {10, 0, 0, 0, 0, 0, 25, 84};

    memset(status, 0xee, 32);
    memcpy(status + 24, reported, sizeof(reported));
}

static int answer(_unused_ int fd, unsigned long request, void *argument)
{
    struct sev_issue_cmd *issue = argument;

    assert_int_equal(request, SEV_ISSUE_CMD);
    if (issue->cmd == device.refused) {
        issue->error = device.firmware_status;
        errno = EIO;
        return device.firmware_status ? 0 : -1;
    }
    if (issue->cmd == 8) { /* SEV_GET_ID2 */
        const struct sev_user_data_get_id2 *get = (void *)(uintptr_t)issue->data;

        assert_int_equal(get->length, 64);
        memset((void *)(uintptr_t)get->address, 0xa1, device.id_size);
        return 0;
    }
    assert_int_equal(issue->cmd, 9); /* SNP_PLATFORM_STATUS */
    put_status((void *)(uintptr_t)issue->data);
    return 0;
}

static struct error *read_with(const char *cpuinfo, struct chip *ret_chip)
{
    char *root = test_folder_new();
    _cleanup_free_ char *proc = xasprintf("%s/proc", root);
    _cleanup_free_ char *path = xasprintf("%s/cpuinfo", proc);

    assert_null(dir_make(proc, 0755));
    assert_null(file_write_atomic(path, cpuinfo, strlen(cpuinfo), 0644));
    struct error *err = chip_read("/dev/null", root, answer, ret_chip);
    test_folder_free(root);
    return err;
}

static int set_up(_unused_ void **state)
{
    device.id_size = 64;
    device.refused = UINT32_MAX;
    device.firmware_status = 0;
    return 0;
}

static void test_chip_of_real_hardware_is_read(_unused_ void **state)
{
    struct chip chip;

    assert_null(read_with(GENOA, &chip));
    assert_int_equal(chip.id[63], 0xa1);
    assert_int_equal(chip.kds.product, SNP_PRODUCT_GENOA);
    assert_int_equal(chip.kds.hwid_size, 64);
    assert_memory_equal(chip.kds.hwid, chip.id, 64);
    assert_int_equal(chip.kds.tcb.bootloader, 10);
    assert_int_equal(chip.kds.tcb.snp, 25);
    assert_int_equal(chip.kds.tcb.microcode, 84);
}

static void test_turin_has_a_short_id(_unused_ void **state)
{
    struct chip chip;

    device.id_size = 8;
    assert_null(read_with(TURIN, &chip));
    assert_int_equal(chip.kds.product, SNP_PRODUCT_TURIN);
    assert_int_equal(chip.kds.hwid_size, 8);
    assert_int_equal(chip.kds.tcb.fmc, 10); /* the other layout */
    assert_int_equal(chip.id[8], 0);
}

static void test_what_cannot_be_read_is_said(_unused_ void **state)
{
    static const struct {
        const char *cpuinfo;
        size_t id_size;
        uint32_t refused, firmware_status;
        enum error_code code;
    } rows[] = {
        {GENOA, 64, 8, 0, ERROR_UNAVAILABLE},
        {GENOA, 64, 8, 3, ERROR_UNAVAILABLE},
        {GENOA, 64, 9, 0, ERROR_UNAVAILABLE},
        {GENOA, 0, UINT32_MAX, 0, ERROR_FAILED_PRECONDITION},
        {TURIN, 64, UINT32_MAX, 0, ERROR_INVALID_ARGUMENT},
        {"", 64, UINT32_MAX, 0, ERROR_INVALID_ARGUMENT},
        {"cpu family\t: 25\n", 64, UINT32_MAX, 0, ERROR_INVALID_ARGUMENT},
        {"cpu family\t: 6\nmodel\t\t: 143\n", 64, UINT32_MAX, 0, ERROR_INVALID_ARGUMENT},
        {"cpu family\t: 25\nmodel\t\t: 99999\n", 64, UINT32_MAX, 0, ERROR_INVALID_ARGUMENT},
        {"cpu family\t: 25\nmodel name\t: 17\n", 64, UINT32_MAX, 0, ERROR_INVALID_ARGUMENT},
        {"cpu family\t\nmodel\t", 64, UINT32_MAX, 0, ERROR_INVALID_ARGUMENT},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct chip chip = {.id = {7}};

        device.id_size = rows[i].id_size;
        device.refused = rows[i].refused;
        device.firmware_status = rows[i].firmware_status;
        struct error *err = read_with(rows[i].cpuinfo, &chip);
        if (error_get_code(err) != rows[i].code)
            fail_msg("row %zu: %s", i, error_text(err));
        error_free(err);
        assert_int_equal(chip.id[0], 7);
    }
}

static void test_machine_without_the_device_says_so(_unused_ void **state)
{
    struct chip chip;
    struct error *err = chip_read("/nonexistent", "", answer, &chip);

    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    error_free(err);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_chip_of_real_hardware_is_read),
        TEST(test_turin_has_a_short_id),
        TEST(test_what_cannot_be_read_is_said),
        TEST(test_machine_without_the_device_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
