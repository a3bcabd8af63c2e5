/* "gpus": what the evidence of GPUs must show. Only read here: shared/nvidia judges by it. */
#include "shared/attestation/policy_read.h"
#include "shared/base/cleanup.h"

#define GPUS(m) offsetof(struct policy_gpus, m)
#define ACCEPT(text, m)                                                                            \
    {                                                                                              \
        .name = (text), .read = policy_read_word, .offset = GPUS(m), .words = {                    \
            "refuse",                                                                              \
            "accept"                                                                               \
        }                                                                                          \
    }

static struct error *read_count(const struct policy_context *c, const struct policy_field *field,
                                const json_t *value, void *target)
{
    struct policy_gpus *gpus = target;
    uint64_t count = 0;

    (void)field;
    struct error *err = policy_get_number(c, value, POLICY_GPUS_MAX, &count);
    gpus->has_count = err == NULL;
    gpus->count = (uint32_t)count;
    return err;
}

struct error *policy_read_gpus(const struct policy_context *c, const struct policy_field *field,
                               const json_t *value, void *target)
{
    static const struct policy_field fields[] = {
        {.name = "count", .read = read_count},
        ACCEPT("expired_rims", accept_expired_rims),
        ACCEPT("unnamed_firmware", accept_unnamed_firmware),
        ACCEPT("unknown_revocation", accept_unknown_revocation),
    };

    return policy_read_object(c, value, fields, ELEMENTSOF(fields),
                              (uint8_t *)target + field->offset);
}
