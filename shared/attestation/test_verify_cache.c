/* A chain is found again only for everything that it was made from, and the ones in use stay. */
#include "shared/attestation/test_kit.h"

#include "shared/attestation/chain.h"
#include "shared/attestation/verify_cache.h"

#define ENTRIES 64 /* of the cache */

static struct kit kit;
static struct tee_evidence evidence;
static struct report report;
static struct certificate_table good;

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    kit_evidence(&kit, &evidence);
    expect_ok(report_parse(evidence.report, TEE_REPORT_SIZE, &report));
    expect_ok(
        certificate_table_parse(evidence.certificates.data, evidence.certificates.size, &good));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tee_evidence_done(&evidence);
    kit_done(&kit);
    return 0;
}

static struct chain_input input_of(const struct verify_collateral *collateral)
{
    return (struct chain_input){
        .roots = kit.roots,
        .report = &report,
        .table = evidence.certificates.data,
        .table_size = evidence.certificates.size,
        .collateral = collateral,
    };
}

static void other_inputs_are_other_chains(void **state)
{
    (void)state;
    struct report kind = report, level = report, chip = report, unrelated = report;
    const struct certificate_view views[] = {good.vcek, good.ask, {kit.crl.data, kit.crl.size}};
    const struct verify_collateral none = {}, one = {.certificates = views, .n_certificates = 1},
                                   two = {.certificates = views, .n_certificates = 2},
                                   other = {.certificates = views + 1, .n_certificates = 1},
                                   list = {.crls = views + 2, .n_crls = 1},
                                   misplaced = {.crls = views, .n_crls = 1},
                                   both = {.certificates = views,
                                           .n_certificates = 1,
                                           .crls = views + 2,
                                           .n_crls = 1};
    struct chain_input inputs[12];
    const struct chain *chains[ELEMENTSOF(inputs)];
    _cleanup_(verify_cache_freep) struct verify_cache *cache = verify_cache_new(kit.roots);

    kind.key_info ^= 1u << 2;
    level.reported_tcb ^= 1;
    chip.chip_id[63] ^= 1;
    unrelated.report_data[0] ^= 1;
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++)
        inputs[i] = input_of(NULL);
    inputs[1].report = &kind;
    inputs[2].report = &level;
    inputs[3].report = &chip;
    inputs[4].report = NULL;
    inputs[5].table_size = 0;
    inputs[6].collateral = &one;
    inputs[7].collateral = &two;
    inputs[8].collateral = &other;
    inputs[9].collateral = &list;
    inputs[10].collateral = &misplaced; /* the same bytes in another place */
    inputs[11].collateral = &both;
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++) {
        chains[i] = verify_cache_get(cache, &inputs[i]);
        assert_non_null(chains[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(chains[i], chains[k]);
    }
    for (size_t i = 0; i < ELEMENTSOF(inputs); i++)
        assert_ptr_equal(verify_cache_get(cache, &inputs[i]), chains[i]);
    inputs[0].collateral = &none; /* nothing at hand is nothing at hand */
    assert_ptr_equal(verify_cache_get(cache, &inputs[0]), chains[0]);
    inputs[0].report = &unrelated; /* what no chain depends on */
    assert_ptr_equal(verify_cache_get(cache, &inputs[0]), chains[0]);
}

static void a_cache_is_for_one_set_of_roots(void **state)
{
    (void)state;
    struct chain_input input = input_of(NULL);
    _cleanup_(verify_cache_freep) struct verify_cache *cache = verify_cache_new(kit.roots);

    assert_non_null(verify_cache_get(cache, &input));
    input.roots = kit.amd;
    assert_null(verify_cache_get(cache, &input));
    verify_cache_free(NULL);
}

/* Many chips, one of which is seen all the time. */
static void the_one_that_was_not_used_for_longest_goes(void **state)
{
    (void)state;
    struct report chips[ENTRIES + 1];
    const struct chain *chains[ENTRIES];
    struct chain_input input = input_of(NULL);
    _cleanup_(verify_cache_freep) struct verify_cache *cache = verify_cache_new(kit.roots);

    input.table_size = 0;
    for (size_t i = 0; i <= ENTRIES; i++) {
        chips[i] = report;
        chips[i].chip_id[0] = (uint8_t)i;
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        input.report = &chips[i];
        chains[i] = verify_cache_get(cache, &input);
    }
    input.report = &chips[0]; /* the oldest, and just in use */
    assert_ptr_equal(verify_cache_get(cache, &input), chains[0]);
    input.report = &chips[ENTRIES]; /* takes the place of the second */
    assert_non_null(verify_cache_get(cache, &input));
    for (size_t i = 0; i < ENTRIES; i++) {
        if (i == 1)
            continue;
        input.report = &chips[i];
        assert_ptr_equal(verify_cache_get(cache, &input), chains[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_inputs_are_other_chains),
        cmocka_unit_test(a_cache_is_for_one_set_of_roots),
        cmocka_unit_test(the_one_that_was_not_used_for_longest_goes),
    };

    return cmocka_run_group_tests_name("verify cache", tests, set_up, tear_down);
}
