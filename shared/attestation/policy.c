/* What holds when nothing is said, and the policies that have a name. */
#include "shared/attestation/policy.h"

#include <string.h>

#include "shared/base/cleanup.h"

/* One level for all four: reported, committed, current and launch. */
#define ALL_LEVELS(...)                                                                            \
    {                                                                                              \
        {__VA_ARGS__}, {__VA_ARGS__}, {__VA_ARGS__},                                               \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* Not the newest levels, which few hosts have, but those below which forged microcode can be
 * loaded, and then nothing a report says is worth anything. AMD-SB-3019 names SNP levels and
 * microcode patches per CPUID; the level is a patch's last byte, and each stepping counts its own.
 * Turin: AMD-SB-7033 asks for microcode 0x47; the other parts are those of the first machines seen.
 * fmc, bootloader, tee, snp, microcode. */
static const struct policy_minimum default_minimums[] = {
    {0x19, 0x00, 0x0f, 0, 1, "AMD-SB-3019, Milan 0x0a0011db", ALL_LEVELS(0, 4, 0, 24, 0xdb)},
    {0x19, 0x00, 0x0f, 2, 2, "AMD-SB-3019, Milan-X 0x0a001244", ALL_LEVELS(0, 4, 0, 24, 0x44)},
    {0x19, 0x10, 0x1f, 0, 1, "AMD-SB-3019, Genoa 0x0a101154", ALL_LEVELS(0, 10, 0, 23, 0x54)},
    {0x19, 0x10, 0x1f, 2, 2, "AMD-SB-3019, Genoa-X 0x0a10124f", ALL_LEVELS(0, 10, 0, 23, 0x4f)},
    {0x19, 0xa0, 0xaf, 0, 2, "AMD-SB-3019, Bergamo and Siena 0x0aa00219",
     ALL_LEVELS(0, 10, 0, 23, 0x19)},
    {0x1a, 0x00, 0x0f, 0, 255, "AMD-SB-7033, Turin", ALL_LEVELS(1, 1, 1, 4, 0x51)},
    {0x1a, 0x10, 0x1f, 0, 255, "AMD-SB-7033, Turin Dense", ALL_LEVELS(1, 1, 1, 4, 0x47)},
};

const struct policy_minimum *policy_default_minimums(size_t *ret_n)
{
    *ret_n = ELEMENTSOF(default_minimums);
    return default_minimums;
}

static const char *const nilcc_gives_up[] = {
    "freshness: its report answers no nonce and may be as old as its TLS key",
    "HOST_DATA: its manifest is the compose file's hash inside the measured command line",
    "privilege level: its attester runs at VMPL 1, which any code of the guest can do",
    "chip: any genuine chip may answer",
    "revocation: without a list at hand, revoked keys pass",
    NULL,
};

static const struct verify_policy named[] = {
    {.name = "strict"},
    {
        .name = "nilcc",
        .gives_up = nilcc_gives_up,
        .any_host_data = true,
        .any_chip_id = true,
        .vmpl = 1,
        .crl = POLICY_CRL_SOFT,
    },
};

struct error *policy_named(const char *name, struct verify_policy *ret_policy)
{
    for (size_t i = 0; i < ELEMENTSOF(named); i++) {
        if (strcmp(named[i].name, name) != 0)
            continue;
        *ret_policy = named[i];
        return NULL;
    }
    return error_new(ERROR_NOT_FOUND, "no policy is named '%s'", name);
}
