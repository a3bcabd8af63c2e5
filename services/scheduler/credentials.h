/* Guests' NATS credentials, minted per boot with the account's signing key of the fleet folder. */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"

/* data is the struct authority; a credentials_fn of scheduler.h. */
struct error *credentials_mint(void *data, const char *host_id, const char *workload_id,
                               uint64_t generation, char **ret_credentials) _must_check_;
