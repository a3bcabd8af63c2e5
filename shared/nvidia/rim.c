#include "shared/nvidia/rim.h"

#include <openssl/err.h>

#include "shared/base/alloc.h"
#include "shared/nvidia/rim_xml.h"

void rim_free(struct rim *rim)
{
    if (!rim)
        return;
    x509_path_done(&rim->signer);
    free(rim);
}

/* Who signed, then whether, then what: nothing is read from a payload that nobody vouches for. */
static struct error *appraise(const struct rim_xml *xml, const uint8_t *fingerprint,
                              struct rim *rim)
{
    struct error *err = rim_xml_identity(xml, rim);
    if (!err)
        err = rim_xml_certificates(xml, &rim->signer);
    if (err)
        return err;
    rim->problem = x509_path_problem(&rim->signer, fingerprint);
    if (!rim->problem && !rim_xml_signature_is_valid(xml, x509_path_key(&rim->signer)))
        rim->problem = "the signature over the file is not the signer's";
    ERR_clear_error();
    return rim->problem ? NULL : rim_xml_measurements(xml, rim);
}

struct error *rim_open(const void *data, size_t size,
                       const uint8_t root_fingerprint[X509_PATH_FINGERPRINT], struct rim **ret_rim)
{
    _cleanup_(rim_xml_done) struct rim_xml xml = {};
    _cleanup_(rim_freep) struct rim *rim = xnew(struct rim);

    struct error *err = rim_xml_parse(data, size, &xml);
    if (!err)
        err = appraise(&xml, root_fingerprint, rim);
    if (err)
        return err;
    *ret_rim = TAKE_PTR(rim);
    return NULL;
}
