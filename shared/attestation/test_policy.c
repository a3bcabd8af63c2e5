/* Policy files: what is read, what is refused, and that the schema tells the same story. */
#include "shared/attestation/test_attest.h"

#include <jansson.h>
#include <string.h>

#include "shared/attestation/report_bits.h"
#include "shared/attestation/verifier.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/file.h"

#define SCHEMA_PATH "shared/attestation/policy.schema.json" /* tests run at the top */
#define H32         "0101010101010101010101010101010101010101010101010101010101010101"
#define H48         H32 "01010101010101010101010101010101"
#define H64         H32 H32
#define ZERO48                                                                                     \
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" \
    "0000"
#define WITH(member) "{\"schema\":\"coffer.policy/v1\"," member "}"
#define PARTS(snp)   "\"bootloader\":1,\"tee\":2,\"snp\":" snp ",\"microcode\":5"
#define LEVEL(snp)   "{" PARTS(snp) "}"
#define ENTRY        "{\"family\":25,\"models\":[1,2],\"reported\":" LEVEL("24") "}"

static struct error *parse(const char *text, struct arena *arena, struct verify_policy *ret)
{
    return policy_parse(text, strlen(text), arena, ret);
}

static void an_empty_policy_is_the_strict_default(void **state)
{
    (void)state;
    static const struct verify_policy zero;
    struct verify_policy policy;
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    memset(&policy, 0xaa, sizeof(policy));
    expect_ok(parse("{\"schema\":\"coffer.policy/v1\"}", arena, &policy));
    assert_memory_equal(&policy, &zero, sizeof(zero));
}

static const char full[] = WITH(
    "\"name\":\"ours\",\"report_data\":\"" H64 "\",\"host_data\":\"" H32 "\","
    "\"measurements\":[\"" H48 "\"],\"image\":\"1.2.3\",\"chip_ids\":[\"" H64 "\",\"" H64 "\"],"
    "\"denied_chip_ids\":[\"" H64 "\"],\"vmpl\":2,\"report_versions\":[2,5],"
    "\"unknown_versions\":\"accept\",\"reserved\":\"accept\",\"vlek\":[\"CN=cloud\"],"
    "\"masked_chip\":\"accept\",\"crl\":\"soft\",\"crl_grace_hours\":2,"
    "\"guest_policy\":{\"debug\":\"allow\",\"smt\":\"forbid\",\"single_socket\":\"require\"},"
    "\"platform_info\":{\"alias_check_complete\":\"allow\",\"ecc_en\":\"require\"},"
    "\"unknown_bits\":\"refuse\",\"migration_agent\":\"accept\",\"abi_minimum\":\"1.55\","
    "\"minimum_tcb\":[{\"family\":25,\"models\":[1,2],\"steppings\":[3,4],\"basis\":\"SB\","
    "\"reported\":{\"fmc\":1,\"bootloader\":2,\"tee\":3,\"snp\":4,\"microcode\":5},"
    "\"committed\":" LEVEL("6") ",\"current\":" LEVEL("7") ",\"launch\":" LEVEL(
        "8") "}],"
             "\"minimum_firmware\":\"1.55.21\",\"provisional_firmware\":\"accept\","
             "\"id_keys\":[\"" H48 "\"],\"author_keys\":[\"" H48 "\"],\"guest_svn_minimum\":9,"
             "\"mitigations\":{\"launch\":3,\"current\":4},"
             "\"gpus\":{\"count\":8,\"expired_rims\":\"accept\",\"unnamed_firmware\":\"accept\","
             "\"unknown_revocation\":\"accept\"}");

static void check_values(const struct verify_policy *policy)
{
    assert_string_equal(policy->name, "ours");
    assert_int_equal(policy->report_data[63], 1);
    assert_int_equal(policy->host_data[31], 1);
    assert_int_equal(policy->n_measurements, 1);
    assert_int_equal(policy->measurements[0][47], 1);
    assert_string_equal(policy->image_version, "1.2.3");
    assert_int_equal(policy->n_chip_ids, 2);
    assert_int_equal(policy->chip_ids[1][63], 1);
    assert_int_equal(policy->n_denied_chip_ids, 1);
    assert_int_equal(policy->vmpl, 2);
    assert_int_equal(policy->report_versions, 1 << 2 | 1 << 5);
    assert_true(policy->accept_unknown_versions && policy->accept_reserved);
    assert_true(policy->accept_vlek && !policy->any_csp_id);
    assert_int_equal(policy->n_csp_ids, 1);
    assert_string_equal(policy->csp_ids[0], "CN=cloud");
    assert_false(policy->any_host_data || policy->any_measurement || policy->any_chip_id);
}

static void check_switches(const struct verify_policy *policy)
{
    assert_true(policy->accept_masked_chip && policy->refuse_unknown_bits);
    assert_true(policy->accept_migration_agent && policy->accept_provisional_firmware);
    assert_int_equal(policy->crl, POLICY_CRL_SOFT);
    assert_int_equal(policy->crl_grace_ms, 7200000);
    assert_int_equal(policy->guest_policy.allow, 1 << 19);
    assert_int_equal(policy->guest_policy.forbid, 1 << 16);
    assert_int_equal(policy->guest_policy.require, 1 << 20);
    assert_int_equal(policy->platform_info.allow, 1 << 5);
    assert_int_equal(policy->platform_info.require, 1 << 2);
    assert_int_equal(policy->abi_major << 8 | policy->abi_minor, 1 << 8 | 55);
    assert_int_equal(policy->firmware.major, 1);
    assert_int_equal(policy->firmware.minor, 55);
    assert_int_equal(policy->firmware.build, 21);
    assert_int_equal(policy->n_id_keys, 1);
    assert_int_equal(policy->n_author_keys, 1);
    assert_int_equal(policy->guest_svn, 9);
    assert_int_equal(policy->launch_mitigations, 3);
    assert_int_equal(policy->current_mitigations, 4);
}

static void check_gpus(const struct policy_gpus *gpus)
{
    assert_true(gpus->has_count);
    assert_int_equal(gpus->count, 8);
    assert_true(gpus->accept_expired_rims && gpus->accept_unnamed_firmware);
    assert_true(gpus->accept_unknown_revocation);
}

static void check_minimum(const struct policy_minimum *minimum)
{
    static const uint8_t levels[] = {1, 2, 3, 4, 5};

    assert_int_equal(minimum->family, 25);
    assert_int_equal(minimum->first_model, 1);
    assert_int_equal(minimum->last_model, 2);
    assert_int_equal(minimum->first_stepping, 3);
    assert_int_equal(minimum->last_stepping, 4);
    assert_string_equal(minimum->basis, "SB");
    assert_memory_equal(&minimum->levels[POLICY_REPORTED], levels, sizeof(levels));
    assert_int_equal(minimum->levels[POLICY_COMMITTED].snp, 6);
    assert_int_equal(minimum->levels[POLICY_CURRENT].snp, 7);
    assert_int_equal(minimum->levels[POLICY_LAUNCH].snp, 8);
}

static void every_member_is_read(void **state)
{
    (void)state;
    struct verify_policy policy;
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    expect_ok(parse(full, arena, &policy));
    check_values(&policy);
    check_switches(&policy);
    check_gpus(&policy.gpus);
    assert_int_equal(policy.n_minimums, 1);
    check_minimum(&policy.minimums[0]);
}

static void any_is_a_word(void **state)
{
    (void)state;
    struct verify_policy policy;
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    expect_ok(parse(WITH("\"host_data\":\"any\",\"measurements\":\"any\",\"chip_ids\":\"any\","
                         "\"vlek\":\"any\",\"minimum_tcb\":\"any\""),
                    arena, &policy));
    assert_true(policy.any_host_data && policy.any_measurement && policy.any_chip_id);
    assert_true(policy.accept_vlek && policy.any_csp_id && policy.any_tcb);
    expect_ok(parse(WITH("\"vlek\":\"refuse\""), arena, &policy));
    assert_false(policy.accept_vlek || policy.any_csp_id);
}

/* Each member by itself changes what it names and nothing else. */
static void gpus_are_strict_member_by_member(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        struct policy_gpus expected;
    } rows[] = {
        {"", {0}},
        {"\"count\":0", {.has_count = true}},
        {"\"count\":16", {.has_count = true, .count = 16}},
        {"\"expired_rims\":\"accept\"", {.accept_expired_rims = true}},
        {"\"unnamed_firmware\":\"accept\"", {.accept_unnamed_firmware = true}},
        {"\"unknown_revocation\":\"accept\"", {.accept_unknown_revocation = true}},
        {"\"expired_rims\":\"refuse\",\"unnamed_firmware\":\"refuse\"", {0}},
    };
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *text = xasprintf(WITH("\"gpus\":{%s}"), rows[i].member);
        struct verify_policy policy, expected = {.gpus = rows[i].expected};

        expect_ok(parse(text, arena, &policy));
        assert_memory_equal(&policy, &expected, sizeof(policy));
    }
}

static const char *const bad_policies[] = {
    "",
    "[]",
    "{}",
    "null",
    "{\"schema\":\"coffer.policy/v2\"}",
    "{\"schema\":1}",
    "{\"schema\":\"coffer.policy/v1\"} x",
    "{\"schema\":\"coffer.policy/v1\",\"schema\":\"coffer.policy/v1\"}",
    WITH("\"debug\":true"),
    WITH("\"vmpl\":1,\"vmpl\":1"),
    WITH("\"Vmpl\":1"),
    WITH("\"name\":\"\""),
    WITH("\"name\":1"),
    WITH("\"name\":\"a\\u0000b\""),
    WITH("\"report_data\":\"any\""),
    WITH("\"report_data\":\"" H32 "\""),
    WITH("\"host_data\":null"),
    WITH("\"host_data\":\"ANY\""),
    WITH("\"host_data\":\"" H48 "\""),
    WITH("\"host_data\":\"0x" H32 "\""),
    WITH("\"host_data\":[\"" H32 "\"]"),
    WITH("\"measurements\":[]"),
    WITH("\"measurements\":\"" H48 "\""),
    WITH("\"measurements\":[\"" ZERO48 "\"]"),
    WITH("\"measurements\":[\"any\"]"),
    WITH("\"measurements\":[\"" H32 "\"]"),
    WITH("\"measurements\":[1]"),
    WITH("\"measurements\":{}"),
    WITH("\"chip_ids\":[]"),
    WITH("\"denied_chip_ids\":\"any\""),
    WITH("\"denied_chip_ids\":[]"),
    WITH("\"vmpl\":4"),
    WITH("\"vmpl\":-1"),
    WITH("\"vmpl\":1.0"),
    WITH("\"vmpl\":\"0\""),
    WITH("\"report_versions\":[]"),
    WITH("\"report_versions\":[4]"),
    WITH("\"report_versions\":[6]"),
    WITH("\"report_versions\":5"),
    WITH("\"unknown_versions\":true"),
    WITH("\"unknown_versions\":\"yes\""),
    WITH("\"vlek\":[]"),
    WITH("\"vlek\":\"accept\""),
    WITH("\"vlek\":[\"\"]"),
    WITH("\"vlek\":true"),
    WITH("\"crl\":\"ignore\""),
    WITH("\"crl_grace_hours\":9000"),
    WITH("\"crl_grace_hours\":-1"),
    WITH("\"guest_policy\":{\"debugging\":\"forbid\"}"),
    WITH("\"guest_policy\":{\"debug\":false}"),
    WITH("\"guest_policy\":[]"),
    WITH("\"platform_info\":{\"debug\":\"forbid\"}"),
    WITH("\"unknown_bits\":\"accept\""),
    WITH("\"abi_minimum\":\"1\""),
    WITH("\"abi_minimum\":\"1.256\""),
    WITH("\"abi_minimum\":\"1.55.1\""),
    WITH("\"abi_minimum\":\"1.-5\""),
    WITH("\"abi_minimum\":\" 1.5\""),
    WITH("\"abi_minimum\":1.55"),
    WITH("\"abi_minimum\":\"1.0055\""),
    WITH("\"minimum_firmware\":\"1.55\""),
    WITH("\"minimum_tcb\":[]"),
    WITH("\"minimum_tcb\":[{}]"),
    WITH("\"minimum_tcb\":{}"),
    WITH("\"minimum_tcb\":[{\"models\":[1,2],\"reported\":" LEVEL("4") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"reported\":" LEVEL("4") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[1,2]}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[2,1],\"reported\":" LEVEL("4") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[1],\"reported\":" LEVEL("4") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":256,\"models\":[1,2],\"reported\":" LEVEL("4") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[1,2],\"reported\":{\"ucode\":1}}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[1,2],\"reported\":" LEVEL("256") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[1,2],\"reported\":" LEVEL("4") ",\"x\":1}]"),
    WITH("\"minimum_tcb\":[" ENTRY ",1]"),
    WITH("\"id_keys\":\"any\""),
    WITH("\"id_keys\":[]"),
    WITH("\"id_keys\":[\"" ZERO48 "\"]"),
    WITH("\"author_keys\":[]"),
    WITH("\"guest_svn_minimum\":1"),
    WITH("\"guest_svn_minimum\":4294967296"),
    WITH("\"mitigations\":{\"launch\":-1}"),
    WITH("\"mitigations\":{\"later\":1}"),
    WITH("\"mitigations\":1"),
    WITH("\"gpus\":1"),
    WITH("\"gpus\":[]"),
    WITH("\"gpus\":\"any\""),
    WITH("\"gpus\":{\"number\":1}"),
    WITH("\"gpus\":{\"vmpl\":1}"),
    WITH("\"gpus\":{\"count\":17}"),
    WITH("\"gpus\":{\"count\":-1}"),
    WITH("\"gpus\":{\"count\":1.0}"),
    WITH("\"gpus\":{\"count\":\"any\"}"),
    WITH("\"gpus\":{\"count\":1,\"count\":1}"),
    WITH("\"gpus\":{\"expired_rims\":true}"),
    WITH("\"gpus\":{\"expired_rims\":\"allow\"}"),
    WITH("\"gpus\":{\"unnamed_firmware\":\"show\"}"),
    WITH("\"gpus\":{\"unknown_revocation\":\"soft\"}"),
    WITH("\"gpus\":{\"unknown_revocation\":null}"),
    /* the bad one is not the last */
    WITH("\"report_versions\":[\"3\",3]"),
    WITH("\"report_versions\":[4,3]"),
    WITH("\"report_versions\":[3,4]"),
    WITH("\"measurements\":[\"00\",\"" H48 "\"]"),
    WITH("\"measurements\":[\"" H48 "\",\"" ZERO48 "\"]"),
    WITH("\"measurements\":[\"" H32 "010101010101010101010101010101zz\"]"),
    WITH("\"host_data\":\"01010101010101010101010101010101010101010101010101010101010101zz\""),
    WITH("\"vlek\":[1,\"CN=x\"]"),
    WITH("\"vlek\":[\"\",\"CN=x\"]"),
    WITH("\"minimum_tcb\":[1," ENTRY "]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[1,2,3],\"reported\":" LEVEL("4") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[\"1\",2],\"reported\":" LEVEL("4") "}]"),
    WITH("\"minimum_tcb\":[{\"family\":25,\"models\":[1,\"2\"],\"reported\":" LEVEL("4") "}]"),
    WITH("\"name\":5"),
    WITH("\"name\":\"\""),
    WITH("\"vmpl\":-1"),
    WITH("\"crl\":\"hard\""),
    WITH("\"roots\":1"),
    WITH("\"at_ms\":1"),
};

static void bad_policies_are_refused(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    for (size_t i = 0; i < ELEMENTSOF(bad_policies); i++) {
        struct verify_policy policy = {.vmpl = 77};

        struct error *err = parse(bad_policies[i], arena, &policy);
        if (!err)
            fail_msg("accepted: %s", bad_policies[i]);
        expect_code(err, ERROR_INVALID_ARGUMENT);
        assert_int_equal(policy.vmpl, 77); /* untouched on failure */
    }
}

/* A part that is left out would be a minimum of 0, which nobody said. */
static void a_minimum_without_components_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"25", "", ""},
        {"25", "\"tee\":1,\"snp\":1,\"microcode\":1", ""},
        {"25", "\"bootloader\":1,\"snp\":1,\"microcode\":1", ""},
        {"25", "\"bootloader\":1,\"tee\":1,\"microcode\":1", ""},
        {"25", "\"bootloader\":1,\"tee\":1,\"snp\":1", ""},
        {"26", "\"bootloader\":1,\"tee\":1,\"snp\":1,\"microcode\":1", ""},
        {"25", PARTS("1"), ",\"committed\":{}"},
        {"25", PARTS("1"), ",\"current\":{\"snp\":1}"},
        {"26", "\"fmc\":1," PARTS("1"), ",\"launch\":" LEVEL("1")},
    };
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_free_ char *text =
            xasprintf("{\"schema\":\"coffer.policy/v1\",\"minimum_tcb\":[{\"family\":%s,"
                      "\"models\":[0,255],\"reported\":{%s}%s}]}",
                      bad[i][0], bad[i][1], bad[i][2]);
        struct verify_policy policy;

        expect_code(parse(text, arena, &policy), ERROR_INVALID_ARGUMENT);
    }
}

static void absent_levels_take_the_reported_minimum(void **state)
{
    (void)state;
    static const char text[] =
        WITH("\"minimum_tcb\":[{\"family\":26,\"models\":[0,255],\"reported\":{"
             "\"fmc\":3," PARTS("7") "},\"launch\":{\"fmc\":2," PARTS("6") "}}]");
    static const struct snp_tcb reported = {3, 1, 2, 7, 5}, launch = {2, 1, 2, 6, 5};
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct verify_policy policy;

    expect_ok(parse(text, arena, &policy));
    const struct snp_tcb *levels = policy.minimums[0].levels;
    assert_true(snp_tcb_equal(&levels[POLICY_REPORTED], &reported));
    assert_true(snp_tcb_equal(&levels[POLICY_COMMITTED], &reported));
    assert_true(snp_tcb_equal(&levels[POLICY_CURRENT], &reported));
    assert_true(snp_tcb_equal(&levels[POLICY_LAUNCH], &launch));
}

/* AMD-SB-3019 (CVE-2024-56161) and AMD-SB-7033 (CVE-2024-36347): below these patches forged
 * microcode can be loaded. The last byte of a patch is its level. */
static void default_minimums_exclude_microcode_forgery(void **state)
{
    (void)state;
    static const struct {
        uint8_t family, model, stepping, snp;
        uint32_t patch;
    } fixed[] = {
        {0x19, 0x01, 1, 0x18, 0x0a0011db}, {0x19, 0x01, 2, 0x18, 0x0a001244},
        {0x19, 0x11, 1, 0x17, 0x0a101154}, {0x19, 0x11, 2, 0x17, 0x0a10124f},
        {0x19, 0xa0, 2, 0x17, 0x0aa00219}, {0x1a, 0x02, 1, 0, 0x0b002147},
        {0x1a, 0x11, 0, 0, 0x0b101047},
    };
    size_t n;
    const struct policy_minimum *minimums = policy_default_minimums(&n);

    for (size_t i = 0; i < ELEMENTSOF(fixed); i++) {
        size_t covering = 0;

        for (size_t k = 0; k < n; k++) {
            const struct policy_minimum *m = &minimums[k];

            if (m->family != fixed[i].family || fixed[i].model < m->first_model ||
                m->last_model < fixed[i].model || fixed[i].stepping < m->first_stepping ||
                m->last_stepping < fixed[i].stepping)
                continue;
            covering++;
            for (size_t level = 0; level < POLICY_LEVELS; level++) {
                assert_in_range(m->levels[level].microcode, fixed[i].patch & 0xff, 255);
                assert_in_range(m->levels[level].snp, fixed[i].snp, 255);
            }
        }
        assert_int_equal(covering, 1);
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    struct verify_policy policy;
    _cleanup_buffer_ struct buffer text = {};
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    buffer_add_text(&text, "{\"schema\":\"coffer.policy/v1\",\"minimum_tcb\":[");
    for (int i = 0; i < POLICY_LIST_MAX; i++)
        buffer_add_text(&text, ENTRY ",");
    buffer_add_text(&text, ENTRY "]}");
    expect_code(policy_parse(buffer_text(&text), text.size, arena, &policy),
                ERROR_INVALID_ARGUMENT);
    while (text.size <= POLICY_MAX)
        buffer_add_text(&text, "                                                                ");
    expect_code(policy_parse(buffer_text(&text), text.size, arena, &policy),
                ERROR_INVALID_ARGUMENT);
}

static void words_and_sizes_have_limits(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct verify_policy policy;

    expect_ok(parse(WITH("\"report_versions\":[3]"), arena, &policy));
    assert_int_equal(policy.report_versions, 1u << 3);
    expect_ok(parse(WITH("\"crl\":\"required\""), arena, &policy));
    assert_int_equal(policy.crl, POLICY_CRL_REQUIRED);
    expect_ok(parse(WITH("\"crl\":\"soft\""), arena, &policy));
    assert_int_equal(policy.crl, POLICY_CRL_SOFT);
    for (size_t more = 0; more < 2; more++) {
        _cleanup_buffer_ struct buffer name = {}, large = {};

        buffer_add_text(&name, "{\"schema\":\"coffer.policy/v1\",\"name\":\"");
        for (size_t i = 0; i < 256 + more; i++)
            buffer_add_u8(&name, 'a');
        buffer_add_text(&name, "\"}");
        expect_code(parse(buffer_text(&name), arena, &policy),
                    more ? ERROR_INVALID_ARGUMENT : ERROR_OK);
        buffer_add_text(&large, "{\"schema\":\"coffer.policy/v1\"}");
        while (large.size < POLICY_MAX + more)
            buffer_add_u8(&large, '\n');
        expect_code(policy_parse(buffer_text(&large), large.size, arena, &policy),
                    more ? ERROR_INVALID_ARGUMENT : ERROR_OK);
    }
}

static void named_policies_say_what_they_give_up(void **state)
{
    (void)state;
    static const struct verify_policy zero;
    struct verify_policy policy;

    expect_ok(policy_named("strict", &policy));
    assert_string_equal(policy.name, "strict");
    assert_null(policy.gives_up);
    policy.name = NULL;
    assert_memory_equal(&policy, &zero, sizeof(zero));
    expect_ok(policy_named("nilcc", &policy));
    assert_int_equal(policy.vmpl, 1);
    assert_true(policy.any_host_data && policy.any_chip_id && policy.crl == POLICY_CRL_SOFT);
    size_t n = 0;
    while (policy.gives_up[n])
        n++;
    assert_int_equal(n, 5);
    expect_code(policy_named("", &policy), ERROR_NOT_FOUND);
    expect_code(policy_named("Strict", &policy), ERROR_NOT_FOUND);
}

static json_t *member(json_t *schema, const char *name)
{
    return json_object_get(json_object_get(schema, "properties"), name);
}

static void expect_bits(json_t *schema, const char *name, const struct report_bit *bits, size_t n)
{
    json_t *properties = json_object_get(member(schema, name), "properties");

    assert_int_equal(json_object_size(properties), n);
    for (size_t i = 0; i < n; i++)
        assert_non_null(json_object_get(properties, bits[i].name));
}

static void expect_gpus(json_t *schema, json_t *policy)
{
    json_t *properties = json_object_get(member(schema, "gpus"), "properties");
    const char *name;
    json_t *value;

    assert_int_equal(json_object_size(properties),
                     json_object_size(json_object_get(policy, "gpus")));
    json_object_foreach(json_object_get(policy, "gpus"), name, value)
        assert_non_null(json_object_get(properties, name));
    value = json_object_get(properties, "count");
    assert_int_equal(json_integer_value(json_object_get(value, "maximum")), POLICY_GPUS_MAX);
}

/* The full policy has every member: the schema has the same ones. */
static void the_schema_knows_the_same_members(void **state)
{
    (void)state;
    json_auto_t *schema = json_load_file(SCHEMA_PATH, JSON_REJECT_DUPLICATES, NULL);
    json_auto_t *policy = json_loads(full, JSON_REJECT_DUPLICATES, NULL);
    size_t n_policy, n_platform;
    const struct report_bit *policy_bits = report_policy_bits(&n_policy);
    const struct report_bit *platform_bits = report_platform_bits(&n_platform);
    const char *name;
    json_t *value;

    assert_non_null(schema);
    assert_int_equal(json_object_size(policy),
                     json_object_size(json_object_get(schema, "properties")));
    json_object_foreach(policy, name, value)
    {
        if (!member(schema, name))
            fail_msg("'%s' is not in the schema", name);
    }
    assert_string_equal(json_string_value(json_object_get(member(schema, "schema"), "const")),
                        POLICY_SCHEMA);
    expect_gpus(schema, policy);
    expect_bits(schema, "guest_policy", policy_bits, n_policy);
    expect_bits(schema, "platform_info", platform_bits, n_platform);
}

static void the_catalogue_of_codes_is_well_formed(void **state)
{
    (void)state;
    size_t n;
    const struct verify_code *codes = verify_codes(&n);

    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(codes[i].step);

        assert_ptr_equal(verify_code_find(codes[i].code), &codes[i]); /* and no second one */
        assert_memory_equal(codes[i].code, codes[i].step, size);
        assert_int_equal(codes[i].code[size], '_');
        assert_true(codes[i].meaning[0] != '\0');
        assert_int_not_equal(codes[i].verdict, VERDICT_PASS);
    }
    assert_null(verify_code_find("chain"));
}

/* Bits that have no name are still told apart. */
static void bits_are_named(void **state)
{
    (void)state;
    size_t n;
    const struct report_bit *bits = report_platform_bits(&n);
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    assert_string_equal(report_bits_text(bits, n, 0, arena), "none");
    assert_string_equal(report_bits_text(bits, n, UINT64_C(0x8000000000000061), arena),
                        "smt_en, alias_check_complete, bit 6, bit 63");
    assert_int_equal(report_platform_unknown(0xff), 0x40);
    assert_int_equal(report_policy_unknown(UINT64_C(0x8000000003ffffff)),
                     UINT64_C(0x8000000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_policy_is_the_strict_default),
        cmocka_unit_test(every_member_is_read),
        cmocka_unit_test(any_is_a_word),
        cmocka_unit_test(gpus_are_strict_member_by_member),
        cmocka_unit_test(bad_policies_are_refused),
        cmocka_unit_test(a_minimum_without_components_is_refused),
        cmocka_unit_test(absent_levels_take_the_reported_minimum),
        cmocka_unit_test(default_minimums_exclude_microcode_forgery),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(words_and_sizes_have_limits),
        cmocka_unit_test(named_policies_say_what_they_give_up),
        cmocka_unit_test(the_schema_knows_the_same_members),
        cmocka_unit_test(the_catalogue_of_codes_is_well_formed),
        cmocka_unit_test(bits_are_named),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
