/*
 * Who this guest is in this boot: an X25519 key that the bundle is sealed to and an Ed25519 key
 * that signs what the guest says. Both exist only in memory and are new at every boot.
 */
#pragma once

#include <pthread.h>

#include "shared/bus/bus.h"
#include "shared/seal/seal.h"

struct identity {
    struct bus_signer signer; /* first member; counter rises with every signature */
    struct box_key box;
    struct sign_key sign;
    pthread_mutex_t lock;
    uint64_t counter;
};

struct error *identity_init(struct identity *identity) _must_check_;
void identity_done(struct identity *identity); /* wipes; also after a failed init */
