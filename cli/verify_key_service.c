#include "cli/verify_key_service.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/chain.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/collateral/collateral.h"

#define TIMEOUT_MS       10000
#define TIMEOUT_BRIEF_MS 4000 /* when nothing is lacking */
#define PAUSE_MAX_MS     5000 /* a person waits */
#define MINUTE_MS        60000LL

/* What there is before anybody is asked. */
struct at_hand {
    struct report report;
    bool key; /* the report's own VCEK or VLEK */
    size_t n_issuers;
    bool crl;
};

static void count(struct at_hand *at_hand, const struct certificate_view *view)
{
    _cleanup_(X509_freep) X509 *certificate = chain_parse_der(view);
    struct vek vek;

    if (!certificate)
        return;
    struct error *err = vek_parse(certificate, &vek);
    if (!err)
        at_hand->key |= vek_is_of_report(&vek, &at_hand->report);
    else if (X509_check_ca(certificate))
        at_hand->n_issuers++;
    error_free(err);
}

/* Malformed evidence is for the verifier to refuse. */
static struct error *look(const struct verify_reference *reference,
                          const struct verify_answer *answer, struct at_hand *ret_at_hand)
{
    const struct verify_collateral *extra = &reference->extra.collateral;
    struct certificate_table table = {};
    struct at_hand at_hand = {};

    struct error *err =
        certificate_table_parse(answer->certificates.data, answer->certificates.size, &table);
    if (!err)
        err = report_parse(answer->report, TEE_REPORT_SIZE, &at_hand.report);
    if (err)
        return err;
    const struct certificate_view carried[] = {table.vcek, table.vlek, table.ask, table.ark};
    for (size_t i = 0; i < ELEMENTSOF(carried); i++)
        count(&at_hand, &carried[i]);
    for (size_t i = 0; i < extra->n_certificates; i++)
        count(&at_hand, &extra->certificates[i]);
    at_hand.crl = table.crl.data || extra->n_crls > 0;
    *ret_at_hand = at_hand;
    return NULL;
}

static bool is_vlek(const struct at_hand *at_hand)
{
    return report_signing_key(&at_hand->report) == REPORT_SIGNING_KEY_VLEK;
}

static bool is_complete(const struct at_hand *at_hand)
{
    return at_hand->key && at_hand->n_issuers >= 2 && at_hand->crl;
}

char *verify_key_service_cache_dir(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (cache && cache[0] == '/')
        return xasprintf("%s/coffer/collateral", cache);
    return home ? xasprintf("%s/.cache/coffer/collateral", home) : NULL;
}

static bool pause_shortly(void *data, int64_t ms)
{
    const struct at_hand *at_hand = data;

    if (ms > PAUSE_MAX_MS || is_complete(at_hand))
        return false;
    nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000}, NULL);
    return true;
}

/* There is room: a folder may not fill it (verify_collateral.h). */
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
}

/* Adds "WHAT asked for now" or "WHAT from the cache, 3 h old". */
static void tell_origin(struct buffer *text, const char *what,
                        const struct collateral_origin *origin)
{
    int64_t minutes = (clock_wall_ms(clock_system()) - origin->at_ms) / MINUTE_MS;

    buffer_printf(text, "%s%s ", text->size > 0 ? "; " : "", what);
    if (!origin->cached)
        buffer_printf(text, "asked for now");
    else if (minutes < 0)
        buffer_printf(text, "from the cache, dated later than now");
    else if (minutes < 120)
        buffer_printf(text, "from the cache, %lld min old", (long long)minutes);
    else if (minutes < 48 * 60)
        buffer_printf(text, "from the cache, %lld h old", (long long)minutes / 60);
    else
        buffer_printf(text, "from the cache, %lld days old", (long long)minutes / (24 * 60));
}

static void tell(struct verify_reference *reference, const struct collateral *collateral,
                 const struct error *no_chip)
{
    const char *no_vcek = no_chip ? error_text(no_chip) : collateral->vcek_note;
    _cleanup_buffer_ struct buffer text = {};

    tell_origin(&text, "chain", &collateral->chain_origin);
    if (collateral->vcek.size > 0)
        tell_origin(&text, "VCEK", &collateral->vcek_origin);
    else if (no_vcek)
        buffer_printf(&text, "; no VCEK (%s)", no_vcek);
    if (collateral->crl.size > 0)
        tell_origin(&text, "revocation list", &collateral->crl_origin);
    else
        buffer_printf(&text, "; no revocation list");
    if (collateral->crl_note)
        buffer_printf(&text, " (%s)", collateral->crl_note);
    reference->extra.note = arena_strdup(reference->arena, buffer_text(&text));
}

static struct error *open_client(const struct verify_reference *reference, struct at_hand *at_hand,
                                 const struct verify_key_service *service,
                                 struct collateral_client **ret_client)
{
    _cleanup_free_ char *dir = verify_key_service_cache_dir();
    const struct collateral_options options = {
        .dir = dir,
        .base_url = service->url,
        .allow_http = service->allow_http,
        .roots = reference->roots,
        .clock = clock_system(),
        .at_ms = reference->policy.at_ms,
        .timeout_ms = is_complete(at_hand) ? TIMEOUT_BRIEF_MS : TIMEOUT_MS,
        .pause = pause_shortly,
        .data = at_hand,
    };

    if (!dir)
        return error_new(ERROR_FAILED_PRECONDITION, "there is no HOME to keep answers in");
    return collateral_client_new(&options, ret_client);
}

static struct error *ask(struct verify_reference *reference, struct at_hand *at_hand,
                         const struct verify_key_service *service)
{
    _cleanup_(collateral_client_freep) struct collateral_client *client = NULL;
    _cleanup_(collateral_done) struct collateral collateral = {};
    _cleanup_(error_freep) struct error *no_chip = NULL;
    const struct report *report = &at_hand->report;
    enum snp_product product = report_product(report);
    enum vek_kind kind = is_vlek(at_hand) ? VEK_VLEK : VEK_VCEK;
    bool wanted = kind == VEK_VCEK && !at_hand->key; /* a VLEK only the host has */
    struct kds_chip chip;

    if (product == SNP_PRODUCT_UNKNOWN)
        return error_new(ERROR_INVALID_ARGUMENT, "the processor's product is not known");
    if (wanted)
        no_chip = kds_chip_init(product, report->chip_id, report->reported_tcb, &chip);
    struct error *err = open_client(reference, at_hand, service, &client);
    if (!err)
        err = collateral_get_some(client, kind, product, wanted && !no_chip ? &chip : NULL,
                                  &collateral);
    if (err)
        return err;
    take(reference, &collateral);
    tell(reference, &collateral, no_chip);
    return NULL;
}

void verify_key_service_ask(struct verify_reference *reference, const struct verify_answer *answer,
                            const struct verify_key_service *service)
{
    struct at_hand at_hand;

    struct error *err = look(reference, answer, &at_hand);
    if (err) {
        error_free(err);
        return;
    }
    err = ask(reference, &at_hand, service);
    if (err)
        reference->extra.note = arena_strdup(reference->arena, error_text(err));
    error_free(err);
}
