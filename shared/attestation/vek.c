#include "shared/attestation/vek.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <string.h>

#include "shared/base/cleanup.h"

DEFINE_CLEANUP(ASN1_OBJECT *, ASN1_OBJECT_free)
DEFINE_CLEANUP(ASN1_INTEGER *, ASN1_INTEGER_free)
DEFINE_CLEANUP(ASN1_IA5STRING *, ASN1_IA5STRING_free)
DEFINE_CLEANUP(RSA_PSS_PARAMS *, RSA_PSS_PARAMS_free)
DEFINE_CLEANUP(X509_ALGOR *, X509_ALGOR_free)

/* The extension's value; NULL when it is not there. Two of them are an error. */
static struct error *find_extension(X509 *certificate, const char *oid,
                                    const ASN1_OCTET_STRING **ret_value)
{
    _cleanup_(ASN1_OBJECT_freep) ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = object ? X509_get_ext_by_OBJ(certificate, object, -1) : -1;

    *ret_value = NULL;
    if (at < 0)
        return NULL;
    if (X509_get_ext_by_OBJ(certificate, object, at) >= 0)
        return error_new(ERROR_INVALID_ARGUMENT, "extension %s stands twice", oid);
    *ret_value = X509_EXTENSION_get_data(X509_get_ext(certificate, at));
    return NULL;
}

/* An INTEGER in 0..255 and nothing behind it. */
static struct error *get_level(X509 *certificate, const char *oid, bool required,
                               uint8_t *ret_level)
{
    const ASN1_OCTET_STRING *value;

    struct error *err = find_extension(certificate, oid, &value);
    if (err)
        return err;
    if (!value) {
        *ret_level = 0;
        return required ? error_new(ERROR_INVALID_ARGUMENT, "extension %s is missing", oid) : NULL;
    }
    const uint8_t *at = ASN1_STRING_get0_data(value), *end = at + ASN1_STRING_length(value);
    _cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *integer = d2i_ASN1_INTEGER(NULL, &at, end - at);
    int64_t level = -1;
    if (!integer || at != end || ASN1_INTEGER_get_int64(&level, integer) != 1 || level < 0 ||
        level > 255) {
        ERR_clear_error();
        return error_new(ERROR_INVALID_ARGUMENT, "extension %s is not a number of 0..255", oid);
    }
    *ret_level = (uint8_t)level;
    return NULL;
}

static struct error *get_spl(X509 *certificate, int number, bool required, uint8_t *ret_level)
{
    char oid[sizeof(VEK_OID_SPL) + 4];

    snprintf(oid, sizeof(oid), VEK_OID_SPL "%d", number);
    return get_level(certificate, oid, required, ret_level);
}

static struct error *get_tcb(X509 *certificate, enum snp_product product, struct snp_tcb *ret_tcb)
{
    const struct {
        int number;
        bool required;
        uint8_t *level;
    } spls[] = {
        {1, true, &ret_tcb->bootloader},
        {2, true, &ret_tcb->tee},
        {3, true, &ret_tcb->snp},
        {8, true, &ret_tcb->microcode},
        {9, product == SNP_PRODUCT_TURIN, &ret_tcb->fmc},
    };
    uint8_t reserved;

    for (size_t i = 0; i < ELEMENTSOF(spls); i++) {
        struct error *err = get_spl(certificate, spls[i].number, spls[i].required, spls[i].level);
        if (err)
            return err;
    }
    for (int number = 4; number <= 7; number++) {
        struct error *err = get_spl(certificate, number, false, &reserved);
        if (err)
            return err;
        if (reserved != 0)
            return error_new(ERROR_INVALID_ARGUMENT, "reserved level %d is %u", number, reserved);
    }
    return NULL;
}

static struct error *get_ia5(X509 *certificate, const char *oid, char ret_text[VEK_TEXT_SIZE])
{
    const ASN1_OCTET_STRING *value;

    struct error *err = find_extension(certificate, oid, &value);
    if (err)
        return err;
    if (!value)
        return error_new(ERROR_INVALID_ARGUMENT, "extension %s is missing", oid);
    const uint8_t *at = ASN1_STRING_get0_data(value), *end = at + ASN1_STRING_length(value);
    _cleanup_(ASN1_IA5STRING_freep) ASN1_IA5STRING *text = d2i_ASN1_IA5STRING(NULL, &at, end - at);
    int size = text ? ASN1_STRING_length(text) : -1;
    if (size <= 0 || size >= VEK_TEXT_SIZE || at != end ||
        memchr(ASN1_STRING_get0_data(text), '\0', (size_t)size)) {
        ERR_clear_error();
        return error_new(ERROR_INVALID_ARGUMENT, "extension %s is not a text", oid);
    }
    memcpy(ret_text, ASN1_STRING_get0_data(text), (size_t)size);
    ret_text[size] = '\0';
    return NULL;
}

/* The value is the raw identifier, not a nested OCTET STRING. */
static struct error *get_hwid(X509 *certificate, struct vek *vek)
{
    size_t expected = vek->product == SNP_PRODUCT_TURIN ? 8 : 64;
    const ASN1_OCTET_STRING *value;

    struct error *err = find_extension(certificate, VEK_OID_HWID, &value);
    if (err)
        return err;
    if (vek->kind == VEK_VLEK) {
        if (value)
            return error_new(ERROR_INVALID_ARGUMENT, "a VLEK names no chip, this one does");
        return get_ia5(certificate, VEK_OID_CSP_ID, vek->csp_id);
    }
    if (!value)
        return error_new(ERROR_INVALID_ARGUMENT, "the chip id (HWID) is missing");
    if ((size_t)ASN1_STRING_length(value) != expected)
        return error_new(ERROR_INVALID_ARGUMENT, "the chip id (HWID) has %d bytes",
                         ASN1_STRING_length(value));
    memcpy(vek->hwid, ASN1_STRING_get0_data(value), expected);
    vek->hwid_size = expected;
    return NULL;
}

static bool get_common_name(const X509_NAME *name, char ret_text[VEK_TEXT_SIZE])
{
    int at = X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, -1);

    if (at < 0 || X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, at) >= 0)
        return false;
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    int size = ASN1_STRING_length(value);
    if (size <= 0 || size >= VEK_TEXT_SIZE || memchr(ASN1_STRING_get0_data(value), 0, (size_t)size))
        return false;
    memcpy(ret_text, ASN1_STRING_get0_data(value), (size_t)size);
    ret_text[size] = '\0';
    return true;
}

static struct error *get_identity(X509 *certificate, struct vek *vek)
{
    char subject[VEK_TEXT_SIZE], issuer[VEK_TEXT_SIZE], product[VEK_TEXT_SIZE];

    if (!get_common_name(X509_get_subject_name(certificate), subject) ||
        !get_common_name(X509_get_issuer_name(certificate), issuer))
        return error_new(ERROR_INVALID_ARGUMENT, "subject or issuer has no common name");
    if (strcmp(subject, "SEV-VCEK") == 0)
        vek->kind = VEK_VCEK;
    else if (strcmp(subject, "SEV-VLEK") == 0)
        vek->kind = VEK_VLEK;
    else
        return error_new(ERROR_INVALID_ARGUMENT, "subject '%s' is neither VCEK nor VLEK", subject);

    struct error *err = get_ia5(certificate, VEK_OID_PRODUCT_NAME, product);
    if (err)
        return err;
    vek->product = snp_product_from_name(product);
    if (vek->product == SNP_PRODUCT_UNKNOWN)
        return error_new(ERROR_INVALID_ARGUMENT, "product '%s' is not known", product);
    const char *prefix = vek->kind == VEK_VCEK ? "SEV-" : "SEV-VLEK-";
    if (strncmp(issuer, prefix, strlen(prefix)) != 0 ||
        strcmp(issuer + strlen(prefix), snp_product_name(vek->product)) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "product '%s' is not of the issuer '%s'", product,
                         issuer);
    return NULL;
}

struct error *vek_parse(X509 *certificate, struct vek *ret_vek)
{
    struct vek vek = {};
    uint8_t struct_version;

    struct error *err = get_identity(certificate, &vek);
    if (!err)
        err = get_level(certificate, VEK_OID_STRUCT_VERSION, true, &struct_version);
    if (!err)
        err = get_tcb(certificate, vek.product, &vek.tcb);
    if (!err)
        err = get_hwid(certificate, &vek);
    if (!err)
        *ret_vek = vek;
    return err;
}

static bool mgf_is_sha384(const X509_ALGOR *mgf)
{
    const ASN1_OBJECT *object;
    const void *parameter;
    int type;

    if (!mgf)
        return false;
    X509_ALGOR_get0(&object, &type, &parameter, mgf);
    if (OBJ_obj2nid(object) != NID_mgf1 || type != V_ASN1_SEQUENCE)
        return false;
    const ASN1_STRING *sequence = parameter;
    const uint8_t *at = ASN1_STRING_get0_data(sequence);
    _cleanup_(X509_ALGOR_freep) X509_ALGOR *hash =
        d2i_X509_ALGOR(NULL, &at, ASN1_STRING_length(sequence));
    if (!hash)
        return false;
    X509_ALGOR_get0(&object, NULL, NULL, hash);
    return OBJ_obj2nid(object) == NID_sha384;
}

static bool pss_is_amd(const RSA_PSS_PARAMS *pss)
{
    const ASN1_OBJECT *hash;
    int64_t salt = 0, trailer = 1;

    if (!pss->hashAlgorithm || !pss->saltLength)
        return false; /* defaults: SHA-1, 20 */
    X509_ALGOR_get0(&hash, NULL, NULL, pss->hashAlgorithm);
    if (OBJ_obj2nid(hash) != NID_sha384 || !mgf_is_sha384(pss->maskGenAlgorithm))
        return false;
    if (pss->trailerField && ASN1_INTEGER_get_int64(&trailer, pss->trailerField) != 1)
        return false;
    return ASN1_INTEGER_get_int64(&salt, pss->saltLength) == 1 && salt == 48 && trailer == 1;
}

static bool names_chip(const uint8_t chip_id[64])
{
    uint8_t all = 0;

    for (size_t i = 0; i < 64; i++)
        all |= chip_id[i];
    return all != 0;
}

bool vek_is_of_report(const struct vek *vek, const struct report *report)
{
    bool vlek = report_signing_key(report) == REPORT_SIGNING_KEY_VLEK;
    struct snp_tcb reported = snp_tcb_decode(vek->product, report->reported_tcb);

    if ((vek->kind == VEK_VLEK) != vlek || !snp_tcb_equal(&reported, &vek->tcb))
        return false;
    return vlek || !names_chip(report->chip_id) ||
           memcmp(vek->hwid, report->chip_id, vek->hwid_size) == 0;
}

bool pss_algorithm_is_amd(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    const void *parameter;
    int type;

    X509_ALGOR_get0(&object, &type, &parameter, algorithm);
    if (OBJ_obj2nid(object) != NID_rsassaPss || type != V_ASN1_SEQUENCE)
        return false;
    const ASN1_STRING *sequence = parameter;
    const uint8_t *at = ASN1_STRING_get0_data(sequence);
    _cleanup_(RSA_PSS_PARAMS_freep) RSA_PSS_PARAMS *pss =
        d2i_RSA_PSS_PARAMS(NULL, &at, ASN1_STRING_length(sequence));
    bool ok = pss && pss_is_amd(pss);
    ERR_clear_error();
    return ok;
}

bool vek_signature_algorithm_is_amd(const X509 *certificate)
{
    const X509_ALGOR *algorithm;

    X509_get0_signature(NULL, &algorithm, certificate);
    return pss_algorithm_is_amd(algorithm);
}
