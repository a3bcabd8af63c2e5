/* The page that renders the API's description, and its files. */
#include "services/api-gateway/test_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

/* In the folder; the first three are the page's. */
static const char *const names[] = {"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png",
                                    "index.html", "secret"};

static void write_files(const char *dir)
{
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", dir, names[i]);
        assert_null(file_write_atomic(path, names[i], strlen(names[i]), 0600));
    }
}

static struct fixture *fixture_with_docs(void)
{
    struct fixture *f = fixture_new();
    char *dir = xasprintf("%s/docs", f->dir);

    assert_null(dir_make(dir, 0700));
    write_files(dir);
    free(f->config.docs_dir);
    f->config.docs_dir = dir; /* the fixture's from here */
    return f;
}

static void fixture_with_docs_free(struct fixture **f)
{
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", (*f)->config.docs_dir, names[i]);
        unlink(path);
    }
    rmdir((*f)->config.docs_dir);
    fixture_free(*f);
}

#define _cleanup_docs_ _cleanup_(fixture_with_docs_free)

static struct answer get(const struct fixture *f, const char *path)
{
    return http_call(f, "GET", path, NULL, NULL);
}

static void check_header(const struct answer *answer, const char *name, const char *part)
{
    _cleanup_free_ char *value = answer_header(answer, name);

    if (!value || !strstr(value, part))
        fail_msg("%s: %s, not %s", name, value ?: "missing", part);
}

static void test_page_may_run_only_what_is_ours(_unused_ void **state)
{
    static const char *const policy[] = {
        "default-src 'none'; ",     "script-src 'self'; ", "connect-src 'self'; ",
        "frame-ancestors 'none'; ", "base-uri 'none'; ",   "form-action 'none'",
    };
    _cleanup_docs_ struct fixture *f = fixture_with_docs();
    _cleanup_answer_ struct answer page = get(f, "/docs");

    assert_int_equal(page.status, 200);
    check_header(&page, "Content-Type", "text/html; charset=utf-8");
    check_header(&page, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < ELEMENTSOF(policy); i++)
        check_header(&page, "Content-Security-Policy", policy[i]);
    assert_null(strstr(buffer_text(&page.body), "<script>")); /* which the policy would stop */
    assert_null(strstr(buffer_text(&page.body), "//"));       /* nobody else's either */
}

static void test_files_of_the_page_have_their_types(_unused_ void **state)
{
    static const struct {
        const char *path;
        const char *type;
        const char *text;
    } rows[] = {
        {"/docs/start.js", "text/javascript", "SwaggerUIBundle({url: '/openapi.json'"},
        {"/docs/swagger-ui.css", "text/css", "swagger-ui.css"},
        {"/docs/swagger-ui-bundle.js", "text/javascript", "swagger-ui-bundle.js"},
        {"/docs/favicon-32x32.png", "image/png", "favicon-32x32.png"},
    };
    _cleanup_docs_ struct fixture *f = fixture_with_docs();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer file = get(f, rows[i].path);
        assert_int_equal(file.status, 200);
        check_header(&file, "Content-Type", rows[i].type);
        check_header(&file, "Content-Security-Policy", "default-src 'none'");
        check_header(&file, "X-Content-Type-Options", "nosniff");
        assert_ptr_equal(strstr(buffer_text(&file.body), rows[i].text), buffer_text(&file.body));
    }
}

static void test_page_names_nothing_that_is_not_there(_unused_ void **state)
{
    _cleanup_docs_ struct fixture *f = fixture_with_docs();
    _cleanup_answer_ struct answer page = get(f, "/docs");
    size_t n = 0;

    for (const char *at = buffer_text(&page.body); (at = strstr(at, "\"/")); n++) {
        _cleanup_free_ char *path = xasprintf("%.*s", (int)strcspn(at + 1, "\""), at + 1);
        _cleanup_answer_ struct answer file = get(f, path);
        assert_int_equal(file.status, 200);
        at += strlen(path) + 2;
    }
    assert_int_equal(n, 5); /* the three files, start.js and openapi.json */
}

static void test_nothing_else_is_given_out(_unused_ void **state)
{
    static const char *const paths[] = {
        "/docs/",
        "/docs/index.html",
        "/docs/secret",
        "/docs/SWAGGER-UI.CSS",
        "/docs/swagger-ui.css/",
        "/docs/swagger-ui.css%00",
        "/docs/..",
        "/docs/..%2fkey",
        "/docs/..%2fdocs%2fswagger-ui.css",
        "/docs/../admin-key",
        "/docs/%2fetc%2fpasswd",
        "/docs/.%2fswagger-ui.css",
    };
    _cleanup_docs_ struct fixture *f = fixture_with_docs();

    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_answer_ struct answer answer = get(f, paths[i]);
        if (answer.status != 404 || strcmp(answer_text(&answer, "kind"), "NOT_FOUND") != 0)
            fail_msg("%s: %ld %s", paths[i], answer.status, buffer_text(&answer.body));
    }
}

static void test_without_the_files(_unused_ void **state)
{
    static const char *const paths[] = {"/docs/swagger-ui.css", "/docs/favicon-32x32.png"};
    _cleanup_docs_ struct fixture *f = fixture_with_docs();

    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_free_ char *path =
            xasprintf("%s/%s", f->config.docs_dir, paths[i] + strlen("/docs/"));
        unlink(path);
        if (i) /* a folder is no file */
            assert_null(dir_make(path, 0700));
        _cleanup_answer_ struct answer answer = get(f, paths[i]);
        assert_int_equal(answer.status, 404);
        if (i)
            rmdir(path);
    }
    _cleanup_free_ char *dir = f->config.docs_dir;
    f->config.docs_dir = xstrdup("");
    _cleanup_answer_ struct answer page = get(f, "/docs");
    _cleanup_answer_ struct answer api = get(f, "/openapi.json");
    assert_int_equal(page.status, 404);
    assert_non_null(strstr(answer_text(&page, "error"), "/openapi.json"));
    assert_int_equal(api.status, 200);
    free(f->config.docs_dir);
    f->config.docs_dir = TAKE_PTR(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_may_run_only_what_is_ours),
        cmocka_unit_test(test_files_of_the_page_have_their_types),
        cmocka_unit_test(test_page_names_nothing_that_is_not_there),
        cmocka_unit_test(test_nothing_else_is_given_out),
        cmocka_unit_test(test_without_the_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
