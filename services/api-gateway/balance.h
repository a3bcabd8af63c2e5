/* Money is a whole number of micro-USD inside, and a number of USD outside, as the existing
 * system's clients have it. */
#pragma once

#include <jansson.h>

#include "shared/base/error.h"

/* Below one thousand million USD: 15 digits, which a double and its text carry exactly. */
#define BALANCE_MAX_MICRO INT64_C(999999999999999)

/* INVALID_ARGUMENT for no number, more than six decimals, or beyond +-BALANCE_MAX_MICRO. */
struct error *balance_from_json(const json_t *usd, int64_t *ret_micro) _must_check_;
json_t *balance_to_json(int64_t micro); /* new reference */

/* FAILED_PRECONDITION when the sum is negative, OUT_OF_RANGE when it is too large. */
struct error *balance_add(int64_t balance, int64_t amount, int64_t *ret_sum) _must_check_;
