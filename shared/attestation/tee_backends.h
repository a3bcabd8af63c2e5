/* The backends behind tee_open(). */
#pragma once

#include "shared/attestation/tee.h"

#define TEE_CONFIGFS_TSM_PATH "/sys/kernel/config/tsm/report"
#define TEE_SEV_GUEST_PATH    "/dev/sev-guest"
#define TEE_SOFTWARE_PATH     "/dev/virtio-ports/" TEE_SOFTWARE_CHANNEL

/* path: the folder where report entries are made, or one entry that is there already. */
struct error *tee_configfs_tsm_open(const char *path, struct tee **ret_tee) _must_check_;
struct error *tee_sev_guest_open(const char *path, struct tee **ret_tee) _must_check_;
/* path: the channel's device, or a unix socket. UNIMPLEMENTED when built without. */
struct error *tee_software_open(const char *path, struct tee **ret_tee) _must_check_;

/* The device call of /dev/sev-guest, apart so that tests answer it. Takes the descriptor. */
typedef int tee_sev_guest_call(int fd, unsigned long request, void *argument);
struct error *tee_sev_guest_open_with(int fd, tee_sev_guest_call *call,
                                      struct tee **ret_tee) _must_check_;

/* SNP_GET_REPORT's 4000-byte answer: status, size, report. */
#define TEE_SEV_GUEST_ANSWER_SIZE 4000
struct error *tee_sev_guest_read_answer(const uint8_t answer[TEE_SEV_GUEST_ANSWER_SIZE],
                                        uint8_t ret_report[TEE_REPORT_SIZE]) _must_check_;

/* ABORTED when the report is for other data: a race with another caller, or a stale answer. */
struct error *tee_check_report_data(const uint8_t report[TEE_REPORT_SIZE],
                                    const uint8_t report_data[TEE_REPORT_DATA_SIZE]) _must_check_;
