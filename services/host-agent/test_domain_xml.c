/* Golden files: regenerate with GOLDEN=write and read the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libxml/parser.h>

#include "services/host-agent/domain_xml.h"
#include "services/host-agent/testdata/spec.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

static void expect_golden(const struct domain_spec *spec, const char *path)
{
    _cleanup_free_ char *xml = NULL;
    _cleanup_buffer_ struct buffer golden = {0};

    assert_null(domain_xml_new(spec, &xml));
    if (getenv("GOLDEN"))
        assert_null(file_write_atomic(path, xml, strlen(xml), 0644));
    assert_null(file_read(path, 65536, &golden));
    assert_string_equal(xml, buffer_text(&golden));
}

static void test_domains_are_as_written_down(_unused_ void **state)
{
    struct test_spec test;

    test_spec_init(&test);
    expect_golden(&test.spec, "services/host-agent/testdata/domain_qemu.xml");
    test_spec_make_snp(&test);
    expect_golden(&test.spec, "services/host-agent/testdata/domain_snp.xml");
    test_spec_done(&test);
}

static void test_texts_are_escaped(_unused_ void **state)
{
    struct test_spec test;
    _cleanup_free_ char *xml = NULL;

    test_spec_init(&test);
    test.spec.cmdline = "a=\"1\" b=<x>&amp; c='2' ]]>";
    test.spec.root_disk = "/srv/\"><disk>&'/root.img";
    assert_null(domain_xml_new(&test.spec, &xml));
    xmlDocPtr doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    xmlFreeDoc(doc);
    assert_non_null(strstr(xml, "b=&lt;x&gt;&amp;amp;"));
    assert_null(strstr(xml, "<disk>&"));
    test_spec_done(&test);
}

static void test_bad_specs_are_refused(_unused_ void **state)
{
    static const char *const bad_ids[] = {"",    "a b", "A", "../x", "x'/>", "-a",
                                          "a\n", "a.b", "ü", "a/b",  "a;b"};
    struct test_spec test;
    _cleanup_free_ char *xml = NULL;
    char *id;

    test_spec_init(&test);
    id = test.facts.workload_id;
    for (size_t i = 0; i < ELEMENTSOF(bad_ids); i++) {
        test.facts.workload_id = (char *)bad_ids[i];
        struct error *err = domain_xml_new(&test.spec, &xml);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
    test.facts.workload_id = id;
    test.spec.cmdline = "a\nb";
    struct error *err = domain_xml_new(&test.spec, &xml);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    error_free(err);
    test.spec.cmdline = "a";
    test.spec.root_disk = "/x\xff";
    err = domain_xml_new(&test.spec, &xml);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    error_free(err);
    test.spec.root_disk = "/x";
    test.spec.sev_snp = true; /* without KVM */
    err = domain_xml_new(&test.spec, &xml);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    error_free(err);
    test_spec_done(&test);
}

static void test_facts_are_checked(_unused_ void **state)
{
    struct vm_facts facts = {.workload_id = "w",
                             .generation = 1,
                             .cpus = 1,
                             .memory_mib = 512,
                             .disk_gib = 1,
                             .image_version = "1"};
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct vm_facts f = facts;                                                                 \
        change;                                                                                    \
        struct error *err = vm_facts_check(&f);                                                    \
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);                             \
        error_free(err);                                                                           \
    } while (0)
    assert_null(vm_facts_check(&facts));
    REFUSED(f.generation = 0);
    REFUSED(f.cpus = 0);
    REFUSED(f.cpus = 65);
    REFUSED(f.memory_mib = 1);
    REFUSED(f.memory_mib = UINT64_MAX);
    REFUSED(f.disk_gib = 0);
    REFUSED(f.disk_gib = UINT64_MAX);
    REFUSED(f.gpus = 1);
    REFUSED(f.image_version = (char *)"../../etc");
    REFUSED(f.image_version = (char *)"");
    REFUSED(f.image_version = NULL);
    char *domains[] = {(char *)"Bad Name"};
    REFUSED(f.domains = domains; f.n_domains = 1);
#undef REFUSED
}

static void test_host_names(_unused_ void **state)
{
    static const char *const good[] = {"a", "a.b", "w-1.coffer.test", "xn--mnchen-3ya.de", "1.2"};
    static const char *const bad[] = {"",    ".",    "a.",   ".a",  "a..b", "A.b", "a_b",
                                      "a b", "-a.b", "a-.b", "a\n", "a;b",  "*.a", "a/b"};
    char long_label[66] = {0};

    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(hostname_is_valid(good[i]));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(hostname_is_valid(bad[i]));
    memset(long_label, 'a', 64);
    assert_false(hostname_is_valid(long_label));
    long_label[63] = '\0';
    assert_true(hostname_is_valid(long_label));
}

static void test_metadata_round_trips(_unused_ void **state)
{
    static const char metadata[] =
        "<coffer:vm xmlns:coffer='urn:coffer:vm:1' generation='7' cpus='2' memory-mib='2048'"
        " disk-gib='10' gpus='0' image='2026.1' manifest-sha256='"
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'>"
        "<coffer:domain>a.coffer.test</coffer:domain><coffer:domain>b.test</coffer:domain>"
        "</coffer:vm>";
    _cleanup_facts_ struct vm_facts facts = {0};

    assert_null(domain_metadata_parse("coffer-w1", metadata, &facts));
    assert_string_equal(facts.workload_id, "w1");
    assert_int_equal(facts.generation, 7);
    assert_int_equal(facts.memory_mib, 2048);
    assert_int_equal(facts.manifest_sha256[1], 0x11);
    assert_int_equal(facts.n_domains, 2);
    assert_string_equal(facts.domains[1], "b.test");
}

static void test_foreign_metadata_is_refused(_unused_ void **state)
{
    static const char *const bad[] = {
        "",
        "<x/>",
        "<vm",
        "<vm generation='1'/>",
        "<vm generation='-1' cpus='1' memory-mib='512' disk-gib='1' gpus='0' image='1'"
        " manifest-sha256='00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'/>",
        "<vm generation='1' cpus='1' memory-mib='512' disk-gib='1' gpus='0' image='../x'"
        " manifest-sha256='00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'/>",
        "<vm generation='1' cpus='1' memory-mib='512' disk-gib='1' gpus='0' image='1'"
        " manifest-sha256='0011'/>",
        "<!DOCTYPE vm [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><vm image='&e;'/>",
    };
    struct vm_facts facts = {0};

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        struct error *err = domain_metadata_parse("coffer-w1", bad[i], &facts);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
    struct error *err = domain_metadata_parse("other", "<vm/>", &facts);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    error_free(err);
}

static void test_mac_is_stable_and_local(_unused_ void **state)
{
    struct vm_facts facts = {.workload_id = (char *)"w", .generation = 1};
    char first[DOMAIN_MAC_SIZE], again[DOMAIN_MAC_SIZE], next[DOMAIN_MAC_SIZE];

    domain_mac(&facts, first);
    domain_mac(&facts, again);
    facts.generation = 2;
    domain_mac(&facts, next);
    assert_string_equal(first, again);
    assert_string_not_equal(first, next);
    assert_memory_equal(first, "52:", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domains_are_as_written_down),
        cmocka_unit_test(test_texts_are_escaped),
        cmocka_unit_test(test_bad_specs_are_refused),
        cmocka_unit_test(test_facts_are_checked),
        cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_metadata_round_trips),
        cmocka_unit_test(test_foreign_metadata_is_refused),
        cmocka_unit_test(test_mac_is_stable_and_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
