/*
 * The gateway's signature under commands to guests. A guest refuses a counter that is not higher
 * than the last one of this key, also after our restart and from another copy of the gateway: so
 * the counter is the wall clock in microseconds, and never twice the same.
 */
#pragma once

#include <pthread.h>

#include "shared/base/clock.h"
#include "shared/bus/bus.h"
#include "shared/seal/seal.h"

struct guest_signer {
    struct bus_signer base;
    struct sign_key key;
    struct clock *clock;
    pthread_mutex_t lock;
    uint64_t last;
};

struct error *guest_signer_init(struct guest_signer *signer, const char *key_path,
                                struct clock *clock) _must_check_;
void guest_signer_done(struct guest_signer *signer);
