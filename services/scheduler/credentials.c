#include "services/scheduler/credentials.h"

#include "services/scheduler/authority.h"
#include "shared/base/clock.h"
#include "shared/fleet/fleet.h"

/* They do not expire: a guest may run for years, and they reach nothing but its own subjects on
 * its own host's leaf, where what counts is signed anyway. */
struct error *credentials_mint(void *data, const char *host_id, const char *workload_id,
                               uint64_t generation, char **ret_credentials)
{
    const struct authority *authority = data;
    int64_t now_s = clock_wall_ms(clock_system()) / 1000;

    return fleet_mint_guest_credentials(authority->account_seed, authority->nats_account, host_id,
                                        workload_id, generation, now_s, 0, ret_credentials);
}
