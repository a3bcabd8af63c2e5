/* Signing in with a creds file or its content: NATS user JWT and the seed of its key. */
#include <openssl/crypto.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/bus/nats_internal.h"

enum { CREDS_MAX = 64 * 1024 };

static void free_secret(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}
DEFINE_CLEANUP(char *, free_secret)

/* The line behind the one that names the part. */
static char *creds_part(const char *content, const char *title)
{
    const char *start = strstr(content, title);

    if (!start || !(start = strchr(start, '\n')))
        return NULL;
    start += strspn(start, "\r\n");
    size_t length = strcspn(start, "\r\n");
    return length ? xstrndup(start, length) : NULL;
}

/* A file is read each time, so that new credentials count from the next connection on. */
static struct error *load_part(const struct nats_credentials *credentials, const char *title,
                               char **ret_part)
{
    _cleanup_(free_secretp) char *text = NULL;
    struct error *err =
        credentials->path ? file_read_text(credentials->path, CREDS_MAX, &text) : NULL;

    if (err)
        return error_wrap(err, "credentials");
    char *part = creds_part(text ?: credentials->content, title);
    if (!part)
        return error_new(ERROR_INVALID_ARGUMENT, "credentials hold no '%s'", title);
    *ret_part = part;
    return NULL;
}

static natsStatus give_up(struct error *err, char **ret_text)
{
    *ret_text = strdup(error_text(err)); /* the library frees it */
    error_free(err);
    return NATS_ERR;
}

static natsStatus give_jwt(char **ret_jwt, char **ret_error_text, void *data)
{
    struct error *err = load_part(data, "BEGIN NATS USER JWT", ret_jwt);

    return err ? give_up(err, ret_error_text) : NATS_OK;
}

/*
 * nats.c (3.4.1) takes a signature for a string: one that starts with a zero byte is sent as none
 * and refused by the server, and after two refusals in a row the library gives up for good. So
 * such a signature, one of 256, fails here, and the next attempt gets another nonce.
 */
static natsStatus give_signature(char **ret_error_text, unsigned char **ret_signature,
                                 int *ret_size, const char *nonce, void *data)
{
    struct nats_credentials *credentials = data;
    _cleanup_(free_secretp) char *seed = NULL;
    struct error *err = load_part(credentials, "BEGIN USER NKEY SEED", &seed);

    if (err)
        return give_up(err, ret_error_text);
    natsStatus s = nats_Sign(seed, nonce, ret_signature, ret_size);
    credentials->unlucky = s == NATS_OK && (*ret_signature)[0] == 0;
    if (!credentials->unlucky)
        return s;
    free(*ret_signature);
    *ret_signature = NULL;
    return give_up(error_new(ERROR_UNAVAILABLE, "a nonce whose signature cannot be sent"),
                   ret_error_text);
}

struct error *nats_credentials_set(struct nats_credentials *credentials,
                                   const struct bus_options *options, natsOptions *nats_options)
{
    _cleanup_(free_secretp) char *jwt = NULL;
    _cleanup_(free_secretp) char *seed = NULL;

    if (!options->credentials || !options->credentials[0])
        return NULL;
    if (options->credentials_are_content)
        credentials->content = xstrdup(options->credentials);
    else
        credentials->path = xstrdup(options->credentials);
    struct error *err = load_part(credentials, "BEGIN NATS USER JWT", &jwt);
    err = err ?: load_part(credentials, "BEGIN USER NKEY SEED", &seed);
    if (err)
        return err;
    natsStatus s = natsOptions_SetUserCredentialsCallbacks(nats_options, give_jwt, credentials,
                                                           give_signature, credentials);
    return s == NATS_OK ? NULL : nats_error(s, "credentials");
}

void nats_credentials_done(struct nats_credentials *credentials)
{
    free(credentials->path);
    free_secret(credentials->content);
    *credentials = (struct nats_credentials){0};
}
