/* Prices in USD: as balances (balance.h), but more than 0. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define USD_MICROS_MAX UINT64_C(1000000000000) /* a million USD */

json_t *usd_to_json(uint64_t micros);

/* false: no number, not more than 0, more than USD_MICROS_MAX, or finer than a millionth. */
bool usd_from_json(const json_t *json, uint64_t *ret_micros);
