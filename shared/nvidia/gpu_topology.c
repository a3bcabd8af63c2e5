/* The devices as a set: all different, and linked to each other and to nothing else. */
#include <string.h>

#include "shared/nvidia/gpu_appraisal.h"

#define SWITCH_GPUS 8 /* a switch lists so many GPUs, then which of them is at which port */

static bool keys_are_equal(const struct gpu_chain *a, const struct gpu_chain *b, size_t i)
{
    return EVP_PKEY_eq(X509_get0_pubkey(a->path.certificates[i]),
                       X509_get0_pubkey(b->path.certificates[i])) == 1;
}

/* What both have that one device only can have. A device makes attestation keys at will; its
 * firmware's key and its identifier stay, as far as certificates are made for them. */
static const char *in_common(const struct gpu_chain *a, const struct gpu_chain *b)
{
    if (keys_are_equal(a, b, 0))
        return "are the same";
    if (keys_are_equal(a, b, 1))
        return "have one firmware key";
    if (a->has_pdi && b->has_pdi && memcmp(a->pdi, b->pdi, GPU_PDI_SIZE) == 0)
        return "have one identifier";
    return NULL;
}

struct gpu_finding gpu_check_distinct(struct gpu_appraisal *a)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->devices[i].problem)
            return GPU_UNKNOWN("a device has no evidence");
        for (size_t k = 0; k < i; k++) {
            const char *what = in_common(&a->devices[i].chain, &a->devices[k].chain);

            if (what)
                return GPU_FAIL(
                    arena_printf(a->result->arena, "devices %zu and %zu %s", k, i, what));
        }
    }
    return a->n ? GPU_PASS("") : GPU_UNKNOWN("there is no device");
}

static void reverse(const uint8_t in[GPU_PDI_SIZE], uint8_t ret_out[GPU_PDI_SIZE])
{
    for (size_t i = 0; i < GPU_PDI_SIZE; i++)
        ret_out[i] = in[GPU_PDI_SIZE - 1 - i];
}

/* Nothing is connected there. */
static bool is_no_pdi(const uint8_t pdi[GPU_PDI_SIZE])
{
    static const uint8_t zeros[GPU_PDI_SIZE], ones[GPU_PDI_SIZE] = {[0 ... 7] = 0xff};

    return memcmp(pdi, zeros, GPU_PDI_SIZE) == 0 || memcmp(pdi, ones, GPU_PDI_SIZE) == 0;
}

static bool list_has(const struct spdm_bytes *list, size_t n, const uint8_t pdi[GPU_PDI_SIZE])
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(list->data + i * GPU_PDI_SIZE, pdi, GPU_PDI_SIZE) == 0)
            return true;
    return false;
}

/* A GPU writes the identifiers of switches the other way round. */
static bool device_is(const struct gpu_device *d, bool is_switch, const uint8_t pdi[GPU_PDI_SIZE])
{
    uint8_t own[GPU_PDI_SIZE];

    if (d->chain.is_switch != is_switch || !d->chain.has_pdi)
        return false;
    if (is_switch)
        reverse(d->chain.pdi, own);
    else
        memcpy(own, d->chain.pdi, GPU_PDI_SIZE);
    return memcmp(own, pdi, GPU_PDI_SIZE) == 0;
}

static bool is_at_hand(const struct gpu_appraisal *a, bool is_switch,
                       const uint8_t pdi[GPU_PDI_SIZE])
{
    for (size_t i = 0; i < a->n; i++)
        if (device_is(&a->devices[i], is_switch, pdi))
            return true;
    return false;
}

/* Does this device list every device of the other kind, and none that is not at hand? */
static const char *links_problem(const struct gpu_appraisal *a, const struct gpu_device *d)
{
    bool of_switches = !d->chain.is_switch;
    const struct spdm_bytes *list =
        &d->spdm.opaque[of_switches ? SPDM_OPAQUE_SWITCH_PDI : SPDM_OPAQUE_GPU_PDI];
    size_t n = of_switches ? list->size / GPU_PDI_SIZE : SWITCH_GPUS;

    if (!list->data || n == 0 || list->size < n * GPU_PDI_SIZE)
        return "does not list its links";
    for (size_t i = 0; i < n; i++) {
        const uint8_t *pdi = list->data + i * GPU_PDI_SIZE;

        if (!is_no_pdi(pdi) && !is_at_hand(a, of_switches, pdi))
            return of_switches ? "is linked to a switch without evidence"
                               : "is linked to a GPU without evidence";
    }
    for (size_t i = 0; i < a->n; i++) {
        const struct gpu_device *other = &a->devices[i];
        uint8_t pdi[GPU_PDI_SIZE];

        if (other->chain.is_switch != of_switches)
            continue;
        if (of_switches)
            reverse(other->chain.pdi, pdi);
        else
            memcpy(pdi, other->chain.pdi, GPU_PDI_SIZE);
        if (!other->chain.has_pdi || !list_has(list, n, pdi))
            return "is not linked to all others";
    }
    return NULL;
}

/* A switch's identifier stands in its certificate; what it says of itself must be the same. */
static const char *switch_problem(const struct gpu_device *d)
{
    const struct spdm_bytes *own = &d->spdm.opaque[SPDM_OPAQUE_SWITCH_PDI];

    if (!d->chain.is_switch)
        return NULL;
    return own->data && own->size == GPU_PDI_SIZE && d->chain.has_pdi &&
                   memcmp(own->data, d->chain.pdi, GPU_PDI_SIZE) == 0
               ? NULL
               : "is not the switch of its certificate";
}

struct gpu_finding gpu_check_topology(struct gpu_appraisal *a)
{
    bool is_protected = false, has_switch = false;

    if (a->n == 0)
        return GPU_UNKNOWN("there is no device");
    for (size_t i = 0; i < a->n; i++) {
        if (a->devices[i].problem)
            return GPU_UNKNOWN("a device has no evidence");
        has_switch |= a->devices[i].chain.is_switch;
        is_protected |= gpu_mode(&a->devices[i].spdm) == GPU_MODE_PROTECTED;
    }
    if (!is_protected)
        return has_switch ? GPU_FAIL("switches, in a mode that does not protect their links")
                          : GPU_PASS("no link in plain text");
    for (size_t i = 0; i < a->n; i++) {
        const char *problem = switch_problem(&a->devices[i]);

        if (!problem)
            problem = links_problem(a, &a->devices[i]);
        if (problem)
            return GPU_FAIL(arena_printf(a->result->arena, "device %zu %s", i, problem));
    }
    return GPU_PASS("protected PCIe, all links between these devices");
}
