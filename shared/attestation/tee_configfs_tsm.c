/*
 * Linux configfs-tsm (ABI/testing/configfs-tsm-report): an entry per request; inblob in, outblob
 * and auxblob out. generation tells when somebody else used the entry in between.
 */
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

#define PROVIDER       "sev_guest"
#define ATTEMPTS       5 /* with the pauses below about 1.5 s */
#define PAUSE_FIRST_MS 100
#define TEXT_MAX       32
#define PRIVLEVEL_MAX  3 /* a VMPL */

struct tee_configfs_tsm {
    struct tee base;
    char *path;
    bool is_entry; /* path is one entry, not the folder of entries */
    const struct tee_configfs_calls *calls;
};

struct entry {
    const struct tee_configfs_calls *calls;
    const char *path;
    uint64_t writes; /* ours; each one raises the generation by one */
};

/* ABORTED: try again. The kernel says so when it races with another user of the entry. */
static struct error *failure(int code, const struct entry *entry, const char *name)
{
    if (code == -EAGAIN || code == -EBUSY || code == -EINTR)
        return error_new(ERROR_ABORTED, "'%s' of '%s' is busy", name, entry->path);
    return error_errno(-code, "'%s' of '%s'", name, entry->path);
}

static struct error *write_once(struct entry *entry, const char *name, const void *data,
                                size_t size)
{
    _cleanup_free_ char *file = xasprintf("%s/%s", entry->path, name);
    int failed = entry->calls->write(file, data, size);

    if (failed < 0)
        return failure(failed, entry, name);
    entry->writes++;
    return NULL;
}

static struct error *read_whole(const struct entry *entry, const char *name, void *room,
                                size_t size, size_t *ret_size)
{
    _cleanup_free_ char *file = xasprintf("%s/%s", entry->path, name);
    ssize_t n = entry->calls->read(file, room, size);

    if (n < 0)
        return failure((int)n, entry, name);
    *ret_size = (size_t)n;
    return NULL;
}

static struct error *read_text(const struct entry *entry, const char *name, char room[TEXT_MAX])
{
    size_t size = 0;

    struct error *err = read_whole(entry, name, room, TEXT_MAX - 1, &size);
    if (err)
        return err;
    if (size > 0 && room[size - 1] == '\n')
        size--;
    room[size] = '\0';
    if (strlen(room) != size)
        return error_new(ERROR_UNAVAILABLE, "'%s' holds a NUL byte", name);
    return NULL;
}

/* Decimal digits and nothing else. */
static struct error *read_number(const struct entry *entry, const char *name, uint64_t *ret_number)
{
    char text[TEXT_MAX], *end = NULL;

    struct error *err = read_text(entry, name, text);
    if (err)
        return err;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    if (text[strspn(text, "0123456789")] != '\0' || text[0] == '\0' || errno != 0)
        return error_new(ERROR_UNAVAILABLE, "'%s' is no number: '%s'", name, text);
    return NULL;
}

static struct error *check_provider(const struct entry *entry)
{
    char text[TEXT_MAX];

    struct error *err = read_text(entry, "provider", text);
    if (!err && strcmp(text, PROVIDER) != 0)
        err = error_new(ERROR_FAILED_PRECONDITION, "provider '%s' is not '%s'", text, PROVIDER);
    return err;
}

/* The most privileged level that the guest may name; Linux without levels has no such file. */
static struct error *set_privlevel(struct entry *entry)
{
    uint64_t floor = 0;

    struct error *err = read_number(entry, "privlevel_floor", &floor);
    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    if (!err && floor > PRIVLEVEL_MAX)
        err = error_new(ERROR_UNAVAILABLE, "privlevel_floor is above %d", PRIVLEVEL_MAX);
    if (err)
        return err;
    const char level = (char)('0' + floor);
    return write_once(entry, "privlevel", &level, 1);
}

static struct error *read_report(const struct entry *entry, struct tee_evidence *evidence)
{
    uint8_t room[TEE_REPORT_SIZE + 1]; /* one more, to tell a larger answer */
    size_t size = 0;

    struct error *err = read_whole(entry, "outblob", room, sizeof(room), &size);
    if (err)
        return err;
    if (size != TEE_REPORT_SIZE)
        return error_new(ERROR_UNAVAILABLE, "outblob has %zu bytes, a report %d", size,
                         TEE_REPORT_SIZE);
    memcpy(evidence->report, room, TEE_REPORT_SIZE);
    return NULL;
}

/* The host may give no certificates: the file is then empty or not there. */
static struct error *read_certificates(const struct entry *entry, struct tee_evidence *evidence)
{
    _cleanup_free_ uint8_t *room = xcalloc(1, TEE_CERTIFICATES_MAX);
    size_t size = 0;

    struct error *err = read_whole(entry, "auxblob", room, TEE_CERTIFICATES_MAX, &size);
    if (!err) {
        buffer_add(&evidence->certificates, room, size);
        return NULL;
    }
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return NULL;
}

static struct error *read_answer(const struct entry *entry, struct tee_evidence *evidence)
{
    struct error *err = read_report(entry, evidence);

    return err ? err : read_certificates(entry, evidence);
}

static struct error *use_entry(struct entry *entry, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                               struct tee_evidence *evidence)
{
    uint64_t before = 0, after = 0;

    struct error *err = check_provider(entry);
    if (!err)
        err = read_number(entry, "generation", &before);
    if (!err)
        err = set_privlevel(entry);
    if (!err)
        err = write_once(entry, "inblob", report_data, TEE_REPORT_DATA_SIZE);
    if (!err)
        err = read_answer(entry, evidence);
    if (!err)
        err = read_number(entry, "generation", &after);
    if (err)
        return err;
    if (after - before != entry->writes)
        return error_new(ERROR_ABORTED, "entry '%s' was used by somebody else", entry->path);
    return tee_check_report_data(evidence->report, report_data);
}

static char *new_entry_path(const struct tee_configfs_tsm *tsm)
{
    uint8_t random[8] = {0};
    char name[17];

    RAND_bytes(random, sizeof(random));
    hex_encode(random, sizeof(random), name);
    return xasprintf("%s/coffer-%s", tsm->path, name);
}

static struct error *attempt(const struct tee_configfs_tsm *tsm,
                             const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                             struct tee_evidence *evidence)
{
    _cleanup_free_ char *path = tsm->is_entry ? xstrdup(tsm->path) : new_entry_path(tsm);
    struct entry entry = {.calls = tsm->calls, .path = path};

    if (tsm->is_entry)
        return use_entry(&entry, report_data, evidence);
    int failed = tsm->calls->make(path);
    if (failed < 0)
        return error_errno(-failed, "make '%s'", path);
    struct error *err = use_entry(&entry, report_data, evidence);
    tsm->calls->drop(path); /* its files go with it */
    return err;
}

static struct error *get_report(struct tee *tee, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    const struct tee_configfs_tsm *tsm = (const struct tee_configfs_tsm *)tee;
    unsigned pause_ms = PAUSE_FIRST_MS;

    for (int i = 1;; i++) {
        struct tee_evidence evidence = {.tee = "sev-snp", .provider = "configfs-tsm"};

        struct error *err = attempt(tsm, report_data, &evidence);
        if (!err) {
            *ret_evidence = evidence;
            return NULL;
        }
        tee_evidence_done(&evidence);
        if (error_get_code(err) != ERROR_ABORTED || i == ATTEMPTS)
            return error_wrap(err, "configfs-tsm");
        error_free(err);
        tsm->calls->pause(pause_ms);
        pause_ms *= 2;
    }
}

static void tsm_free(struct tee *tee)
{
    struct tee_configfs_tsm *tsm = (struct tee_configfs_tsm *)tee;

    free(tsm->path);
    free(tsm);
}

static const struct tee_ops ops = {
    .name = "configfs-tsm",
    .get_report = get_report,
    .free = tsm_free,
};

struct error *tee_configfs_tsm_open_with(const char *path, bool is_entry,
                                         const struct tee_configfs_calls *calls,
                                         struct tee **ret_tee)
{
    struct tee_configfs_tsm *tsm = xnew(struct tee_configfs_tsm);

    tsm->base.ops = &ops;
    tsm->path = xstrdup(path);
    tsm->is_entry = is_entry;
    tsm->calls = calls;
    *ret_tee = &tsm->base;
    return NULL;
}

static int folder_make(const char *entry)
{
    return mkdir(entry, 0700) < 0 ? -errno : 0;
}

static int folder_drop(const char *entry)
{
    return rmdir(entry) < 0 ? -errno : 0;
}

static int file_write_once(const char *file, const void *data, size_t size)
{
    _cleanup_close_ int fd = open(file, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, data, size);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EIO;
}

static ssize_t file_read_whole(const char *file, void *room, size_t size)
{
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    uint8_t more;

    if (fd < 0)
        return -errno;
    while (have < size) {
        ssize_t n = read(fd, (uint8_t *)room + have, size - have);

        if (n < 0)
            return -errno;
        if (n == 0)
            return (ssize_t)have;
        have += (size_t)n;
    }
    return read(fd, &more, 1) > 0 ? -EFBIG : (ssize_t)have;
}

struct error *tee_configfs_tsm_open(const char *path, struct tee **ret_tee)
{
    static const struct tee_configfs_calls calls = {folder_make, folder_drop, file_write_once,
                                                    file_read_whole, tee_pause};
    _cleanup_free_ char *inblob = xasprintf("%s/inblob", path);
    struct stat st;

    if (stat(path, &st) < 0)
        return error_errno(errno, "'%s'", path);
    if (!S_ISDIR(st.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a folder", path);
    return tee_configfs_tsm_open_with(path, access(inblob, F_OK) == 0, &calls, ret_tee);
}
