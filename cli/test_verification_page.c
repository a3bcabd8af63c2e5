/* docs/verification.md against the code: the catalogue of failures and the steps, both ways. */
#include <stdlib.h>
#include <string.h>

#include "shared/attestation/test_attest.h"
#include "shared/attestation/verifier.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define PAGE_MAX (256 * 1024)

static char *page;

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

/* From this heading to the next of its rank; caller frees. */
static char *section(const char *heading)
{
    const char *from = strstr(page, heading);
    const char *to = from ? strstr(from + strlen(heading), "\n## ") : NULL;

    if (!from || !to)
        fail_msg("no section '%s'", heading);
    return xstrndup(from, (size_t)(to - from));
}

static void every_code_is_explained_once(void **state)
{
    (void)state;
    _cleanup_free_ char *table = section("\n## Failure codes\n");
    size_t n, wrong = 0;
    const struct verify_code *codes = verify_codes(&n);

    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *row =
            xasprintf("\n| `%s` | %s | %s |\n", codes[i].code,
                      codes[i].verdict == VERDICT_FAIL ? "bad" : "cannot tell", codes[i].meaning);
        if (count(table, row) == 1)
            continue;
        print_error("the page lacks:%s", row);
        wrong++;
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(count(table, "\n| `"), n); /* and none that the code does not have */
}

static void every_step_has_its_row(void **state)
{
    (void)state;
    _cleanup_free_ char *table = section("\n## What we check, and what an attacker could do");
    const char *last = "";
    size_t n;
    const struct verify_code *codes = verify_codes(&n);

    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *row = xasprintf("\n| `%s` | ", codes[i].step);
        if (strcmp(codes[i].step, last) == 0 || strcmp(codes[i].step, "evidence") == 0)
            continue; /* that there is any is no check */
        last = codes[i].step;
        if (count(table, row) != 1)
            fail_msg("step '%s' has no row of its own", last);
    }
}

/* The levels that hold when nobody gave any, and when they were looked over. */
static void every_built_in_minimum_is_told(void **state)
{
    (void)state;
    _cleanup_free_ char *text = section("\n### Policies\n");
    size_t n;
    const struct policy_minimum *minimums = policy_default_minimums(&n);

    for (size_t i = 0; i < n; i++) {
        const struct policy_minimum *m = &minimums[i];
        char levels[SNP_TCB_TEXT_SIZE];

        snp_tcb_format(snp_product_from_cpuid(m->family, m->first_model), &m->levels[0], levels);
        for (size_t level = 1; level < POLICY_LEVELS; level++)
            assert_true(snp_tcb_equal(&m->levels[level], &m->levels[0]));
        _cleanup_free_ char *row = xasprintf(
            "\n| 0x%02x | 0x%02x to 0x%02x | %u to %u | %s | %s |\n", m->family, m->first_model,
            m->last_model, m->first_stepping, m->last_stepping, levels, m->basis);
        if (count(text, row) != 1)
            fail_msg("the page lacks:%s", row);
    }
    assert_int_equal(count(text, "\n| 0x"), n);
    assert_int_equal(count(text, "looked over last on " POLICY_MINIMUMS_VERSION), 1);
}

/* What a policy can accept of GPUs stands on the page, member by member. */
static void every_member_about_gpus_is_explained(void **state)
{
    (void)state;
    _cleanup_free_ char *text = section("\n### GPUs\n");
    json_auto_t *schema = json_load_file("shared/attestation/policy.schema.json", 0, NULL);
    json_t *gpus = json_object_get(json_object_get(schema, "properties"), "gpus"), *value;
    const char *name;
    size_t rows = 0;

    assert_non_null(gpus);
    json_object_foreach(json_object_get(gpus, "properties"), name, value)
    {
        bool accepts = json_object_get(value, "$ref") != NULL;
        _cleanup_free_ char *row = xasprintf(accepts ? "\n| `%s` | " : "`%s`", name);

        if (count(text, row) != 1)
            fail_msg("'%s' of 'gpus' is not explained", name);
        rows += accepts;
    }
    assert_int_equal(count(text, "\n| `"), rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_explained_once),
        cmocka_unit_test(every_step_has_its_row),
        cmocka_unit_test(every_built_in_minimum_is_told),
        cmocka_unit_test(every_member_about_gpus_is_explained),
    };

    struct error *err = file_read_text("docs/verification.md", PAGE_MAX, &page);
    if (err) {
        print_error("%s\n", error_text(err));
        error_free(err);
        return 1;
    }
    int failed = cmocka_run_group_tests_name("verification_page", tests, NULL, NULL);
    free(page);
    return failed;
}
