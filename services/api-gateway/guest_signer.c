#include "services/api-gateway/guest_signer.h"

#include "shared/base/buffer.h"

static uint64_t next_counter(struct guest_signer *signer)
{
    uint64_t now = (uint64_t)clock_wall_ms(signer->clock) * 1000;

    pthread_mutex_lock(&signer->lock);
    signer->last = now > signer->last ? now : signer->last + 1;
    uint64_t counter = signer->last;
    pthread_mutex_unlock(&signer->lock);
    return counter;
}

static struct error *sign(struct bus_signer *base, const char *subject, const void *data,
                          size_t size, uint64_t *ret_counter, uint8_t ret_signature[64])
{
    struct guest_signer *signer = (struct guest_signer *)base;
    _cleanup_buffer_ struct buffer bytes = {0};
    uint64_t counter = next_counter(signer);

    bus_signed_bytes(subject, counter, data, size, &bytes);
    struct error *err = sign_bytes(&signer->key, bytes.data, bytes.size, ret_signature);
    if (!err)
        *ret_counter = counter;
    return err;
}

struct error *guest_signer_init(struct guest_signer *signer, const char *key_path,
                                struct clock *clock)
{
    *signer =
        (struct guest_signer){.base = {sign}, .clock = clock, .lock = PTHREAD_MUTEX_INITIALIZER};
    return sign_key_load(key_path, &signer->key);
}

void guest_signer_done(struct guest_signer *signer)
{
    sign_key_done(&signer->key);
    pthread_mutex_destroy(&signer->lock);
}
