/* Development: asks the software security processor of the host (wire in tee.h). */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/reader.h"

#define DEADLINE_MS  20000
#define BUSY_WAIT_MS 50
#define HEADER_SIZE  8
#define BODY_MAX     (4 + TEE_REPORT_SIZE + TEE_CERTIFICATES_MAX)

struct tee_software {
    struct tee base;
    char *path;
};

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_once(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        return connect_socket(path);
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* One user at a time: the port is busy while another process of the guest asks. */
static struct error *open_channel(const char *path, int64_t deadline, int *ret_fd)
{
    for (;;) {
        int fd = open_once(path);

        if (fd >= 0) {
            *ret_fd = fd;
            return NULL;
        }
        if ((errno != EBUSY && errno != EAGAIN && errno != EINTR) || now_ms() >= deadline)
            return error_errno(errno, "open '%s'", path);
        nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_MS * 1000000L}, NULL);
    }
}

static struct error *wait_for(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd pollfd = {.fd = fd, .events = events};
        int n = left > 0 ? poll(&pollfd, 1, (int)left) : 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(errno, "poll");
        if (n == 0)
            return error_new(ERROR_DEADLINE_EXCEEDED, "the host does not answer");
        if (pollfd.revents & events)
            return NULL;
        /* the host's end is closed for now: it may come back until the deadline */
        nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_MS * 1000000L}, NULL);
    }
}

static struct error *write_all(int fd, const uint8_t *data, size_t size, int64_t deadline)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return error_errno(errno, "write to the host");
        if (n > 0) {
            data += n;
            size -= (size_t)n;
            continue;
        }
        struct error *err = wait_for(fd, POLLOUT, deadline);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *read_all(int fd, uint8_t *data, size_t size, int64_t deadline)
{
    while (size > 0) {
        struct error *err = wait_for(fd, POLLIN, deadline);
        if (err)
            return err;
        ssize_t n = read(fd, data, size);
        if (n == 0)
            return error_new(ERROR_UNAVAILABLE, "the host closed the channel");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return error_errno(errno, "read from the host");
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return NULL;
}

/* What an answer that nobody waited for left behind. */
static void drain(int fd)
{
    uint8_t rest[4096];

    while (read(fd, rest, sizeof(rest)) > 0)
        ;
}

static struct error *send_request(int fd, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                  int64_t deadline)
{
    _cleanup_buffer_ struct buffer request = {};

    buffer_add_text(&request, TEE_SOFTWARE_MAGIC);
    buffer_add_u32be(&request, TEE_REPORT_DATA_SIZE + 4);
    buffer_add(&request, report_data, TEE_REPORT_DATA_SIZE);
    buffer_add_u32be(&request, 0); /* vmpl */
    return write_all(fd, request.data, request.size, deadline);
}

static struct error *parse_body(const uint8_t *body, size_t size, struct tee_evidence *evidence)
{
    struct reader in;

    reader_init(&in, body, size);
    uint32_t status = reader_u32be(&in);
    if (in.failed)
        return error_new(ERROR_UNAVAILABLE, "short answer of the host");
    if (status != 0)
        return error_new(ERROR_UNAVAILABLE, "the software processor answers status %u", status);
    reader_bytes(&in, evidence->report, TEE_REPORT_SIZE);
    size_t left = reader_left(&in);
    const uint8_t *certificates = reader_view(&in, left);
    if (in.failed)
        return error_new(ERROR_UNAVAILABLE, "short answer of the host");
    buffer_add(&evidence->certificates, certificates, left);
    return NULL;
}

static struct error *read_answer(int fd, struct tee_evidence *evidence, int64_t deadline)
{
    uint8_t header[HEADER_SIZE];
    struct reader in;

    struct error *err = read_all(fd, header, sizeof(header), deadline);
    if (err)
        return err;
    reader_init(&in, header, sizeof(header));
    const uint8_t *magic = reader_view(&in, strlen(TEE_SOFTWARE_MAGIC));
    uint32_t size = reader_u32be(&in);
    if (memcmp(magic, TEE_SOFTWARE_MAGIC, strlen(TEE_SOFTWARE_MAGIC)) != 0 || size > BODY_MAX)
        return error_new(ERROR_UNAVAILABLE, "not an answer of the software processor");
    _cleanup_free_ uint8_t *body = xcalloc(1, size + 1);
    err = read_all(fd, body, size, deadline);
    return err ? err : parse_body(body, size, evidence);
}

static struct error *get_report(struct tee *tee, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    const struct tee_software *software = (const struct tee_software *)tee;
    struct tee_evidence evidence = {.tee = "sev-snp", .provider = "software"};
    int64_t deadline = now_ms() + DEADLINE_MS;
    _cleanup_close_ int fd = -1;

    struct error *err = open_channel(software->path, deadline, &fd);
    if (!err) {
        drain(fd);
        err = send_request(fd, report_data, deadline);
    }
    if (!err)
        err = read_answer(fd, &evidence, deadline);
    if (!err)
        err = tee_check_report_data(evidence.report, report_data);
    if (err) {
        tee_evidence_done(&evidence);
        return error_wrap(err, "software tee");
    }
    *ret_evidence = evidence;
    return NULL;
}

static void software_free(struct tee *tee)
{
    struct tee_software *software = (struct tee_software *)tee;

    free(software->path);
    free(software);
}

static const struct tee_ops ops = {
    .name = "software",
    .get_report = get_report,
    .free = software_free,
};

struct error *tee_software_open(const char *path, struct tee **ret_tee)
{
    if (access(path, F_OK) < 0)
        return error_errno(errno, "'%s'", path);
    struct tee_software *software = xnew(struct tee_software);
    software->base.ops = &ops;
    software->path = xstrdup(path);
    *ret_tee = &software->base;
    return NULL;
}
