#include "shared/attestation/tee.h"

#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/attestation/tee_backends.h"

#define REPORT_DATA_AT 0x50

static const struct backend {
    const char *name;
    const char *path;
    struct error *(*open)(const char *path, struct tee **ret_tee);
} backends[] = {
    {"configfs-tsm", TEE_CONFIGFS_TSM_PATH, tee_configfs_tsm_open},
    {"sev-guest", TEE_SEV_GUEST_PATH, tee_sev_guest_open},
    {"software", TEE_SOFTWARE_PATH, tee_software_open},
};

void tee_evidence_done(struct tee_evidence *evidence)
{
    buffer_done(&evidence->certificates);
    *evidence = (struct tee_evidence){};
}

/* A path that was given is a folder for configfs-tsm only; devices are told by their name. */
static bool fits(const struct backend *backend, const char *path)
{
    struct stat st;

    if (!path)
        return stat(backend->path, &st) == 0;
    if (stat(path, &st) < 0)
        return false;
    if (S_ISDIR(st.st_mode))
        return strcmp(backend->name, "configfs-tsm") == 0;
    bool sev_guest = strstr(path, "sev-guest") != NULL;
    return strcmp(backend->name, sev_guest ? "sev-guest" : "software") == 0;
}

struct error *tee_open(const char *name, const char *path, struct tee **ret_tee)
{
    bool automatic = strcmp(name, "auto") == 0;

    if (path && !path[0])
        path = NULL;
    for (size_t i = 0; i < ELEMENTSOF(backends); i++) {
        const struct backend *backend = &backends[i];

        if (automatic ? fits(backend, path) : strcmp(backend->name, name) == 0)
            return error_wrap(backend->open(path ? path : backend->path, ret_tee), "tee '%s'",
                              backend->name);
    }
    if (automatic)
        return error_new(ERROR_NOT_FOUND, "no tee: neither configfs-tsm nor a device is there");
    return error_new(ERROR_INVALID_ARGUMENT, "unknown tee '%s'", name);
}

void tee_free(struct tee *tee)
{
    if (tee)
        tee->ops->free(tee);
}

void tee_pause(unsigned ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&time, NULL);
}

struct error *tee_check_report_data(const uint8_t report[TEE_REPORT_SIZE],
                                    const uint8_t report_data[TEE_REPORT_DATA_SIZE])
{
    if (memcmp(report + REPORT_DATA_AT, report_data, TEE_REPORT_DATA_SIZE) != 0)
        return error_new(ERROR_ABORTED, "the report answers another request");
    return NULL;
}
