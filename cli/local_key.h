/*
 * A random key of this machine: the file salt-key beside the contexts (0600), made when it is first
 * needed. What follows from it is the same again here, and nobody without it can guess by it.
 */
#pragma once

#include "shared/base/buffer.h"
#include "shared/base/error.h"

enum { LOCAL_KEY_SIZE = 32, LOCAL_MAC_SIZE = 32 };

struct local_key {
    uint8_t bytes[LOCAL_KEY_SIZE];
};

/* PERMISSION_DENIED: others may read it; DATA_LOSS: it is none. Where no file can be kept, it is a
 * key for this once, and stderr says so. */
struct error *local_key_load(struct local_key *ret_key) _must_check_;
void local_key_done(struct local_key *key); /* wipes */

/* HMAC-SHA256. */
void local_key_mac(const struct local_key *key, const struct buffer *text,
                   uint8_t ret_mac[LOCAL_MAC_SIZE]);
