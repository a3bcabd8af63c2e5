#include "shared/collateral/merge.h"

#include <openssl/err.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/crl.h"
#include "shared/attestation/roots.h"
#include "shared/attestation/vek.h"
#include "shared/attestation/verifier.h"
#include "shared/collateral/check.h"

static struct certificate_table read_table(const struct buffer *bytes)
{
    struct certificate_table table = {};
    struct error *err = certificate_table_parse(bytes->data, bytes->size, &table);

    if (err)
        table = (struct certificate_table){};
    error_free(err);
    return table;
}

static bool is_for(const struct certificate_view *vcek, const struct snp_report *report)
{
    const uint8_t *at = vcek->data;
    _cleanup_(X509_freep) X509 *certificate = at ? d2i_X509(NULL, &at, (long)vcek->size) : NULL;
    struct vek vek;

    ERR_clear_error();
    if (!certificate)
        return false;
    struct error *err = vek_parse(certificate, &vek);
    bool parsed = !err;
    error_free(err);
    if (!parsed || memcmp(vek.hwid, report->chip_id, vek.hwid_size) != 0)
        return false;
    struct snp_tcb tcb = snp_tcb_decode(vek.product, report->reported_tcb);
    return snp_tcb_equal(&vek.tcb, &tcb);
}

static struct certificate_view choose(const struct certificate_view *first,
                                      const struct certificate_view *second)
{
    return first->data ? *first : *second;
}

static struct certificate_view choose_vcek(const uint8_t report_bytes[TEE_REPORT_SIZE],
                                           const struct certificate_view *first,
                                           const struct certificate_view *second)
{
    struct snp_report report;
    struct error *err = snp_report_parse(report_bytes, TEE_REPORT_SIZE, &report);
    bool second_is_better = !err && !is_for(first, &report) && is_for(second, &report);

    error_free(err);
    return second_is_better ? *second : choose(first, second);
}

/* false: it is none. */
static bool read_version(const struct certificate_view *view, struct check_crl_version *ret)
{
    _cleanup_(crl_freep) struct crl *crl = NULL;
    struct error *err = crl_parse(view->data, view->size, &crl);

    if (!err)
        *ret = (struct check_crl_version){crl_number(crl), crl_this_update_ms(crl),
                                          crl_next_update_ms(crl)};
    error_free(err);
    return crl != NULL;
}

static struct certificate_view choose_crl(const struct certificate_view *first,
                                          const struct certificate_view *second)
{
    struct check_crl_version a, b;

    if (!second->data || !read_version(second, &b))
        return choose(first, second);
    if (!first->data || !read_version(first, &a))
        return *second;
    return check_crl_is_older(&a, &b) ? *second : *first;
}

void collateral_merge(const uint8_t report[TEE_REPORT_SIZE], const struct buffer *first,
                      const struct buffer *second, struct buffer *ret_table)
{
    if (second->size == 0) { /* as it came */
        buffer_add(ret_table, first->data, first->size);
        return;
    }
    const struct certificate_table a = read_table(first), b = read_table(second);
    const struct certificate_table table = {
        .vcek = choose_vcek(report, &a.vcek, &b.vcek),
        .vlek = choose(&a.vlek, &b.vlek),
        .ask = choose(&a.ask, &b.ask),
        .ark = choose(&a.ark, &b.ark),
        .crl = choose_crl(&a.crl, &b.crl),
    };

    certificate_table_write(&table, ret_table);
}
