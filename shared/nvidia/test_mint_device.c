/* The exchange with a device, and RIM files. */
#include <assert.h>
#include <openssl/ec.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/nvidia/test_mint.h"

/* With one byte more than a digest has. */
static const uint8_t firmware_id[49] = {[0 ... 48] = 0x5f}, other_id[49] = {[0 ... 48] = 0x5e};

void mint_value(size_t index, uint8_t ret_value[48])
{
    memset(ret_value, (int)(0x40 + index), 48);
}

struct mint_device mint_gpu(uint8_t number)
{
    return (struct mint_device){
        .chip_name = "GH100 A01 GSP BROM",
        .pdi = {0xa0, 1, 2, 3, 4, 5, 6, number},
        .driver = "550.1",
        .vbios = {0x00, 0x5e, 0x00, 0x96, 0x01},
        .mode = 0,
        .protected_pcie = 0x55,
        .nvdec = 0xaa,
    };
}

static void add_u16(struct buffer *out, size_t value)
{
    buffer_add_u8(out, (uint8_t)value);
    buffer_add_u8(out, (uint8_t)(value >> 8));
}

static void add_field(struct buffer *out, size_t type, const void *data, size_t size)
{
    add_u16(out, type);
    add_u16(out, size);
    buffer_add(out, data, size);
}

static void add_byte_field(struct buffer *out, size_t type, int value)
{
    if (value >= 0)
        add_field(out, type, &(uint8_t){(uint8_t)value}, 1);
}

static void add_links(const struct mint_device *in, struct buffer *out)
{
    static const uint8_t ports[16] = {[0 ... 15] = 0x31};
    _cleanup_buffer_ struct buffer list = {};

    buffer_add(&list, in->links, in->links_size ? in->links_size : sizeof(in->links));
    if (in->links_size == 0)
        buffer_add(&list, ports, sizeof(ports));
    add_field(out, in->is_switch ? SPDM_OPAQUE_GPU_PDI : SPDM_OPAQUE_SWITCH_PDI, list.data,
              list.size);
}

static void add_opaque(const struct mint_device *in, struct buffer *out)
{
    _cleanup_buffer_ struct buffer fields = {};

    if (in->driver)
        add_field(&fields, SPDM_OPAQUE_DRIVER_VERSION, in->driver, strlen(in->driver) + 1);
    if (in->is_switch)
        add_field(&fields, SPDM_OPAQUE_VBIOS_VERSION, "96.10.55.00.01", 14);
    else
        add_field(&fields, SPDM_OPAQUE_VBIOS_VERSION, in->vbios, 8);
    add_byte_field(&fields, SPDM_OPAQUE_NVDEC0_STATUS, in->nvdec);
    add_byte_field(&fields, SPDM_OPAQUE_PROTECTED_PCIE, in->protected_pcie);
    if (!in->no_fwid)
        add_field(&fields, SPDM_OPAQUE_FWID, in->wrong_fwid ? other_id : firmware_id,
                  sizeof(firmware_id) - !in->long_fwid);
    if (in->is_switch && in->own_pdi_cut < 8)
        add_field(&fields, SPDM_OPAQUE_SWITCH_PDI, in->wrong_own_pdi ? in->links : in->pdi,
                  8 - in->own_pdi_cut);
    if (in->links_size || in->is_switch)
        add_links(in, &fields);
    if (in->mode != -1)
        add_field(&fields, SPDM_OPAQUE_VERSION, (uint8_t[]){1, 0}, 2);
    if (in->mode >= 0)
        add_field(&fields, SPDM_OPAQUE_FEATURE_FLAG, (uint8_t[]){(uint8_t)in->mode, 0}, 2);
    add_u16(out, fields.size);
    buffer_add(out, fields.data, fields.size);
}

static void add_exchange(const struct mint_device *in, struct buffer *out)
{
    const size_t blocks = in->n_blocks ? in->n_blocks : 16;
    const size_t record = blocks * (4 + 3 + 48) + in->long_value;
    static const uint8_t own_nonce[32] = {0x0d}, no_signature[96];

    buffer_add(out, "\x11\xe0\x01\xff", 4);
    buffer_add(out, in->nonce, 32);
    buffer_add_u8(out, 0);
    buffer_add(out, "\x11\x60\x00\x00", 4);
    buffer_add_u8(out, (uint8_t)blocks);
    add_u16(out, record);
    buffer_add_u8(out, 0);
    for (size_t i = 0; i < blocks; i++) {
        size_t size = 48 + (in->long_value && i == 12);
        uint8_t value[49] = {};

        mint_value(i, value);
        buffer_add_u8(out, (uint8_t)(i + 1));
        buffer_add_u8(out, 1);
        add_u16(out, 3 + size);
        buffer_add_u8(out, 1);
        add_u16(out, size);
        buffer_add(out, value, size);
    }
    buffer_add(out, own_nonce, 32);
    add_opaque(in, out);
    buffer_add(out, no_signature, 96);
}

/* r, s, 48 bytes each, big-endian. */
static void sign_raw(EVP_PKEY *key, const void *data, size_t size, uint8_t ret_signature[96])
{
    uint8_t der[256];
    const uint8_t *at = der;
    size_t der_size = sizeof(der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key) == 1);
    assert(EVP_DigestSign(ctx, der, &der_size, data, size) == 1);
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der_size);
    assert(BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_signature, 48) == 48);
    assert(BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_signature + 48, 48) == 48);
    ECDSA_SIG_free(pair);
    EVP_MD_CTX_free(ctx);
}

void mint_sign(struct minted *device)
{
    struct buffer *exchange = &device->evidence.exchange;
    size_t size = exchange->size - 96;

    sign_raw(device->leaf.key, exchange->data, size, exchange->data + size);
}

void mint_device(const struct mint *mint, const struct mint_device *in, struct minted *ret)
{
    _cleanup_free_ char *pdi = hex_encode_new(in->pdi, 8);
    _cleanup_free_ char *serial = xasprintf("%s%s", in->is_switch ? "50" : "41", pdi);
    const struct mint_certificate firmware = {.name = in->chip_name,
                                              .serial_number = in->no_pdi ? NULL : serial,
                                              .is_ca = true,
                                              .key =
                                                  in->firmware_key ? in->firmware_key->key : NULL};
    const struct mint_certificate leaf = {.name = "Test Attestation Key",
                                          .fwid = in->no_certified_fwid ? NULL : firmware_id,
                                          .tcb_info = in->tcb_info,
                                          .expired = in->expired,
                                          .key = in->leaf_key ? in->leaf_key->key : NULL};

    *ret = (struct minted){};
    mint_certificate(&firmware, &mint->provisioner, &ret->firmware);
    mint_certificate(&leaf, &ret->firmware, &ret->leaf);
    add_exchange(in, &ret->evidence.exchange);
    mint_sign(ret);
    mint_pem(&ret->leaf, &ret->evidence.certificate);
    mint_pem(&ret->firmware, &ret->evidence.certificate);
    mint_pem(&mint->provisioner, &ret->evidence.certificate);
    mint_pem(&mint->identity, &ret->evidence.certificate);
    mint_pem(&mint->device_root, &ret->evidence.certificate);
}

void minted_done(struct minted *device)
{
    mint_party_done(&device->firmware);
    mint_party_done(&device->leaf);
    gpu_evidence_done(&device->evidence);
}

/* Already in canonical form (C14N 1.1), so that its digest is that of its text. */
static void add_content(const struct mint_rim *in, struct buffer *out)
{
    buffer_printf(
        out,
        "<SoftwareIdentity xmlns=\"http://standards.iso.org/iso/19770/-2/2015/schema.xsd\" "
        "xmlns:h=\"http://www.w3.org/2001/04/xmlenc#sha384\" name=\"%s\">\n"
        "<Meta colloquialVersion=\"%s\" product=\"%s\"></Meta>\n<Payload>\n",
        in->product, in->version, in->product);
    for (size_t i = 0; i < 16 || i < in->end; i++) {
        uint8_t value[48];
        mint_value(i, value);
        _cleanup_free_ char *hex = hex_encode_new(value, sizeof(value));

        buffer_printf(out,
                      "<Resource active=\"%s\" alternatives=\"2\" index=\"%zu\" size=\"48\" "
                      "type=\"Measurement\" h:Hash0=\"%096d\" h:Hash1=\"%s\"></Resource>\n",
                      i >= in->first && i < in->end ? "True" : "False", i, 0, hex);
    }
    buffer_add_text(out, "</Payload>\n</SoftwareIdentity>");
}

static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = from ? strstr(text, from) : NULL;

    assert(!from || at);
    return at ? xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from))
              : xstrdup(text);
}

#define SIGNED_INFO                                                                                \
    "<ds:CanonicalizationMethod "                                                                  \
    "Algorithm=\"http://www.w3.org/2006/12/xml-c14n11\"></ds:CanonicalizationMethod>"              \
    "<ds:SignatureMethod "                                                                         \
    "Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384\"></ds:SignatureMethod>"      \
    "<ds:Reference URI=\"\"><ds:Transforms>"                                                       \
    "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\">"           \
    "</ds:Transform><ds:Transform Algorithm=\"http://www.w3.org/2006/12/xml-c14n11\">"             \
    "</ds:Transform></ds:Transforms>"                                                              \
    "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#sha384\">"                \
    "</ds:DigestMethod><ds:DigestValue>%s</ds:DigestValue></ds:Reference></ds:SignedInfo>"

/* As C14N sees SignedInfo: with the namespaces that are in scope there. */
static char *sign_info(const struct mint_party *signer, const char *digest)
{
    _cleanup_free_ char *canonical =
        xasprintf("<ds:SignedInfo xmlns=\"http://standards.iso.org/iso/19770/-2/2015/schema.xsd\" "
                  "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" "
                  "xmlns:h=\"http://www.w3.org/2001/04/xmlenc#sha384\">" SIGNED_INFO,
                  digest);
    uint8_t signature[96];

    sign_raw(signer->key, canonical, strlen(canonical), signature);
    return base64_encode_new(signature, sizeof(signature));
}

static void add_certificate(struct buffer *out, const struct mint_party *party)
{
    uint8_t *der = NULL;
    int size = i2d_X509(party->certificate, &der);
    _cleanup_free_ char *text = base64_encode_new(der, (size_t)size);

    buffer_printf(out, "<ds:X509Certificate>%s\n</ds:X509Certificate>", text);
    OPENSSL_free(der);
}

void mint_rim(const struct mint *mint, const struct mint_rim *in, struct buffer *ret_xml)
{
    const struct mint_party *signer = in->signer ? in->signer : &mint->rim_signer;
    _cleanup_buffer_ struct buffer content = {};
    uint8_t sha384[48];

    add_content(in, &content);
    _cleanup_free_ char *text = replaced(buffer_text(&content), in->replace, in->with);
    EVP_Digest(text, strlen(text), sha384, NULL, EVP_sha384(), NULL);
    _cleanup_free_ char *digest = base64_encode_new(sha384, sizeof(sha384));
    _cleanup_free_ char *signature = sign_info(signer, digest);
    buffer_add(ret_xml, text, strlen(text) - strlen("</SoftwareIdentity>"));
    buffer_add_text(ret_xml, "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">");
    buffer_printf(ret_xml, "<ds:SignedInfo>" SIGNED_INFO, digest);
    buffer_printf(ret_xml, "<ds:SignatureValue>%s</ds:SignatureValue>", signature);
    buffer_add_text(ret_xml, "<ds:KeyInfo><ds:X509Data>");
    add_certificate(ret_xml, signer);
    add_certificate(ret_xml, &mint->rim_ca);
    add_certificate(ret_xml, &mint->rim_root);
    buffer_add_text(ret_xml, "</ds:X509Data></ds:KeyInfo></ds:Signature></SoftwareIdentity>");
}

void mint_driver_rim(const struct mint *mint, struct buffer *ret_xml)
{
    mint_rim(mint, &(struct mint_rim){"GH100", "550.1", 7, 13, NULL, NULL, NULL}, ret_xml);
}

void mint_vbios_rim(const struct mint *mint, struct buffer *ret_xml)
{
    mint_rim(mint, &(struct mint_rim){"GH100", "96.00.5E.00.01", 0, 7, NULL, NULL, NULL}, ret_xml);
}
