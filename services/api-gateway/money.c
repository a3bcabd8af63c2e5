#include "services/api-gateway/money.h"

#include "services/api-gateway/balance.h"

json_t *usd_to_json(uint64_t micros)
{
    return balance_to_json((int64_t)micros);
}

bool usd_from_json(const json_t *json, uint64_t *ret_micros)
{
    int64_t micros = 0;
    struct error *err = balance_from_json(json, &micros);
    bool ok = !err && micros > 0 && micros <= (int64_t)USD_MICROS_MAX;

    error_free(err);
    if (ok)
        *ret_micros = (uint64_t)micros;
    return ok;
}
