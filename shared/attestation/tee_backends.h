/* The backends behind tee_open(). */
#pragma once

#include <sys/types.h>

#include "shared/attestation/tee.h"
#include "shared/base/clock.h"

#define TEE_CONFIGFS_TSM_PATH "/sys/kernel/config/tsm/report"
#define TEE_SEV_GUEST_PATH    "/dev/sev-guest"
#define TEE_SOFTWARE_PATH     "/dev/virtio-ports/" TEE_SOFTWARE_CHANNEL

/* path: the folder where report entries are made, or one entry that is there already. */
struct error *tee_configfs_tsm_open(const char *path, struct tee **ret_tee) _must_check_;
struct error *tee_sev_guest_open(const char *path, struct tee **ret_tee) _must_check_;
/* path: the channel's device, or a unix socket. UNIMPLEMENTED when built without. */
struct error *tee_software_open(const char *path, struct tee **ret_tee) _must_check_;

void tee_pause(unsigned ms); /* sleeps */

/* What is done to the tree of configfs-tsm, apart so that tests answer as the kernel does. All
 * return a number below 0 as -errno. */
struct tee_configfs_calls {
    int (*make)(const char *entry);
    int (*drop)(const char *entry);
    /* one write(2) of all bytes */
    int (*write)(const char *file, const void *data, size_t size);
    /* the whole file; how many bytes; -EFBIG when it is larger than the room */
    ssize_t (*read)(const char *file, void *room, size_t size);
    void (*pause)(unsigned ms);
};
/* is_entry: path is one entry that is there already. calls is not copied. */
struct error *tee_configfs_tsm_open_with(const char *path, bool is_entry,
                                         const struct tee_configfs_calls *calls,
                                         struct tee **ret_tee) _must_check_;

/* What is done to /dev/sev-guest, for the same reason. request is ioctl(2): -1 and errno. */
struct tee_sev_guest_calls {
    int (*request)(int fd, unsigned long request, void *argument);
    void (*pause)(unsigned ms);
    struct clock *clock; /* monotonic; NULL: the system's */
};
/* Takes the descriptor (below 0: none). calls is not copied. */
struct error *tee_sev_guest_open_with(int fd, const struct tee_sev_guest_calls *calls,
                                      struct tee **ret_tee) _must_check_;

/* SNP_GET_REPORT's 4000-byte answer: status, size, report. */
#define TEE_SEV_GUEST_ANSWER_SIZE 4000
struct error *tee_sev_guest_read_answer(const uint8_t answer[TEE_SEV_GUEST_ANSWER_SIZE],
                                        uint8_t ret_report[TEE_REPORT_SIZE]) _must_check_;

/* ABORTED when the report is for other data: a race with another caller, or a stale answer. */
struct error *tee_check_report_data(const uint8_t report[TEE_REPORT_SIZE],
                                    const uint8_t report_data[TEE_REPORT_DATA_SIZE]) _must_check_;
