/* The minimum firmware levels of a policy file. */
#include "shared/attestation/policy_read.h"
#include "shared/base/cleanup.h"

#define TCB_LEVEL  offsetof(struct policy_minimum, levels)
#define MINIMUM(m) offsetof(struct policy_minimum, m)

static void *at(void *target, size_t offset)
{
    return (uint8_t *)target + offset;
}

/* [first, last], both included. */
static struct error *read_range(const struct policy_context *c, const struct policy_field *field,
                                const json_t *value, void *target)
{
    uint64_t first = 0, last = 0;

    if (json_array_size(value) != 2)
        return policy_bad(c, "a pair of first and last");
    struct error *err = policy_get_number(c, json_array_get(value, 0), UINT8_MAX, &first);
    if (!err)
        err = policy_get_number(c, json_array_get(value, 1), UINT8_MAX, &last);
    if (!err && first > last)
        return policy_bad(c, "a pair of first and last");
    *(uint8_t *)at(target, field->offset) = (uint8_t)first;
    *(uint8_t *)at(target, field->n_offset) = (uint8_t)last;
    return err;
}

static struct error *read_level(const struct policy_context *c, const struct policy_field *field,
                                const json_t *value, void *target)
{
#define COMPONENT(m)                                                                               \
    {                                                                                              \
        .name = #m, .read = policy_read_u8, .offset = offsetof(struct snp_tcb, m)                  \
    }
    static const struct policy_field components[] = {
        COMPONENT(fmc), COMPONENT(bootloader), COMPONENT(tee), COMPONENT(snp), COMPONENT(microcode),
    };

    return policy_read_object(c, value, components, ELEMENTSOF(components),
                              at(target, field->offset));
}

static struct error *read_minimum(const struct policy_context *c, const json_t *value,
                                  struct policy_minimum *minimum)
{
#define LEVEL(text, i)                                                                             \
    {                                                                                              \
        .name = (text), .read = read_level, .offset = TCB_LEVEL + (i) * sizeof(struct snp_tcb)     \
    }
    static const struct policy_field fields[] = {
        {.name = "family", .read = policy_read_u8, .offset = MINIMUM(family)},
        {.name = "models",
         .read = read_range,
         .offset = MINIMUM(first_model),
         .n_offset = MINIMUM(last_model)},
        {.name = "steppings",
         .read = read_range,
         .offset = MINIMUM(first_stepping),
         .n_offset = MINIMUM(last_stepping)},
        {.name = "basis", .read = policy_read_text, .offset = MINIMUM(basis)},
        LEVEL("reported", POLICY_REPORTED),
        LEVEL("committed", POLICY_COMMITTED),
        LEVEL("current", POLICY_CURRENT),
        LEVEL("launch", POLICY_LAUNCH),
    };

    minimum->basis = "";
    minimum->last_stepping = UINT8_MAX;
    if (!json_object_get(value, "family") || !json_object_get(value, "models") ||
        !json_object_get(value, "reported"))
        return policy_bad(c, "complete: each entry has 'family', 'models' and 'reported'");
    return policy_read_object(c, value, fields, ELEMENTSOF(fields), minimum);
}

struct error *policy_read_minimums(const struct policy_context *c, const struct policy_field *field,
                                   const json_t *value, void *target)
{
    struct verify_policy *policy = target;

    (void)field;
    if (policy_is_word(value, "any")) {
        policy->any_tcb = true;
        return NULL;
    }
    struct error *err = policy_check_list(c, value);
    if (err)
        return err;
    policy->n_minimums = json_array_size(value);
    struct policy_minimum *minimums =
        arena_alloc(c->arena, policy->n_minimums * sizeof(struct policy_minimum));
    for (size_t i = 0; !err && i < policy->n_minimums; i++)
        err = read_minimum(c, json_array_get(value, i), &minimums[i]);
    policy->minimums = minimums;
    return err;
}
