/* Measured values against the reference values of driver and VBIOS. */
#include <openssl/crypto.h>

#include "shared/nvidia/gpu_appraisal.h"

/* Of the video decoder's firmware: says nothing while the decoder is off. */
#define INDEX_NVDEC0 35

static bool is_good(const struct rim *rim)
{
    return rim && !rim->problem;
}

static const struct rim_measurement *active(const struct rim *rim, size_t index)
{
    return is_good(rim) && rim->measurements[index].active ? &rim->measurements[index] : NULL;
}

static bool is_one_of(const struct rim_measurement *reference, const struct spdm_bytes *value)
{
    bool equal = false;

    if (!value->data || value->size != RIM_HASH_SIZE)
        return false;
    for (size_t i = 0; i < reference->n; i++)
        equal |= CRYPTO_memcmp(reference->alternatives[i], value->data, RIM_HASH_SIZE) == 0;
    return equal;
}

struct tally {
    size_t compared;
    size_t wrong;
    size_t first_wrong;
    size_t conflicts; /* both RIMs want to say what it is */
};

static void compare(const struct gpu_device *d, size_t index, struct tally *tally)
{
    const struct rim_measurement *driver = active(d->driver.rim, index);
    const struct rim_measurement *vbios = active(d->vbios.rim, index);
    const struct rim_measurement *reference = driver ? driver : vbios;

    if (!reference)
        return;
    if (driver && vbios)
        tally->conflicts++;
    if (index == INDEX_NVDEC0 && !d->chain.is_switch &&
        spdm_opaque_byte(&d->spdm, SPDM_OPAQUE_NVDEC0_STATUS) == SPDM_STATUS_DISABLED)
        return;
    tally->compared++;
    if (is_one_of(reference, &d->spdm.measurements[index]))
        return;
    if (tally->wrong++ == 0)
        tally->first_wrong = index;
}

struct gpu_finding gpu_check_measurements(struct gpu_appraisal *a, const struct gpu_device *d)
{
    struct arena *arena = a->result->arena;
    struct tally tally = {};
    bool complete = is_good(d->vbios.rim) && (d->chain.is_switch || is_good(d->driver.rim));

    for (size_t i = 0; i < SPDM_MEASUREMENTS_MAX; i++)
        compare(d, i, &tally);
    if (tally.conflicts)
        return GPU_FAIL("driver and VBIOS RIM speak of the same measurement");
    if (tally.wrong)
        return GPU_FAIL(arena_printf(arena, "%zu of %zu differ, the first is %zu", tally.wrong,
                                     tally.compared, tally.first_wrong));
    if (!complete)
        return GPU_UNKNOWN(arena_printf(arena, "%zu right, but a RIM is missing", tally.compared));
    return GPU_PASS(arena_printf(arena, "%zu right", tally.compared));
}
