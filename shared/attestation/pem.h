/* The callback that every PEM_read_bio_...() of ours takes. Without one OpenSSL asks at the
 * terminal for the pass phrase of an encrypted block, whoever wrote it: a server could hold up its
 * caller. */
#pragma once

/* Nobody is asked: an encrypted block is not to be had. */
static inline int pem_no_password(char *ret_text, int size, int writing, void *data)
{
    (void)ret_text, (void)size, (void)writing, (void)data;
    return -1;
}
