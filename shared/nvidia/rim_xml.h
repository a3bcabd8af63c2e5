/* Inside of a RIM file: its parts as XML. */
#pragma once

#include <libxml/tree.h>
#include <libxml/xmlerror.h>

#include "shared/nvidia/rim.h"

#define RIM_NS_SWID "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"

DEFINE_CLEANUP(xmlDoc *, xmlFreeDoc)

struct rim_xml {
    xmlDoc *document; /* owned */
    /* of the document: direct children of its one root element */
    xmlNode *meta;
    xmlNode *payload;
    xmlNode *signature;
    xmlNode *certificates; /* X509Data of the signature */
};
void rim_xml_done(struct rim_xml *xml);

/* The bytes as a tree, no larger than RIM files are. INVALID_ARGUMENT otherwise; caller frees. */
struct error *rim_xml_read(const void *data, size_t size, xmlDoc **ret_document) _must_check_;

/* What libxml2 has to say of a file goes nowhere, in this thread, until rim_xml_quiet_done(). */
struct rim_xml_quiet {
    xmlGenericErrorFunc generic; /* as they were before */
    void *generic_context;
    xmlStructuredErrorFunc structured;
    void *structured_context;
};
struct rim_xml_quiet rim_xml_quiet(void);
void rim_xml_quiet_done(struct rim_xml_quiet *before);

/* Parses and checks the form, the signature's included. INVALID_ARGUMENT otherwise. */
struct error *rim_xml_parse(const void *data, size_t size, struct rim_xml *ret_xml) _must_check_;

/* The signer's certificates, as they stand in the file. */
struct error *rim_xml_certificates(const struct rim_xml *xml,
                                   struct x509_path *ret_path) _must_check_;

/* Does the signature over the whole document verify with this key? */
bool rim_xml_signature_is_valid(const struct rim_xml *xml, EVP_PKEY *key);

/* From Meta: product and version. From Payload: the active measurements. */
struct error *rim_xml_identity(const struct rim_xml *xml, struct rim *rim) _must_check_;
struct error *rim_xml_measurements(const struct rim_xml *xml, struct rim *rim) _must_check_;

/* Is it an element of this namespace and name? */
bool rim_xml_is(const xmlNode *node, const char *ns, const char *name);

/* The text of an attribute in this namespace (NULL: in none); NULL: not there. Lives with node. */
const char *rim_xml_attribute(const xmlNode *node, const char *name, const char *ns);
