#include "services/guest-agent/identity.h"

static struct error *identity_sign(struct bus_signer *signer, const char *subject, const void *data,
                                   size_t size, uint64_t *ret_counter, uint8_t ret_signature[64])
{
    struct identity *identity = (struct identity *)signer;
    _cleanup_buffer_ struct buffer bytes = {0};

    pthread_mutex_lock(&identity->lock);
    uint64_t counter = ++identity->counter;
    pthread_mutex_unlock(&identity->lock);
    bus_signed_bytes(subject, counter, data, size, &bytes);
    struct error *err = sign_bytes(&identity->sign, bytes.data, bytes.size, ret_signature);
    if (!err)
        *ret_counter = counter;
    return err;
}

struct error *identity_init(struct identity *identity)
{
    *identity = (struct identity){.signer = {identity_sign}, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct error *err = box_key_generate(&identity->box);
    if (!err)
        err = sign_key_generate(&identity->sign);
    return error_wrap(err, "make the guest's keys");
}

void identity_done(struct identity *identity)
{
    box_key_done(&identity->box);
    sign_key_done(&identity->sign);
}
