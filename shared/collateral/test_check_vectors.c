/*
 * Real certificates of real processors through what the cache asks of them. The files are not ours
 * to ship: COFFER_VECTORS names their folder (../shared/vectors); without it the test is skipped.
 */
#include "shared/attestation/test_attest.h"

#include <ctype.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/roots.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/collateral/check.h"

/* All chains are in date then. */
#define AT_MS (1767225600 * 1000LL) /* 2026-01-01 */

static const char *root_dir;
static struct trust_roots *roots;

static const enum snp_product products[] = {SNP_PRODUCT_MILAN, SNP_PRODUCT_GENOA,
                                            SNP_PRODUCT_TURIN};

static void read_chain(enum snp_product product, enum vek_kind kind, struct buffer *ret)
{
    _cleanup_free_ char *path =
        xasprintf("%s/snp/_roots/%s_%s_cert_chain.pem", root_dir, snp_product_name(product),
                  kind == VEK_VLEK ? "vlek" : "vcek");

    char *name = strrchr(path, '/') + 1;
    *name = (char)tolower(*name);
    expect_ok(file_read(path, 2 * CERTIFICATE_SIZE_MAX, ret));
}

static struct error *parse(enum snp_product product, enum vek_kind kind, const struct buffer *pem,
                           struct check_chain *ret_chain)
{
    return check_chain_parse(roots, product, kind, AT_MS, pem->data, pem->size, ret_chain);
}

static void every_chain_is_good_for_its_own_product_and_kind_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ELEMENTSOF(products); i++) {
        _cleanup_buffer_ struct buffer pem = {};

        read_chain(products[i / 2], i % 2 ? VEK_VLEK : VEK_VCEK, &pem);
        for (size_t k = 0; k < 2 * ELEMENTSOF(products); k++) {
            _cleanup_(check_chain_done) struct check_chain chain = {};
            struct error *err = parse(products[k / 2], k % 2 ? VEK_VLEK : VEK_VCEK, &pem, &chain);

            expect_code(err, i == k ? ERROR_OK : ERROR_PERMISSION_DENIED);
        }
    }
}

/* A second into the certificate's life. */
static int64_t beginning_ms(X509 *certificate)
{
    struct tm tm;

    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &tm), 1);
    return ((int64_t)timegm(&tm) + 1) * 1000;
}

/* The certificate names the chip; asked for by what it names, it must do, and for no other. */
static bool check_one(const char *path)
{
    _cleanup_buffer_ struct buffer der = {}, pem = {};
    _cleanup_(check_chain_done) struct check_chain chain = {};
    struct vek vek;

    expect_ok(file_read(path, CERTIFICATE_SIZE_MAX, &der));
    const uint8_t *at = der.data;
    _cleanup_(X509_freep) X509 *certificate = d2i_X509(NULL, &at, (long)der.size);
    assert_non_null(certificate);
    expect_ok(vek_parse(certificate, &vek));
    read_chain(vek.product, VEK_VCEK, &pem);
    expect_ok(parse(vek.product, VEK_VCEK, &pem, &chain));
    struct kds_chip chip = {.product = vek.product, .hwid_size = vek.hwid_size, .tcb = vek.tcb};
    memcpy(chip.hwid, vek.hwid, vek.hwid_size);
    int64_t at_ms = beginning_ms(certificate);
    struct error *err = check_vcek(&chain, &chip, at_ms, der.data, der.size);
    print_message("%s: %s\n", path + strlen(root_dir) + 1, error_text(err));
    expect_ok(err);
    chip.hwid[0] ^= 1;
    expect_code(check_vcek(&chain, &chip, at_ms, der.data, der.size), ERROR_PERMISSION_DENIED);
    chip.hwid[0] ^= 1;
    chip.tcb.microcode++;
    expect_code(check_vcek(&chain, &chip, at_ms, der.data, der.size), ERROR_PERMISSION_DENIED);
    return vek.product == SNP_PRODUCT_TURIN;
}

static void every_vcek_is_good_for_its_own_chip_only(void **state)
{
    (void)state;
    _cleanup_free_ char *pattern = xasprintf("%s/snp/[a-z]*/vcek.der", root_dir);
    size_t turin = 0;
    glob_t found;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        turin += check_one(found.gl_pathv[i]);
    assert_true(found.gl_pathc >= 10 && turin >= 1);
    globfree(&found);
}

int main(void)
{
    const char *given = getenv("COFFER_VECTORS");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chain_is_good_for_its_own_product_and_kind_only),
        cmocka_unit_test(every_vcek_is_good_for_its_own_chip_only),
    };
    struct stat st;

    root_dir = given && given[0] ? given : "../shared/vectors";
    if (stat(root_dir, &st) < 0) {
        printf("skipped: no folder '%s' (COFFER_VECTORS)\n", root_dir);
        return 77;
    }
    expect_ok(trust_roots_amd(&roots));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    trust_roots_free(roots);
    return failed;
}
