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

struct authority {
    struct sign_key sign;
    struct box_key box;
    uint8_t gateway_sign_public[SIGN_KEY_SIZE];
    uint8_t image_release_public[SIGN_KEY_SIZE];
    char *workload_domain;
    char *nats_account; /* public key of the account that guests belong to */
    char *account_seed; /* signs guests' credentials */
    char *fleet_dir;
    pthread_mutex_t lock; /* of the hosts, which are read again when an unknown one speaks */
    struct enrolled_host *hosts;
    size_t n_hosts;
    int64_t hosts_mtime_ns;
};

/* Reads fleet.json, authority/{sign,box}.key, nats/account-signing.seed. FAILED_PRECONDITION when
 * the keys are not the ones that fleet.json tells everybody. */
struct error *authority_load(const char *fleet_dir, struct authority *ret_authority) _must_check_;
void authority_done(struct authority *authority); /* wipes */

/* The enrolled host's chip; false: no such host. Notices hosts added after the start. */
bool authority_find_chip(struct authority *authority, const char *host_id,
                         uint8_t ret_chip_id[CHIP_ID_SIZE]);
