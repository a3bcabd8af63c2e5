#include "services/api-gateway/balance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MICRO INT64_C(1000000)

/* Whether the number is one that is written with six decimals. The text decides, because a
 * product with 1e6 is inexact for most of them. */
static bool has_six_decimals(double usd)
{
    char text[64];

    snprintf(text, sizeof(text), "%.6f", usd);
    return strtod(text, NULL) == usd;
}

struct error *balance_from_json(const json_t *usd, int64_t *ret_micro)
{
    const double max = (double)(BALANCE_MAX_MICRO / MICRO) + 1;

    if (!json_is_number(usd))
        return error_new(ERROR_INVALID_ARGUMENT, "not a number");
    double value = json_number_value(usd);
    if (!isfinite(value) || fabs(value) >= max) /* first: what follows must not overflow */
        return error_new(ERROR_INVALID_ARGUMENT, "not an amount below %.0f USD", max);
    if (!has_six_decimals(value))
        return error_new(ERROR_INVALID_ARGUMENT, "an amount with more than six decimals");
    *ret_micro = llround(value * (double)MICRO);
    return NULL;
}

json_t *balance_to_json(int64_t micro)
{
    return json_real((double)micro / (double)MICRO);
}

struct error *balance_add(int64_t balance, int64_t amount, int64_t *ret_sum)
{
    int64_t sum = 0;

    if (__builtin_add_overflow(balance, amount, &sum) || sum > BALANCE_MAX_MICRO)
        return error_new(ERROR_OUT_OF_RANGE, "the balance would be larger than can be kept");
    if (sum < 0)
        return error_new(ERROR_FAILED_PRECONDITION, "the balance is lower than that");
    *ret_sum = sum;
    return NULL;
}
