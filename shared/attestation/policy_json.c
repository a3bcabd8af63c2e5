/* Reads a policy file: one row per member, as policy.schema.json describes them. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "shared/attestation/policy_read.h"
#include "shared/attestation/report_bits.h"
#include "shared/base/cleanup.h"
#include "shared/base/encode.h"

#define TEXT_MAX  256
#define NO_ANY    SIZE_MAX
#define HOUR_MS   (3600 * INT64_C(1000))
#define GRACE_MAX (24 * 366) /* hours */
#define VMPL_MAX  3
#define POLICY(m) offsetof(struct verify_policy, m)

static void *at(void *target, size_t offset)
{
    return (uint8_t *)target + offset;
}

struct error *policy_bad(const struct policy_context *c, const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not %s", c->where, what);
}

bool policy_is_word(const json_t *value, const char *word)
{
    return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

struct error *policy_read_object(const struct policy_context *c, const json_t *object,
                                 const struct policy_field *fields, size_t n_fields, void *target)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return policy_bad(c, "an object");
    json_object_foreach((json_t *)object, name, value)
    {
        const struct policy_context inner = {c->arena, name};
        size_t i = 0;

        while (i < n_fields && strcmp(fields[i].name, name) != 0)
            i++;
        if (i == n_fields)
            return error_new(ERROR_INVALID_ARGUMENT, "'%.64s' is not a member of '%s'", name,
                             c->where);
        struct error *err = fields[i].read(&inner, &fields[i], value, target);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *read_schema(const struct policy_context *c, const struct policy_field *field,
                                 const json_t *value, void *target)
{
    (void)field;
    (void)target;
    return policy_is_word(value, POLICY_SCHEMA) ? NULL : policy_bad(c, "'" POLICY_SCHEMA "'");
}

struct error *policy_read_text(const struct policy_context *c, const struct policy_field *field,
                               const json_t *value, void *target)
{
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > TEXT_MAX)
        return policy_bad(c, "a text");
    *(const char **)at(target, field->offset) = arena_strdup(c->arena, json_string_value(value));
    return NULL;
}

struct error *policy_read_word(const struct policy_context *c, const struct policy_field *field,
                               const json_t *value, void *target)
{
    for (int i = 0; i < 2; i++) {
        if (!policy_is_word(value, field->words[i]))
            continue;
        *(bool *)at(target, field->offset) = i;
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "'%s' is neither '%s' nor '%s'", c->where,
                     field->words[0], field->words[1]);
}

struct error *policy_get_number(const struct policy_context *c, const json_t *value, uint64_t max,
                                uint64_t *ret_number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a number up to %" PRIu64, c->where,
                         max);
    *ret_number = (uint64_t)json_integer_value(value);
    return NULL;
}

struct error *policy_read_u8(const struct policy_context *c, const struct policy_field *field,
                             const json_t *value, void *target)
{
    uint64_t number = 0;

    struct error *err = policy_get_number(c, value, UINT8_MAX, &number);
    *(uint8_t *)at(target, field->offset) = (uint8_t)number;
    return err;
}

static struct error *read_u32(const struct policy_context *c, const struct policy_field *field,
                              const json_t *value, void *target)
{
    uint64_t number = 0;

    struct error *err = policy_get_number(c, value, field->size, &number);
    *(uint32_t *)at(target, field->offset) = (uint32_t)number;
    return err;
}

static struct error *read_u64(const struct policy_context *c, const struct policy_field *field,
                              const json_t *value, void *target)
{
    return policy_get_number(c, value, INT64_MAX, at(target, field->offset));
}

static struct error *read_grace(const struct policy_context *c, const struct policy_field *field,
                                const json_t *value, void *target)
{
    uint64_t hours = 0;

    struct error *err = policy_get_number(c, value, GRACE_MAX, &hours);
    *(int64_t *)at(target, field->offset) = (int64_t)hours * HOUR_MS;
    return err;
}

/* One digest that is not all zero: zero is what stands where there is none. */
static struct error *get_digest(const struct policy_context *c, const json_t *value, uint8_t *ret,
                                size_t size)
{
    uint8_t any = 0;

    if (!json_is_string(value))
        return policy_bad(c, "hex digits");
    struct error *err = hex_decode(json_string_value(value), ret, size);
    if (err)
        return error_wrap(err, "'%s'", c->where);
    for (size_t i = 0; i < size; i++)
        any |= ret[i];
    return any ? NULL : error_new(ERROR_INVALID_ARGUMENT, "'%s' is all zero", c->where);
}

static struct error *read_digest(const struct policy_context *c, const struct policy_field *field,
                                 const json_t *value, void *target)
{
    if (field->any_offset != NO_ANY && policy_is_word(value, "any")) {
        *(bool *)at(target, field->any_offset) = true;
        return NULL;
    }
    uint8_t *digest = arena_alloc(c->arena, field->size);
    struct error *err = get_digest(c, value, digest, field->size);
    *(const uint8_t **)at(target, field->offset) = digest;
    return err;
}

struct error *policy_check_list(const struct policy_context *c, const json_t *value)
{
    size_t n = json_array_size(value);

    return n > 0 && n <= POLICY_LIST_MAX ? NULL : policy_bad(c, "a list of 1 to 1024");
}

static struct error *read_digests(const struct policy_context *c, const struct policy_field *field,
                                  const json_t *value, void *target)
{
    if (field->any_offset != NO_ANY && policy_is_word(value, "any")) {
        *(bool *)at(target, field->any_offset) = true;
        return NULL;
    }
    struct error *err = policy_check_list(c, value);
    if (err)
        return err;
    size_t n = json_array_size(value);
    uint8_t *digests = arena_alloc(c->arena, n * field->size);
    for (size_t i = 0; !err && i < n; i++)
        err = get_digest(c, json_array_get(value, i), digests + i * field->size, field->size);
    *(const uint8_t **)at(target, field->offset) = digests;
    *(size_t *)at(target, field->n_offset) = n;
    return err;
}

static struct error *read_versions(const struct policy_context *c, const struct policy_field *field,
                                   const json_t *value, void *target)
{
    uint32_t mask = 0;

    struct error *err = policy_check_list(c, value);
    for (size_t i = 0; !err && i < json_array_size(value); i++) {
        uint64_t version = 0;

        err = policy_get_number(c, json_array_get(value, i), 5, &version);
        if (!err && version != 2 && version != 3 && version != 5)
            return policy_bad(c, "a list of 2, 3 and 5");
        mask |= 1u << version;
    }
    *(uint32_t *)at(target, field->offset) = mask;
    return err;
}

/* "refuse", "any", or the clouds by their CSP_ID. */
static struct error *read_vlek(const struct policy_context *c, const struct policy_field *field,
                               const json_t *value, void *target)
{
    struct verify_policy *policy = target;

    (void)field;
    policy->accept_vlek = !policy_is_word(value, "refuse");
    policy->any_csp_id = policy_is_word(value, "any");
    if (json_is_string(value))
        return !policy->accept_vlek || policy->any_csp_id ? NULL
                                                          : policy_bad(c, "'refuse' or 'any'");
    struct error *err = policy_check_list(c, value);
    if (err)
        return err;
    policy->n_csp_ids = json_array_size(value);
    const char **ids = arena_alloc(c->arena, policy->n_csp_ids * sizeof(*ids));
    const struct policy_field row = {.offset = 0};
    for (size_t i = 0; !err && i < policy->n_csp_ids; i++)
        err = policy_read_text(c, &row, json_array_get(value, i), &ids[i]);
    policy->csp_ids = ids;
    return err;
}

static struct error *read_crl(const struct policy_context *c, const struct policy_field *field,
                              const json_t *value, void *target)
{
    bool soft = policy_is_word(value, "soft");

    (void)field;
    if (!soft && !policy_is_word(value, "required"))
        return policy_bad(c, "'required' or 'soft'");
    ((struct verify_policy *)target)->crl = soft ? POLICY_CRL_SOFT : POLICY_CRL_REQUIRED;
    return NULL;
}

static struct error *read_bits(const struct policy_context *c, const struct report_bit *bits,
                               size_t n_bits, const json_t *value, struct policy_bits *ret)
{
    const char *name;
    json_t *word;

    if (!json_is_object(value))
        return policy_bad(c, "an object");
    json_object_foreach((json_t *)value, name, word)
    {
        size_t i = 0;

        while (i < n_bits && strcmp(bits[i].name, name) != 0)
            i++;
        if (i == n_bits)
            return error_new(ERROR_INVALID_ARGUMENT, "'%.64s' is not a bit of '%s'", name,
                             c->where);
        uint64_t bit = UINT64_C(1) << bits[i].number;
        if (policy_is_word(word, "allow"))
            ret->allow |= bit;
        else if (policy_is_word(word, "forbid"))
            ret->forbid |= bit;
        else if (policy_is_word(word, "require"))
            ret->require |= bit;
        else
            return error_new(ERROR_INVALID_ARGUMENT,
                             "'%s' of '%s' is neither allow, forbid nor require", name, c->where);
    }
    return NULL;
}

static struct error *read_guest_policy(const struct policy_context *c,
                                       const struct policy_field *field, const json_t *value,
                                       void *target)
{
    size_t n;
    const struct report_bit *bits = report_policy_bits(&n);

    return read_bits(c, bits, n, value, at(target, field->offset));
}

static struct error *read_platform_info(const struct policy_context *c,
                                        const struct policy_field *field, const json_t *value,
                                        void *target)
{
    size_t n;
    const struct report_bit *bits = report_platform_bits(&n);

    return read_bits(c, bits, n, value, at(target, field->offset));
}

/* "1.55.21": numbers of one byte, and nothing else. */
static struct error *get_dotted(const struct policy_context *c, const json_t *value, int n,
                                uint8_t *const ret[])
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";

    for (int i = 0; i < n; i++) {
        unsigned int number = 0;
        size_t digits = strspn(text, "0123456789");

        if (digits < 1 || digits > 3 || sscanf(text, "%3u", &number) != 1 || number > UINT8_MAX ||
            text[digits] != (i + 1 < n ? '.' : '\0'))
            return policy_bad(c, n == 2 ? "a version like '1.55'" : "a version like '1.55.21'");
        *ret[i] = (uint8_t)number;
        text += digits + 1;
    }
    return NULL;
}

static struct error *read_abi(const struct policy_context *c, const struct policy_field *field,
                              const json_t *value, void *target)
{
    struct verify_policy *policy = target;
    uint8_t *const parts[] = {&policy->abi_major, &policy->abi_minor};

    (void)field;
    return get_dotted(c, value, 2, parts);
}

static struct error *read_firmware(const struct policy_context *c, const struct policy_field *field,
                                   const json_t *value, void *target)
{
    struct policy_firmware *firmware = at(target, field->offset);
    uint8_t *const parts[] = {&firmware->major, &firmware->minor, &firmware->build};

    return get_dotted(c, value, 3, parts);
}

static struct error *read_mitigations(const struct policy_context *c,
                                      const struct policy_field *field, const json_t *value,
                                      void *target)
{
    static const struct policy_field fields[] = {
        {.name = "launch", .read = read_u64, .offset = POLICY(launch_mitigations)},
        {.name = "current", .read = read_u64, .offset = POLICY(current_mitigations)},
    };

    (void)field;
    return policy_read_object(c, value, fields, ELEMENTSOF(fields), target);
}

#define ACCEPT(text, m)                                                                            \
    {                                                                                              \
        .name = (text), .read = policy_read_word, .offset = POLICY(m), .words = {                  \
            "refuse",                                                                              \
            "accept"                                                                               \
        }                                                                                          \
    }
#define DIGEST(text, m, any, bytes)                                                                \
    {                                                                                              \
        .name = (text), .read = read_digest, .offset = POLICY(m), .any_offset = (any),             \
        .size = (bytes)                                                                            \
    }
#define DIGESTS(text, m, any, bytes)                                                               \
    {                                                                                              \
        .name = (text), .read = read_digests, .offset = POLICY(m), .n_offset = POLICY(n_##m),      \
        .any_offset = (any), .size = (bytes)                                                       \
    }

static const struct policy_field fields[] = {
    {.name = "schema", .read = read_schema},
    {.name = "name", .read = policy_read_text, .offset = POLICY(name)},
    DIGEST("report_data", report_data, NO_ANY, 64),
    DIGEST("host_data", host_data, POLICY(any_host_data), 32),
    DIGESTS("measurements", measurements, POLICY(any_measurement), 48),
    {.name = "image", .read = policy_read_text, .offset = POLICY(image_version)},
    DIGESTS("chip_ids", chip_ids, POLICY(any_chip_id), 64),
    DIGESTS("denied_chip_ids", denied_chip_ids, NO_ANY, 64),
    {.name = "vmpl", .read = read_u32, .offset = POLICY(vmpl), .size = VMPL_MAX},
    {.name = "report_versions", .read = read_versions, .offset = POLICY(report_versions)},
    ACCEPT("unknown_versions", accept_unknown_versions),
    ACCEPT("reserved", accept_reserved),
    {.name = "vlek", .read = read_vlek},
    ACCEPT("masked_chip", accept_masked_chip),
    {.name = "crl", .read = read_crl},
    {.name = "crl_grace_hours", .read = read_grace, .offset = POLICY(crl_grace_ms)},
    {.name = "guest_policy", .read = read_guest_policy, .offset = POLICY(guest_policy)},
    {.name = "platform_info", .read = read_platform_info, .offset = POLICY(platform_info)},
    {.name = "unknown_bits",
     .read = policy_read_word,
     .offset = POLICY(refuse_unknown_bits),
     .words = {"show", "refuse"}},
    ACCEPT("migration_agent", accept_migration_agent),
    {.name = "abi_minimum", .read = read_abi},
    {.name = "minimum_tcb", .read = policy_read_minimums},
    {.name = "minimum_firmware", .read = read_firmware, .offset = POLICY(firmware)},
    ACCEPT("provisional_firmware", accept_provisional_firmware),
    DIGESTS("id_keys", id_keys, NO_ANY, 48),
    DIGESTS("author_keys", author_keys, NO_ANY, 48),
    {.name = "guest_svn_minimum",
     .read = read_u32,
     .offset = POLICY(guest_svn),
     .size = UINT32_MAX},
    {.name = "mitigations", .read = read_mitigations},
    {.name = "gpus", .read = policy_read_gpus, .offset = POLICY(gpus)},
};

struct error *policy_parse(const char *text, size_t size, struct arena *arena,
                           struct verify_policy *ret_policy)
{
    const struct policy_context c = {arena, "policy"};
    struct verify_policy policy = {};
    json_error_t where;

    if (size > POLICY_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "policy: more than %d bytes", POLICY_MAX);
    json_auto_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_new(ERROR_INVALID_ARGUMENT, "policy: line %d: %s", where.line, where.text);
    if (!json_object_get(root, "schema"))
        return error_new(ERROR_INVALID_ARGUMENT, "policy: 'schema' is missing");
    struct error *err = policy_read_object(&c, root, fields, ELEMENTSOF(fields), &policy);
    if (!err && policy.guest_svn > 0 && policy.n_id_keys == 0)
        err = error_new(ERROR_INVALID_ARGUMENT,
                        "'guest_svn_minimum' means nothing without 'id_keys'");
    if (!err)
        *ret_policy = policy;
    return error_wrap(err, "policy");
}
