/* From bytes to a tree, as long as the tree stays of a size that is cheap to work on. */
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <string.h>

#include "shared/nvidia/rim_xml.h"

/* The canonical form costs elements times namespaces times depth, and it is made before anyone
 * knows whose file it is. Each of the 35 published files that we know has 85 elements, six deep,
 * six namespaces, no comment, no instruction, and at most 12 attributes at an element. With 64
 * measurements of 16 alternatives there would be no more elements, and 22 attributes. */
#define NAMESPACES_MAX 16
#define ELEMENTS_MAX   256
#define OTHERS_MAX     16
#define DEPTH_MAX      12
#define ATTRIBUTES_MAX 32

#define TEXT(number)   TEXT_OF(number)
#define TEXT_OF(text)  #text

DEFINE_CLEANUP(xmlParserCtxt *, xmlFreeParserCtxt)

static void _printf_(2, 3) be_quiet(void *context, const char *format, ...)
{
    (void)context, (void)format;
}

struct rim_xml_quiet rim_xml_quiet(void)
{
    const struct rim_xml_quiet before = {xmlGenericError, xmlGenericErrorContext,
                                         xmlStructuredError, xmlStructuredErrorContext};

    xmlSetGenericErrorFunc(NULL, be_quiet);
    xmlSetStructuredErrorFunc(NULL, NULL);
    return before;
}

void rim_xml_quiet_done(struct rim_xml_quiet *before)
{
    xmlSetGenericErrorFunc(before->generic_context, before->generic);
    xmlSetStructuredErrorFunc(before->structured_context, before->structured);
}

struct tally {
    size_t namespaces, elements, others;
    const char *problem; /* the first; static */
};

/* The rest of the file is not looked at. */
static void stop(xmlParserCtxt *parser, const char *problem)
{
    struct tally *tally = parser->_private;

    tally->problem = problem;
    xmlStopParser(parser);
}

static const char *element_problem(const struct tally *tally, size_t depth, size_t attributes)
{
    return tally->namespaces > NAMESPACES_MAX ? "more than " TEXT(NAMESPACES_MAX) " namespaces"
           : tally->elements > ELEMENTS_MAX   ? "more than " TEXT(ELEMENTS_MAX) " elements"
           : depth > DEPTH_MAX                ? "elements more than " TEXT(DEPTH_MAX) " deep"
           : attributes > ATTRIBUTES_MAX
               ? "an element with more than " TEXT(ATTRIBUTES_MAX) " attributes"
               : NULL;
}

static void on_element(void *context, const xmlChar *name, const xmlChar *prefix,
                       const xmlChar *uri, int n_namespaces, const xmlChar **namespaces,
                       int n_attributes, int n_defaulted, const xmlChar **attributes)
{
    xmlParserCtxt *parser = context;
    struct tally *tally = parser->_private;

    tally->namespaces += (size_t)n_namespaces;
    tally->elements++;
    const char *problem = element_problem(tally, (size_t)parser->nodeNr + 1, (size_t)n_attributes);
    if (problem)
        stop(parser, problem);
    else
        xmlSAX2StartElementNs(context, name, prefix, uri, n_namespaces, namespaces, n_attributes,
                              n_defaulted, attributes);
}

static bool is_one_too_many(xmlParserCtxt *parser)
{
    struct tally *tally = parser->_private;

    if (++tally->others <= OTHERS_MAX)
        return false;
    stop(parser, "more than " TEXT(OTHERS_MAX) " comments and instructions");
    return true;
}

static void on_comment(void *context, const xmlChar *text)
{
    if (!is_one_too_many(context))
        xmlSAX2Comment(context, text);
}

static void on_instruction(void *context, const xmlChar *target, const xmlChar *data)
{
    if (!is_one_too_many(context))
        xmlSAX2ProcessingInstruction(context, target, data);
}

/* No document type, so no entities and no other files. Bytes are taken as UTF-8 whatever they say
 * of themselves, so that what is searched for here is what the parser would see. */
static bool has_forbidden_text(const char *data, size_t size)
{
    return memchr(data, 0, size) || memmem(data, size, "<!DOCTYPE", 9);
}

static xmlParserCtxt *new_parser(struct tally *tally)
{
    xmlInitParser();
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return NULL;
    parser->_private = tally;
    parser->sax->startElementNs = on_element;
    parser->sax->comment = on_comment;
    parser->sax->processingInstruction = on_instruction;
    return parser;
}

struct error *rim_xml_read(const void *data, size_t size, xmlDoc **ret_document)
{
    _unused_ _cleanup_(rim_xml_quiet_done) struct rim_xml_quiet before = rim_xml_quiet();
    _cleanup_(xmlFreeParserCtxtp) xmlParserCtxt *parser = NULL;
    _cleanup_(xmlFreeDocp) xmlDoc *document = NULL;
    struct tally tally = {};

    if (!data || size == 0 || size > RIM_SIZE_MAX || has_forbidden_text(data, size))
        return error_new(ERROR_INVALID_ARGUMENT, "rim: too long, or with a document type");
    parser = new_parser(&tally);
    if (!parser)
        return error_new(ERROR_INTERNAL, "rim: no XML parser");
    document = xmlCtxtReadMemory(parser, data, (int)size, NULL, "UTF-8",
                                 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                     XML_PARSE_NOCDATA);
    if (tally.problem)
        return error_new(ERROR_INVALID_ARGUMENT, "rim: %s", tally.problem);
    if (!document)
        return error_new(ERROR_INVALID_ARGUMENT, "rim: not well-formed XML");
    *ret_document = TAKE_PTR(document);
    return NULL;
}
