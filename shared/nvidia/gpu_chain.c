#include "shared/nvidia/gpu_chain.h"

#include <ctype.h>
#include <openssl/err.h>
#include <string.h>

#include "shared/base/encode.h"

#define OID_COMPOSITE_ID "2.23.133.5.4.1"   /* DICE: composite device id (Hopper, LS10) */
#define OID_TCB_INFO     "2.23.133.5.4.1.1" /* DICE: TcbInfo (Blackwell) */
#define TCB_INFO_FWIDS   6                  /* fwids [6] */

DEFINE_CLEANUP(ASN1_OBJECT *, ASN1_OBJECT_free)

void gpu_chain_done(struct gpu_chain *chain)
{
    x509_path_done(&chain->path);
    *chain = (struct gpu_chain){};
}

/* A piece of DER. */
struct der {
    const uint8_t *data;
    long size;
};

/* Takes the next element off in; false: there is none. */
static bool der_next(struct der *in, int *ret_tag, int *ret_class, struct der *ret_value)
{
    const uint8_t *at = in->data;
    long length = 0;

    if (in->size <= 0)
        return false;
    int flags = ASN1_get_object(&at, &length, ret_tag, ret_class, in->size);
    ERR_clear_error();
    if ((flags & 0x80) || (flags & 1) || length < 0)
        return false; /* broken, or of indefinite length */
    *ret_value = (struct der){at, length};
    *in = (struct der){at + length, in->size - (at + length - in->data)};
    return in->size >= 0;
}

static bool der_take(struct der *in, int tag, struct der *ret_value)
{
    int actual = 0, class = 0;

    return der_next(in, &actual, &class, ret_value) && class == V_ASN1_UNIVERSAL && actual == tag;
}

/* FWID ::= SEQUENCE { hashAlg OBJECT IDENTIFIER, digest OCTET STRING }, here of SHA-384. */
static bool take_fwid(struct der *in, uint8_t ret_fwid[GPU_FWID_SIZE])
{
    struct der fwid, algorithm, digest;

    if (!der_take(in, V_ASN1_SEQUENCE, &fwid) || !der_take(&fwid, V_ASN1_OBJECT, &algorithm) ||
        !der_take(&fwid, V_ASN1_OCTET_STRING, &digest) || digest.size != GPU_FWID_SIZE)
        return false;
    memcpy(ret_fwid, digest.data, GPU_FWID_SIZE);
    return true;
}

/* SEQUENCE { version INTEGER, deviceID SubjectPublicKeyInfo, fwid FWID }. */
static bool fwid_of_composite_id(struct der in, uint8_t ret_fwid[GPU_FWID_SIZE])
{
    struct der body, skipped;

    return der_take(&in, V_ASN1_SEQUENCE, &body) && der_take(&body, V_ASN1_INTEGER, &skipped) &&
           der_take(&body, V_ASN1_SEQUENCE, &skipped) && take_fwid(&body, ret_fwid);
}

/* TcbInfo ::= SEQUENCE { ..., fwids [6] IMPLICIT SEQUENCE OF FWID, ... }: the first one. */
static bool fwid_of_tcb_info(struct der in, uint8_t ret_fwid[GPU_FWID_SIZE])
{
    struct der body, value;
    int tag = 0, class = 0;

    if (!der_take(&in, V_ASN1_SEQUENCE, &body))
        return false;
    while (der_next(&body, &tag, &class, &value))
        if (class == V_ASN1_CONTEXT_SPECIFIC && tag == TCB_INFO_FWIDS)
            return take_fwid(&value, ret_fwid);
    return false;
}

/* Empty when the leaf has no such extension, or has it twice. */
static struct der find_extension(X509 *leaf, const char *oid)
{
    _cleanup_(ASN1_OBJECT_freep) ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = X509_get_ext_by_OBJ(leaf, object, -1);

    if (at < 0 || X509_get_ext_by_OBJ(leaf, object, at) >= 0)
        return (struct der){};
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(leaf, at));
    return (struct der){ASN1_STRING_get0_data(value), ASN1_STRING_length(value)};
}

static void read_fwid(struct gpu_chain *chain)
{
    X509 *leaf = chain->path.certificates[0];

    chain->has_fwid = fwid_of_composite_id(find_extension(leaf, OID_COMPOSITE_ID), chain->fwid) ||
                      fwid_of_tcb_info(find_extension(leaf, OID_TCB_INFO), chain->fwid);
}

/* "GH100 A01 GSP BROM", "LS_10 A01 FSP BROM": the firmware certificate is named after the chip. */
static void read_chip(struct gpu_chain *chain)
{
    const X509_NAME *name = X509_get_subject_name(chain->path.certificates[1]);
    char text[64] = "";
    size_t n = 0;

    X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof(text));
    for (const char *c = text; *c && *c != ' '; c++)
        if (isalnum((unsigned char)*c) && n + 1 < GPU_CHIP_SIZE)
            chain->chip[n++] = *c;
    chain->is_switch = strncmp(chain->chip, "LS", 2) == 0;
}

/* The firmware certificate's serialNumber: a byte of kind, then the identifier. */
static void read_pdi(struct gpu_chain *chain)
{
    const X509_NAME *name = X509_get_subject_name(chain->path.certificates[1]);
    char text[64] = "";

    if (X509_NAME_get_text_by_NID(name, NID_serialNumber, text, sizeof(text)) !=
        2 * (GPU_PDI_SIZE + 1))
        return;
    struct error *err = hex_decode(text + 2, chain->pdi, GPU_PDI_SIZE);
    chain->has_pdi = !err;
    error_free(err);
}

struct error *gpu_chain_parse(const void *pem, size_t size, struct gpu_chain *ret_chain)
{
    struct gpu_chain chain = {};

    struct error *err = x509_path_add_pem(&chain.path, pem, size);
    if (!err && chain.path.n != GPU_CHAIN_LENGTH)
        err = error_new(ERROR_INVALID_ARGUMENT, "chain: %zu certificates, not %d", chain.path.n,
                        GPU_CHAIN_LENGTH);
    if (err) {
        gpu_chain_done(&chain);
        return err;
    }
    read_fwid(&chain);
    read_chip(&chain);
    read_pdi(&chain);
    *ret_chain = chain;
    return NULL;
}
