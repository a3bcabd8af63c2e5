#include "shared/attestation/dev_certificate.h"

#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "shared/attestation/roots.h"
#include "shared/attestation/vek.h"

#define DAY          (24 * 3600L)
#define YEARS_ISSUER 25
#define YEARS_VCEK   7
#define YEARS_CRL    1

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(ASN1_TIME *, ASN1_TIME_free)
DEFINE_CLEANUP(X509_EXTENSION *, X509_EXTENSION_free)
DEFINE_CLEANUP(ASN1_OBJECT *, ASN1_OBJECT_free)
DEFINE_CLEANUP(ASN1_OCTET_STRING *, ASN1_OCTET_STRING_free)
DEFINE_CLEANUP(ASN1_INTEGER *, ASN1_INTEGER_free)
DEFINE_CLEANUP(ASN1_IA5STRING *, ASN1_IA5STRING_free)

/* RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt 48. */
static bool sign_init(EVP_MD_CTX *ctx, EVP_PKEY *key)
{
    EVP_PKEY_CTX *options = NULL;

    return ctx && EVP_DigestSignInit(ctx, &options, EVP_sha384(), NULL, key) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 48) == 1;
}

static bool sign(X509 *certificate, EVP_PKEY *key)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    return sign_init(ctx, key) && X509_sign_ctx(certificate, ctx) > 0;
}

static bool add_name(X509_NAME *name, const char *field, const char *text)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, (const uint8_t *)text, -1, -1,
                                      0) == 1;
}

/* The common names are AMD's, as the format asks; the organisation says whose they are. */
static bool set_basics(X509 *certificate, const char *common_name, long serial, int years,
                       EVP_PKEY *key, X509 *issuer)
{
    X509_NAME *name = X509_get_subject_name(certificate);

    return X509_set_version(certificate, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), years * 365L * DAY) &&
           add_name(name, "O", "Coffer development, not AMD") &&
           add_name(name, "OU", "Engineering") && add_name(name, "CN", common_name) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
           X509_set_pubkey(certificate, key) == 1;
}

static bool add_standard(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    _cleanup_(X509_EXTENSION_freep) X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    return extension && X509_add_ext(certificate, extension, -1) == 1;
}

struct error *dev_certificate_issuer(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                                     X509 **ret_certificate)
{
    _cleanup_(X509_freep) X509 *certificate = X509_new();
    bool root = !issuer;

    if (!certificate)
        return error_openssl("certificate");
    X509 *parent = root ? certificate : issuer;
    if (!set_basics(certificate, root ? "ARK-" DEV_PRODUCT_NAME : "SEV-" DEV_PRODUCT_NAME,
                    root ? 1 : 2, YEARS_ISSUER, key, parent) ||
        !add_standard(certificate, parent, NID_basic_constraints,
                      root ? "critical,CA:TRUE" : "critical,CA:TRUE,pathlen:0") ||
        !add_standard(certificate, parent, NID_key_usage,
                      root ? "critical,keyCertSign,cRLSign" : "critical,keyCertSign") ||
        !add_standard(certificate, parent, NID_subject_key_identifier, "hash") ||
        !add_standard(certificate, parent, NID_authority_key_identifier, "keyid:always") ||
        !sign(certificate, root ? key : issuer_key))
        return error_openssl("make issuer certificate");
    *ret_certificate = TAKE_PTR(certificate);
    return NULL;
}

static bool add_raw(X509 *certificate, const char *oid, const uint8_t *value, int size)
{
    _cleanup_(ASN1_OBJECT_freep) ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    _cleanup_(ASN1_OCTET_STRING_freep) ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();

    if (!object || !octets || ASN1_OCTET_STRING_set(octets, value, size) != 1)
        return false;
    _cleanup_(X509_EXTENSION_freep) X509_EXTENSION *extension =
        X509_EXTENSION_create_by_OBJ(NULL, object, 0, octets);
    return extension && X509_add_ext(certificate, extension, -1) == 1;
}

static bool add_integer(X509 *certificate, const char *oid, long value)
{
    _cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *integer = ASN1_INTEGER_new();
    uint8_t *der = NULL;

    if (!integer || ASN1_INTEGER_set(integer, value) != 1)
        return false;
    int size = i2d_ASN1_INTEGER(integer, &der);
    bool ok = size > 0 && add_raw(certificate, oid, der, size);
    OPENSSL_free(der);
    return ok;
}

static bool add_ia5(X509 *certificate, const char *oid, const char *text)
{
    _cleanup_(ASN1_IA5STRING_freep) ASN1_IA5STRING *string = ASN1_IA5STRING_new();
    uint8_t *der = NULL;

    if (!string || ASN1_STRING_set(string, text, -1) != 1)
        return false;
    int size = i2d_ASN1_IA5STRING(string, &der);
    bool ok = size > 0 && add_raw(certificate, oid, der, size);
    OPENSSL_free(der);
    return ok;
}

static bool add_vek_extensions(X509 *certificate, const uint8_t chip_id[64])
{
    static const struct {
        const char *oid;
        long value;
    } integers[] = {
        {VEK_OID_STRUCT_VERSION, 0},
        {VEK_OID_SPL "1", DEV_TCB_BOOTLOADER},
        {VEK_OID_SPL "2", DEV_TCB_TEE},
        {VEK_OID_SPL "4", 0},
        {VEK_OID_SPL "5", 0},
        {VEK_OID_SPL "6", 0},
        {VEK_OID_SPL "7", 0},
        {VEK_OID_SPL "3", DEV_TCB_SNP},
        {VEK_OID_SPL "8", DEV_TCB_MICROCODE},
    };

    for (size_t i = 0; i < ELEMENTSOF(integers); i++)
        if (!add_integer(certificate, integers[i].oid, integers[i].value))
            return false;
    return add_ia5(certificate, VEK_OID_PRODUCT_NAME, DEV_PRODUCT_NAME) &&
           add_raw(certificate, VEK_OID_HWID, chip_id, 64);
}

struct error *dev_certificate_vcek(EVP_PKEY *key, const uint8_t chip_id[64], X509 *ask,
                                   EVP_PKEY *ask_key, X509 **ret_certificate)
{
    _cleanup_(X509_freep) X509 *certificate = X509_new();

    if (!certificate || !set_basics(certificate, "SEV-VCEK", 0, YEARS_VCEK, key, ask) ||
        !add_vek_extensions(certificate, chip_id) || !sign(certificate, ask_key))
        return error_openssl("make vcek certificate");
    *ret_certificate = TAKE_PTR(certificate);
    return NULL;
}

static bool set_crl_basics(X509_CRL *crl, X509 *ark)
{
    _cleanup_(ASN1_TIME_freep) ASN1_TIME *last = X509_gmtime_adj(NULL, -DAY);
    _cleanup_(ASN1_TIME_freep) ASN1_TIME *next = X509_gmtime_adj(NULL, YEARS_CRL * 365L * DAY);

    return last && next && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
           X509_CRL_set_issuer_name(crl, X509_get_subject_name(ark)) == 1 &&
           X509_CRL_set1_lastUpdate(crl, last) == 1 && X509_CRL_set1_nextUpdate(crl, next) == 1;
}

static bool set_crl_number(X509_CRL *crl, uint64_t number)
{
    _cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *integer = ASN1_INTEGER_new();

    return integer && ASN1_INTEGER_set_uint64(integer, number) == 1 &&
           X509_CRL_add1_ext_i2d(crl, NID_crl_number, integer, 0, 0) == 1;
}

static bool put_on_list(X509_CRL *crl, X509 *certificate)
{
    _cleanup_(ASN1_TIME_freep) ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
    X509_REVOKED *entry = X509_REVOKED_new();

    if (entry && now && X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate)) &&
        X509_REVOKED_set_revocationDate(entry, now) == 1 && X509_CRL_add0_revoked(crl, entry) == 1)
        return true;
    X509_REVOKED_free(entry);
    return false;
}

struct error *dev_certificate_crl(X509 *ark, EVP_PKEY *ark_key, uint64_t number, X509 *revoked,
                                  X509_CRL **ret_crl)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    _cleanup_(X509_CRL_freep) X509_CRL *crl = X509_CRL_new();

    if (!crl || !set_crl_basics(crl, ark) || !set_crl_number(crl, number) ||
        (revoked && !put_on_list(crl, revoked)) || !sign_init(ctx, ark_key) ||
        X509_CRL_sign_ctx(crl, ctx) <= 0)
        return error_openssl("make revocation list");
    *ret_crl = TAKE_PTR(crl);
    return NULL;
}
