/* Which certificates a chain is made of, from what the evidence carries, what is at hand beside it,
 * and what the roots bring along. */
#include "shared/attestation/test_kit.h"

#include "shared/attestation/chain.h"
#include "shared/attestation/dev_certificate.h"

static struct kit kit;
static struct tee_evidence evidence;
static struct report report;
static struct certificate_table good; /* VCEK, ASK, ARK of host 0 */
static struct buffer foreign_ark;     /* the same name, another key */
static struct buffer named_like_ark;  /* the ARK's name, but issued by another */
static struct buffer again;           /* the VCEK, signed once more */
static struct trust_roots pinned;     /* the ARK's fingerprint and nothing else */

static const struct certificate_view none;

static struct certificate_view view_of(const struct buffer *buffer)
{
    return (struct certificate_view){buffer->data, buffer->size};
}

static void make_others(void)
{
    EVP_PKEY *key = test_foreign_key(0);
    X509 *ark = NULL, *renamed = X509_dup(kit.ark);

    expect_ok(dev_certificate_issuer(key, NULL, NULL, &ark));
    kit_der(ark, &foreign_ark);
    assert_int_equal(X509_set_issuer_name(renamed, X509_get_subject_name(kit.ask)), 1);
    kit_sign_certificate(renamed, kit.ask_key);
    kit_der(renamed, &named_like_ark);
    kit_make_vcek(&kit, NULL, &again);
    X509_free(ark);
    X509_free(renamed);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_evidence(&kit, &evidence);
    expect_ok(report_parse(evidence.report, TEE_REPORT_SIZE, &report));
    expect_ok(
        certificate_table_parse(evidence.certificates.data, evidence.certificates.size, &good));
    make_others();
    pinned.n = 1;
    pinned.roots[0].development = true;
    memcpy(pinned.roots[0].fingerprint, kit.roots->roots[0].fingerprint, 32);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tee_evidence_done(&evidence);
    buffer_done(&foreign_ark);
    buffer_done(&named_like_ark);
    buffer_done(&again);
    kit_done(&kit);
    return 0;
}

struct scene {
    struct certificate_table table;
    struct certificate_view at_hand[5];
    size_t n;
    const struct report *report;
    const struct trust_roots *roots;
};

static bool is_this(X509 *certificate, const struct certificate_view *view)
{
    _cleanup_buffer_ struct buffer der = {};

    kit_der(certificate, &der);
    return der.size == view->size && memcmp(der.data, view->data, der.size) == 0;
}

/* chosen: what must stand at each place; empty: not looked at. */
static void expect(const struct scene *scene, const char *code,
                   const struct certificate_view chosen[CHAIN_LENGTH])
{
    _cleanup_buffer_ struct buffer table = {};
    const struct verify_collateral collateral = {.certificates = scene->at_hand,
                                                 .n_certificates = scene->n};

    certificate_table_write(&scene->table, &table);
    struct chain *chain = chain_new(&(struct chain_input){.roots = scene->roots,
                                                          .report = scene->report,
                                                          .table = table.data,
                                                          .table_size = table.size,
                                                          .collateral = &collateral});
    if (strcmp(chain->code ? chain->code : "", code) != 0)
        fail_msg("'%s', not '%s'", chain->code, code);
    for (int i = 0; chosen && i < CHAIN_LENGTH; i++)
        if (chosen[i].data)
            assert_true(is_this(chain->certificates[i], &chosen[i]));
    chain_free(chain);
}

/* A certificate is one in DER and nothing else, wherever it stands. */
static void what_is_no_certificate_is_said(void **state)
{
    (void)state;
    static const uint8_t garbage[] = {0x30, 0x03, 0x02, 0x01, 0x01};
    const struct certificate_view parts[] = {good.vcek, good.ask, good.ark};

    for (int place = 0; place < CHAIN_LENGTH; place++) {
        _cleanup_buffer_ struct buffer longer = {};

        buffer_add(&longer, parts[place].data, parts[place].size);
        buffer_add_u8(&longer, 0);
        const struct certificate_view bad[] = {{garbage, sizeof(garbage)}, view_of(&longer)};
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
            struct scene scene = {.table = {.vcek = good.vcek, .ask = good.ask, .ark = good.ark},
                                  .report = &report,
                                  .roots = kit.roots};
            struct certificate_view *views[] = {&scene.table.vcek, &scene.table.ask,
                                                &scene.table.ark};

            *views[place] = bad[i];
            expect(&scene, "chain_certificate", NULL);
            *views[place] = parts[place];
            scene.at_hand[0] = bad[i]; /* at hand it does no harm */
            scene.n = 1;
            expect(&scene, "", parts);
        }
    }
}

static void a_table_that_is_none_is_said(void **state)
{
    (void)state;
    static const uint8_t bytes[30] = {1};
    struct chain *chain = chain_new(&(struct chain_input){
        .roots = kit.roots, .report = &report, .table = bytes, .table_size = sizeof(bytes)});

    assert_string_equal(chain->code, "chain_table");
    assert_true(chain->text[0] != '\0');
    chain_free(chain);
}

/* Only the root's fingerprint is known: everything else must come from somewhere. */
static void what_is_at_hand_completes_the_chain_in_any_order(void **state)
{
    (void)state;
    const struct certificate_view wanted[] = {good.vcek, good.ask, good.ark};
    const struct certificate_view foreign = view_of(&foreign_ark), like = view_of(&named_like_ark);
    const struct {
        struct certificate_view at_hand[5];
        size_t n;
        const char *code;
    } rows[] = {
        {{none}, 0, "chain_no_vek"},
        {{good.ask, good.ark}, 2, "chain_no_vek"},
        {{good.vcek}, 1, "chain_no_ask"},
        {{good.vcek, good.ark}, 2, "chain_no_ask"},
        {{good.vcek, good.ask}, 2, "chain_no_ark"},
        {{good.vcek, good.ask, like}, 3, "chain_no_ark"},
        {{good.vcek, good.ask, foreign}, 3, "chain_root"},
        {{good.vcek, good.ask, good.ark}, 3, ""},
        {{good.ark, good.ask, good.vcek}, 3, ""},
        {{good.ask, good.ark, good.vcek}, 3, ""},
        {{good.vcek, good.ask, foreign, good.ark}, 4, ""},
        {{good.ark, good.vcek, good.ask, foreign}, 4, ""},
        {{like, good.vcek, good.ask, good.ark, foreign}, 5, ""},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct scene scene = {.n = rows[i].n, .report = &report, .roots = &pinned};

        memcpy(scene.at_hand, rows[i].at_hand, sizeof(scene.at_hand));
        expect(&scene, rows[i].code, rows[i].code[0] ? NULL : wanted);
    }
}

static void roots_bring_their_intermediates(void **state)
{
    (void)state;
    struct trust_roots several = *kit.roots;
    const struct certificate_view wanted[] = {good.vcek, good.ask, good.ark};
    const struct scene scene = {.table = {.vcek = good.vcek}, .report = &report, .roots = &several};

    expect(&scene, "", wanted);
    several.roots[0].asks[0] = kit.ark; /* of another name, before the right one */
    several.roots[0].asks[1] = kit.ask;
    several.roots[0].n_asks = 2;
    expect(&scene, "", wanted);
    several.roots[0].n_asks = 1;
    expect(&scene, "chain_no_ask", NULL);
}

/* What the evidence carries is its claim: it stays unless it is of another chip or level and the
 * right one is at hand. */
static void a_carried_certificate_stays_when_it_may(void **state)
{
    (void)state;
    const struct certificate_view other = view_of(&again);
    struct scene scene = {.table = {.vcek = good.vcek},
                          .at_hand = {other},
                          .n = 1,
                          .report = &report,
                          .roots = kit.roots};

    expect(&scene, "", (const struct certificate_view[3]){good.vcek, none, none});
    scene.table.vcek = none;
    expect(&scene, "", (const struct certificate_view[3]){other, none, none});
    scene.table.vcek = good.ask; /* not a VEK at all: for step "extensions" to judge */
    expect(&scene, "chain_no_ask", (const struct certificate_view[3]){good.ask, none, none});
}

/* The report says whether a chip's key or a cloud's is meant; the other one is taken when there is
 * nothing else, for step "signing_key" to judge. */
static void the_kind_of_key_is_the_reports(void **state)
{
    (void)state;
    struct report vlek = report;
    const struct certificate_view stand_in = view_of(&again);
    struct scene scene = {.table = {.vcek = good.vcek, .vlek = stand_in}, .roots = kit.roots};

    vlek.key_info = (vlek.key_info & ~0x1cu) | 1u << 2;
    scene.report = &report;
    expect(&scene, "", (const struct certificate_view[3]){good.vcek, none, none});
    scene.report = NULL; /* no report: a chip's is the usual one */
    expect(&scene, "", (const struct certificate_view[3]){good.vcek, none, none});
    scene.report = &vlek;
    expect(&scene, "", (const struct certificate_view[3]){stand_in, none, none});
    scene.table.vlek = none;
    expect(&scene, "", (const struct certificate_view[3]){good.vcek, none, none});
    scene.table = (struct certificate_table){.vlek = stand_in}; /* and the right one at hand */
    scene.at_hand[0] = good.vcek;
    scene.n = 1;
    scene.report = &report;
    expect(&scene, "", (const struct certificate_view[3]){good.vcek, none, none});
    scene.n = 0;
    scene.report = &report;
    scene.table = (struct certificate_table){.vlek = stand_in};
    expect(&scene, "", (const struct certificate_view[3]){stand_in, none, none});
}

/* Without a report any VEK at hand may be meant, as long as it is one key's. */
static void several_keys_at_hand_are_none(void **state)
{
    (void)state;
    struct tee_evidence second;
    struct certificate_table table;
    struct processor_guest guest = test_guest();

    expect_ok(processor_report(kit.fleet.processors[1], &guest, kit.report_data, &second));
    expect_ok(certificate_table_parse(second.certificates.data, second.certificates.size, &table));
    struct scene scene = {
        .at_hand = {good.vcek, view_of(&again), table.vcek}, .n = 2, .roots = kit.roots};
    expect(&scene, "", NULL);
    scene.n = 3;
    expect(&scene, "chain_no_vek", NULL);
    scene.report = &report; /* which names the chip */
    expect(&scene, "", NULL);
    tee_evidence_done(&second);
}

static void one_level_lower(X509 *vek)
{
    ASN1_OBJECT *object = OBJ_txt2obj(VEK_OID_SPL "3", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    X509_EXTENSION_free(X509_delete_ext(vek, X509_get_ext_by_OBJ(vek, object, -1)));
    ASN1_OCTET_STRING_set(value, (const uint8_t *)"\x02\x01\x18", 3);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
    assert_int_equal(X509_add_ext(vek, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

/* At hand counts only what is the report's: this kind of key, this level, this chip. */
static void what_is_not_the_reports_is_absent(void **state)
{
    (void)state;
    struct report vlek = report;
    _cleanup_buffer_ struct buffer lower = {};
    struct scene scene = {.at_hand = {good.vcek}, .n = 1, .report = &vlek, .roots = kit.roots};

    vlek.key_info = (vlek.key_info & ~0x1cu) | 1u << 2;
    expect(&scene, "chain_no_vek", NULL);
    kit_make_vcek(&kit, one_level_lower, &lower);
    scene.at_hand[0] = view_of(&lower);
    scene.report = &report;
    expect(&scene, "chain_no_vek", NULL);
    scene.at_hand[1] = good.vcek;
    scene.n = 2;
    expect(&scene, "", (const struct certificate_view[3]){good.vcek, none, none});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_certificate_is_said),
        cmocka_unit_test(a_table_that_is_none_is_said),
        cmocka_unit_test(what_is_at_hand_completes_the_chain_in_any_order),
        cmocka_unit_test(roots_bring_their_intermediates),
        cmocka_unit_test(a_carried_certificate_stays_when_it_may),
        cmocka_unit_test(the_kind_of_key_is_the_reports),
        cmocka_unit_test(several_keys_at_hand_are_none),
        cmocka_unit_test(what_is_not_the_reports_is_absent),
    };

    return cmocka_run_group_tests_name("chain", tests, set_up, tear_down);
}
