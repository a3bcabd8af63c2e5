/* Which of two tables' entries go along with a report. */
#include "shared/collateral/test_service.h"

#include "shared/attestation/certificates.h"
#include "shared/collateral/merge.h"

static struct test_service service;
static uint8_t report[TEE_REPORT_SIZE];
static struct buffer older_crl, newer_crl;

static int start_service(void **state)
{
    (void)state;
    const struct processor_guest guest = test_guest();
    const uint8_t report_data[64] = {};
    struct tee_evidence evidence = {};

    test_service_start(&service);
    expect_ok(processor_report(service.fleet.processors[0], &guest, report_data, &evidence));
    memcpy(report, evidence.report, sizeof(report));
    tee_evidence_done(&evidence);
    test_service_crl(&service, 100, &older_crl);
    test_service_crl(&service, 200, &newer_crl);
    return 0;
}

static int stop_service(void **state)
{
    (void)state;
    buffer_done(&older_crl);
    buffer_done(&newer_crl);
    test_service_stop(&service);
    return 0;
}

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), strlen(text)                                                      \
    }

static void expect_view(const struct certificate_view *actual,
                        const struct certificate_view *expected)
{
    assert_int_equal(actual->size, expected->size);
    if (expected->data)
        assert_memory_equal(actual->data, expected->data, expected->size);
    else
        assert_null(actual->data);
}

static void expect_merged(const struct certificate_table *first,
                          const struct certificate_table *second,
                          const struct certificate_table *expected)
{
    _cleanup_buffer_ struct buffer a = {}, b = {}, bytes = {};
    struct certificate_table merged;

    certificate_table_write(first, &a);
    certificate_table_write(second, &b);
    collateral_merge(report, &a, &b, &bytes);
    expect_ok(certificate_table_parse(bytes.data, bytes.size, &merged));
    expect_view(&merged.vcek, &expected->vcek);
    expect_view(&merged.vlek, &expected->vlek);
    expect_view(&merged.ask, &expected->ask);
    expect_view(&merged.ark, &expected->ark);
    expect_view(&merged.crl, &expected->crl);
}

static void entries_complete_each_other(void **state)
{
    (void)state;
    const struct certificate_table first = {.vlek = TEXT("vlek"), .ask = TEXT("ask 1")};
    const struct certificate_table second = {.ask = TEXT("ask 2"), .ark = TEXT("ark 2")};
    const struct certificate_table expected = {
        .vlek = TEXT("vlek"), .ask = TEXT("ask 1"), .ark = TEXT("ark 2")};

    expect_merged(&first, &second, &expected);
}

static void vcek_is_the_one_for_the_report(void **state)
{
    (void)state;
    const struct certificate_view ours = {service.vceks[0], service.vcek_sizes[0]};
    const struct certificate_view other = {service.vceks[1], service.vcek_sizes[1]};
    const struct certificate_view rubbish = TEXT("rubbish"), none = {};
    const struct {
        struct certificate_view first, second, expected;
    } rows[] = {
        {ours, other, ours},  {other, ours, ours},     {rubbish, ours, ours},
        {none, ours, ours},   {ours, none, ours},      {other, rubbish, other},
        {none, other, other}, {other, rubbish, other}, {none, none, none},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct certificate_table first = {.vcek = rows[i].first};
        const struct certificate_table second = {.vcek = rows[i].second};
        const struct certificate_table expected = {.vcek = rows[i].expected};

        expect_merged(&first, &second, &expected);
    }
}

static void crl_is_the_newer(void **state)
{
    (void)state;
    const struct certificate_view older = {older_crl.data, older_crl.size};
    const struct certificate_view newer = {newer_crl.data, newer_crl.size};
    const struct certificate_view rubbish = TEXT("rubbish"), none = {};
    const struct {
        struct certificate_view first, second, expected;
    } rows[] = {
        {older, newer, newer}, {newer, older, newer},   {none, older, older},
        {older, none, older},  {rubbish, older, older}, {older, rubbish, older},
        {none, none, none},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct certificate_table first = {.crl = rows[i].first};
        const struct certificate_table second = {.crl = rows[i].second};
        const struct certificate_table expected = {.crl = rows[i].expected};

        expect_merged(&first, &second, &expected);
    }
}

static void tables_that_cannot_be_read_count_as_empty(void **state)
{
    (void)state;
    struct buffer damaged = {(uint8_t *)"no table at all, just some text", 31, 0};
    const struct certificate_table good = {.ask = TEXT("ask")};
    _cleanup_buffer_ struct buffer bytes = {}, merged = {}, same = {}, nothing = {};
    const struct buffer empty = {};

    certificate_table_write(&good, &bytes);
    collateral_merge(report, &damaged, &bytes, &merged);
    assert_int_equal(merged.size, bytes.size);
    assert_memory_equal(merged.data, bytes.data, bytes.size);
    collateral_merge(report, &bytes, &damaged, &same);
    assert_int_equal(same.size, bytes.size);
    collateral_merge(report, &empty, &empty, &nothing);
    assert_int_equal(nothing.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_complete_each_other),
        cmocka_unit_test(vcek_is_the_one_for_the_report),
        cmocka_unit_test(crl_is_the_newer),
        cmocka_unit_test(tables_that_cannot_be_read_count_as_empty),
    };

    return cmocka_run_group_tests(tests, start_service, stop_service);
}
