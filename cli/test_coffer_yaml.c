/* coffer.yaml: what each mistake is called, and on which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/coffer_yaml.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define SECRET "hunter2hunter2"

static const struct {
    const char *text;
    unsigned line;
    const char *what; /* in a finding of that line */
} bad[] = {
    {"", 1, "empty"},
    {"# nothing\n", 1, "empty"},
    {"null\n", 1, "empty"},
    {"[a, b]\n", 1, "must be a mapping"},
    {"hello\n", 1, "must be a mapping"},
    {"name: [\n", 2, "not YAML"},
    {"name: a\n  b: c\n", 2, "not YAML"},
    {"name: a\nname: b\n", 2, "given twice"},
    {"name: a\n---\nname: b\n", 2, "second document"},
    {"name: !x a\n", 1, "tag"},
    {"xname: a\n", 1, "unknown key 'xname', did you mean 'name'?"},
    {"name: a\ncomposer: x\n", 2, "did you mean 'compose'?"},
    {"name: a\nenv_files: [x]\n", 2, "did you mean 'env_file'?"},
    {"name: a\nsecret-files: [x]\n", 2, "did you mean 'secret_files'?"},
    {"name: a\nservices: {}\n", 2, "unknown key 'services'"},
    {"name: a\nzzzzzzzzzz: 1\n", 2, "unknown key 'zzzzzzzzzz'"},
    {"name:\n", 1, "'name' must be a text"},
    {"name: [a]\n", 1, "'name' must be a text"},
    {"name: \"a\\tb\"\n", 1, "'name' must be a text"},
    {"name: ''\n", 1, "'name' must be a text"},
    {"compose: {a: b}\n", 1, "'compose' must be a text"},
    {"image: ../x\n", 1, "'image' has a value"},
    {"domain: Example.com\n", 1, "'domain' has a value"},
    {"domain: localhost\n", 1, "'domain' has a value"},
    {"public: web:8080\n", 1, "must be a mapping"},
    {"public: {service: web}\n", 1, "needs both"},
    {"public:\n  service: web\n  prot: 80\n", 3, "did you mean 'port'?"},
    {"public:\n  service: web\n  port: 0\n", 3, "whole number from 1 to 65535"},
    {"public:\n  service: web\n  port: 65536\n", 3, "whole number from 1 to 65535"},
    {"public:\n  service: web\n  port: \"80\"\n", 3, "whole number"},
    {"public:\n  service: web\n  port: 8080/tcp\n", 3, "whole number"},
    {"public:\n  service: 'a b'\n  port: 80\n", 2, "'public.service' has a value"},
    {"resources: 2\n", 1, "must be a mapping"},
    {"resources:\n  cpu: 2\n", 2, "did you mean 'cpus'?"},
    {"resources:\n  cpus: 0\n", 2, "from 1 to 64"},
    {"resources:\n  cpus: 1.5\n", 2, "from 1 to 64"},
    {"resources:\n  cpus: -1\n", 2, "from 1 to 64"},
    {"resources:\n  memory: 2T\n", 2, "must be a size"},
    {"resources:\n  memory: 0\n", 2, "must be a size"},
    {"resources:\n  memory: 99999999999\n", 2, "must be a size"},
    {"resources:\n  disk: 512M\n", 2, "must be a size"},
    {"resources:\n  disk: much\n", 2, "must be a size"},
    {"resources:\n  gpus: 17\n", 2, "from 0 to 16"},
    {"tier: small\nresources:\n  cpus: 2\n", 3, "both given"},
    {"env: " SECRET "\n", 1, "must be names"},
    {"env:\n  - A\n  - B=" SECRET "\n", 3, "not a variable's name"},
    {"env:\n  - {A: " SECRET "}\n", 2, "not a variable's name"},
    {"env:\n  1A: x\n", 2, "not a variable's name"},
    {"env:\n  A: [" SECRET "]\n", 2, "must be a text"},
    {"env:\n  A: {from_evn: X}\n", 2, "did you mean 'from_env'?"},
    {"env:\n  A: {}\n", 2, "exactly one place"},
    {"env:\n  A: {from_env: X, from_file: y}\n", 2, "exactly one place"},
    {"env:\n  A: {from_env: 'x y'}\n", 2, "not a variable's name"},
    {"env:\n  PATH: " SECRET "\n", 2, "the platform's own"},
    {"env_file: {a: b}\n", 1, "list of paths"},
    {"files: [../x]\n", 1, "not allowed"},
    {"files: [/etc/passwd]\n", 1, "not allowed"},
    {"files:\n  - a\n  - [b]\n", 3, "must be a text"},
    {"secret_files: ['a b']\n", 1, "not allowed"},
    {"files: [a]\nsecret_files: [a]\n", 2, "both plain and secret"},
    {"registries: ghcr.io\n", 1, "must be a list"},
    {"registries:\n  - 'https://ghcr.io'\n", 2, "'server' has a value"},
    {"registries:\n  - {username: me}\n", 2, "needs 'server'"},
    {"registries:\n  - {server: ghcr.io, user: me}\n", 2, "unknown key 'user'"},
    {"registries:\n  - {server: ghcr.io, username: me}\n", 2, "docker's stored login"},
    {"registries:\n  - {server: ghcr.io, password: {from_env: P}}\n", 2, "needs 'username'"},
    {"registries:\n  - {server: ghcr.io, username: me, password: " SECRET "}\n", 2,
     "does not belong into this file"},
    {"registries:\n  - {server: ghcr.io, username: me, password: {value: " SECRET "}}\n", 2,
     "unknown key 'value'"},
    {"registries:\n  - {server: ghcr.io, username: me, password: {from_stdin: " SECRET "}}\n", 2,
     "can only be true"},
    {"registries:\n  - ghcr.io\n  - ghcr.io\n", 3, "given twice"},
    {"registries:\n  - {server: a.example, username: m, password: {from_stdin: true}}\n"
     "  - {server: b.example, username: m, password: {from_stdin: true}}\n",
     2, "one standard input"},
    {"pin: yes\n", 1, "required or allowed"},
    {"pin: [required]\n", 1, "'pin' must be a text"},
};

static void parse(const char *text, struct arena *arena, struct findings **ret_findings,
                  struct coffer_yaml **ret_yaml)
{
    *ret_findings = arena_alloc(arena, sizeof(**ret_findings));
    *ret_yaml = arena_alloc(arena, sizeof(**ret_yaml));
    coffer_yaml_parse(text, strlen(text), arena, *ret_findings, *ret_yaml);
}

static bool says(const struct findings *found, unsigned line, const char *what)
{
    for (size_t i = 0; i < found->n; i++) {
        const struct finding *f = &found->items[i];
        if (f->line != line)
            continue;
        if (strstr(f->what, what) || strstr(f->fix, what))
            return true;
    }
    return false;
}

static void test_each_mistake_has_its_line_and_words(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct findings *found;
        struct coffer_yaml *yaml;
        parse(bad[i].text, arena, &found, &yaml);
        if (says(found, bad[i].line, bad[i].what))
            continue;
        _cleanup_free_ char *list = findings_to_text(found);
        fail_msg("%s\nshould say '%s' on line %u, says:\n%s", bad[i].text, bad[i].what, bad[i].line,
                 list);
    }
}

static void test_no_finding_shows_a_value(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct findings *found;
        struct coffer_yaml *yaml;
        parse(bad[i].text, arena, &found, &yaml);
        for (size_t j = 0; j < found->n; j++)
            assert_true(!strstr(found->items[j].what, SECRET) &&
                        !strstr(found->items[j].fix, SECRET));
    }
}

/* A file of all sizes that a reader could be made to choke on. */
static void test_bounds(_unused_ void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer text = {0};
    struct findings *found;
    struct coffer_yaml *yaml;

    buffer_add_text(&text, "env:\n");
    for (int i = 0; i < 300; i++)
        buffer_printf(&text, "  V%d: x\n", i);
    parse(buffer_text(&text), arena, &found, &yaml);
    assert_true(says(found, 258, "too many environment values"));
    assert_int_equal(yaml->n_env, COFFER_YAML_ENV_MAX);
    buffer_done(&text);
    buffer_add_text(&text, "files:\n");
    for (int i = 0; i < 300; i++)
        buffer_printf(&text, "  - f%d\n", i);
    parse(buffer_text(&text), arena, &found, &yaml);
    assert_true(says(found, 258, "too many files"));
    buffer_done(&text);
    buffer_add_text(&text, "registries:\n");
    for (int i = 0; i < 20; i++)
        buffer_printf(&text, "  - r%d.example\n", i);
    parse(buffer_text(&text), arena, &found, &yaml);
    assert_true(says(found, 18, "too many registries"));
    buffer_done(&text);
    for (int i = 0; i < 100; i++)
        buffer_add_text(&text, "[");
    parse(buffer_text(&text), arena, &found, &yaml);
    assert_true(found->n > 0);
}

static void test_everything_that_can_be_said(_unused_ void **state)
{
    static const char text[] =
        "name: hello\ncompose: sub/compose.yaml\nimage: 0.3.1\n"
        "public: {service: web, port: 8080}\n"
        "resources: {cpus: 4, memory: 3G, disk: 20, gpus: 1}\ndomain: app.example.com\n"
        "env:\n  A:\n  B: plain\n  C: {from_env: OTHER}\n  D: {from_file: d.txt}\n  E: ''\n"
        "env_file: .env\nfiles: [conf/a.conf]\nsecret_files: [tls.key]\n"
        "registries:\n  - ghcr.io\n"
        "  - {server: r.example:5000, username: me, password: {from_file: pw}}\n"
        "pin: required\n";
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct findings *found;
    struct coffer_yaml *yaml;

    parse(text, arena, &found, &yaml);
    _cleanup_free_ char *list = findings_to_text(found);
    assert_string_equal(list ?: "", "");
    assert_string_equal(yaml->name, "hello");
    assert_string_equal(yaml->compose, "sub/compose.yaml");
    assert_string_equal(yaml->public_service, "web");
    assert_int_equal(yaml->public_port, 8080);
    assert_int_equal(yaml->memory_mb, 3072);
    assert_int_equal(yaml->disk_gb, 20);
    assert_int_equal(yaml->gpus, 1);
    assert_int_equal(yaml->n_env, 5);
    static const enum coffer_source sources[] = {SOURCE_ENVIRONMENT, SOURCE_VALUE,
                                                 SOURCE_ENVIRONMENT, SOURCE_FILE, SOURCE_VALUE};
    static const char *const texts[] = {"A", "plain", "OTHER", "d.txt", ""};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(yaml->env[i].source, sources[i]);
        assert_string_equal(yaml->env[i].text, texts[i]);
        assert_int_equal(yaml->env[i].line, 8 + i);
    }
    assert_string_equal(yaml->env_files.items[0], ".env");
    assert_int_equal(yaml->registries[0].source, SOURCE_DOCKER);
    assert_string_equal(yaml->registries[1].text, "pw");
    assert_true(yaml->pin);
}

static void test_a_file_with_problems_is_told_as_one_text(_unused_ void **state)
{
    char path[] = "/tmp/coffer-yaml-XXXXXX";
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct coffer_yaml *yaml = arena_alloc(arena, sizeof(*yaml));
    int fd = mkstemp(path);
    static const char text[] = "xname: a\nresources: {cpus: 0}\n";

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    _cleanup_(error_freep) struct error *err = coffer_yaml_read(path, arena, yaml);
    unlink(path);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error_text(err), "has 2 problems"));
    assert_non_null(strstr(error_text(err), "line 1: unknown key 'xname', did you mean 'name'?"));
    assert_non_null(strstr(error_text(err), "line 2: 'resources.cpus'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_mistake_has_its_line_and_words),
        cmocka_unit_test(test_no_finding_shows_a_value),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_everything_that_can_be_said),
        cmocka_unit_test(test_a_file_with_problems_is_told_as_one_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
