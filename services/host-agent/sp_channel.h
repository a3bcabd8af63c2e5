/*
 * The software security processor's side of each VM's virtio-serial channel (development only). One
 * thread serves all VMs: it connects to the socket that QEMU binds, answers one bounded request at
 * a time and connects again when the VM goes. Without TEE_SOFTWARE it cannot be opened.
 */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"

#define SP_CHANNEL_PATH_MAX 108 /* sockaddr_un */

struct sp_channel;

/* What was fixed about a guest at its launch. */
struct sp_guest {
    uint8_t measurement[48];
    uint8_t host_data[32];
    uint8_t report_id[32];
};

/* dir: the host's chip (shared/attestation/processor.h). UNIMPLEMENTED: not built in. */
struct error *sp_channel_open(const char *dir, struct sp_channel **ret_channel) _must_check_;
void sp_channel_free(struct sp_channel *channel);
DEFINE_CLEANUP(struct sp_channel *, sp_channel_free)

const uint8_t *sp_channel_chip_id(const struct sp_channel *channel); /* 64 bytes */

/* Serves this VM from now on, in place of an earlier one of the same name. Any thread. */
void sp_channel_add(struct sp_channel *channel, const char *workload_id, const char *path,
                    const struct sp_guest *guest);
void sp_channel_remove(struct sp_channel *channel, const char *workload_id);
