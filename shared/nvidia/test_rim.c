/* RIM files that must not be believed, and one that must. */
#include "shared/nvidia/test_gpu.h"

#include <libxml/xmlerror.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/nvidia/rim.h"
#include "shared/nvidia/test_mint.h"

static struct mint mint;

static int setup(void **state)
{
    (void)state;
    mint_init(&mint);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mint_done(&mint);
    return 0;
}

static void good_rim_is_read(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer xml = {};
    _cleanup_(rim_freep) struct rim *rim = NULL;
    uint8_t value[48];

    mint_driver_rim(&mint, &xml);
    expect_ok(rim_open(xml.data, xml.size, mint.roots.rim, &rim));
    assert_null(rim->problem);
    assert_string_equal(rim->product, "GH100");
    assert_string_equal(rim->version, "550.1");
    assert_int_equal(rim->n_active, 6);
    assert_false(rim->measurements[6].active);
    assert_int_equal(rim->measurements[7].n, 2);
    mint_value(7, value);
    assert_memory_equal(rim->measurements[7].alternatives[1], value, sizeof(value));
    assert_true(x509_path_in_date(&rim->signer, MINT_NOW_MS));
}

static void bug_10_a_foreign_root_or_signer_is_a_problem(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer xml = {}, foreign = {};
    struct rim *rim = NULL;
    struct mint_party stranger = {};

    mint_driver_rim(&mint, &xml);
    expect_ok(rim_open(xml.data, xml.size, gpu_roots_nvidia.rim, &rim));
    assert_string_equal(rim->problem, "the last certificate is not the pinned root");
    assert_int_equal(rim->n_active, 0);
    rim_free(rim);

    mint_certificate(&(struct mint_certificate){.name = "Test RIM Signer"}, NULL, &stranger);
    mint_rim(&mint, &(struct mint_rim){"GH100", "550.1", 7, 13, NULL, NULL, &stranger}, &foreign);
    expect_ok(rim_open(foreign.data, foreign.size, mint.roots.rim, &rim));
    assert_non_null(rim->problem);
    rim_free(rim);
    mint_party_done(&stranger);
}

#define RESOURCE_7                                                                                 \
    "<Resource active=\"True\" alternatives=\"2\" index=\"7\" size=\"48\" type=\"Measurement\""

struct change {
    const char *from, *to;
};

/* Changed before the signature is made: the signer says so, and still it is refused. */
static const struct change signed_changes[] = {
    {"index=\"8\"", "index=\"7\""},  /* twice */
    {"index=\"7\"", "index=\"64\""}, /* out of range */
    {"index=\"7\"", "index=\"-7\""},
    {"index=\"7\"", "index=\"007\""},
    {"index=\"7\"", "index=\"\""},
    {"index=\"7\"", "index=\"1/\""}, /* the neighbours of the digits */
    {"index=\"7\"", "index=\"1:\""},
    {"active=\"True\"", "active=\"true\""},
    {RESOURCE_7, "<Resource active=\"True\" alternatives=\"0\" index=\"7\" size=\"48\" "
                 "type=\"Measurement\""},
    {RESOURCE_7, "<Resource active=\"True\" alternatives=\"3\" index=\"7\" size=\"48\" "
                 "type=\"Measurement\""},
    {RESOURCE_7, "<Resource active=\"True\" alternatives=\"17\" index=\"7\" size=\"48\" "
                 "type=\"Measurement\""},
    {RESOURCE_7, "<Resource active=\"True\" alternatives=\"2\" index=\"7\" size=\"32\" "
                 "type=\"Measurement\""},
    {RESOURCE_7, "<Resource active=\"True\" alternatives=\"2\" index=\"7\" type=\"Measurement\""},
    {"4747474747474747\"", "474747474747474\""}, /* a short hash */
    {"4747474747474747\"", "474747474747474g\""},
    {" colloquialVersion=\"550.1\"", ""},
    {" product=\"GH100\"", ""},
    {"product=\"GH100\"", "product=\"GH100GH100GH100GH100GH100GH100GH100\""},
    {"<Payload>", "<Payload></Payload>\n<Payload>"},
    {"<Meta ", "<Meta></Meta>\n<Meta "},
    /* a second signature, as signature wrapping needs it */
    {"<Payload>", "<Payload><ds:Signature "
                  "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"></ds:Signature>"},
};

static void signed_nonsense_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(signed_changes); i++) {
        const struct change *c = &signed_changes[i];
        _cleanup_buffer_ struct buffer xml = {};
        struct rim *rim = NULL;

        mint_rim(&mint, &(struct mint_rim){"GH100", "550.1", 7, 13, c->from, c->to, NULL}, &xml);
        struct error *err = rim_open(xml.data, xml.size, mint.roots.rim, &rim);
        if (!err)
            fail_msg("accepted: '%s' for '%s'", c->to, c->from);
        expect_error(err, ERROR_INVALID_ARGUMENT);
    }
}

static void what_is_no_measurement_says_nothing(void **state)
{
    (void)state;
    static const struct change c = {RESOURCE_7, "<Resource active=\"True\" alternatives=\"2\" "
                                                "index=\"7\" size=\"48\" type=\"File\""};
    _cleanup_buffer_ struct buffer xml = {};
    _cleanup_(rim_freep) struct rim *rim = NULL;

    mint_rim(&mint, &(struct mint_rim){"GH100", "550.1", 7, 13, c.from, c.to, NULL}, &xml);
    expect_ok(rim_open(xml.data, xml.size, mint.roots.rim, &rim));
    assert_null(rim->problem);
    assert_int_equal(rim->n_active, 5);
    assert_false(rim->measurements[7].active);
}

static void bug_10_a_rim_without_active_measurements_is_refused(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer xml = {};
    struct rim *rim = NULL;

    mint_rim(&mint, &(struct mint_rim){"GH100", "550.1", 0, 0, NULL, NULL, NULL}, &xml);
    expect_error(rim_open(xml.data, xml.size, mint.roots.rim, &rim), ERROR_INVALID_ARGUMENT);
}

/* Changed afterwards, into another form: refused before any signature is looked at. */
static const struct change malformed_changes[] = {
    /* a document type: entities, files, bombs */
    {"<SoftwareIdentity ", "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>"
                           "<SoftwareIdentity "},
    {"<SoftwareIdentity ", "<!DOCTYPE SoftwareIdentity><SoftwareIdentity "},
    {"<Meta ", "<Meta x=\"&e;\" "},
    /* the signature of another form */
    {"URI=\"\"", "URI=\"#payload\""},
    {"URI=\"\"", "URI=\"http://example.com/\""},
    {" URI=\"\"", ""},
    {"#enveloped-signature", "#base64"},
    {"#ecdsa-sha384", "#hmac-sha384"},
    {"#ecdsa-sha384", "#ecdsa-sha1"},
    {"xmldsig-more#sha384", "xmldsig-more#md5"},
    {"<ds:Transforms>", "<ds:Transforms><ds:Transform "
                        "Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/>"},
    {"</ds:SignedInfo>", "<ds:Reference URI=\"\"/></ds:SignedInfo>"},
    {"<ds:X509Data>", "<ds:KeyValue/><ds:X509Data>"},
    {"</ds:KeyInfo>", "</ds:KeyInfo><ds:Object/>"},
    {"<Payload>", "<Payload><ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>"},
    {"<ds:Signature ", "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>"
                       "<ds:Signature "},
    /* signature wrapping: the signed tag inside of another one */
    {"<SoftwareIdentity ", "<Wrapper><SoftwareIdentity "},
    {"<ds:X509Certificate>", "<ds:X509Certificate>!"},
};

/* Changed afterwards, in what is signed: the signature must tell. */
static const struct change forged_changes[] = {
    /* the signed content itself */
    {"active=\"False\" alternatives=\"2\" index=\"14\"",
     "active=\"True\" alternatives=\"2\" index=\"14\""},
    {"4747474747474747\"", "4747474747474748\""},
    {"colloquialVersion=\"550.1\"", "colloquialVersion=\"550.2\""},
    {"</Payload>", "<Resource/></Payload>"},
    {"<Payload>", "<Payload ><!-- --><x/>"},
    /* digest and signature values */
    {"<ds:DigestValue>", "<ds:DigestValue>A"},
    {"<ds:SignatureValue>", "<ds:SignatureValue>A"},
};

/* A good RIM with the first place of one text changed; the caller frees what comes back. */
static struct error *open_changed(const struct change *c, struct rim **ret_rim)
{
    _cleanup_buffer_ struct buffer xml = {};

    mint_driver_rim(&mint, &xml);
    const char *text = buffer_text(&xml), *at = strstr(text, c->from);
    assert_non_null(at);
    _cleanup_free_ char *changed =
        xasprintf("%.*s%s%s", (int)(at - text), text, c->to, at + strlen(c->from));
    return rim_open(changed, strlen(changed), mint.roots.rim, ret_rim);
}

static void malformed_rims_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(malformed_changes); i++) {
        struct rim *rim = NULL;
        struct error *err = open_changed(&malformed_changes[i], &rim);

        if (!err)
            fail_msg("read: '%s' for '%s'", malformed_changes[i].to, malformed_changes[i].from);
        expect_error(err, ERROR_INVALID_ARGUMENT);
    }
}

static void forged_rims_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(forged_changes); i++) {
        struct rim *rim = NULL;

        expect_ok(open_changed(&forged_changes[i], &rim));
        if (!rim->problem)
            fail_msg("accepted: '%s' for '%s'", forged_changes[i].to, forged_changes[i].from);
        assert_int_equal(rim->n_active, 0);
        rim_free(rim);
    }
}

struct pieces {
    const char *open, *piece, *piece_end; /* with its number between these two */
    size_t n;
    const char *close;
    const char *refusal; /* NULL: read */
};

/* The pieces and the payload's end; the caller frees what comes back. */
static char *before_payload_end(const struct pieces *pieces)
{
    struct buffer text = {};

    buffer_add_text(&text, pieces->open);
    for (size_t i = 0; i < pieces->n; i++)
        buffer_printf(&text, "%s%zu%s", pieces->piece, i, pieces->piece_end);
    buffer_printf(&text, "%s</Payload>", pieces->close);
    return buffer_take_text(&text);
}

#define MANY_NAMESPACES "rim: more than 16 namespaces"
#define MANY_ELEMENTS   "rim: more than 256 elements"
#define MANY_OTHERS     "rim: more than 16 comments and instructions"
#define TOO_DEEP        "rim: elements more than 12 deep"
#define MANY_ATTRIBUTES "rim: an element with more than 32 attributes"

/* What makes the canonical form dear, before anyone knows whose file it is. */
static const struct pieces large_rims[] = {
    {"<x", " xmlns:a", "=\"urn:a\"", 13, "/>", NULL}, /* the minted file has three */
    {"<x", " xmlns:a", "=\"urn:a\"", 14, "/>", MANY_NAMESPACES},
    {"<x", " xmlns:a", "=\"urn:a\"", 9000, "/>", MANY_NAMESPACES},
    {"", "<x xmlns:a", "=\"urn:a\"/>", 14, "", MANY_NAMESPACES}, /* wherever they stand */
    {"", "<x xmlns=\"urn:", "\"/>", 9000, "", MANY_NAMESPACES},
    {"", "<x i=\"", "\"/>", 221, "", NULL}, /* and 35 */
    {"", "<x i=\"", "\"/>", 222, "", MANY_ELEMENTS},
    {"", "<x i=\"", "\"/>", 15000, "", MANY_ELEMENTS},
    {"", "<!--", "-->", 16, "", NULL},
    {"", "<!--", "-->", 17, "", MANY_OTHERS},
    {"", "<?a ", "?>", 20000, "", MANY_OTHERS},
    {"", "<x i=\"", "\">", 10, "</x></x></x></x></x></x></x></x></x></x>", NULL},
    {"", "<x i=\"", "\">", 11, "</x></x></x></x></x></x></x></x></x></x></x>", TOO_DEEP},
    {"", "<x i=\"", "\">", 200, "", TOO_DEEP},
    {"<x", " a", "=\"\"", 32, "/>", NULL},
    {"<x", " a", "=\"\"", 33, "/>", MANY_ATTRIBUTES},
    {"<x", " a", "=\"\"", 20000, "/>", MANY_ATTRIBUTES},
};

static void a_rim_with_many_namespaces_is_refused_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(large_rims); i++) {
        const struct pieces *p = &large_rims[i];
        _cleanup_free_ char *text = before_payload_end(p);
        struct rim *rim = NULL;
        struct error *err = open_changed(&(struct change){"</Payload>", text}, &rim);

        if (!err != !p->refusal || (err && strcmp(error_text(err), p->refusal) != 0))
            fail_msg("%zu times '%s': %s", p->n, p->piece, err ? error_text(err) : "read");
        error_free(err);
        rim_free(rim);
    }
}

/* The size of what comes to standard error while the file is opened. */
static off_t noise_of(const struct buffer *xml)
{
    FILE *file = tmpfile();
    int stderr_copy = dup(STDERR_FILENO);
    struct rim *rim = NULL;
    struct stat st;

    assert_true(file && stderr_copy >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    error_free(rim_open(xml->data, xml->size, mint.roots.rim, &rim));
    fflush(stderr);
    assert_true(dup2(stderr_copy, STDERR_FILENO) >= 0);
    assert_int_equal(fstat(fileno(file), &st), 0);
    rim_free(rim);
    close(stderr_copy);
    fclose(file);
    return st.st_size;
}

/* Whose text it would be that stands there: the file's. */
static void nothing_is_written_to_standard_error(void **state)
{
    (void)state;
    static const struct change changes[] = {
        {"<Payload>", "<Payload xmlns:a=\"relative\">"}, /* C14N does not take these */
        {"<Payload>", "<Payload xmlns:a=\"::\">"},
        {"<Payload>", "<Payload xml:base=\"::\">"},
        {"<Payload>", "<a:Payload>"},
        {"<Payload>", "<Payload>&e;"},
    };

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        const struct mint_rim in = {"GH100", "550.1", 7, 13, changes[i].from, changes[i].to, NULL};
        _cleanup_buffer_ struct buffer xml = {};

        mint_rim(&mint, &in, &xml);
        if (noise_of(&xml) != 0)
            fail_msg("noise for '%s'", changes[i].to);
    }
}

/* What handled libxml2's errors before, does so after. */
static void the_error_handler_of_the_thread_stays(void **state)
{
    (void)state;
    static int context;
    _cleanup_buffer_ struct buffer xml = {};
    struct rim *rim = NULL;
    const xmlGenericErrorFunc before = xmlGenericError;

    xmlSetGenericErrorFunc(&context, before);
    mint_driver_rim(&mint, &xml);
    expect_ok(rim_open(xml.data, xml.size, mint.roots.rim, &rim));
    assert_ptr_equal(xmlGenericErrorContext, &context);
    assert_true(xmlGenericError == before);
    xmlSetGenericErrorFunc(NULL, NULL);
    rim_free(rim);
}

/* The root element of a wrapped file is not the signed one. */
static void bug_10_a_wrapped_rim_is_refused(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer inner = {}, outer = {};
    struct rim *rim = NULL;

    mint_driver_rim(&mint, &inner);
    buffer_add_text(&outer,
                    "<SoftwareIdentity xmlns=\"http://standards.iso.org/iso/19770/-2/2015/"
                    "schema.xsd\"><Meta colloquialVersion=\"550.1\" product=\"GH100\"/>"
                    "<Payload><Resource type=\"Measurement\" active=\"True\" index=\"7\"/>");
    buffer_add(&outer, inner.data, inner.size);
    buffer_add_text(&outer, "</Payload></SoftwareIdentity>");
    expect_error(rim_open(outer.data, outer.size, mint.roots.rim, &rim), ERROR_INVALID_ARGUMENT);
}

static void bytes_that_are_no_rim_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "<", "<a/>", "\xff\xfe<\0a\0/\0>\0", "{}", "<?xml version=\"1.0\"?>"};
    struct rim *rim = NULL;

    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        expect_error(rim_open(texts[i], strlen(texts[i]), mint.roots.rim, &rim),
                     ERROR_INVALID_ARGUMENT);
    _cleanup_free_ char *large = xcalloc(1, RIM_SIZE_MAX + 1);
    memset(large, ' ', RIM_SIZE_MAX + 1);
    expect_error(rim_open(large, RIM_SIZE_MAX + 1, mint.roots.rim, &rim), ERROR_INVALID_ARGUMENT);
    expect_error(rim_open(NULL, 0, mint.roots.rim, &rim), ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rim_is_read),
        cmocka_unit_test(bug_10_a_foreign_root_or_signer_is_a_problem),
        cmocka_unit_test(signed_nonsense_is_refused),
        cmocka_unit_test(what_is_no_measurement_says_nothing),
        cmocka_unit_test(bug_10_a_rim_without_active_measurements_is_refused),
        cmocka_unit_test(malformed_rims_are_refused),
        cmocka_unit_test(forged_rims_are_refused),
        cmocka_unit_test(a_rim_with_many_namespaces_is_refused_at_once),
        cmocka_unit_test(nothing_is_written_to_standard_error),
        cmocka_unit_test(the_error_handler_of_the_thread_stays),
        cmocka_unit_test(bug_10_a_wrapped_rim_is_refused),
        cmocka_unit_test(bytes_that_are_no_rim_are_refused),
    };

    return cmocka_run_group_tests_name("rim", tests, setup, teardown);
}
