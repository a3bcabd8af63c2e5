#include "cli/project_salt.h"

#include <stdio.h>
#include <string.h>

#include "cli/invocation.h"
#include "cli/local_key.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

static void add_text(struct buffer *text, const char *part)
{
    buffer_add_lp(text, part, strlen(part));
}

static void salt_file(const struct local_key *key, const char *workload_id,
                      struct project_input *in, size_t index)
{
    struct input_salt *salt = &in->salts[index - in->n_plain_files];
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_buffer_ struct buffer salted = {0};
    uint8_t *digest = arena_alloc(in->arena, SHA256_SIZE);

    add_text(&text, "coffer/salt/v1");
    add_text(&text, workload_id);
    add_text(&text, in->files[index].path);
    buffer_add_lp(&text, salt->content, salt->size);
    local_key_mac(key, &text, salt->salt);
    buffer_add(&salted, salt->salt, sizeof(salt->salt));
    buffer_add(&salted, salt->content, salt->size);
    sha256(salted.data, salted.size, digest);
    in->files[index].commitment = digest;
}

static bool has_secret_files(const struct project_input *in)
{
    return in->n_files > in->n_plain_files;
}

static void salt_all(const struct local_key *key, const char *workload_id, struct project_input *in)
{
    for (size_t i = in->n_plain_files; i < in->n_files; i++)
        salt_file(key, workload_id, in, i);
}

struct error *project_salt(struct project_input *input, const char *workload_id)
{
    _cleanup_(local_key_done) struct local_key key = {0};

    if (!has_secret_files(input))
        return NULL;
    struct error *err = local_key_load(&key);
    if (!err)
        salt_all(&key, workload_id, input);
    return err;
}

/* A UUID of version 8: what it is made of is our own business. */
static void id_of(const struct local_key *key, const char *url, const char *idempotency_key,
                  char ret_id[UUID_TEXT_SIZE])
{
    _cleanup_buffer_ struct buffer text = {0};
    uint8_t d[LOCAL_MAC_SIZE];

    add_text(&text, "coffer/workload-id/v1");
    add_text(&text, url);
    add_text(&text, idempotency_key);
    local_key_mac(key, &text, d);
    d[6] = (uint8_t)((d[6] & 0x0f) | 0x80);
    d[8] = (uint8_t)((d[8] & 0x3f) | 0x80);
    snprintf(ret_id, UUID_TEXT_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1],
             d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14],
             d[15]);
}

struct error *project_salt_new(struct project_input *input, const char *url)
{
    _cleanup_(local_key_done) struct local_key key = {0};
    const char *idempotency_key = invocation()->idempotency_key;

    if (!has_secret_files(input))
        return NULL;
    struct error *err = local_key_load(&key);
    if (err)
        return err;
    if (idempotency_key)
        id_of(&key, url, idempotency_key, input->new_id);
    else
        uuid_generate_text(input->new_id);
    salt_all(&key, input->new_id, input);
    return NULL;
}
