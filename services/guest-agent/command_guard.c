#include "services/guest-agent/command_guard.h"

#include "shared/base/encode.h"
#include "shared/seal/seal.h"

void command_guard_init(struct command_guard *guard, struct clock *clock)
{
    *guard = (struct command_guard){.clock = clock};
}

void command_guard_allow(struct command_guard *guard, const uint8_t public[32])
{
    if (guard->n_keys < ELEMENTSOF(guard->keys))
        memcpy(guard->keys[guard->n_keys++].public, public, 32);
}

/* The index of the key that made the signature. */
static struct error *find_signer(const struct command_guard *guard,
                                 const struct bus_message *message, size_t *ret_index)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_free_ uint8_t *signature = NULL;
    size_t size = 0;

    if (!message->signature || !message->counter)
        return error_new(ERROR_PERMISSION_DENIED, "command is not signed");
    struct error *err = base64_decode_new(message->signature, SIGN_SIZE, &signature, &size);
    if (err || size != SIGN_SIZE) {
        error_free(err);
        return error_new(ERROR_PERMISSION_DENIED, "command's signature is malformed");
    }
    bus_signed_bytes(message->subject, message->counter, message->data, message->size, &bytes);
    for (size_t i = 0; i < guard->n_keys; i++) {
        err = sign_verify(guard->keys[i].public, bytes.data, bytes.size, signature);
        if (!err) {
            *ret_index = i;
            return NULL;
        }
        error_free(err);
    }
    return error_new(ERROR_PERMISSION_DENIED,
                     "command is not signed by the authority or the gateway");
}

static struct error *check(struct command_guard *guard, const struct bus_message *message,
                           int64_t issued_at_ms)
{
    size_t index = 0;
    struct error *err = find_signer(guard, message, &index);
    int64_t now = clock_wall_ms(guard->clock);

    if (err)
        return err;
    if (message->counter <= guard->keys[index].last_counter)
        return error_new(ERROR_PERMISSION_DENIED, "command was seen before or is out of order");
    if (issued_at_ms < now - COMMAND_AGE_MAX_MS || issued_at_ms > now + COMMAND_AGE_MAX_MS)
        return error_new(ERROR_PERMISSION_DENIED,
                         "command is %lld s from this guest's clock, at most %d allowed",
                         (long long)((now - issued_at_ms) / 1000), COMMAND_AGE_MAX_MS / 1000);
    guard->keys[index].last_counter = message->counter;
    return NULL;
}

struct error *command_guard_check(struct command_guard *guard, const struct bus_message *message,
                                  int64_t issued_at_ms)
{
    struct error *err = check(guard, message, issued_at_ms);

    guard->refused += err != NULL;
    return err;
}
