/* /dev/sev-guest (Linux UAPI sev-guest.h): SNP_GET_EXT_REPORT. The layouts are fixed by the ABI. */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/alloc.h"
#include "shared/base/reader.h"

#define PAGE_SIZE_BYTES 4096
#define MSG_VERSION     1
#define VMM_INVALID_LEN 1
#define VMM_BUSY        2
#define ATTEMPTS        20
#define PAUSE_MS        500
#define REPORT_AT       32

struct guest_request {
    uint8_t msg_version;
    uint64_t req_data;
    uint64_t resp_data;
    uint64_t exitinfo2; /* low half: firmware's error, high half: the VMM's */
};

struct ext_report_request {
    uint8_t user_data[TEE_REPORT_DATA_SIZE];
    uint32_t vmpl;
    uint8_t reserved[28];
    uint64_t certs_address;
    uint32_t certs_len;
};

#define SNP_GET_EXT_REPORT _IOWR('S', 0x2, struct guest_request)

struct tee_sev_guest {
    struct tee base;
    int fd;
    tee_sev_guest_call *call;
};

struct error *tee_sev_guest_read_answer(const uint8_t answer[TEE_SEV_GUEST_ANSWER_SIZE],
                                        uint8_t ret_report[TEE_REPORT_SIZE])
{
    struct reader in;

    reader_init(&in, answer, TEE_SEV_GUEST_ANSWER_SIZE);
    uint32_t status = reader_u32le(&in);
    uint32_t size = reader_u32le(&in);
    reader_skip(&in, REPORT_AT - 8);
    if (status != 0)
        return error_new(ERROR_UNAVAILABLE, "firmware answers status %u", status);
    if (size != TEE_REPORT_SIZE)
        return error_new(ERROR_UNAVAILABLE, "report has %u bytes, not %d", size, TEE_REPORT_SIZE);
    reader_bytes(&in, ret_report, TEE_REPORT_SIZE);
    return NULL;
}

/* EAGAIN while the host asks to come back later. */
static int request_once(const struct tee_sev_guest *guest, struct ext_report_request *request,
                        uint8_t *answer, uint32_t *ret_vmm_error)
{
    struct guest_request call = {
        .msg_version = MSG_VERSION,
        .req_data = (uint64_t)(uintptr_t)request,
        .resp_data = (uint64_t)(uintptr_t)answer,
    };
    int failed = guest->call(guest->fd, SNP_GET_EXT_REPORT, &call) < 0 ? errno : 0;

    *ret_vmm_error = (uint32_t)(call.exitinfo2 >> 32);
    if (failed && *ret_vmm_error == VMM_BUSY)
        return EAGAIN;
    if (!failed && (uint32_t)call.exitinfo2 != 0)
        return EIO;
    return failed;
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static struct error *request_report(const struct tee_sev_guest *guest,
                                    struct ext_report_request *request, uint8_t *answer)
{
    uint32_t vmm_error = 0;
    int failed = EAGAIN;

    for (int i = 0; i < ATTEMPTS; i++) {
        if (i > 0)
            pause_ms(PAUSE_MS);
        failed = request_once(guest, request, answer, &vmm_error);
        if (failed != EAGAIN && failed != EINTR)
            break;
    }
    if (failed && vmm_error == VMM_INVALID_LEN)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "host has %u bytes of certificates, at most %d",
                         request->certs_len, TEE_CERTIFICATES_MAX);
    if (failed)
        return error_errno(failed, "SNP_GET_EXT_REPORT (vmm error %u)", vmm_error);
    return NULL;
}

/* The kernel does not say how much of the room it filled: the table tells by itself, and a room
 * that stayed zero is no table. */
static void take_certificates(const uint8_t *room, struct buffer *ret_certificates)
{
    static const uint8_t zero[16];

    if (memcmp(room, zero, sizeof(zero)) != 0)
        buffer_add(ret_certificates, room, TEE_CERTIFICATES_MAX);
}

static struct error *get_report(struct tee *tee, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    const struct tee_sev_guest *guest = (const struct tee_sev_guest *)tee;
    struct tee_evidence evidence = {.tee = "sev-snp", .provider = "sev-guest"};
    _cleanup_free_ uint8_t *room = aligned_alloc(PAGE_SIZE_BYTES, TEE_CERTIFICATES_MAX);
    _cleanup_free_ uint8_t *answer = xcalloc(1, TEE_SEV_GUEST_ANSWER_SIZE);
    struct ext_report_request request = {
        .certs_address = (uint64_t)(uintptr_t)room,
        .certs_len = TEE_CERTIFICATES_MAX,
    };

    if (!room)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no memory for certificates");
    memset(room, 0, TEE_CERTIFICATES_MAX);
    memcpy(request.user_data, report_data, TEE_REPORT_DATA_SIZE);
    struct error *err = request_report(guest, &request, answer);
    if (!err)
        err = tee_sev_guest_read_answer(answer, evidence.report);
    if (!err)
        err = tee_check_report_data(evidence.report, report_data);
    if (err)
        return error_wrap(err, "sev-guest");
    take_certificates(room, &evidence.certificates);
    *ret_evidence = evidence;
    return NULL;
}

static void guest_free(struct tee *tee)
{
    struct tee_sev_guest *guest = (struct tee_sev_guest *)tee;

    if (guest->fd >= 0)
        close(guest->fd);
    free(guest);
}

static const struct tee_ops ops = {
    .name = "sev-guest",
    .get_report = get_report,
    .free = guest_free,
};

struct error *tee_sev_guest_open_with(int fd, tee_sev_guest_call *call, struct tee **ret_tee)
{
    struct tee_sev_guest *guest = xnew(struct tee_sev_guest);

    guest->base.ops = &ops;
    guest->fd = fd;
    guest->call = call;
    *ret_tee = &guest->base;
    return NULL;
}

static int device_call(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

struct error *tee_sev_guest_open(const char *path, struct tee **ret_tee)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return error_errno(errno, "open '%s'", path);
    return tee_sev_guest_open_with(fd, device_call, ret_tee);
}
