#include "services/host-agent/chip.h"

#include <fcntl.h>
#include <linux/psp-sev.h>
#include <sys/ioctl.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/reader.h"

/* linux/psp-sev.h of Linux 6.11; Debian 12's is older. */
#define COMMAND_GET_ID2         8
#define COMMAND_PLATFORM_STATUS 9
#define STATUS_SIZE             32
#define REPORTED_TCB_AT         24
#define CPUINFO_MAX             (1024 * 1024)

int chip_ioctl(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

static struct error *issue(int fd, chip_call *call, uint32_t command, void *data)
{
    struct sev_issue_cmd issue = {.cmd = command, .data = (uintptr_t)data};

    if (call(fd, SEV_ISSUE_CMD, &issue) == 0 && issue.error == 0)
        return NULL;
    return error_new(ERROR_UNAVAILABLE, "security processor: command %u: firmware status %u: %s",
                     command, issue.error, strerror(errno));
}

static struct error *read_id(int fd, chip_call *call, uint8_t ret_id[64])
{
    struct sev_user_data_get_id2 request = {.address = (uintptr_t)ret_id, .length = 64};

    memset(ret_id, 0, 64);
    return issue(fd, call, COMMAND_GET_ID2, &request);
}

/* struct sev_user_data_snp_status: api 2, state 1, flags 1, build 4, flags 4, guests 4, current and
 * reported TCB 8 each. */
static struct error *read_reported_tcb(int fd, chip_call *call, uint64_t *ret_tcb)
{
    uint8_t status[STATUS_SIZE] = {0};
    struct reader in;

    struct error *err = issue(fd, call, COMMAND_PLATFORM_STATUS, status);
    reader_init(&in, status, sizeof(status));
    reader_skip(&in, REPORTED_TCB_AT);
    *ret_tcb = reader_u64le(&in);
    return err;
}

/* "model\t\t: 17": -1 when there is no such line, or no such number. */
static long cpuinfo_number(const char *text, const char *name)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t length = strlen(name);
        if (strncmp(line, name, length) != 0 || line[length] != '\t')
            continue;
        const char *colon = strchr(line, ':');
        return colon ? strtol(colon + 1, NULL, 10) : -1;
    }
    return -1;
}

static struct error *read_product(const char *root, enum snp_product *ret_product)
{
    _cleanup_free_ char *path = xasprintf("%s/proc/cpuinfo", root);
    _cleanup_free_ char *text = NULL;

    struct error *err = file_read_text(path, CPUINFO_MAX, &text);
    if (err)
        return err;
    long family = cpuinfo_number(text, "cpu family"), model = cpuinfo_number(text, "model");
    *ret_product = family < 0 || family > 255 || model < 0 || model > 255
                       ? SNP_PRODUCT_UNKNOWN
                       : snp_product_from_cpuid((uint8_t)family, (uint8_t)model);
    if (*ret_product == SNP_PRODUCT_UNKNOWN)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "processor family %ld, model %ld is no known SEV-SNP processor", family,
                         model);
    return NULL;
}

struct error *chip_read(const char *device, const char *root, chip_call *call,
                        struct chip *ret_chip)
{
    _cleanup_close_ int fd = open(device, O_RDWR | O_CLOEXEC);
    enum snp_product product = SNP_PRODUCT_UNKNOWN;
    struct chip chip = {0};
    uint64_t tcb = 0;

    if (fd < 0)
        return error_errno(errno, "open '%s'", device);
    struct error *err = read_product(root, &product);
    if (!err)
        err = read_id(fd, call, chip.id);
    if (!err)
        err = read_reported_tcb(fd, call, &tcb);
    if (!err)
        err = kds_chip_init(product, chip.id, tcb, &chip.kds);
    if (!err)
        *ret_chip = chip;
    return error_wrap(err, "chip");
}
