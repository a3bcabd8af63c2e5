#include "shared/nvidia/spdm.h"

#include <ctype.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

#include "shared/base/reader.h"

#define VERSION_1_1              0x11
#define REQUEST_CODE             0xe0
#define RESPONSE_CODE            0x60
#define REQUEST_WITH_SIGNATURE   0x01
#define REQUEST_ALL_MEASUREMENTS 0xff
#define SPECIFICATION_DMTF       0x01
#define SCALAR_SIZE              48
#define SLOT_MASK                0x0f

DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

/* GET_MEASUREMENTS: header, nonce, slot. Only the signed form of all measurements is evidence. */
static bool read_request(struct reader *r, struct spdm_transcript *t, uint8_t *ret_slot)
{
    uint8_t version = reader_u8(r), code = reader_u8(r);
    uint8_t attributes = reader_u8(r), operation = reader_u8(r);

    t->nonce = reader_view(r, SPDM_NONCE_SIZE);
    *ret_slot = reader_u8(r) & SLOT_MASK;
    return !r->failed && version == VERSION_1_1 && code == REQUEST_CODE &&
           (attributes & REQUEST_WITH_SIGNATURE) && operation == REQUEST_ALL_MEASUREMENTS;
}

/* One block: index, specification, size, then type, value size, value. */
static bool read_block(struct reader *r, struct spdm_transcript *t)
{
    uint8_t index = reader_u8(r), specification = reader_u8(r);
    uint16_t size = reader_u16le(r);
    reader_skip(r, 1);
    uint16_t value_size = reader_u16le(r);
    const uint8_t *value = reader_view(r, value_size);

    if (r->failed || specification != SPECIFICATION_DMTF || size != value_size + 3)
        return false;
    if (index == 0 || index > SPDM_MEASUREMENTS_MAX || t->measurements[index - 1].data)
        return false;
    t->measurements[index - 1] = (struct spdm_bytes){value, value_size};
    t->n_measurements++;
    return true;
}

static bool read_measurements(struct reader *r, struct spdm_transcript *t, uint8_t slot)
{
    uint8_t version = reader_u8(r), code = reader_u8(r);
    reader_skip(r, 1);
    uint8_t response_slot = reader_u8(r) & SLOT_MASK;
    uint8_t blocks = reader_u8(r);
    size_t size = reader_u16le(r);
    size |= (size_t)reader_u8(r) << 16;
    const uint8_t *record = reader_view(r, size);
    struct reader inner;

    if (r->failed || version != VERSION_1_1 || code != RESPONSE_CODE || response_slot != slot)
        return false;
    reader_init(&inner, record, size);
    for (uint8_t i = 0; i < blocks; i++)
        if (!read_block(&inner, t))
            return false;
    return reader_done(&inner);
}

static bool read_opaque(struct reader *r, struct spdm_transcript *t)
{
    uint16_t size = reader_u16le(r);
    const uint8_t *fields = reader_view(r, size);
    struct reader inner;

    if (r->failed)
        return false;
    reader_init(&inner, fields, size);
    while (reader_left(&inner) > 0) {
        uint16_t type = reader_u16le(&inner), length = reader_u16le(&inner);
        const uint8_t *value = reader_view(&inner, length);

        if (inner.failed || (type < SPDM_OPAQUE_TYPES && t->opaque[type].data))
            return false;
        if (type < SPDM_OPAQUE_TYPES)
            t->opaque[type] = (struct spdm_bytes){value, length};
    }
    return true;
}

/* ASCII, padded with NUL or nothing. */
static bool read_text(const struct spdm_bytes *field, char ret_text[SPDM_TEXT_SIZE])
{
    size_t size = field->size;

    while (size > 0 && field->data[size - 1] == 0)
        size--;
    if (size >= SPDM_TEXT_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = field->data[i];

        if (!isalnum(c) && c != '.' && c != '_' && c != '-')
            return false;
        ret_text[i] = (char)c;
    }
    ret_text[size] = 0;
    return true;
}

/* A GPU gives eight bytes, a switch text. */
static bool read_vbios(const struct spdm_bytes *field, char ret_text[SPDM_TEXT_SIZE])
{
    const uint8_t *b = field->data;

    if (field->size != 8)
        return read_text(field, ret_text);
    snprintf(ret_text, SPDM_TEXT_SIZE, "%02X.%02X.%02X.%02X.%02X", b[3], b[2], b[1], b[0], b[4]);
    return true;
}

static bool read_texts(struct spdm_transcript *t)
{
    return read_text(&t->opaque[SPDM_OPAQUE_DRIVER_VERSION], t->driver_version) &&
           read_vbios(&t->opaque[SPDM_OPAQUE_VBIOS_VERSION], t->vbios_version) &&
           read_text(&t->opaque[SPDM_OPAQUE_PROJECT], t->project) &&
           read_text(&t->opaque[SPDM_OPAQUE_PROJECT_SKU], t->project_sku) &&
           read_text(&t->opaque[SPDM_OPAQUE_CHIP_SKU], t->chip_sku);
}

/* The response ends: record, the device's own nonce, opaque fields, signature. */
static struct error *read_exchange(const void *data, size_t size, struct spdm_transcript *ret)
{
    struct spdm_transcript t = {.data = data};
    struct reader r;
    uint8_t slot = 0;

    if (!data || size > SPDM_TRANSCRIPT_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "spdm: %zu bytes are no exchange", size);
    reader_init(&r, data, size);
    if (!read_request(&r, &t, &slot))
        return error_new(ERROR_INVALID_ARGUMENT, "spdm: not a request for signed measurements");
    if (!read_measurements(&r, &t, slot))
        return error_new(ERROR_INVALID_ARGUMENT, "spdm: bad measurements in the response");
    reader_skip(&r, SPDM_NONCE_SIZE);
    if (!read_opaque(&r, &t))
        return error_new(ERROR_INVALID_ARGUMENT, "spdm: bad opaque data in the response");
    t.signature = reader_view(&r, SPDM_SIGNATURE_SIZE);
    if (r.failed)
        return error_new(ERROR_INVALID_ARGUMENT, "spdm: the response has no signature");
    if (!read_texts(&t))
        return error_new(ERROR_INVALID_ARGUMENT, "spdm: an opaque field is not plain text");
    t.size = r.offset;
    *ret = t;
    return NULL;
}

struct error *spdm_parse(const void *data, size_t size, struct spdm_transcript *ret_transcript)
{
    struct spdm_transcript t = {};

    struct error *err = read_exchange(data, size, &t);
    if (err)
        return err;
    if (t.size != size)
        return error_new(ERROR_INVALID_ARGUMENT, "spdm: %zu bytes after the signature",
                         size - t.size);
    *ret_transcript = t;
    return NULL;
}

struct error *spdm_measure(const void *data, size_t size, size_t *ret_size)
{
    struct spdm_transcript t = {};

    struct error *err = read_exchange(data, size, &t);
    if (!err)
        *ret_size = t.size;
    return err;
}

/* OpenSSL wants the two scalars as DER. Caller frees with OPENSSL_free; NULL: out of memory. */
static uint8_t *signature_to_der(const uint8_t *signature, int *ret_size)
{
    _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, SCALAR_SIZE, NULL);
    BIGNUM *s = BN_bin2bn(signature + SCALAR_SIZE, SCALAR_SIZE, NULL);
    uint8_t *der = NULL;

    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return NULL;
    }
    *ret_size = i2d_ECDSA_SIG(pair, &der);
    return *ret_size > 0 ? der : NULL;
}

bool spdm_signature_is_valid(const struct spdm_transcript *t, EVP_PKEY *key)
{
    int size = 0;
    uint8_t *der = signature_to_der(t->signature, &size);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    bool valid =
        der && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, key) == 1 &&
        EVP_DigestVerify(ctx, der, (size_t)size, t->data, t->size - SPDM_SIGNATURE_SIZE) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ERR_clear_error();
    return valid;
}

int spdm_opaque_byte(const struct spdm_transcript *t, enum spdm_opaque_type type)
{
    const struct spdm_bytes *field = &t->opaque[type];

    return field->data && field->size == 1 ? field->data[0] : -1;
}

int spdm_opaque_u16(const struct spdm_transcript *t, enum spdm_opaque_type type)
{
    const struct spdm_bytes *field = &t->opaque[type];

    return field->data && field->size == 2 ? field->data[0] | field->data[1] << 8 : -1;
}
