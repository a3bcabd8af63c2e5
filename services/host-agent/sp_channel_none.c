/* Production builds have no software security processor. */
#include "services/host-agent/sp_channel.h"

#include <assert.h>

struct error *sp_channel_open(_unused_ const char *dir, _unused_ struct sp_channel **ret_channel)
{
    return error_new(ERROR_UNIMPLEMENTED, "this build has no software TEE (TEE_SOFTWARE)");
}

void sp_channel_free(struct sp_channel *channel)
{
    assert(!channel);
}

const uint8_t *sp_channel_chip_id(_unused_ const struct sp_channel *channel)
{
    return NULL;
}

void sp_channel_add(_unused_ struct sp_channel *channel, _unused_ const char *workload_id,
                    _unused_ const char *path, _unused_ const struct sp_guest *guest)
{
}

void sp_channel_remove(_unused_ struct sp_channel *channel, _unused_ const char *workload_id)
{
}
