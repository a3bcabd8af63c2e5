/*
 * Whole compose files as people write them: tests/compose/accepted must pass without a finding,
 * each of tests/compose/dangerous must give the finding that its first line names. A file says in
 * comments what comes with it:
 *   # finding: RULE [WHERE]     # public: SERVICE:PORT     # env: NAME...     # files: PATH...
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/compose/lint.h"

enum { WORDS_MAX = 16, ACCEPTED_MIN = 60, DANGEROUS_MIN = 80 };

struct words {
    const char *items[WORDS_MAX];
    size_t n;
};

struct sample {
    struct arena *arena;
    char *text;
    struct compose_options options;
    const char *rule;
    const char *where; /* NULL: any place */
    struct findings *findings;
};

/* The words behind "# NAME:", wherever that line stands. */
static struct words words_of(const struct sample *sample, const char *name)
{
    struct words words = {.n = 0};
    const char *label = arena_printf(sample->arena, "# %s:", name);
    const char *at = strstr(sample->text, label);

    if (!at)
        return words;
    at += strlen(label);
    char *line = arena_printf(sample->arena, "%.*s", (int)strcspn(at, "\n"), at);
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(words.n < WORDS_MAX);
        words.items[words.n++] = word;
    }
    return words;
}

static const char *const *keep(const struct sample *sample, const struct words *words)
{
    const char **items = arena_alloc(sample->arena, (words->n + 1) * sizeof(*items));

    memcpy(items, words->items, words->n * sizeof(*items));
    return items;
}

static void read_options(struct sample *sample)
{
    const struct words files = words_of(sample, "files");
    const struct words env = words_of(sample, "env");
    const struct words public = words_of(sample, "public");
    char *service = arena_strdup(sample->arena, public.n ? public.items[0] : "web:8080");
    char *colon = strchr(service, ':');

    assert_non_null(colon);
    *colon = '\0';
    sample->options = (struct compose_options){
        .public_service = service,
        .public_port = (uint32_t)atoi(colon + 1),
        .files = keep(sample, &files),
        .n_files = files.n,
        .env = keep(sample, &env),
        .n_env = env.n,
    };
}

static struct sample sample_read(const char *path)
{
    struct sample sample = {.arena = arena_new()};
    _cleanup_buffer_ struct buffer bytes = {0};

    assert_null(file_read(path, COMPOSE_TEXT_MAX, &bytes));
    sample.text = arena_printf(sample.arena, "%.*s", (int)bytes.size, (const char *)bytes.data);
    read_options(&sample);
    const struct words finding = words_of(&sample, "finding");
    if (finding.n) {
        sample.rule = finding.items[0];
        sample.where = finding.items[1];
    }
    sample.findings = arena_alloc(sample.arena, sizeof(*sample.findings));
    compose_lint(sample.text, bytes.size, &sample.options, sample.arena, sample.findings, NULL);
    return sample;
}

static bool is_accepted(const char *path, const struct sample *sample)
{
    _cleanup_free_ char *found = findings_to_text(sample->findings);

    if (sample->rule)
        print_error("%s names a finding, and is among those that have none\n", path);
    if (sample->findings->n)
        print_error("%s: %s\n", path, found);
    return !sample->rule && !sample->findings->n;
}

static bool is_found(const char *path, const struct sample *sample)
{
    _cleanup_free_ char *found = findings_to_text(sample->findings);
    bool right = false;

    for (size_t i = 0; i < sample->findings->n; i++) {
        const struct finding *finding = &sample->findings->items[i];
        right = right || (sample->rule && strcmp(finding->rule, sample->rule) == 0 &&
                          (!sample->where || strcmp(finding->where, sample->where) == 0));
    }
    if (!right)
        print_error("%s: expected %s at %s, found: %s\n", path, sample->rule ?: "a finding",
                    sample->where ?: "any place", found);
    return right;
}

/* Every file that is not right is told; returns how many are. */
static size_t check_folder(const char *folder,
                           bool (*check)(const char *path, const struct sample *sample))
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);
    size_t checked = 0;
    size_t right = 0;

    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
        if (strstr(entries[i]->d_name, ".yaml")) {
            struct sample sample = sample_read(path);
            right += check(path, &sample);
            arena_free(sample.arena);
            checked++;
        }
        free(entries[i]);
    }
    free((void *)entries);
    print_message("%zu files of %s\n", checked, folder);
    assert_int_equal(right, checked);
    return right;
}

static void test_accepted(void **state)
{
    (void)state;
    assert_true(check_folder("tests/compose/accepted", is_accepted) >= ACCEPTED_MIN);
}

static void test_dangerous(void **state)
{
    (void)state;
    assert_true(check_folder("tests/compose/dangerous", is_found) >= DANGEROUS_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_dangerous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
