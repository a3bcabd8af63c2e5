/* Certificates and CRL go along with each report, from whichever side they came. */
#include "services/attester/evidence.h"
#include "shared/attestation/test_fleet.h"

#include <jansson.h>

#include "shared/attestation/certificates.h"
#include "shared/base/encode.h"

#define AT_MS 1795412423000 /* 2026-11-23T05:40:23Z */

static struct test_fleet fleet;
static struct buffer table; /* of the chip, as a host has it */

/* A processor whose hypervisor hands on no certificates, unless told to. */
struct plain_tee {
    struct tee base;
    bool with_certificates;
};

static struct error *get_report(struct tee *base, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    const struct plain_tee *tee = (const struct plain_tee *)base;
    const struct processor_guest guest = test_guest();

    struct error *err = processor_report(fleet.processors[0], &guest, report_data, ret_evidence);
    if (!err && !tee->with_certificates)
        buffer_done(&ret_evidence->certificates);
    return err;
}

static void tee_release(struct tee *tee)
{
    free(tee);
}

static int set_up(void **state)
{
    (void)state;
    const struct processor_guest guest = test_guest();
    const uint8_t report_data[64] = {};
    struct tee_evidence evidence = {};

    test_fleet_init(&fleet);
    expect_ok(processor_report(fleet.processors[0], &guest, report_data, &evidence));
    buffer_add(&table, evidence.certificates.data, evidence.certificates.size);
    tee_evidence_done(&evidence);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_done(&table);
    test_fleet_done(&fleet);
    return 0;
}

static json_t *answer(bool with_certificates, const struct buffer *collateral)
{
    static const struct tee_ops ops = {"plain", get_report, tee_release};
    struct plain_tee *tee = xnew(struct plain_tee);
    const struct evidence_facts facts = {.manifest = "{}",
                                         .image_version = "1",
                                         .cpu_model = "EPYC-v4",
                                         .vcpus = 1,
                                         .collateral = collateral,
                                         .collateral_at_ms = AT_MS};
    const uint8_t spki_sha256[32] = {1};
    struct evidence *evidence = NULL;
    _cleanup_buffer_ struct buffer text = {};

    *tee = (struct plain_tee){{&ops}, with_certificates};
    struct evidence_maker *maker = evidence_maker_new(&tee->base, &facts);
    expect_ok(evidence_make(maker, spki_sha256, NULL, 0, &evidence));
    buffer_printf(&text, "%s}", evidence->common); /* all but the binding */
    evidence_unref(evidence);
    evidence_maker_free(maker);
    json_t *json = json_loadb(buffer_text(&text), text.size, 0, NULL);
    assert_non_null(json);
    return json;
}

static void expect_pem(const json_t *object, const char *name, bool there)
{
    const char *text = json_string_value(json_object_get(object, name));

    assert_int_equal(text && strstr(text, "BEGIN CERTIFICATE"), there);
}

static void expect_answer(bool with_certificates, const struct buffer *collateral, bool there,
                          const char *fetched_at)
{
    json_auto_t *json = answer(with_certificates, collateral);
    const json_t *certificates = json_object_get(json, "certificates");
    const json_t *more = json_object_get(json, "collateral");
    const char *crl = json_string_value(json_object_get(more, "crl"));
    const char *at = json_string_value(json_object_get(more, "crl_fetched_at"));
    struct certificate_table expected;

    expect_pem(certificates, "vcek", there);
    expect_pem(certificates, "ask", there);
    expect_pem(certificates, "ark", there);
    assert_int_equal(crl != NULL, there);
    if (crl) {
        expect_ok(certificate_table_parse(table.data, table.size, &expected));
        _cleanup_free_ char *text = base64_encode_new(expected.crl.data, expected.crl.size);
        assert_string_equal(crl, text);
    }
    if (fetched_at)
        assert_string_equal(at, fetched_at);
    else
        assert_null(at);
}

static void processors_own_certificates_go_along(void **state)
{
    (void)state;
    expect_answer(true, NULL, true, NULL);
}

static void hosts_collateral_completes_a_report_without_any(void **state)
{
    (void)state;
    expect_answer(false, &table, true, "2026-11-23T05:40:23.000Z");
}

static void nothing_from_either_side_is_said_as_null(void **state)
{
    (void)state;
    expect_answer(false, NULL, false, NULL);
}

static void damaged_collateral_is_left_out(void **state)
{
    (void)state;
    const struct buffer damaged = {table.data, table.size / 2, 0};

    expect_answer(false, &damaged, false, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_own_certificates_go_along),
        cmocka_unit_test(hosts_collateral_completes_a_report_without_any),
        cmocka_unit_test(nothing_from_either_side_is_said_as_null),
        cmocka_unit_test(damaged_collateral_is_left_out),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
