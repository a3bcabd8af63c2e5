/* What is asked for: paths, and the chips that can be asked for at all. */
#include "shared/attestation/test_attest.h"

#include <stdio.h>

#include "shared/collateral/kds.h"

/* Milan/Genoa: bootloader 4, tee 0, snp 24, microcode 219. Turin: fmc 1, 3, 2, 5, 97. */
#define TCB_OLD   0xdb18000000000004
#define TCB_TURIN 0x6100000005020301

static void fill(uint8_t id[64], size_t size)
{
    memset(id, 0, 64);
    for (size_t i = 0; i < size; i++)
        id[i] = (uint8_t)(0xa0 + i);
}

static void vcek_paths_are_those_of_the_service(void **state)
{
    (void)state;
    static const struct {
        enum snp_product product;
        size_t id_size;
        uint64_t tcb;
        const char *start, *end;
        size_t length; /* of what is between: the id */
    } rows[] = {
        {SNP_PRODUCT_MILAN, 64, TCB_OLD, "/vcek/v1/Milan/a0a1a2",
         "?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219", 128},
        {SNP_PRODUCT_GENOA, 64, TCB_OLD, "/vcek/v1/Genoa/a0a1a2",
         "?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219", 128},
        {SNP_PRODUCT_TURIN, 8, TCB_TURIN, "/vcek/v1/Turin/a0a1a2a3a4a5a6a7?",
         "?fmcSPL=01&blSPL=03&teeSPL=02&snpSPL=05&ucodeSPL=97", 16},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char path[KDS_PATH_MAX];
        struct kds_chip chip;
        uint8_t id[64];

        fill(id, rows[i].id_size);
        expect_ok(kds_chip_init(rows[i].product, id, rows[i].tcb, &chip));
        kds_path_vcek(&chip, path);
        assert_memory_equal(path, rows[i].start, strlen(rows[i].start));
        assert_string_equal(strchr(path, '?'), rows[i].end);
        assert_int_equal(strcspn(path, "?"), strlen("/vcek/v1/Turin/") + rows[i].length);
    }
}

static void the_longest_path_fits(void **state)
{
    (void)state;
    struct kds_chip chip = {
        .product = SNP_PRODUCT_TURIN, .hwid_size = 64, .tcb = {255, 255, 255, 255, 255}};
    char path[KDS_PATH_MAX];

    kds_path_vcek(&chip, path);
    assert_string_equal(strstr(path, "&ucodeSPL="), "&ucodeSPL=255");
}

static void chain_and_crl_paths_name_product_and_kind(void **state)
{
    (void)state;
    char path[KDS_PATH_MAX];

    kds_path_chain(SNP_PRODUCT_MILAN, VEK_VCEK, path);
    assert_string_equal(path, "/vcek/v1/Milan/cert_chain");
    kds_path_chain(SNP_PRODUCT_TURIN, VEK_VLEK, path);
    assert_string_equal(path, "/vlek/v1/Turin/cert_chain");
    kds_path_crl(SNP_PRODUCT_GENOA, VEK_VCEK, path);
    assert_string_equal(path, "/vcek/v1/Genoa/crl");
    kds_path_crl(SNP_PRODUCT_GENOA, VEK_VLEK, path);
    assert_string_equal(path, "/vlek/v1/Genoa/crl");
}

static void chips_that_cannot_be_asked_for_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum snp_product product;
        size_t id_size;
        enum error_code code;
    } rows[] = {
        {SNP_PRODUCT_UNKNOWN, 64, ERROR_INVALID_ARGUMENT},
        {SNP_PRODUCT_MILAN, 0, ERROR_FAILED_PRECONDITION}, /* masked */
        {SNP_PRODUCT_TURIN, 0, ERROR_FAILED_PRECONDITION},
        {SNP_PRODUCT_TURIN, 9, ERROR_INVALID_ARGUMENT},
        {SNP_PRODUCT_TURIN, 64, ERROR_INVALID_ARGUMENT},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct kds_chip chip;
        uint8_t id[64];

        fill(id, rows[i].id_size);
        expect_code(kds_chip_init(rows[i].product, id, TCB_OLD, &chip), rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vcek_paths_are_those_of_the_service),
        cmocka_unit_test(the_longest_path_fits),
        cmocka_unit_test(chain_and_crl_paths_name_product_and_kind),
        cmocka_unit_test(chips_that_cannot_be_asked_for_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
