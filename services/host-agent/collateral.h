/*
 * Certificates and CRL of this host's chip, fetched when the host joins and kept fresh, for its
 * guests' config disks. A thread of its own asks the vendor's key service, so that a slow service
 * holds up neither heartbeat nor VMs for long. Guests and verifiers believe none of it unchecked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "services/host-agent/chip.h"
#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/collateral/collateral.h"

#define HOST_COLLATERAL_REFRESH_MS (6 * 3600 * 1000LL)
#define HOST_COLLATERAL_RETRY_MS   (5 * 60 * 1000LL)
#define HOST_COLLATERAL_WAIT_MS    (30 * 1000LL) /* starts wait so long for the first answer */

struct host_collateral_options {
    const char *state_dir; /* the cache is its folder "collateral" */
    const char *kds_url;   /* "offline": nothing is asked for */
    const char *kds_ca;    /* PEM; "": the system's authorities */
    const struct chip *chip;
    struct clock *clock; /* the caller's */
    /* For tests; else NULL and false: AMD's roots, https only. */
    const struct trust_roots *roots;
    bool allow_http;
};

struct host_collateral;
struct error *host_collateral_new(const struct host_collateral_options *options,
                                  struct host_collateral **ret_collateral) _must_check_;
void host_collateral_free(struct host_collateral *collateral); /* ends the thread */
DEFINE_CLEANUP(struct host_collateral *, host_collateral_free)

struct error *host_collateral_start(struct host_collateral *collateral) _must_check_;

/* One turn of the thread. The error says why there is less than everything; what was there before
 * stays. */
struct error *host_collateral_refresh(struct host_collateral *collateral) _must_check_;

/*
 * Adds the certificate table, nothing when there is none, and says when its CRL came (Unix ms; 0:
 * not known). UNAVAILABLE in the first moments, while the first answer is awaited. Any thread.
 */
struct error *host_collateral_copy(struct host_collateral *collateral, struct buffer *ret_table,
                                   int64_t *ret_at_ms) _must_check_;
