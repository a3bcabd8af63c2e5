#include "shared/attestation/test_kit.h"

#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/report.h"
#include "shared/attestation/roots.h"
#include "shared/base/clock.h"
#include "shared/base/file.h"

#define HOUR_MS INT64_C(3600000)

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)
DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(ASN1_TIME *, ASN1_TIME_free)
DEFINE_CLEANUP(ASN1_INTEGER *, ASN1_INTEGER_free)
DEFINE_CLEANUP(ASN1_ENUMERATED *, ASN1_ENUMERATED_free)
DEFINE_CLEANUP(X509_EXTENSION *, X509_EXTENSION_free)
DEFINE_CLEANUP(ASN1_OBJECT *, ASN1_OBJECT_free)
DEFINE_CLEANUP(ASN1_OCTET_STRING *, ASN1_OCTET_STRING_free)

static EVP_PKEY *read_key(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s.key", dir, name);
    _cleanup_buffer_ struct buffer text = {};

    expect_ok(file_read(path, 16384, &text));
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(buffer_text(&text), (int)text.size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(key);
    return key;
}

static X509 *read_certificate(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s.der", dir, name);
    _cleanup_buffer_ struct buffer der = {};

    expect_ok(file_read(path, 16384, &der));
    const uint8_t *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.size);
    assert_non_null(certificate);
    return certificate;
}

void kit_init(struct kit *kit)
{
    *kit = (struct kit){};
    test_fleet_init(&kit->fleet);
    _cleanup_free_ char *host = xasprintf("%s/host-0", kit->fleet.dir);
    expect_ok(trust_roots_load(kit->fleet.root, &kit->roots));
    expect_ok(trust_roots_amd(&kit->amd));
    kit->vcek_key = read_key(host, "vcek");
    kit->ask_key = read_key(kit->fleet.root, "ask");
    kit->ark_key = read_key(kit->fleet.root, "ark");
    kit->ask = read_certificate(kit->fleet.root, "ask");
    kit->ark = read_certificate(kit->fleet.root, "ark");
    kit->now_ms = clock_wall_ms(clock_system());
    memset(kit->report_data, 0x44, sizeof(kit->report_data));
    kit_make_crl(kit, &(struct kit_crl){.number = 1}, &kit->crl);
    kit->crls[0] = (struct certificate_view){kit->crl.data, kit->crl.size};
    kit->collateral = (struct verify_collateral){.crls = kit->crls, .n_crls = 1};
}

void kit_done(struct kit *kit)
{
    trust_roots_free(kit->roots);
    trust_roots_free(kit->amd);
    EVP_PKEY_free(kit->vcek_key);
    EVP_PKEY_free(kit->ask_key);
    EVP_PKEY_free(kit->ark_key);
    X509_free(kit->ask);
    X509_free(kit->ark);
    buffer_done(&kit->crl);
    test_fleet_done(&kit->fleet);
}

void kit_sign(const struct kit *kit, uint8_t report[TEE_REPORT_SIZE])
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[160], *r = report + REPORT_SIGNED_SIZE, *s = r + REPORT_SCALAR_SIZE;
    const uint8_t *at = der;
    size_t size = sizeof(der);

    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, kit->vcek_key), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &size, report, REPORT_SIGNED_SIZE), 1);
    _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), r, 48), 48);
    assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), s, 48), 48);
}

/* A little below what the software processor has; steppings: its only. */
#define LOW                                                                                        \
    {                                                                                              \
        {0, 9, 0, 24, 80}, {0, 9, 0, 24, 80}, {0, 9, 0, 24, 80},                                   \
        {                                                                                          \
            0, 9, 0, 24, 80                                                                        \
        }                                                                                          \
    }
#define FAMILY(n)                                                                                  \
    {                                                                                              \
        (n), 0, 255, 1, 1, "the test", LOW                                                         \
    }

struct verify_policy kit_policy(const struct kit *kit)
{
    static const struct policy_minimum minimums[] = {FAMILY(0x19), FAMILY(0x1a), FAMILY(0x1b)};
    static uint8_t host_data[32], measurements[2][48], id_keys[1][48], author_keys[1][48];

    memset(host_data, 0x48, sizeof(host_data));
    memset(measurements[0], 0x11, 48);
    memset(measurements[1], 0x4d, 48);
    memset(id_keys, 0x1d, sizeof(id_keys));
    memset(author_keys, 0xa0, sizeof(author_keys));
    return (struct verify_policy){
        .roots = kit->roots,
        .collateral = &kit->collateral,
        .at_ms = kit->now_ms,
        .report_data = kit->report_data,
        .host_data = host_data,
        .measurements = (const uint8_t(*)[48])measurements,
        .n_measurements = 2,
        .chip_ids = (const uint8_t(*)[64])processor_chip_id(kit->fleet.processors[0]),
        .n_chip_ids = 1,
        .guest_policy = {.require = UINT64_C(1) << 16}, /* smt */
        .abi_minor = 0x1f,
        .minimums = minimums,
        .n_minimums = ELEMENTSOF(minimums),
        .firmware = {1, 55, 43},
        .id_keys = (const uint8_t(*)[48])id_keys,
        .n_id_keys = 1,
        .author_keys = (const uint8_t(*)[48])author_keys,
        .n_author_keys = 1,
        .guest_svn = 7,
        .launch_mitigations = 1,
        .current_mitigations = 1,
    };
}

void kit_appraise(const struct verify_policy *policy, const struct tee_evidence *evidence,
                  struct verify_result *ret_result)
{
    verify_result_init(ret_result);
    expect_ok(verify_snp(policy, evidence->report, TEE_REPORT_SIZE, evidence->certificates.data,
                         evidence->certificates.size, ret_result));
}

const struct verify_step *kit_step(const struct verify_result *result, const char *id)
{
    for (size_t i = 0; i < result->n_steps; i++)
        if (strcmp(result->steps[i].id, id) == 0)
            return &result->steps[i];
    fail_msg("no step '%s'", id);
    return NULL;
}

void kit_expect(const struct verify_policy *policy, const struct tee_evidence *evidence,
                const char *code)
{
    const struct verify_code *row = code ? verify_code_find(code) : NULL;
    struct verify_result result;

    assert_true(row || !code);
    kit_appraise(policy, evidence, &result);
    for (size_t i = 0; i < result.n_steps; i++) {
        const struct verify_step *step = &result.steps[i];
        bool named = code && strcmp(step->id, row->step) == 0;

        if (strcmp(step->code, named ? code : "") != 0)
            fail_msg("for '%s': step '%s' says '%s': expected '%s', actual '%s'",
                     code ? code : "all pass", step->id, step->code, step->expected, step->actual);
    }
    assert_int_equal(verify_result_verdict(&result), row ? row->verdict : VERDICT_PASS);
    verify_result_done(&result);
}

static void put(struct certificate_view *view, const struct certificate_view *other)
{
    if (other)
        *view = *other;
}

void kit_replace(struct tee_evidence *evidence, const struct kit_table *other)
{
    struct certificate_table table;
    struct buffer bytes = {};

    expect_ok(
        certificate_table_parse(evidence->certificates.data, evidence->certificates.size, &table));
    put(&table.vcek, other->vcek);
    put(&table.vlek, other->vlek);
    put(&table.ask, other->ask);
    put(&table.ark, other->ark);
    put(&table.crl, other->crl);
    certificate_table_write(&table, &bytes);
    buffer_done(&evidence->certificates);
    evidence->certificates = bytes;
}

void kit_evidence(const struct kit *kit, struct tee_evidence *ret_evidence)
{
    static const struct certificate_view no_crl; /* tests bring their own */
    struct processor_guest guest = test_guest();

    guest.policy = 0x3001f;
    expect_ok(processor_report(kit->fleet.processors[0], &guest, kit->report_data, ret_evidence));
    uint8_t *report = ret_evidence->report;
    report[0x004] = 7;    /* GUEST_SVN */
    report[0x048] |= 0x1; /* AUTHOR_KEY_EN */
    memset(report + 0x0e0, 0x1d, 48);
    memset(report + 0x110, 0xa0, 48);
    kit_sign(kit, report);
    kit_replace(ret_evidence, &(struct kit_table){.crl = &no_crl});
}

void kit_der(X509 *certificate, struct buffer *ret_der)
{
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);

    assert_true(size > 0);
    buffer_add(ret_der, der, (size_t)size);
    OPENSSL_free(der);
}

void kit_sign_certificate(X509 *certificate, EVP_PKEY *key)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how = NULL;

    assert_int_equal(EVP_DigestSignInit(ctx, &how, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, 48), 1);
    assert_true(X509_sign_ctx(certificate, ctx) > 0);
}

void kit_make_vcek(const struct kit *kit, void (*change)(X509 *certificate), struct buffer *ret_der)
{
    _cleanup_(X509_freep) X509 *vcek = NULL;

    expect_ok(dev_certificate_vcek(kit->vcek_key, processor_chip_id(kit->fleet.processors[0]),
                                   kit->ask, kit->ask_key, &vcek));
    if (change) {
        change(vcek);
        kit_sign_certificate(vcek, kit->ask_key);
    }
    kit_der(vcek, ret_der);
}

static X509_EXTENSION *unknown_extension(bool critical)
{
    _cleanup_(ASN1_OBJECT_freep) ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
    _cleanup_(ASN1_OCTET_STRING_freep) ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    assert_int_equal(ASN1_OCTET_STRING_set(value, (const uint8_t *)"\x05", 2), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical, value);
    assert_non_null(extension);
    return extension;
}

static void add_entry(X509_CRL *crl, long serial, const struct kit_crl *options)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    _cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *number = ASN1_INTEGER_new();
    _cleanup_(ASN1_TIME_freep) ASN1_TIME *when = ASN1_TIME_set(NULL, 0);

    ASN1_INTEGER_set(number, serial);
    assert_int_equal(X509_REVOKED_set_serialNumber(entry, number), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(entry, when), 1);
    if (options->removed_entry) {
        _cleanup_(ASN1_ENUMERATED_freep) ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

        ASN1_ENUMERATED_set(reason, CRL_REASON_REMOVE_FROM_CRL);
        assert_int_equal(
            X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, options->critical_reason, 0),
            1);
    }
    if (options->unknown_critical_entry || options->unknown_plain_entry) {
        _cleanup_(X509_EXTENSION_freep) X509_EXTENSION *extension =
            unknown_extension(options->unknown_critical_entry);

        assert_int_equal(X509_REVOKED_add_ext(entry, extension, -1), 1);
    }
    assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
}

static void add_number(X509_CRL *crl, int nid, long value, bool critical)
{
    _cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *number = ASN1_INTEGER_new();

    ASN1_INTEGER_set(number, value);
    assert_int_equal(X509_CRL_add1_ext_i2d(crl, nid, number, critical, 0), 1);
}

static void add_point(X509_CRL *crl, const struct kit_crl *options)
{
    ISSUING_DIST_POINT *point = ISSUING_DIST_POINT_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *uri = ASN1_IA5STRING_new();

    assert_int_equal(ASN1_STRING_set(uri, options->point, -1), 1);
    GENERAL_NAME_set0_value(name, GEN_URI, uri);
    point->distpoint = DIST_POINT_NAME_new();
    point->distpoint->type = 0;
    point->distpoint->name.fullname = sk_GENERAL_NAME_new_null();
    sk_GENERAL_NAME_push(point->distpoint->name.fullname, name);
    if (options->point_kind == KIT_POINT_UNNAMED) {
        DIST_POINT_NAME_free(point->distpoint);
        point->distpoint = NULL;
    }
    if (options->point_kind == KIT_POINT_OF_SOME_REASONS) {
        point->onlysomereasons = ASN1_BIT_STRING_new();
        ASN1_BIT_STRING_set_bit(point->onlysomereasons, 1, 1);
    }
    /* an ASN.1 BOOLEAN of OpenSSL's: 0xff is true, and -1 not there */
    if (options->point_kind == KIT_POINT_OF_OTHERS)
        point->indirectCRL = 0xff;
    if (options->point_kind == KIT_POINT_OF_USERS)
        point->onlyuser = 0xff;
    if (options->point_kind == KIT_POINT_OF_ATTRIBUTES)
        point->onlyattr = 0xff;
    assert_int_equal(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, point, 1, 0), 1);
    ISSUING_DIST_POINT_free(point);
}

static void add_extensions(X509_CRL *crl, const struct kit_crl *options)
{
    if (options->number)
        add_number(crl, NID_crl_number, options->number, options->critical_number);
    if (options->delta || options->plain_delta)
        add_number(crl, NID_delta_crl, 1, options->delta);
    if (options->point)
        add_point(crl, options);
    if (options->unknown_critical || options->unknown_plain) {
        _cleanup_(X509_EXTENSION_freep) X509_EXTENSION *extension =
            unknown_extension(options->unknown_critical);

        assert_int_equal(X509_CRL_add_ext(crl, extension, -1), 1);
    }
}

static void sign_crl(X509_CRL *crl, EVP_PKEY *key, bool pkcs1)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how = NULL;

    assert_int_equal(EVP_DigestSignInit(ctx, &how, EVP_sha384(), NULL, key), 1);
    if (!pkcs1) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, 48), 1);
    }
    assert_true(X509_CRL_sign_ctx(crl, ctx) > 0);
}

static void set_times(const struct kit *kit, X509_CRL *crl, const struct kit_crl *options)
{
    int64_t from = options->from_ms ? options->from_ms : kit->now_ms - HOUR_MS;
    int64_t until = options->until_ms ? options->until_ms : kit->now_ms + 7 * 24 * HOUR_MS;
    _cleanup_(ASN1_TIME_freep) ASN1_TIME *last = ASN1_TIME_set(NULL, (time_t)(from / 1000));
    _cleanup_(ASN1_TIME_freep) ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)(until / 1000));

    assert_int_equal(X509_CRL_set1_lastUpdate(crl, last), 1);
    if (!options->no_next_update)
        assert_int_equal(X509_CRL_set1_nextUpdate(crl, next), 1);
}

void kit_make_crl(const struct kit *kit, const struct kit_crl *options, struct buffer *ret_der)
{
    _cleanup_(X509_CRL_freep) X509_CRL *crl = X509_CRL_new();
    X509 *issuer = options->issuer ? options->issuer : kit->ark;
    uint8_t *der = NULL;

    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)), 1);
    set_times(kit, crl, options);
    for (size_t i = 0; i < ELEMENTSOF(options->revoked) && options->revoked[i]; i++)
        add_entry(crl, options->revoked[i], options);
    if (options->revoke_zero)
        add_entry(crl, 0, options);
    for (size_t i = 0; i < options->more; i++)
        add_entry(crl, 100000 + (long)i, options);
    add_extensions(crl, options);
    X509_CRL_sort(crl);
    sign_crl(crl, options->key ? options->key : kit->ark_key, options->pkcs1);
    int size = i2d_X509_CRL(crl, &der);
    assert_true(size > 0);
    buffer_add(ret_der, der, (size_t)size);
    OPENSSL_free(der);
}
