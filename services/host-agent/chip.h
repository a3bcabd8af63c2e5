/* What this machine's security processor says of itself: which certificates its guests need. */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"
#include "shared/collateral/kds.h"

#define CHIP_DEVICE "/dev/sev"

struct chip {
    uint8_t id[64];      /* as in CHIP_ID of its reports */
    struct kds_chip kds; /* product, id and reported TCB, as the vendor's key service wants them */
};

/* ioctl(), or a test's. */
typedef int chip_call(int fd, unsigned long request, void *argument);

/*
 * Asks the device (linux/psp-sev.h: SEV_GET_ID2, SNP_PLATFORM_STATUS) and root/proc/cpuinfo (root
 * "" but in tests) for the product. NOT_FOUND: no such device; UNAVAILABLE: it refused;
 * INVALID_ARGUMENT: a processor that is not known.
 */
struct error *chip_read(const char *device, const char *root, chip_call *call,
                        struct chip *ret_chip) _must_check_;

/* The kernel. */
int chip_ioctl(int fd, unsigned long request, void *argument);
