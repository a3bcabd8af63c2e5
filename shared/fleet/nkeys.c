#include "shared/fleet/nkeys.h"

#include <assert.h>
#include <openssl/crypto.h>

enum {
    SEED_PREFIX = 18 << 3,
    PUBLIC_SIZE = 1 + 32 + 2,
    SEED_SIZE = 2 + 32 + 2,
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void base32_encode(const uint8_t *data, size_t size, char *ret_text)
{
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < size; i++) {
        bits = (bits << 8 | data[i]) & 0xffff;
        held += 8;
        for (; held >= 5; held -= 5)
            *ret_text++ = alphabet[bits >> (held - 5) & 31];
    }
    if (held)
        *ret_text++ = alphabet[bits << (5 - held) & 31];
    *ret_text = '\0';
}

/* Exactly size bytes; what is left of the last character must be zero bits. */
static bool base32_decode(const char *text, uint8_t *ret_data, size_t size)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;

    if (strlen(text) != (8 * size + 4) / 5)
        return false;
    for (; *text; text++) {
        const char *at = strchr(alphabet, *text);
        if (!at)
            return false;
        bits = (bits << 5 | (uint32_t)(at - alphabet)) & 0xffff;
        held += 5;
        if (held < 8)
            continue;
        held -= 8;
        ret_data[n++] = (uint8_t)(bits >> held);
    }
    assert(n == size); /* the length says so */
    return (bits & ((1U << held) - 1)) == 0;
}

static uint16_t crc16(const uint8_t *data, size_t size)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < size; i++) {
        crc = (uint16_t)(crc ^ data[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

static void encode(uint8_t *raw, size_t size, char *ret_text)
{
    uint16_t crc = crc16(raw, size - 2);

    raw[size - 2] = (uint8_t)crc;
    raw[size - 1] = (uint8_t)(crc >> 8);
    base32_encode(raw, size, ret_text);
    OPENSSL_cleanse(raw, size);
}

static bool decode(const char *text, uint8_t *ret_raw, size_t size)
{
    if (!base32_decode(text, ret_raw, size))
        return false;
    uint16_t crc = crc16(ret_raw, size - 2);
    return ret_raw[size - 2] == (uint8_t)crc && ret_raw[size - 1] == (uint8_t)(crc >> 8);
}

struct error *nkey_generate(enum nkey_type type, struct nkey *ret_key)
{
    ret_key->type = type;
    return sign_key_generate(&ret_key->key);
}

void nkey_done(struct nkey *key)
{
    sign_key_done(&key->key);
}

void nkey_public_text(const struct nkey *key, char ret_text[NKEY_PUBLIC_TEXT_SIZE])
{
    uint8_t raw[PUBLIC_SIZE] = {(uint8_t)key->type};

    memcpy(raw + 1, key->key.public, SIGN_KEY_SIZE);
    encode(raw, sizeof(raw), ret_text);
}

void nkey_seed_text(const struct nkey *key, char ret_text[NKEY_SEED_TEXT_SIZE])
{
    uint8_t type = (uint8_t)key->type;
    uint8_t raw[SEED_SIZE] = {(uint8_t)(SEED_PREFIX | type >> 5), (uint8_t)((type & 31) << 3)};

    memcpy(raw + 2, key->key.secret, SIGN_KEY_SIZE);
    encode(raw, sizeof(raw), ret_text);
}

struct error *nkey_from_seed(enum nkey_type type, const char *seed, struct nkey *ret_key)
{
    uint8_t raw[SEED_SIZE];
    struct error *err = NULL;

    if (!decode(seed, raw, sizeof(raw)) || (raw[0] & 0xf8) != SEED_PREFIX ||
        (uint8_t)(raw[0] << 5 | raw[1] >> 3) != (uint8_t)type)
        err = error_new(ERROR_INVALID_ARGUMENT, "not a seed of the expected type");
    if (!err) {
        ret_key->type = type;
        err = sign_key_from_secret(raw + 2, &ret_key->key);
    }
    OPENSSL_cleanse(raw, sizeof(raw));
    return err;
}

struct error *nkey_public_decode(enum nkey_type type, const char *text,
                                 uint8_t ret_public[SIGN_KEY_SIZE])
{
    uint8_t raw[PUBLIC_SIZE];

    if (!decode(text, raw, sizeof(raw)) || raw[0] != (uint8_t)type)
        return error_new(ERROR_INVALID_ARGUMENT, "'%.60s' is not a public key of the expected type",
                         text);
    memcpy(ret_public, raw + 1, SIGN_KEY_SIZE);
    return NULL;
}
