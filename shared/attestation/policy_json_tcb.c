/* The minimum firmware levels of a policy file. */
#include "shared/attestation/policy_read.h"
#include "shared/base/cleanup.h"

#define FAMILY_TURIN 0x1a

#define TCB_LEVEL    offsetof(struct policy_minimum, levels)
#define MINIMUM(m)   offsetof(struct policy_minimum, m)

static const char *const level_names[POLICY_LEVELS] = {
    [POLICY_REPORTED] = "reported",
    [POLICY_COMMITTED] = "committed",
    [POLICY_CURRENT] = "current",
    [POLICY_LAUNCH] = "launch",
};

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

    /* a part that is left out would be a minimum of 0, which nobody said */
    for (size_t i = 1; i < ELEMENTSOF(components); i++)
        if (!json_object_get(value, components[i].name))
            return policy_bad(c, "complete: 'bootloader', 'tee', 'snp' and 'microcode'");
    return policy_read_object(c, value, components, ELEMENTSOF(components),
                              at(target, field->offset));
}

/* Turin and later have a part more. A level that is not given is that of the reported one. */
static struct error *complete_levels(const struct policy_context *c, const json_t *value,
                                     struct policy_minimum *minimum)
{
    for (size_t i = 0; i < POLICY_LEVELS; i++) {
        const json_t *level = json_object_get(value, level_names[i]);

        if (!level)
            minimum->levels[i] = minimum->levels[POLICY_REPORTED];
        else if (minimum->family >= FAMILY_TURIN && !json_object_get(level, "fmc"))
            return policy_bad(c, "complete: this family has 'fmc' too");
    }
    return NULL;
}

static struct error *read_minimum(const struct policy_context *c, const json_t *value,
                                  struct policy_minimum *minimum)
{
#define LEVEL(i)                                                                                   \
    {                                                                                              \
        .name = level_names[i], .read = read_level,                                                \
        .offset = TCB_LEVEL + (i) * sizeof(struct snp_tcb)                                         \
    }
    const struct policy_field fields[] = {
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
        LEVEL(POLICY_REPORTED),
        LEVEL(POLICY_COMMITTED),
        LEVEL(POLICY_CURRENT),
        LEVEL(POLICY_LAUNCH),
    };

    minimum->basis = "";
    minimum->last_stepping = UINT8_MAX;
    if (!json_object_get(value, "family") || !json_object_get(value, "models") ||
        !json_object_get(value, "reported"))
        return policy_bad(c, "complete: each entry has 'family', 'models' and 'reported'");
    struct error *err = policy_read_object(c, value, fields, ELEMENTSOF(fields), minimum);
    return err ? err : complete_levels(c, value, minimum);
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
