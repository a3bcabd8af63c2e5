#include "services/api-gateway/money.h"

json_t *usd_to_json(uint64_t micros)
{
    return json_real((double)micros / 1e6);
}

bool usd_from_json(const json_t *json, uint64_t *ret_micros)
{
    double micros = json_number_value(json) * 1e6;

    if (!json_is_number(json) || !(micros >= 0.5) || micros > (double)USD_MICROS_MAX)
        return false;
    uint64_t whole = (uint64_t)(micros + 0.5);
    double rest = micros - (double)whole;
    /* A double is off by far less than this from the decimal that was written. */
    if (rest > 1e-3 || rest < -1e-3)
        return false;
    *ret_micros = whole;
    return true;
}
