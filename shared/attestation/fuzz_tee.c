/* Target functions: the backends configfs-tsm and sev-guest, on answers of a kernel and a host that
 * may say anything, with certificate_table_parse on what they hand on.
 *
 * Input: a byte (0: configfs-tsm, else sev-guest), then one chunk for each thing that is read: u16
 * little-endian size and the bytes, or 0xffff and a byte with an errno. */
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/tee_backends.h"
#include "shared/base/reader.h"

#define FAILURE 0xffff

static struct reader input;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As many bytes as came and fit; -errno. */
static ssize_t next_chunk(void *room, size_t size)
{
    uint16_t chunk_size = reader_u16le(&input);

    if (chunk_size == FAILURE)
        return -(1 + reader_u8(&input) % 120);
    if (chunk_size > reader_left(&input))
        chunk_size = (uint16_t)reader_left(&input);
    if (chunk_size > size)
        return -EFBIG;
    reader_bytes(&input, room, chunk_size);
    return chunk_size;
}

static int make(const char *entry)
{
    (void)entry;
    return 0;
}

static int write_file(const char *file, const void *data, size_t size)
{
    (void)file, (void)data, (void)size;
    return 0;
}

static ssize_t read_file(const char *file, void *room, size_t size)
{
    (void)file;
    return next_chunk(room, size);
}

static struct clock_fake fuzz_clock;

static void no_pause(unsigned ms)
{
    clock_fake_advance(&fuzz_clock, ms);
}

/* The result, the room that the host asks for, the answer and the certificates. */
static int request(int fd, unsigned long code, void *argument)
{
    struct {
        uint8_t msg_version;
        uint64_t req_data, resp_data, exitinfo2;
    } *call = argument;
    uint8_t *in = (uint8_t *)(uintptr_t)call->req_data;
    uint64_t address;
    uint32_t room;

    (void)fd;
    ssize_t failed = next_chunk(&call->exitinfo2, sizeof(call->exitinfo2));
    next_chunk((uint8_t *)(uintptr_t)call->resp_data, TEE_SEV_GUEST_ANSWER_SIZE);
    if (code == 0xc0205302) { /* SNP_GET_EXT_REPORT */
        memcpy(&address, in + 96, sizeof(address));
        memcpy(&room, in + 104, sizeof(room));
        next_chunk((uint8_t *)(uintptr_t)address, room);
        next_chunk(in + 104, sizeof(room));
    }
    errno = failed < 0 ? (int)-failed : 0;
    return failed < 0 ? -1 : 0;
}

static void check(const struct tee_evidence *evidence, const uint8_t report_data[64])
{
    struct certificate_table table;

    if (memcmp(evidence->report + 0x50, report_data, 64) != 0 ||
        evidence->certificates.size > TEE_CERTIFICATES_MAX)
        abort();
    error_free(
        certificate_table_parse(evidence->certificates.data, evidence->certificates.size, &table));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tee_configfs_calls configfs = {make, make, write_file, read_file, no_pause};
    static const struct tee_sev_guest_calls sev_guest = {request, no_pause, &fuzz_clock.base};
    static const uint8_t report_data[64];
    _cleanup_(tee_freep) struct tee *tee = NULL;
    struct tee_evidence evidence = {};

    reader_init(&input, data, size);
    clock_fake_init(&fuzz_clock, 0);
    struct error *err = reader_u8(&input) == 0
                            ? tee_configfs_tsm_open_with("/tree", false, &configfs, &tee)
                            : tee_sev_guest_open_with(-1, &sev_guest, &tee);
    if (!err)
        err = tee_get_report(tee, report_data, &evidence);
    if (!err)
        check(&evidence, report_data);
    else if (evidence.certificates.data)
        abort();
    error_free(err);
    tee_evidence_done(&evidence);
    return 0;
}
