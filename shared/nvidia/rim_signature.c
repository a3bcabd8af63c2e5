/* The XML signature (W3C xmldsig-core1), checked by xmlsec with everything else turned off. */
#include <pthread.h>
#include <xmlsec/xmlsec.h>

#include <xmlsec/errors.h>
#include <xmlsec/openssl/app.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/xmldsig.h>

#include "shared/nvidia/rim_xml.h"

DEFINE_CLEANUP(xmlSecDSigCtxPtr, xmlSecDSigCtxDestroy)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;

static void be_quiet(const char *file, int line, const char *function, const char *object,
                     const char *subject, int reason, const char *message)
{
    (void)file, (void)line, (void)function, (void)object, (void)subject, (void)reason;
    (void)message;
}

static void init_library(void)
{
    ready = xmlSecInit() == 0 && xmlSecOpenSSLInit() == 0;
    xmlSecErrorsSetCallback(be_quiet); /* last: both set their own, which write to stderr */
}

/* The key of the checked leaf, never one that KeyInfo names: xmlsec then does not read KeyInfo. */
static bool set_key(xmlSecDSigCtx *ctx, EVP_PKEY *key)
{
    if (EVP_PKEY_up_ref(key) != 1)
        return false;
    xmlSecKeyDataPtr data = xmlSecOpenSSLEvpKeyAdopt(key);
    if (!data) {
        EVP_PKEY_free(key);
        return false;
    }
    ctx->signKey = xmlSecKeyCreate();
    if (!ctx->signKey || xmlSecKeySetValue(ctx->signKey, data) < 0) {
        xmlSecKeyDataDestroy(data);
        return false;
    }
    return true;
}

/* No URI but the document itself, no transform but ours: no XSLT, no XPath, no file, no network. */
static bool restrict_to_ours(xmlSecDSigCtx *ctx)
{
    ctx->enabledReferenceUris = xmlSecTransformUriTypeEmpty;
    ctx->flags |= XMLSEC_DSIG_FLAGS_IGNORE_MANIFESTS;
    return xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecTransformEnvelopedId) == 0 &&
           xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecTransformInclC14N11Id) == 0 &&
           xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecOpenSSLTransformSha384Id) == 0 &&
           xmlSecDSigCtxEnableSignatureTransform(ctx, xmlSecTransformInclC14N11Id) == 0 &&
           xmlSecDSigCtxEnableSignatureTransform(ctx, xmlSecOpenSSLTransformEcdsaSha384Id) == 0;
}

bool rim_xml_signature_is_valid(const struct rim_xml *xml, EVP_PKEY *key)
{
    _unused_ _cleanup_(rim_xml_quiet_done) struct rim_xml_quiet before = rim_xml_quiet();

    if (pthread_once(&once, init_library) != 0 || !ready || !key)
        return false;
    _cleanup_(xmlSecDSigCtxDestroyp) xmlSecDSigCtxPtr ctx = xmlSecDSigCtxCreate(NULL);
    return ctx && restrict_to_ours(ctx) && set_key(ctx, key) &&
           xmlSecDSigCtxVerify(ctx, xml->signature) == 0 &&
           ctx->status == xmlSecDSigStatusSucceeded &&
           xmlSecPtrListGetSize(&ctx->signedInfoReferences) == 1;
}
