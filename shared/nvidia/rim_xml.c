/* A tree of which every part that matters has been seen, and nothing is left over. */
#include "shared/nvidia/rim_xml.h"

#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"

#define NS_DSIG             "http://www.w3.org/2000/09/xmldsig#"

#define ALGORITHM_C14N      "http://www.w3.org/2006/12/xml-c14n11"
#define ALGORITHM_ENVELOPED "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
#define ALGORITHM_SHA384    "http://www.w3.org/2001/04/xmldsig-more#sha384"
#define ALGORITHM_ECDSA     "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"

void rim_xml_done(struct rim_xml *xml)
{
    if (xml->document)
        xmlFreeDoc(xml->document);
    *xml = (struct rim_xml){};
}

bool rim_xml_is(const xmlNode *node, const char *ns, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && node->ns && node->ns->href &&
           strcmp((const char *)node->ns->href, ns) == 0 &&
           strcmp((const char *)node->name, name) == 0;
}

const char *rim_xml_attribute(const xmlNode *node, const char *name, const char *ns)
{
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
        const char *href = attr->ns ? (const char *)attr->ns->href : NULL;

        if (strcmp((const char *)attr->name, name) != 0 || !href != !ns)
            continue;
        if (ns && strcmp(href, ns) != 0)
            continue;
        const xmlNode *text = attr->children; /* without entities: one text node, or none */
        return !text                                       ? ""
               : text->next || text->type != XML_TEXT_NODE ? NULL
                                                           : (char *)text->content;
    }
    return NULL;
}

/* The only one of this name among the children; NULL: none, or several. */
static xmlNode *only_child(const xmlNode *parent, const char *ns, const char *name)
{
    xmlNode *found = NULL;

    for (xmlNode *node = parent->children; node; node = node->next) {
        if (!rim_xml_is(node, ns, name))
            continue;
        if (found)
            return NULL;
        found = node;
    }
    return found;
}

/* Are the child elements exactly these, in this order? names ends with NULL. */
static bool children_are(const xmlNode *parent, const char *const *names)
{
    for (const xmlNode *node = parent->children; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (!*names || !rim_xml_is(node, NS_DSIG, *names))
            return false;
        names++;
    }
    return !*names;
}

static bool has_algorithm(const xmlNode *node, const char *algorithm)
{
    const char *text = node ? rim_xml_attribute(node, "Algorithm", NULL) : NULL;

    return text && strcmp(text, algorithm) == 0;
}

static const xmlNode *next_element(const xmlNode *node)
{
    while (node && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

/* enveloped-signature, then C14N 1.1. */
static bool transforms_are_ours(const xmlNode *transforms)
{
    static const char *const names[] = {"Transform", "Transform", NULL};

    if (!transforms || !children_are(transforms, names))
        return false;
    const xmlNode *first = next_element(transforms->children);
    return has_algorithm(first, ALGORITHM_ENVELOPED) &&
           has_algorithm(next_element(first->next), ALGORITHM_C14N);
}

/* The one reference, to the whole document. */
static bool reference_is_ours(const xmlNode *reference)
{
    static const char *const names[] = {"Transforms", "DigestMethod", "DigestValue", NULL};
    const char *uri = reference ? rim_xml_attribute(reference, "URI", NULL) : NULL;

    return uri && uri[0] == 0 && children_are(reference, names) &&
           transforms_are_ours(only_child(reference, NS_DSIG, "Transforms")) &&
           has_algorithm(only_child(reference, NS_DSIG, "DigestMethod"), ALGORITHM_SHA384);
}

static bool signature_is_ours(const xmlNode *signature)
{
    static const char *const names[] = {"SignedInfo", "SignatureValue", "KeyInfo", NULL};
    static const char *const info_names[] = {"CanonicalizationMethod", "SignatureMethod",
                                             "Reference", NULL};
    static const char *const key_names[] = {"X509Data", NULL};

    if (!children_are(signature, names))
        return false;
    const xmlNode *info = only_child(signature, NS_DSIG, "SignedInfo");
    return children_are(info, info_names) &&
           children_are(only_child(signature, NS_DSIG, "KeyInfo"), key_names) &&
           has_algorithm(only_child(info, NS_DSIG, "CanonicalizationMethod"), ALGORITHM_C14N) &&
           has_algorithm(only_child(info, NS_DSIG, "SignatureMethod"), ALGORITHM_ECDSA) &&
           reference_is_ours(only_child(info, NS_DSIG, "Reference"));
}

/* Signatures anywhere in the tree: a second one is how signatures are wrapped. */
static size_t count_signatures(const xmlNode *root)
{
    size_t n = 0;

    for (const xmlNode *node = root; node;) {
        n += rim_xml_is(node, NS_DSIG, "Signature");
        if (node->children && node->type == XML_ELEMENT_NODE) {
            node = node->children;
            continue;
        }
        while (node != root && !node->next)
            node = node->parent;
        node = node == root ? NULL : node->next;
    }
    return n;
}

static struct error *find_parts(struct rim_xml *xml)
{
    const xmlNode *root = xmlDocGetRootElement(xml->document);

    if (!rim_xml_is(root, RIM_NS_SWID, "SoftwareIdentity"))
        return error_new(ERROR_INVALID_ARGUMENT, "rim: not a software identity tag");
    xml->meta = only_child(root, RIM_NS_SWID, "Meta");
    xml->payload = only_child(root, RIM_NS_SWID, "Payload");
    xml->signature = only_child(root, NS_DSIG, "Signature");
    if (!xml->meta || !xml->payload || !xml->signature)
        return error_new(ERROR_INVALID_ARGUMENT, "rim: not one Meta, Payload and Signature");
    if (count_signatures(root) != 1)
        return error_new(ERROR_INVALID_ARGUMENT, "rim: more than one signature");
    if (!signature_is_ours(xml->signature))
        return error_new(ERROR_INVALID_ARGUMENT, "rim: a signature of an unknown form");
    xml->certificates =
        only_child(only_child(xml->signature, NS_DSIG, "KeyInfo"), NS_DSIG, "X509Data");
    return NULL;
}

struct error *rim_xml_parse(const void *data, size_t size, struct rim_xml *ret_xml)
{
    struct rim_xml xml = {};

    struct error *err = rim_xml_read(data, size, &xml.document);
    if (!err)
        err = find_parts(&xml);
    if (err) {
        rim_xml_done(&xml);
        return err;
    }
    *ret_xml = xml;
    return NULL;
}

/* base64 with the line breaks that XML allows in it; caller frees. */
static char *without_space(const char *text)
{
    char *copy = xcalloc(1, strlen(text) + 1), *to = copy;

    for (; *text; text++)
        if (!strchr(" \t\r\n", *text))
            *to++ = *text;
    *to = 0;
    return copy;
}

static struct error *add_certificate(const xmlNode *node, struct x509_path *path)
{
    const xmlNode *text = node->children;
    _cleanup_free_ uint8_t *der = NULL;
    size_t size = 0;

    if (!text || text->next || text->type != XML_TEXT_NODE || !text->content)
        return error_new(ERROR_INVALID_ARGUMENT, "rim: a certificate without text");
    _cleanup_free_ char *base64 = without_space((const char *)text->content);
    struct error *err = base64_decode_new(base64, X509_PATH_PEM_MAX, &der, &size);
    return err ? err : x509_path_add_der(path, der, size);
}

struct error *rim_xml_certificates(const struct rim_xml *xml, struct x509_path *ret_path)
{
    struct error *err = NULL;

    for (const xmlNode *node = xml->certificates->children; node && !err; node = node->next)
        if (rim_xml_is(node, NS_DSIG, "X509Certificate"))
            err = add_certificate(node, ret_path);
    return error_wrap(err, "rim signer");
}
