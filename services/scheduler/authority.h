/*
 * What the scheduler holds as the release authority, from the fleet folder: its own keys, the
 * public keys of the others, and which chip belongs to which host.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/base/error.h"
#include "shared/seal/seal.h"

#define CHIP_ID_SIZE 64

struct enrolled_host {
    char *id;
    uint8_t chip_id[CHIP_ID_SIZE];
};

/* Which fleet.json was read: a file that replaced it has another inode, also within one tick of the
 * file system's clock. */
struct fleet_stamp {
    int64_t mtime_ns;
    uint64_t inode;
    int64_t size;
};

struct authority {
    struct sign_key sign;
    struct box_key box;
    struct box_opener *opener; /* of box */
    uint8_t gateway_sign_public[SIGN_KEY_SIZE];
    uint8_t image_release_public[SIGN_KEY_SIZE];
    char *workload_domain;
    char *nats_account; /* public key of the account that guests belong to */
    char *account_seed; /* signs guests' credentials */
    char *fleet_dir;
    pthread_mutex_t lock; /* of the hosts, which are read again whenever the file has changed */
    struct enrolled_host *hosts;
    size_t n_hosts;
    struct fleet_stamp stamp;
};

/* Reads fleet.json, authority/{sign,box}.key, nats/account-signing.seed. FAILED_PRECONDITION when
 * the keys are not the ones that fleet.json tells everybody. */
struct error *authority_load(const char *fleet_dir, struct authority *ret_authority) _must_check_;
void authority_done(struct authority *authority); /* wipes */

/* The enrolled host's chip by fleet.json as it is now; false: no such host. While the file cannot
 * be read, what it said last counts, and the log says so once. */
bool authority_find_chip(struct authority *authority, const char *host_id,
                         uint8_t ret_chip_id[CHIP_ID_SIZE]);
