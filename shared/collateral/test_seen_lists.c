/* A verifier that runs on does not go back behind a list that it has seen. */
#include "shared/attestation/test_kit.h"

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/roots.h"
#include "shared/collateral/seen_lists.h"

#define HOUR_MS INT64_C(3600000)

static struct kit kit;
static struct seen_lists *seen;

static int start(void **state)
{
    (void)state;
    kit_init(&kit);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    kit_done(&kit);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    seen = seen_lists_new(kit.roots);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    seen_lists_free(seen);
    return 0;
}

/* Good evidence with this list in its table. */
static void make(const struct kit_crl *list, struct tee_evidence *ret_evidence)
{
    _cleanup_buffer_ struct buffer der = {};

    kit_make_crl(&kit, list, &der);
    const struct certificate_view view = {der.data, der.size};
    kit_evidence(&kit, ret_evidence);
    kit_replace(ret_evidence, &(struct kit_table){.crl = &view});
}

/* As a verifier does: what is shown is looked at, then judged beside all that was seen. */
static void show(const struct kit_crl *list, const char *code)
{
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    make(list, &evidence);
    seen_lists_add(seen, evidence.certificates.data, evidence.certificates.size);
    policy.collateral = seen_lists_collateral(seen);
    kit_expect(&policy, &evidence, code);
    tee_evidence_done(&evidence);
}

static void an_older_list_in_date_does_not_undo_a_newer_one(void **state)
{
    (void)state;
    show(&(struct kit_crl){.number = 1}, NULL);
    show(&(struct kit_crl){.number = 3, .revoked = {2}}, "revocation_revoked");
    show(&(struct kit_crl){.number = 2}, "revocation_revoked");
    show(&(struct kit_crl){.number = 3}, "revocation_revoked"); /* no newer */
    assert_int_equal(seen_lists_collateral(seen)->n_crls, 1);
    show(&(struct kit_crl){.number = 4}, NULL); /* taken off again by the root */
    show(&(struct kit_crl){.number = 4, .from_ms = kit.now_ms - HOUR_MS / 2}, NULL);
    assert_int_equal(seen_lists_collateral(seen)->n_crls, 1);
}

static void each_series_of_lists_has_its_own_newest(void **state)
{
    (void)state;
    static const char a[] = "https://crl.example/a", b[] = "https://crl.example/b";

    show(&(struct kit_crl){.number = 9, .point = a}, "revocation_no_crl");
    show(&(struct kit_crl){.number = 5, .point = b}, "revocation_no_crl");
    show(&(struct kit_crl){.number = 1}, NULL);
    show(&(struct kit_crl){.number = 8, .point = a, .revoked = {2}}, "revocation_revoked");
    assert_int_equal(seen_lists_collateral(seen)->n_crls, 3);
    show(&(struct kit_crl){.number = 2}, NULL); /* the one with number 8 was not kept */
}

static void what_no_trusted_root_signed_is_not_kept(void **state)
{
    (void)state;
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *other = test_foreign_key(0);
    const struct kit_crl lists[] = {{.key = other},
                                    {.issuer = kit.ask, .key = kit.ask_key},
                                    {.pkcs1 = true},
                                    {.unknown_critical = true}};
    static const uint8_t garbage[40] = {1};

    for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
        struct tee_evidence evidence;

        make(&lists[i], &evidence);
        seen_lists_add(seen, evidence.certificates.data, evidence.certificates.size);
        tee_evidence_done(&evidence);
    }
    seen_lists_add(seen, garbage, sizeof(garbage));
    seen_lists_add(seen, NULL, 0);
    assert_int_equal(seen_lists_collateral(seen)->n_crls, 0);
}

/* As AMD's: the root is not at hand, the evidence carries it. */
static void a_pinned_root_is_taken_from_the_table(void **state)
{
    (void)state;
    struct trust_roots pinned = *kit.roots;
    const struct certificate_view none = {};
    struct tee_evidence evidence;

    pinned.roots[0].ark = NULL;
    seen_lists_free(seen);
    seen = seen_lists_new(&pinned);
    make(&(struct kit_crl){.number = 1}, &evidence);
    kit_replace(&evidence, &(struct kit_table){.ark = &none});
    seen_lists_add(seen, evidence.certificates.data, evidence.certificates.size);
    assert_int_equal(seen_lists_collateral(seen)->n_crls, 0);
    tee_evidence_done(&evidence);
    make(&(struct kit_crl){.number = 1}, &evidence);
    seen_lists_add(seen, evidence.certificates.data, evidence.certificates.size);
    assert_int_equal(seen_lists_collateral(seen)->n_crls, 1);
    tee_evidence_done(&evidence);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_older_list_in_date_does_not_undo_a_newer_one),
        TEST(each_series_of_lists_has_its_own_newest),
        TEST(what_no_trusted_root_signed_is_not_kept),
        TEST(a_pinned_root_is_taken_from_the_table),
    };

    return cmocka_run_group_tests_name("seen lists", tests, start, stop);
}
