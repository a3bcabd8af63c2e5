#include "cli/verify_nothing.h"

#include <string.h>

#include "cli/verify_image.h"

static const char why[] = "without evidence there is nothing to verify";

static void add(struct verify_result *result, const char *code)
{
    verify_problem_add(result, code, "", "there is no evidence", why);
}

/* Of devices there are steps when some are shown, or when some must be there. */
static void add_devices(const struct verify_reference *reference, struct verify_result *result)
{
    size_t n;
    const struct verify_code *codes = verify_codes(&n);
    const char *last = "";

    add(result, "devices_unknown");
    for (size_t i = 0; !reference->any_gpus && reference->n_gpus > 0 && i < n; i++) {
        bool is_gpu = strncmp(codes[i].step, "gpu_", 4) == 0;

        if (!is_gpu || codes[i].verdict != VERDICT_UNKNOWN || strcmp(codes[i].step, last) == 0)
            continue;
        last = codes[i].step;
        add(result, codes[i].code);
    }
}

struct error *verify_nothing(const struct verify_reference *reference, struct verify_result *result)
{
    add(result, "key_no_evidence");
    add(result, "freshness_no_evidence");
    verify_image(reference, NULL, result);
    struct error *err = verify_snp_no_report(&reference->policy, result);
    if (err)
        return err;
    add_devices(reference, result);
    add(result, "manifest_no_evidence");
    add(result, "pinning_unknown");
    return NULL;
}
