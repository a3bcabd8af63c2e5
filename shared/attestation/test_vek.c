/* What a VCEK certificate must say of its chip: bug 3 of those found in verifiers. */
#include "shared/attestation/test_kit.h"

#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/roots.h"
#include "shared/attestation/vek.h"

static struct kit kit;

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_done(&kit);
    return 0;
}

static struct certificate_view view_of(const struct buffer *buffer)
{
    return (struct certificate_view){buffer->data, buffer->size};
}

static void take_out(X509 *certificate, const char *oid)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = X509_get_ext_by_OBJ(certificate, object, -1);

    assert_true(at >= 0);
    X509_EXTENSION_free(X509_delete_ext(certificate, at));
    ASN1_OBJECT_free(object);
}

static void add_raw(X509 *certificate, const char *oid, const char *bytes, int size)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    ASN1_OCTET_STRING_set(value, (const uint8_t *)bytes, size);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

static void set_raw(X509 *certificate, const char *oid, const char *bytes, int size)
{
    take_out(certificate, oid);
    add_raw(certificate, oid, bytes, size);
}

static void no_hwid(X509 *c)
{
    take_out(c, VEK_OID_HWID);
}
static void short_hwid(X509 *c)
{
    set_raw(c, VEK_OID_HWID, "12345678", 8);
}
static void no_bootloader(X509 *c)
{
    take_out(c, VEK_OID_SPL "1");
}
static void no_tee(X509 *c)
{
    take_out(c, VEK_OID_SPL "2");
}
static void no_snp(X509 *c)
{
    take_out(c, VEK_OID_SPL "3");
}
static void no_microcode(X509 *c)
{
    take_out(c, VEK_OID_SPL "8");
}
static void no_struct_version(X509 *c)
{
    take_out(c, VEK_OID_STRUCT_VERSION);
}
static void no_product(X509 *c)
{
    take_out(c, VEK_OID_PRODUCT_NAME);
}
static void other_product(X509 *c)
{
    set_raw(c, VEK_OID_PRODUCT_NAME, "\x16\x05Milan", 7);
}
static void longer_product(X509 *c)
{
    set_raw(c, VEK_OID_PRODUCT_NAME, "\x16\x06Genoax", 8);
}
static void doubled_snp(X509 *c)
{
    add_raw(c, VEK_OID_SPL "3", "\x02\x01\x19", 3);
}
static void negative_snp(X509 *c)
{
    set_raw(c, VEK_OID_SPL "3", "\x02\x01\x99", 3);
}
static void large_snp(X509 *c)
{
    set_raw(c, VEK_OID_SPL "3", "\x02\x02\x01\x19", 4);
}
static void trailing_snp(X509 *c)
{
    set_raw(c, VEK_OID_SPL "3", "\x02\x01\x19\x00", 4);
}
static void reserved_level(X509 *c)
{
    set_raw(c, VEK_OID_SPL "5", "\x02\x01\x01", 3);
}

static void bug_3_every_extension_is_required_and_exact(void **state)
{
    (void)state;
    static void (*const changes[])(X509 *) = {
        no_hwid,      short_hwid,        no_bootloader, no_tee,        no_snp,
        no_microcode, no_struct_version, no_product,    other_product, longer_product,
        doubled_snp,  negative_snp,      large_snp,     trailing_snp,  reserved_level,
    };
    struct verify_policy policy = kit_policy(&kit);

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_buffer_ struct buffer der = {};
        struct tee_evidence evidence;
        struct verify_result result;

        kit_evidence(&kit, &evidence);
        kit_make_vcek(&kit, changes[i], &der);
        const struct certificate_view vcek = view_of(&der);
        kit_replace(&evidence, &(struct kit_table){.vcek = &vcek});
        kit_appraise(&policy, &evidence, &result);
        assert_string_equal(kit_step(&result, "extensions")->code, "extensions_malformed");
        assert_string_equal(kit_step(&result, "chain")->code, "");
        assert_string_equal(kit_step(&result, "signature")->code, "");
        verify_result_done(&result);
        tee_evidence_done(&evidence);
    }
}

static void two_byte_level(X509 *c)
{
    set_raw(c, VEK_OID_SPL "8", "\x02\x02\x00\xdb", 4);
}

/* 0xdb is two bytes of INTEGER: a parser of one byte reads 0. */
static void bug_3_levels_from_128_are_read_whole(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer der = {};
    struct vek vek;

    kit_make_vcek(&kit, two_byte_level, &der);
    const uint8_t *at = der.data;
    _cleanup_(X509_freep) X509 *vcek = d2i_X509(NULL, &at, (long)der.size);
    expect_ok(vek_parse(vcek, &vek));
    assert_int_equal(vek.tcb.microcode, 0xdb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bug_3_every_extension_is_required_and_exact),
        cmocka_unit_test(bug_3_levels_from_128_are_read_whole),
    };

    return cmocka_run_group_tests_name("vek", tests, set_up, tear_down);
}
