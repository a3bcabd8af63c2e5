#include "cli/verify_key_service.h"

#include <stdlib.h>
#include <time.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/report.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/collateral/collateral.h"

#define TIMEOUT_MS   10000
#define PAUSE_MAX_MS 5000 /* a person waits */

static bool is_lacking(const struct verify_reference *reference, const struct verify_answer *answer)
{
    const struct verify_collateral *extra = &reference->extra.collateral;
    struct certificate_table table = {};
    struct error *err =
        certificate_table_parse(answer->certificates.data, answer->certificates.size, &table);
    bool malformed = err != NULL; /* for the verifier to refuse */

    error_free(err);
    if (malformed)
        return false;
    bool has_key = extra->n_certificates > 0 || table.vcek.data || table.vlek.data;
    bool has_crl = extra->n_crls > 0 || table.crl.data;
    return !has_key || !has_crl;
}

static char *cache_dir(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (cache && cache[0] == '/')
        return xasprintf("%s/coffer/collateral", cache);
    return home ? xasprintf("%s/.cache/coffer/collateral", home) : NULL;
}

static bool pause_shortly(void *data, int64_t ms)
{
    (void)data;
    if (ms > PAUSE_MAX_MS)
        return false;
    nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000}, NULL);
    return true;
}

static void add(struct verify_reference *reference, const struct buffer *der,
                struct certificate_view *views, size_t *n)
{
    if (der->size > 0 && *n < VERIFY_COLLATERAL_MAX)
        views[(*n)++] = (struct certificate_view){
            arena_memdup(reference->arena, der->data, der->size), der->size};
}

static void take(struct verify_reference *reference, const struct collateral *collateral)
{
    struct verify_extra *extra = &reference->extra;

    add(reference, &collateral->vcek, extra->certificates, &extra->collateral.n_certificates);
    add(reference, &collateral->ask, extra->certificates, &extra->collateral.n_certificates);
    add(reference, &collateral->ark, extra->certificates, &extra->collateral.n_certificates);
    add(reference, &collateral->crl, extra->crls, &extra->collateral.n_crls);
    extra->collateral.certificates = extra->certificates;
    extra->collateral.crls = extra->crls;
    if (collateral->crl_note)
        extra->note = arena_strdup(reference->arena, collateral->crl_note);
}

static struct error *ask(struct verify_reference *reference, const struct report *report,
                         bool offline)
{
    _cleanup_(collateral_client_freep) struct collateral_client *client = NULL;
    _cleanup_(collateral_done) struct collateral collateral = {};
    _cleanup_free_ char *dir = cache_dir();
    struct clock_fake clock; /* stands at the time that is judged for */
    struct kds_chip chip;
    bool vlek = report_signing_key(report) == REPORT_SIGNING_KEY_VLEK;

    clock_fake_init(&clock, reference->policy.at_ms);
    const struct collateral_options options = {
        .dir = dir,
        .base_url = offline ? NULL : COLLATERAL_KDS_URL,
        .roots = reference->roots,
        .clock = &clock.base,
        .timeout_ms = TIMEOUT_MS,
        .pause = pause_shortly,
    };
    if (!dir)
        return error_new(ERROR_FAILED_PRECONDITION, "there is no HOME to keep answers in");
    struct error *err =
        kds_chip_init(report_product(report), report->chip_id, report->reported_tcb, &chip);
    if (!err)
        err = collateral_client_new(&options, &client);
    if (!err)
        err = collateral_get(client, vlek ? VEK_VLEK : VEK_VCEK, &chip, &collateral);
    if (!err)
        take(reference, &collateral);
    return err;
}

void verify_key_service_ask(struct verify_reference *reference, const struct verify_answer *answer,
                            bool offline)
{
    struct report report;

    if (!is_lacking(reference, answer))
        return;
    struct error *err = report_parse(answer->report, TEE_REPORT_SIZE, &report);
    if (!err)
        err = ask(reference, &report, offline);
    if (err)
        reference->extra.note = arena_strdup(reference->arena, error_text(err));
    error_free(err);
}
