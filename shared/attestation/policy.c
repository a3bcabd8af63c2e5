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

/* Not the newest levels, which few hosts have, but those below which machines are known to be
 * open. fmc, bootloader, tee, snp, microcode. */
static const struct policy_minimum default_minimums[] = {
    {0x19, 0x00, 0x0f, 0, 255, "AMD-SB-3015", ALL_LEVELS(0, 4, 0, 23, 213)}, /* Milan */
    {0x19, 0x10, 0x1f, 0, 255, "AMD-SB-3019", ALL_LEVELS(0, 10, 0, 23, 84)}, /* Genoa */
    {0x19, 0xa0, 0xaf, 0, 255, "AMD-SB-3019", ALL_LEVELS(0, 10, 0, 23, 27)}, /* Bergamo, Siena */
    {0x1a, 0x00, 0x1f, 0, 255, "first fleet levels", ALL_LEVELS(1, 1, 1, 4, 81)}, /* Turin */
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
