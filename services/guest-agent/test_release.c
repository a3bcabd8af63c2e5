/* The bundle: one that is not for this boot of this guest, by this authority, is refused. */
#include "services/guest-agent/release.h"
#include "services/guest-agent/test_support.h"

struct fixture {
    struct support_fleet fleet;
    struct support_workload workload;
    struct identity identity;
    uint8_t nonce[32];
    struct release_expectation expectation;
    struct buffer sealed;
    uint8_t signature[64];
    struct release_answer answer;
};

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);

    support_fleet_init(&fixture->fleet);
    support_workload_init(&fixture->workload, &fixture->fleet);
    support_check(identity_init(&fixture->identity));
    fixture->nonce[0] = 9;
    fixture->expectation = (struct release_expectation){
        .workload_id = SUPPORT_WORKLOAD,
        .boot_number = 7,
        .nonce = fixture->nonce,
        .identity = &fixture->identity,
        .manifest = &fixture->workload.manifest,
    };
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    buffer_done(&fixture->sealed);
    support_workload_done(&fixture->workload);
    identity_done(&fixture->identity);
    free(fixture);
    return 0;
}

static void make(struct fixture *fixture, void (*change)(Coffer__V1__Bundle *))
{
    buffer_done(&fixture->sealed);
    support_bundle(&fixture->expectation, &fixture->fleet.authority, change, &fixture->sealed,
                   fixture->signature);
    fixture->answer = (struct release_answer){
        .sealed = fixture->sealed.data,
        .sealed_size = fixture->sealed.size,
        .signature = fixture->signature,
        .signature_size = 64,
        .domain = SUPPORT_DOMAIN,
    };
}

static void expect_code(struct fixture *fixture, const char *expected)
{
    struct release *release = NULL;
    const char *code = NULL;
    struct error *err = release_open(&fixture->expectation, &fixture->answer, &release, &code);

    if (!err)
        fail_msg("accepted, expected %s", expected);
    error_free(err);
    assert_null(release);
    assert_string_equal(code, expected);
}

static void test_a_good_bundle_opens(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(release_freep) struct release *release = NULL;
    const char *code;

    make(fixture, NULL);
    support_check(release_open(&fixture->expectation, &fixture->answer, &release, &code));
    assert_string_equal(release->domain, SUPPORT_DOMAIN);
    assert_int_equal(release->n_variables, 1);
    assert_string_equal(release->variables[0].value, "canary-value");
    assert_string_equal(release->registries[0].password, "hunter2hunter2");
    assert_int_equal(release->n_files, 1);
    assert_memory_equal(release->files[0].data, support_secret_file, release->files[0].size);
    assert_true(release->has_gateway);
}

/* What was signed differs from what this guest asked: replays, other guests, other authorities. */
static void test_a_bundle_for_something_else_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct identity other;
    uint8_t other_nonce[32] = {1};

    make(fixture, NULL);
    fixture->expectation.boot_number++;
    expect_code(fixture, "bundle_signature"); /* a replay of an older boot */
    fixture->expectation.boot_number--;

    fixture->expectation.nonce = other_nonce;
    expect_code(fixture, "bundle_signature"); /* a replay within the boot */
    fixture->expectation.nonce = fixture->nonce;

    support_check(identity_init(&other));
    fixture->expectation.identity = &other;
    expect_code(fixture, "bundle_signature"); /* of another guest */
    fixture->expectation.identity = &fixture->identity;
    identity_done(&other);

    fixture->expectation.workload_id = "another-workload";
    expect_code(fixture, "bundle_signature");
    fixture->expectation.workload_id = SUPPORT_WORKLOAD;

    fixture->answer.domain = "evil.coffer.test";
    expect_code(fixture, "bundle_signature");
    fixture->answer.domain = SUPPORT_DOMAIN;

    buffer_done(&fixture->sealed);
    support_bundle(&fixture->expectation, &fixture->fleet.stranger, NULL, &fixture->sealed,
                   fixture->signature);
    fixture->answer.sealed = fixture->sealed.data;
    fixture->answer.sealed_size = fixture->sealed.size;
    expect_code(fixture, "bundle_signature"); /* of somebody else */
}

static void test_every_changed_byte_is_noticed(void **state)
{
    struct fixture *fixture = *state;

    make(fixture, NULL);
    for (size_t i = 0; i < fixture->sealed.size; i += 7) {
        fixture->sealed.data[i] ^= 0x20;
        expect_code(fixture, "bundle_signature");
        fixture->sealed.data[i] ^= 0x20;
    }
    for (size_t i = 0; i < sizeof(fixture->signature); i++) {
        fixture->signature[i] ^= 0x20;
        expect_code(fixture, "bundle_signature");
        fixture->signature[i] ^= 0x20;
    }
    fixture->answer.signature_size = 63;
    expect_code(fixture, "bundle_malformed");
    fixture->answer.signature_size = 0;
    expect_code(fixture, "bundle_malformed");
    fixture->answer.signature_size = 64;
    fixture->answer.sealed_size = 0;
    expect_code(fixture, "bundle_malformed");
}

/* Signed by the authority for this guest, but sealed to another key. */
static void test_a_bundle_sealed_to_another_key_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct identity other;
    _cleanup_buffer_ struct buffer bytes = {0};

    support_check(identity_init(&other));
    fixture->expectation.identity = &other;
    make(fixture, NULL);
    fixture->expectation.identity = &fixture->identity;
    release_signed_bytes(&fixture->expectation, &fixture->answer, &bytes);
    support_check(
        sign_bytes(&fixture->fleet.authority, bytes.data, bytes.size, fixture->signature));
    expect_code(fixture, "bundle_open");
    identity_done(&other);
}

static void older_boot(Coffer__V1__Bundle *bundle)
{
    bundle->boot_number--;
}

static void other_domain(Coffer__V1__Bundle *bundle)
{
    bundle->domain = "other.coffer.test";
}

static void other_directory(Coffer__V1__Bundle *bundle)
{
    bundle->acme_directory = "https://acme.evil.test/dir";
}

static void other_value_name(Coffer__V1__Bundle *bundle)
{
    bundle->secrets->environment[0]->name = "LD_PRELOAD";
}

static void no_value(Coffer__V1__Bundle *bundle)
{
    bundle->secrets->n_environment = 0;
}

static void no_secrets(Coffer__V1__Bundle *bundle)
{
    bundle->secrets = NULL;
}

static void other_secret_file(Coffer__V1__Bundle *bundle)
{
    bundle->secrets->files[0]->content.len--;
}

static void other_salt(Coffer__V1__Bundle *bundle)
{
    bundle->secrets->files[0]->salt.len = 31;
}

static void other_path(Coffer__V1__Bundle *bundle)
{
    bundle->secrets->files[0]->path = "../escape";
}

static void other_registry(Coffer__V1__Bundle *bundle)
{
    bundle->secrets->registries[0]->server = "registry.evil.test";
}

static void short_gateway_key(Coffer__V1__Bundle *bundle)
{
    bundle->gateway_sign_public.len = 31;
}

static void test_a_bundle_that_contradicts_is_refused(void **state)
{
    static const struct {
        void (*change)(Coffer__V1__Bundle *);
        const char *code;
    } rows[] = {
        {older_boot, "bundle_binding"},         {other_domain, "bundle_binding"},
        {other_directory, "bundle_binding"},    {short_gateway_key, "bundle_malformed"},
        {other_value_name, "secrets_mismatch"}, {no_value, "secrets_mismatch"},
        {no_secrets, "secrets_mismatch"},       {other_secret_file, "secrets_mismatch"},
        {other_salt, "secrets_mismatch"},       {other_path, "secrets_mismatch"},
        {other_registry, "secrets_mismatch"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        make(fixture, rows[i].change);
        expect_code(fixture, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_good_bundle_opens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bundle_for_something_else_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_every_changed_byte_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bundle_sealed_to_another_key_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_bundle_that_contradicts_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
