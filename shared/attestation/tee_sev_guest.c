/*
 * /dev/sev-guest (Linux UAPI sev-guest.h): SNP_GET_EXT_REPORT, and SNP_GET_REPORT where the host's
 * certificates cannot be had. The layouts are fixed by the ABI.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/alloc.h"
#include "shared/base/reader.h"

#define PAGE_SIZE_BYTES 4096
#define ROOM_FIRST      (4 * PAGE_SIZE_BYTES) /* Linux refuses more (SEV_FW_BLOB_MAX_SIZE) */
#define MSG_VERSION     1
#define VMM_INVALID_LEN 1
#define VMM_BUSY        2
/* For a whole report. Time and not attempts: since 6.2 Linux itself asks a host that throttles
 * again, for up to a minute in one ioctl (SNP_REQ_MAX_RETRY_DURATION), which cannot be cut short.
 */
#define PATIENCE_MS    9000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS   2000
#define REPORT_AT      32

struct guest_request {
    uint8_t msg_version;
    uint64_t req_data;
    uint64_t resp_data;
    uint64_t exitinfo2; /* low half: firmware's error, high half: the VMM's */
};

struct report_request {
    uint8_t user_data[TEE_REPORT_DATA_SIZE];
    uint32_t vmpl;
    uint8_t reserved[28];
};

struct ext_report_request {
    struct report_request report;
    uint64_t certs_address;
    uint32_t certs_len;
};

#define SNP_GET_REPORT     _IOWR('S', 0x0, struct guest_request)
#define SNP_GET_EXT_REPORT _IOWR('S', 0x2, struct guest_request)

struct tee_sev_guest {
    struct tee base;
    int fd;
    const struct tee_sev_guest_calls *calls;
};

/* One report that is asked for, in up to three requests. */
struct question {
    const struct tee_sev_guest *guest;
    const struct report_request *report;
    uint8_t *answer;
    struct clock *clock;
    int64_t give_up_ms; /* nothing is asked again after it */
};

/* How a request ended. */
struct outcome {
    int failed; /* 0 or an errno; EAGAIN: the host throttles */
    uint32_t firmware;
    uint32_t vmm;
};

/* Status codes of the SEV-SNP firmware ABI that a report request can meet. */
static const struct {
    uint32_t code;
    const char *text;
} firmware_errors[] = {
    {0x01, "invalid platform state"},
    {0x02, "invalid guest state"},
    {0x08, "inactive"},
    {0x15, "unsupported"},
    {0x16, "invalid parameter"},
    {0x17, "resource limit"},
    {0x18, "secure data invalid"},
    {0x27, "invalid key"},
};

static const char *firmware_text(uint32_t code)
{
    for (size_t i = 0; i < ELEMENTSOF(firmware_errors); i++)
        if (firmware_errors[i].code == code)
            return firmware_errors[i].text;
    return "unknown";
}

struct error *tee_sev_guest_read_answer(const uint8_t answer[TEE_SEV_GUEST_ANSWER_SIZE],
                                        uint8_t ret_report[TEE_REPORT_SIZE])
{
    struct reader in;

    reader_init(&in, answer, TEE_SEV_GUEST_ANSWER_SIZE);
    uint32_t status = reader_u32le(&in);
    uint32_t size = reader_u32le(&in);
    reader_skip(&in, REPORT_AT - 8);
    if (status != 0)
        return error_new(ERROR_UNAVAILABLE, "firmware answers status 0x%x (%s)", status,
                         firmware_text(status));
    if (size != TEE_REPORT_SIZE)
        return error_new(ERROR_UNAVAILABLE, "report has %u bytes, not %d", size, TEE_REPORT_SIZE);
    reader_bytes(&in, ret_report, TEE_REPORT_SIZE);
    return NULL;
}

/* Linux refused by itself: SEV_RET_NO_FW_CALL, in older kernels 0xff. */
static bool is_no_call(uint64_t exitinfo2)
{
    return exitinfo2 == UINT64_MAX || exitinfo2 == 0xff;
}

static struct outcome call_once(const struct tee_sev_guest *guest, unsigned long code,
                                const void *request, uint8_t *answer)
{
    struct guest_request call = {
        .msg_version = MSG_VERSION,
        .req_data = (uint64_t)(uintptr_t)request,
        .resp_data = (uint64_t)(uintptr_t)answer,
    };
    struct outcome outcome = {};

    memset(answer, 0, TEE_SEV_GUEST_ANSWER_SIZE);
    if (guest->calls->request(guest->fd, code, &call) < 0)
        outcome.failed = errno;
    if (!is_no_call(call.exitinfo2)) {
        outcome.firmware = (uint32_t)call.exitinfo2;
        outcome.vmm = (uint32_t)(call.exitinfo2 >> 32);
    }
    if (outcome.vmm == VMM_BUSY)
        outcome.failed = EAGAIN;
    else if (!outcome.failed && call.exitinfo2 != 0)
        outcome.failed = EIO;
    return outcome;
}

/* Nothing but "later" is asked again: Linux shuts the channel after most other failures. */
static struct outcome call_patiently(const struct question *question, unsigned long code,
                                     const void *request)
{
    const struct tee_sev_guest *guest = question->guest;
    unsigned pause_ms = PAUSE_FIRST_MS;

    for (;;) {
        struct outcome outcome = call_once(guest, code, request, question->answer);
        int64_t again_ms = clock_monotonic_ms(question->clock) + pause_ms;

        if ((outcome.failed != EAGAIN && outcome.failed != EINTR) ||
            again_ms > question->give_up_ms)
            return outcome;
        guest->calls->pause(pause_ms);
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
}

static struct error *explain(const struct outcome *outcome, const char *name)
{
    if (outcome->failed == EAGAIN || outcome->failed == EINTR)
        return error_new(ERROR_UNAVAILABLE, "%s: the host throttles requests", name);
    if (outcome->firmware != 0)
        return error_new(ERROR_UNAVAILABLE, "%s: firmware error 0x%x (%s)", name, outcome->firmware,
                         firmware_text(outcome->firmware));
    return error_errno(outcome->failed, "%s (vmm error %u)", name, outcome->vmm);
}

/* A room that stayed zero is no table: the host has no certificates. */
static void take_certificates(const uint8_t *room, size_t size, struct buffer *ret_certificates)
{
    static const uint8_t zero[16];

    if (memcmp(room, zero, sizeof(zero)) != 0)
        buffer_add(ret_certificates, room, size);
}

/* *size: of the room; where that is too small, RESOURCE_EXHAUSTED and the size that is asked for.
 * INVALID_ARGUMENT: Linux takes no such room. */
static struct error *get_extended(const struct question *question, uint32_t *size,
                                  struct buffer *ret_certificates)
{
    _cleanup_free_ uint8_t *room = aligned_alloc(PAGE_SIZE_BYTES, *size);
    struct ext_report_request request = {
        .report = *question->report,
        .certs_address = (uint64_t)(uintptr_t)room,
        .certs_len = *size,
    };

    if (!room)
        abort();
    memset(room, 0, *size);
    struct outcome outcome = call_patiently(question, SNP_GET_EXT_REPORT, &request);
    if (outcome.failed && outcome.vmm == VMM_INVALID_LEN) {
        *size = request.certs_len;
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the host has %u bytes of certificates", *size);
    }
    if (outcome.failed)
        return explain(&outcome, "SNP_GET_EXT_REPORT");
    take_certificates(room, *size, ret_certificates);
    return NULL;
}

static struct error *get_plain(const struct question *question)
{
    struct outcome outcome = call_patiently(question, SNP_GET_REPORT, question->report);

    return outcome.failed ? explain(&outcome, "SNP_GET_REPORT") : NULL;
}

static bool is_room(uint32_t size)
{
    return size > ROOM_FIRST && size <= TEE_CERTIFICATES_MAX && size % PAGE_SIZE_BYTES == 0;
}

/* The host may keep its certificates from us, but not the report. */
static struct error *get_answer(const struct question *question, struct buffer *ret_certificates)
{
    uint32_t size = ROOM_FIRST;

    struct error *err = get_extended(question, &size, ret_certificates);
    if (error_get_code(err) == ERROR_RESOURCE_EXHAUSTED && is_room(size)) {
        error_free(err);
        err = get_extended(question, &size, ret_certificates);
    }
    if (error_get_code(err) != ERROR_RESOURCE_EXHAUSTED &&
        error_get_code(err) != ERROR_INVALID_ARGUMENT)
        return err;
    error_free(err);
    return get_plain(question);
}

static struct error *get_report(struct tee *tee, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    const struct tee_sev_guest *guest = (const struct tee_sev_guest *)tee;
    struct tee_evidence evidence = {.tee = "sev-snp", .provider = "sev-guest"};
    _cleanup_free_ uint8_t *answer = xcalloc(1, TEE_SEV_GUEST_ANSWER_SIZE);
    struct report_request report = {.vmpl = 0};
    struct clock *clock = guest->calls->clock ?: clock_system();
    const struct question question = {guest, &report, answer, clock,
                                      clock_monotonic_ms(clock) + PATIENCE_MS};

    memcpy(report.user_data, report_data, TEE_REPORT_DATA_SIZE);
    struct error *err = get_answer(&question, &evidence.certificates);
    if (!err)
        err = tee_sev_guest_read_answer(answer, evidence.report);
    if (!err)
        err = tee_check_report_data(evidence.report, report_data);
    if (err) {
        tee_evidence_done(&evidence);
        return error_wrap(err, "sev-guest");
    }
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

struct error *tee_sev_guest_open_with(int fd, const struct tee_sev_guest_calls *calls,
                                      struct tee **ret_tee)
{
    struct tee_sev_guest *guest = xnew(struct tee_sev_guest);

    guest->base.ops = &ops;
    guest->fd = fd;
    guest->calls = calls;
    *ret_tee = &guest->base;
    return NULL;
}

static int device_request(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

struct error *tee_sev_guest_open(const char *path, struct tee **ret_tee)
{
    static const struct tee_sev_guest_calls calls = {device_request, tee_pause, NULL};
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return error_errno(errno, "open '%s'", path);
    return tee_sev_guest_open_with(fd, &calls, ret_tee);
}
