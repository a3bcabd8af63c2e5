/* The domain documents against libvirt's own schema, where one that knows sev-snp is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libxml/parser.h>
#include <libxml/relaxng.h>

#include "services/host-agent/testdata/spec.h"
#include "shared/base/file.h"

#define SCHEMAS "/usr/share/libvirt/schemas/"

static int validate(const char *xml)
{
    xmlRelaxNGParserCtxtPtr parser = xmlRelaxNGNewParserCtxt(SCHEMAS "domain.rng");
    xmlRelaxNGPtr schema = xmlRelaxNGParse(parser);
    xmlRelaxNGValidCtxtPtr context = xmlRelaxNGNewValidCtxt(schema);
    xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), "domain.xml", NULL, XML_PARSE_NONET);

    assert_non_null(schema);
    assert_non_null(doc);
    int rc = xmlRelaxNGValidateDoc(context, doc);
    xmlFreeDoc(doc);
    xmlRelaxNGFreeValidCtxt(context);
    xmlRelaxNGFree(schema);
    xmlRelaxNGFreeParserCtxt(parser);
    return rc;
}

static void test_domains_are_valid(_unused_ void **state)
{
    _cleanup_free_ char *qemu = NULL;
    _cleanup_free_ char *snp = NULL;
    struct test_spec test;

    test_spec_init(&test);
    test.spec.filter_spoofing = true;
    assert_null(domain_xml_new(&test.spec, &qemu));
    assert_int_equal(validate(qemu), 0);
    test_spec_make_snp(&test);
    assert_null(domain_xml_new(&test.spec, &snp));
    assert_int_equal(validate(snp), 0);
    test_spec_done(&test);
}

static void test_the_schema_refuses_nonsense(_unused_ void **state)
{
    struct test_spec test;
    _cleanup_free_ char *snp = NULL;

    test_spec_init(&test);
    test_spec_make_snp(&test);
    assert_null(domain_xml_new(&test.spec, &snp));
    char *policy = strstr(snp, "<policy>");
    assert_non_null(policy);
    memcpy(policy + 8, "hello", 5);
    assert_int_not_equal(validate(snp), 0);
    test_spec_done(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domains_are_valid),
        cmocka_unit_test(test_the_schema_refuses_nonsense),
    };
    _cleanup_buffer_ struct buffer schema = {0};
    struct error *err = file_read(SCHEMAS "domaincommon.rng", 8 * 1024 * 1024, &schema);

    if (err || !strstr(buffer_text(&schema), "sev-snp")) {
        printf("skip: no libvirt schema here that knows sev-snp\n");
        error_free(err);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
