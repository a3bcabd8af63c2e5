/* A signed document opens as what was signed, for the key that signed it, and else not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/cleanup.h"
#include "shared/manifest/signed_document.h"

static struct sign_key key, other;

static int set_up(void **state)
{
    (void)state;
    return sign_key_generate(&key) || sign_key_generate(&other) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    sign_key_done(&key);
    sign_key_done(&other);
    return 0;
}

static void expect_code(struct error *err, enum error_code code)
{
    if (!err || error_get_code(err) != code)
        fail_msg("not code %d: %s", (int)code, err ? error_text(err) : "no error");
    error_free(err);
}

static json_t *document(void)
{
    return json_pack("{s:s, s:[i,i], s:{s:s}}", "name", "one", "list", 1, 2, "inner", "b", "two");
}

/* Caller frees. */
static char *sealed(const struct sign_key *signer)
{
    json_auto_t *root = document();

    assert_null(signed_document_seal(root, signer));
    return json_dumps(root, JSON_INDENT(2)); /* the layout is not what is signed */
}

static struct error *open_text(const char *text, const struct sign_key *by)
{
    json_auto_t *root = NULL;
    struct error *err = signed_document_open(text, strlen(text), by->public, &root);

    assert_true(err ? root == NULL : root != NULL);
    return err;
}

static void what_was_sealed_opens(void **state)
{
    (void)state;
    _cleanup_free_ char *text = sealed(&key);
    json_auto_t *root = NULL, *expected = document();

    assert_null(signed_document_open(text, strlen(text), key.public, &root));
    assert_true(json_equal(root, expected)); /* without its signature */
}

static void another_key_is_refused(void **state)
{
    (void)state;
    _cleanup_free_ char *text = sealed(&other);

    expect_code(open_text(text, &key), ERROR_PERMISSION_DENIED);
}

/* The name of the right key over a signature by another one. */
static void borrowed_name_is_refused(void **state)
{
    (void)state;
    _cleanup_free_ char *ours = sealed(&key), *foreign = sealed(&other);
    json_auto_t *right = json_loads(ours, 0, NULL), *root = json_loads(foreign, 0, NULL);

    json_object_set(json_object_get(root, "signature"), "key",
                    json_object_get(json_object_get(right, "signature"), "key"));
    _cleanup_free_ char *text = json_dumps(root, 0);
    expect_code(open_text(text, &key), ERROR_PERMISSION_DENIED);
}

static void sealing_again_replaces_the_signature(void **state)
{
    (void)state;
    json_auto_t *root = document();

    assert_null(signed_document_seal(root, &other));
    assert_null(signed_document_seal(root, &key));
    _cleanup_free_ char *text = json_dumps(root, 0), *once = sealed(&key);
    json_auto_t *first = json_loads(once, 0, NULL);
    assert_true(json_equal(root, first));
    expect_code(open_text(text, &other), ERROR_PERMISSION_DENIED);
    assert_null(open_text(text, &key));
}

/* Put into the sealed document at one place. */
static void every_change_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path[2];
        const char *value; /* JSON; NULL: taken out */
    } cases[] = {
        {{"name"}, "\"two\""},
        {{"name"}, NULL},
        {{"list"}, "[2, 1]"},
        {{"inner", "b"}, "\"three\""},
        {{"new"}, "null"},
        {{"signature"}, NULL},
        {{"signature"}, "null"},
        {{"signature"}, "\"\""},
        {{"signature", "key"}, NULL},
        {{"signature", "key"}, "1"},
        {{"signature", "key"}, "\"\""},
        {{"signature", "key"}, "\"zz\""},
        {{"signature", "value"}, NULL},
        {{"signature", "value"}, "1"},
        {{"signature", "value"}, "\"\""},
        {{"signature", "value"}, "\"AAAA\""},
        {{"signature", "value"}, "\"*\""},
    };
    _cleanup_free_ char *text = sealed(&key);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_auto_t *root = json_loads(text, 0, NULL);
        json_t *in = cases[i].path[1] ? json_object_get(root, cases[i].path[0]) : root;
        const char *name = cases[i].path[1] ? cases[i].path[1] : cases[i].path[0];

        if (cases[i].value)
            json_object_set_new(in, name, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(in, name);
        _cleanup_free_ char *changed = json_dumps(root, 0);
        expect_code(open_text(changed, &key), ERROR_PERMISSION_DENIED);
    }
}

static void what_is_no_document_is_invalid(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "[]", "{", "1", "{} x", "{\"a\": 1, \"a\": 1}"};
    json_auto_t *fraction = json_pack("{s:f}", "a", 0.5);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_code(open_text(cases[i], &key), ERROR_INVALID_ARGUMENT);
    expect_code(signed_document_seal(fraction, &key), ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(another_key_is_refused),
        cmocka_unit_test(borrowed_name_is_refused),
        cmocka_unit_test(sealing_again_replaces_the_signature),
        cmocka_unit_test(every_change_is_refused),
        cmocka_unit_test(what_is_no_document_is_invalid),
    };

    return cmocka_run_group_tests_name("signed_document", tests, set_up, tear_down);
}
