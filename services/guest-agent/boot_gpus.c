/* The GPUs' part of two stages: evidence before the report, use after the release. */
#include "services/guest-agent/boot_internal.h"
#include "services/guest-agent/gpus.h"
#include "shared/attestation/binding.h"

enum { DRIVER_WAIT_MS = 60 * 1000, DRIVER_LOOK_MS = 500 };

/* boot->code stays set at an error only. */
static struct error *told(struct boot *boot, struct error *err, const char *what)
{
    boot->code = err ? "gpu_failed" : boot->code;
    return error_wrap(err, "%s", what);
}

/* The kernel may still be starting them, which takes seconds. */
static struct error *wait_for_driver(struct boot *boot)
{
    int64_t end = clock_monotonic_ms(boot->ports.clock) + DRIVER_WAIT_MS;
    struct error *err = gpus_open(boot->ports.gpus);

    while (err && clock_monotonic_ms(boot->ports.clock) < end) {
        error_free(err);
        if (!boot->ports.pause(boot->ports.data, DRIVER_LOOK_MS))
            return error_new(ERROR_CANCELLED, "the program ends");
        err = gpus_open(boot->ports.gpus);
    }
    return err;
}

static struct error *collect(struct boot *boot, struct gpu_evidence_list *ret_list)
{
    const struct identity *identity = boot->ports.identity;
    uint8_t key_hash[32];

    struct error *err = wait_for_driver(boot);
    if (err)
        return err;
    binding_guest_keys(identity->box.public, identity->sign.public, key_hash);
    return gpus_collect(boot->ports.gpus, boot->nonce, key_hash, clock_wall_ms(boot->ports.clock),
                        ret_list);
}

struct error *boot_collect_gpus(struct boot *boot, struct gpu_evidence_list *ret_list)
{
    *ret_list = (struct gpu_evidence_list){};
    return boot->ports.gpus ? told(boot, collect(boot, ret_list), "evidence of the GPUs") : NULL;
}

struct error *boot_allow_gpus(struct boot *boot)
{
    return boot->ports.gpus ? told(boot, gpus_allow(boot->ports.gpus), "let programs use the GPUs")
                            : NULL;
}
