/*
 * Linux configfs-tsm (ABI/testing/configfs-tsm-report): an entry per request; inblob in, outblob
 * and auxblob out. generation tells when somebody else used the entry in between.
 */
#include <fcntl.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

#define ATTEMPTS 5

struct tee_configfs_tsm {
    struct tee base;
    char *path;
    bool is_entry; /* path is one entry, not the folder of entries */
};

static struct error *write_once(const char *entry, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", entry, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(errno, "open '%s'", path);
    ssize_t n = write(fd, data, size);
    if (n < 0)
        return error_errno(errno, "write '%s'", path);
    if ((size_t)n != size)
        return error_new(ERROR_UNAVAILABLE, "short write to '%s'", path);
    return NULL;
}

static struct error *read_blob(const char *entry, const char *name, size_t max,
                               struct buffer *ret_blob)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", entry, name);

    return file_read(path, max, ret_blob);
}

static struct error *read_generation(const char *entry, char **ret_text)
{
    _cleanup_free_ char *path = xasprintf("%s/generation", entry);

    return file_read_text(path, 32, ret_text);
}

static struct error *read_report(const char *entry, struct tee_evidence *evidence)
{
    _cleanup_buffer_ struct buffer report = {};

    struct error *err = read_blob(entry, "outblob", 4 * TEE_REPORT_SIZE, &report);
    if (err)
        return err;
    if (report.size != TEE_REPORT_SIZE)
        return error_new(ERROR_UNAVAILABLE, "outblob has %zu bytes, a report %d", report.size,
                         TEE_REPORT_SIZE);
    memcpy(evidence->report, report.data, TEE_REPORT_SIZE);
    return NULL;
}

/* The host may give no certificates: the file is then empty or not there. */
static struct error *read_certificates(const char *entry, struct tee_evidence *evidence)
{
    struct error *err = read_blob(entry, "auxblob", TEE_CERTIFICATES_MAX, &evidence->certificates);

    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return NULL;
}

static struct error *use_entry(const char *entry, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                               struct tee_evidence *evidence)
{
    _cleanup_free_ char *before = NULL, *after = NULL;

    struct error *err = write_once(entry, "inblob", report_data, TEE_REPORT_DATA_SIZE);
    if (!err)
        err = read_generation(entry, &before);
    if (!err)
        err = read_report(entry, evidence);
    if (!err)
        err = read_certificates(entry, evidence);
    if (!err)
        err = read_generation(entry, &after);
    if (err)
        return err;
    if (strcmp(before, after) != 0)
        return error_new(ERROR_ABORTED, "entry '%s' was used by somebody else", entry);
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
    if (tsm->is_entry)
        return use_entry(tsm->path, report_data, evidence);

    _cleanup_free_ char *entry = new_entry_path(tsm);
    if (mkdir(entry, 0700) < 0)
        return error_errno(errno, "make '%s'", entry);
    struct error *err = use_entry(entry, report_data, evidence);
    rmdir(entry); /* its files go with it */
    return err;
}

static struct error *get_report(struct tee *tee, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    const struct tee_configfs_tsm *tsm = (const struct tee_configfs_tsm *)tee;

    for (int i = 0;; i++) {
        struct tee_evidence evidence = {.tee = "sev-snp", .provider = "configfs-tsm"};

        struct error *err = attempt(tsm, report_data, &evidence);
        if (!err) {
            *ret_evidence = evidence;
            return NULL;
        }
        tee_evidence_done(&evidence);
        if (error_get_code(err) != ERROR_ABORTED || i + 1 == ATTEMPTS)
            return error_wrap(err, "configfs-tsm");
        error_free(err);
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

struct error *tee_configfs_tsm_open(const char *path, struct tee **ret_tee)
{
    _cleanup_free_ char *inblob = xasprintf("%s/inblob", path);
    struct stat st;

    if (stat(path, &st) < 0)
        return error_errno(errno, "'%s'", path);
    if (!S_ISDIR(st.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a folder", path);
    struct tee_configfs_tsm *tsm = xnew(struct tee_configfs_tsm);
    tsm->base.ops = &ops;
    tsm->path = xstrdup(path);
    tsm->is_entry = access(inblob, F_OK) == 0;
    *ret_tee = &tsm->base;
    return NULL;
}
