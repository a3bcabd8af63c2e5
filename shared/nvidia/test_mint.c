/* Keys, certificates and OCSP responses. */
#include "shared/nvidia/test_mint.h"

#include <assert.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define YEAR_S (365 * 24 * 3600)

static void add_name(X509_NAME *name, const char *field, const char *value)
{
    int ok =
        X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, (const uint8_t *)value, -1, -1, 0);

    assert(ok == 1);
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert(extension && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* FWID, SEQUENCE { OID of SHA-384, OCTET STRING }. */
static void der_fwid(struct buffer *out, const uint8_t *fwid)
{
    static const uint8_t head[] = {0x30, 0x3d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                   0x65, 0x03, 0x04, 0x02, 0x02, 0x04, 0x30};

    buffer_add(out, head, sizeof(head));
    buffer_add(out, fwid, 48);
}

static void add_fwid_extension(X509 *certificate, const struct buffer *der, bool tcb_info)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(tcb_info ? "2.23.133.5.4.1.1" : "2.23.133.5.4.1", 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();

    ASN1_OCTET_STRING_set(octets, (const uint8_t *)buffer_text(der), (int)der->size);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, octets);
    assert(X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(oid);
}

static void add_fwid(X509 *certificate, const uint8_t *fwid, bool tcb_info)
{
    static const uint8_t composite[] = {0x30, 0x44, 0x02, 0x01, 0x01, 0x30, 0x00};
    static const uint8_t info[] = {0x30, 0x44, 0x80, 0x01, 'N', 0xa6, 0x3f};
    _cleanup_buffer_ struct buffer der = {};

    buffer_add(&der, tcb_info ? info : composite, 7);
    der_fwid(&der, fwid);
    add_fwid_extension(certificate, &der, tcb_info);
}

void mint_certificate(const struct mint_certificate *in, const struct mint_party *issuer,
                      struct mint_party *ret)
{
    static long serial;
    X509 *c = X509_new();

    ret->key = in->key ? in->key : EVP_EC_gen(in->p256 ? "P-256" : "P-384");
    assert(c && ret->key);
    if (in->key)
        EVP_PKEY_up_ref(ret->key);
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(c), MINT_NOW_MS / 1000 - 2 * YEAR_S);
    if (in->expired)
        ASN1_TIME_set(X509_getm_notAfter(c), MINT_NOW_MS / 1000 - YEAR_S);
    else
        ASN1_TIME_set_string(X509_getm_notAfter(c), "99991231235959Z");
    if (in->serial_number)
        add_name(X509_get_subject_name(c), "serialNumber", in->serial_number);
    add_name(X509_get_subject_name(c), "CN", in->name);
    X509_set_issuer_name(c, X509_get_subject_name(issuer ? issuer->certificate : c));
    X509_set_pubkey(c, ret->key);
    add_extension(c, NID_basic_constraints, in->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (in->ocsp_signer)
        add_extension(c, NID_ext_key_usage, "OCSPSigning");
    if (in->fwid)
        add_fwid(c, in->fwid, in->tcb_info);
    for (size_t i = 0; in->fwid_der && i < (in->fwid_twice ? 2 : 1); i++)
        add_fwid_extension(c, in->fwid_der, in->tcb_info);
    assert(X509_sign(c, issuer ? issuer->key : ret->key, EVP_sha384()) > 0);
    ret->certificate = c;
}

void mint_party_done(struct mint_party *party)
{
    X509_free(party->certificate);
    EVP_PKEY_free(party->key);
    *party = (struct mint_party){};
}

void mint_pem(const struct mint_party *party, struct buffer *ret_pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    PEM_write_bio_X509(bio, party->certificate);
    long size = BIO_get_mem_data(bio, &text);
    buffer_add(ret_pem, text, (size_t)size);
    BIO_free(bio);
}

static void mint_ca(const char *name, const struct mint_party *issuer, struct mint_party *ret)
{
    const struct mint_certificate in = {.name = name, .is_ca = true};

    mint_certificate(&in, issuer, ret);
}

void mint_init(struct mint *mint)
{
    mint_ca("Test Device Identity CA", NULL, &mint->device_root);
    mint_ca("Test Identity", &mint->device_root, &mint->identity);
    mint_ca("Test Provisioner", &mint->identity, &mint->provisioner);
    mint_ca("Test RIM Root", NULL, &mint->rim_root);
    mint_ca("Test RIM CA", &mint->rim_root, &mint->rim_ca);
    mint_certificate(&(struct mint_certificate){.name = "Test RIM Signer"}, &mint->rim_ca,
                     &mint->rim_signer);
    X509_digest(mint->device_root.certificate, EVP_sha256(), mint->roots.device, NULL);
    X509_digest(mint->rim_root.certificate, EVP_sha256(), mint->roots.rim, NULL);
}

void mint_done(struct mint *mint)
{
    mint_party_done(&mint->device_root);
    mint_party_done(&mint->identity);
    mint_party_done(&mint->provisioner);
    mint_party_done(&mint->rim_root);
    mint_party_done(&mint->rim_ca);
    mint_party_done(&mint->rim_signer);
}

void mint_ocsp_as(const struct mint_ocsp *in, const struct mint_ocsp_form *form,
                  struct buffer *ret_der)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(form->hash ? form->hash : EVP_sha1(),
                                      in->subject->certificate, in->issuer->certificate);
    ASN1_TIME *from = ASN1_TIME_set(NULL, in->from_ms / 1000);
    ASN1_TIME *until = form->no_until ? NULL : ASN1_TIME_set(NULL, in->until_ms / 1000);
    ASN1_TIME *revoked = in->status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL;
    uint8_t *der = NULL;

    int reason =
        form->on_hold ? OCSP_REVOKED_STATUS_CERTIFICATEHOLD : OCSP_REVOKED_STATUS_KEYCOMPROMISE;
    assert(OCSP_basic_add1_status(basic, id, in->status, reason, revoked, from, until));
    for (size_t i = 0; i < form->n_copies; i++)
        assert(OCSP_basic_add1_cert(basic, in->responder->certificate) == 1);
    assert(OCSP_basic_sign(basic, in->responder->certificate, in->responder->key, EVP_sha384(),
                           NULL, 0) == 1);
    OCSP_RESPONSE *response = OCSP_response_create(form->response_status, basic);
    int size = i2d_OCSP_RESPONSE(response, &der);
    buffer_add(ret_der, der, (size_t)size);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
}

void mint_ocsp(const struct mint_ocsp *in, struct buffer *ret_der)
{
    mint_ocsp_as(in, &(struct mint_ocsp_form){}, ret_der);
}
