#include <sys/stat.h>

#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/seal/seal.h"

#define KEY_FILE_MAX 80

static struct error *check_mode(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return error_errno(errno, "key file '%s'", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "key file '%s' may be read by others: chmod 600 it", path);
    return NULL;
}

static struct error *key_file_load(const char *path, uint8_t ret_secret[32])
{
    _cleanup_buffer_ struct buffer text = {};

    struct error *err = check_mode(path);
    if (err)
        return err;
    err = file_read(path, KEY_FILE_MAX, &text);
    if (err)
        return error_wrap(err, "key file '%s'", path);
    while (text.size > 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.data[--text.size] = '\0';
    err = hex_decode(buffer_text(&text), ret_secret, 32);
    /* hex_decode's text may quote the input, which is a secret: say our own words */
    if (err || text.size != 64) {
        error_free(err);
        return error_new(ERROR_INVALID_ARGUMENT, "key file '%s' is not 64 hex digits", path);
    }
    return NULL;
}

struct error *box_key_load(const char *path, struct box_key *ret_key)
{
    uint8_t secret[SEAL_KEY_SIZE];

    struct error *err = key_file_load(path, secret);
    if (!err)
        err = box_key_from_secret(secret, ret_key);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

struct error *sign_key_load(const char *path, struct sign_key *ret_key)
{
    uint8_t secret[SIGN_KEY_SIZE];

    struct error *err = key_file_load(path, secret);
    if (!err)
        err = sign_key_from_secret(secret, ret_key);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

struct error *key_file_save(const char *path, const uint8_t secret[32])
{
    char text[66];

    hex_encode(secret, 32, text);
    text[64] = '\n';
    struct error *err = file_write_atomic(path, text, 65, 0600);
    OPENSSL_cleanse(text, sizeof(text));
    return error_wrap(err, "key file '%s'", path);
}
