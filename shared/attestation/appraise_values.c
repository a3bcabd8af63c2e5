/* Fields against reference values: what runs, for whom, and on which chip. */
#include <openssl/crypto.h>

#include "shared/attestation/appraisal.h"

static void appraise_report_data(struct appraisal *a)
{
    const uint8_t *expected = a->policy->report_data, *actual = a->report.report_data;
    const char *text = appraise_hex(a, actual, 64);

    if (!expected)
        appraise_problem(a, "report_data_not_given", "not given", text);
    else if (CRYPTO_memcmp(expected, actual, 64) != 0)
        appraise_problem(a, "report_data_differs", appraise_hex(a, expected, 64), text);
    else
        appraise_pass(a, "report_data", appraise_hex(a, expected, 64), text);
}

static const char *expected_measurement(const struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;

    if (policy->n_measurements == 1)
        return appraise_hex(a, policy->measurements[0], 48);
    return arena_printf(a->result->arena, "one of %zu published values", policy->n_measurements);
}

static void appraise_measurement(struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;
    const uint8_t *actual = a->report.measurement;
    const char *text = appraise_hex(a, actual, 48);

    if (appraise_is_zero(actual, 48)) /* also when the list holds it */
        appraise_problem(a, "measurement_none", "a measurement", "none (all zero)");
    else if (policy->any_measurement)
        appraise_pass(a, "measurement", "any, as asked for", text);
    else if (policy->n_measurements == 0)
        appraise_problem(a, "measurement_not_given",
                         policy->image_version
                             ? arena_printf(a->result->arena, "those of image %s, not at hand",
                                            policy->image_version)
                             : "not given",
                         text);
    else if (appraise_is_listed(policy->measurements, policy->n_measurements, actual, 48))
        appraise_pass(a, "measurement", expected_measurement(a), text);
    else
        appraise_problem(a, "measurement_not_listed", expected_measurement(a), text);
}

static void appraise_host_data(struct appraisal *a)
{
    const uint8_t *expected = a->policy->host_data, *actual = a->report.host_data;
    const char *text = appraise_hex(a, actual, 32);

    if (a->policy->any_host_data)
        appraise_pass(a, "host_data", "any, as asked for", text);
    else if (!expected)
        appraise_problem(a, "host_data_not_given", "not given", text);
    else if (CRYPTO_memcmp(expected, actual, 32) != 0)
        appraise_problem(a, "host_data_differs", appraise_hex(a, expected, 32), text);
    else
        appraise_pass(a, "host_data", appraise_hex(a, expected, 32), text);
}

void appraise_values(struct appraisal *a)
{
    appraise_report_data(a);
    appraise_measurement(a);
    appraise_host_data(a);
}

static bool chip_is_hidden(const struct appraisal *a)
{
    return a->chain->vek.kind == VEK_VCEK && !a->policy->accept_masked_chip &&
           (report_chip_key_is_masked(&a->report) || appraise_is_zero(a->report.chip_id, 64));
}

static const char *expected_chip(const struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;

    if (policy->any_chip_id)
        return "any, as asked for";
    if (policy->n_chip_ids == 1)
        return appraise_hex(a, policy->chip_ids[0], 64);
    return arena_printf(a->result->arena, "one of %zu chips", policy->n_chip_ids);
}

void appraise_chip(struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;
    const uint8_t *actual = a->report.chip_id;
    const char *text = appraise_hex(a, actual, 64);

    if (chip_is_hidden(a))
        appraise_problem(a, "chip_hidden", "a chip", NULL);
    else if (policy->n_denied_chip_ids > 0 && appraise_is_zero(actual, 64))
        appraise_problem(a, "chip_not_named", "a chip that is not on the deny-list", NULL);
    else if (appraise_is_listed(policy->denied_chip_ids, policy->n_denied_chip_ids, actual, 64))
        appraise_problem(a, "chip_denied", "a chip that is not on the deny-list", text);
    else if (policy->any_chip_id)
        appraise_pass(a, "chip", expected_chip(a), text);
    else if (policy->n_chip_ids == 0)
        appraise_problem(a, "chip_not_given", "not given", text);
    else if (appraise_is_listed(policy->chip_ids, policy->n_chip_ids, actual, 64))
        appraise_pass(a, "chip", expected_chip(a), text);
    else
        appraise_problem(a, "chip_not_listed", expected_chip(a), text);
}
