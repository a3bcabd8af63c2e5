#include "cli/local_key.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/context.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

void local_key_done(struct local_key *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

static void make_random(struct local_key *key)
{
    if (RAND_bytes(key->bytes, sizeof(key->bytes)) != 1)
        abort();
}

static struct error *read_key(const char *path, struct local_key *ret_key)
{
    char *text = NULL;
    struct error *err = context_read_secret(path, &text);

    if (err)
        return err;
    err = hex_decode(text, ret_key->bytes, sizeof(ret_key->bytes));
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    /* Another in its place would be another manifest, and a new VM. */
    return error_recode(error_wrap(err, "'%s' is not 64 hex digits: put the right one back", path),
                        ERROR_DATA_LOSS);
}

/* Whole or not at all, and the first of two that do it at once wins. */
static struct error *write_key(const char *folder, const char *path, struct local_key *key)
{
    _cleanup_free_ char *mine = xasprintf("%s.%ld", path, (long)getpid());
    char hex[2 * LOCAL_KEY_SIZE + 2];

    hex_encode(key->bytes, sizeof(key->bytes), hex);
    strcat(hex, "\n");
    struct error *err = dir_make(folder, 0700);
    err = err ?: file_write_atomic(mine, hex, strlen(hex), 0600);
    OPENSSL_cleanse(hex, sizeof(hex));
    if (err)
        return err;
    if (link(mine, path) < 0 && errno != EEXIST)
        err = error_errno(errno, "'%s'", path);
    unlink(mine);
    return err;
}

static struct error *make_key(const char *folder, const char *path, struct local_key *ret_key)
{
    make_random(ret_key);
    struct error *err = write_key(folder, path, ret_key);

    return err ?: read_key(path, ret_key);
}

static void warn(struct error *err)
{
    fprintf(stderr,
            "coffer: this machine's salt-key cannot be kept (%s): the next update takes secret "
            "files and values for new ones\n",
            error_text(err));
    error_free(err);
}

struct error *local_key_load(struct local_key *ret_key)
{
    _cleanup_free_ char *folder = NULL;
    struct error *err = context_folder(&folder);

    if (err) { /* no home */
        make_random(ret_key);
        warn(err);
        return NULL;
    }
    _cleanup_free_ char *path = xasprintf("%s/salt-key", folder);
    err = read_key(path, ret_key);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    err = make_key(folder, path, ret_key);
    if (err)
        warn(err);
    return NULL;
}

void local_key_mac(const struct local_key *key, const struct buffer *text,
                   uint8_t ret_mac[LOCAL_MAC_SIZE])
{
    unsigned size = LOCAL_MAC_SIZE;

    if (!HMAC(EVP_sha256(), key->bytes, sizeof(key->bytes), text->data, text->size, ret_mac, &size))
        abort();
}
