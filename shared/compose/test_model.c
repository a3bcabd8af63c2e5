/* The rules on what `docker compose config --format json` prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/compose/lint.h"

static const char *const files[] = {"app.yaml"};
static const struct compose_options user_options = {
    .public_service = "web",
    .public_port = 8080,
    .files = files,
    .n_files = 1,
    .files_dir = "/run/coffer/files",
};
static const struct compose_options merged_options = {
    .public_service = "web",
    .public_port = 8080,
    .files = files,
    .n_files = 1,
    .files_dir = "/run/coffer/files",
    .with_ours = true,
};

/* As compose 2 prints it: nulls, resolved paths, "$$", its own names. %s is put into web. */
#define USER_MODEL                                                                                 \
    "{\"name\":\"cvm\",\"services\":{\"web\":{\"command\":null,\"entrypoint\":null,"               \
    "\"image\":\"hello:1\",\"environment\":{\"A\":\"$$5\",\"B\":null},"                            \
    "\"networks\":{\"default\":null},\"privileged\":false,\"cap_add\":null,"                       \
    "\"ports\":[{\"mode\":\"ingress\",\"target\":8080,\"published\":\"8080\","                     \
    "\"protocol\":\"tcp\"}],\"volumes\":[{\"type\":\"bind\","                                      \
    "\"source\":\"/run/coffer/files/app.yaml\",\"target\":\"/a\",\"read_only\":true,"              \
    "\"bind\":{\"create_host_path\":true}},"                                                       \
    "{\"type\":\"volume\",\"source\":\"data\",\"target\":\"/d\",\"volume\":{}}]"                   \
    "%s}%s},\"networks\":{\"default\":{\"name\":\"cvm_default\",\"ipam\":{},"                      \
    "\"external\":false}%s},\"volumes\":{\"data\":{\"name\":\"cvm_data\"}%s}}"

#define OUR_SERVICES                                                                               \
    ",\"coffer-proxy\":{\"image\":\"caddy\",\"cap_add\":[\"NET_ADMIN\"],"                          \
    "\"ports\":[{\"target\":443,\"published\":\"443\"}]},"                                         \
    "\"coffer-attester\":{\"image\":\"attester\",\"devices\":[\"/dev/sev-guest\"]}"

static char *findings_of(const char *json, const struct compose_options *options)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct findings *findings = arena_alloc(arena, sizeof(*findings));

    assert_null(compose_lint_model(json, strlen(json), options, arena, findings));
    return findings_to_text(findings);
}

static void test_model_of_a_good_file_has_no_findings(void **state)
{
    _cleanup_free_ char *json = xasprintf(USER_MODEL, "", "", "", "");
    _cleanup_free_ char *text = findings_of(json, &user_options);

    (void)state;
    assert_string_equal(text, "");
}

/* tests/fuzz/compose/compose-2.26.yaml as Docker Compose 2.26.1 printed it: uses whatever is fine.
 */
static void test_what_compose_really_prints_has_no_findings(void **state)
{
    static const char *const their_files[] = {"config/app.yaml", "seed.env"};
    const struct compose_options options = {
        .public_service = "web",
        .files = their_files,
        .n_files = ELEMENTSOF(their_files),
        .files_dir = "/run/coffer/files",
    };
    _cleanup_buffer_ struct buffer json = {0};

    (void)state;
    assert_null(file_read("tests/fuzz/compose/compose-2.26-model.json", 1 << 20, &json));
    _cleanup_free_ char *text = findings_of(buffer_text(&json), &options);
    assert_string_equal(text, "");
}

static void test_our_services_are_expected_only_where_said(void **state)
{
    _cleanup_free_ char *json =
        xasprintf(USER_MODEL, "", OUR_SERVICES, ",\"coffer-front\":{\"driver\":\"x\"}",
                  ",\"coffer-caddy\":{\"name\":\"other\"}");
    _cleanup_free_ char *merged = findings_of(json, &merged_options);
    _cleanup_free_ char *alone = findings_of(json, &user_options);

    (void)state;
    assert_string_equal(merged, "");
    assert_non_null(strstr(alone, "services.coffer-proxy: the name 'coffer-proxy' is reserved"));
    assert_non_null(strstr(alone, "services.coffer-attester.devices"));
    assert_non_null(strstr(alone, "networks.coffer-front"));
    assert_non_null(strstr(alone, "volumes.coffer-caddy"));
}

static void test_users_service_is_not_exempt_in_the_merged_model(void **state)
{
    static const char *const added[] = {
        ",\"privileged\":true",
        ",\"devices\":[\"/dev/sev-guest\"]",
        ",\"pid\":\"host\"",
        ",\"networks\":{\"coffer-front\":null}",
        ",\"use_api_socket\":true",
        ",\"never_heard_of\":1",
        ",\"secrets\":[{\"source\":\"a\"}]",
        ",\"network_mode\":\"service:coffer-proxy\"",
        ",\"container_name\":\"coffer-proxy\"",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(added); i++) {
        _cleanup_free_ char *json =
            xasprintf("{\"name\":\"cvm\",\"services\":{\"web\":{\"image\":\"a\"%s}%s},"
                      "\"networks\":{\"coffer-front\":{}}}",
                      added[i], OUR_SERVICES);
        _cleanup_free_ char *text = findings_of(json, &merged_options);
        if (!*text)
            fail_msg("%s passed", added[i]);
    }
}

static const struct {
    const char *what;
    const char *json;
    const char *rule;
} bad_models[] = {
    {"a mount of the machine",
     "{\"services\":{\"web\":{\"image\":\"a\",\"volumes\":[{\"type\":\"bind\","
     "\"source\":\"/run/coffer/secret\",\"target\":\"/x\"}]}}}",
     "(bind-mount)"},
    {"a neighbour of the files",
     "{\"services\":{\"web\":{\"image\":\"a\",\"volumes\":[{\"type\":\"bind\","
     "\"source\":\"/run/coffer/files2\",\"target\":\"/x\"}]}}}",
     "(bind-mount)"},
    {"a file that was not uploaded",
     "{\"services\":{\"web\":{\"image\":\"a\",\"volumes\":[{\"type\":\"bind\","
     "\"source\":\"/run/coffer/files/../x\",\"target\":\"/x\"}]}}}",
     "(unknown-file)"},
    {"a folder of files to write to",
     "{\"services\":{\"web\":{\"image\":\"a\",\"volumes\":[{\"type\":\"bind\","
     "\"source\":\"/run/coffer/files\",\"target\":\"/x\"}]}}}",
     "(writable-files)"},
    {"words for the runtime",
     "{\"services\":{\"web\":{\"image\":\"a\","
     "\"annotations\":{\"org.systemd.property.DevicePolicy\":\"'auto'\"}}}}",
     "(annotations)"},
    {"a service that is an address", "{\"services\":{\"10.0.2.2\":{\"image\":\"a\"}}}",
     "(service-name)"},
    {"port 443",
     "{\"services\":{\"web\":{\"image\":\"a\",\"ports\":[{\"target\":1,\"published\":\"443\"}]}}}",
     "(port-reserved)"},
    {"a host address",
     "{\"services\":{\"web\":{\"image\":\"a\",\"ports\":[{\"target\":1,\"published\":\"1\","
     "\"host_ip\":\"0.0.0.0\"}]}}}",
     "(port-host-ip)"},
    {"another project's volume",
     "{\"name\":\"cvm\",\"services\":{\"web\":{\"image\":\"a\"}},"
     "\"volumes\":{\"v\":{\"name\":\"cvm_other\"}}}",
     "(volume-name)"},
    {"external network",
     "{\"services\":{\"web\":{\"image\":\"a\"}},\"networks\":{\"n\":{\"external\":true}}}",
     "(unknown-key)"},
    {"top-level configs",
     "{\"services\":{\"web\":{\"image\":\"a\"}},\"configs\":{\"c\":{\"file\":\"/x\"}}}",
     "(configs)"},
    {"no public service", "{\"services\":{\"app\":{\"image\":\"a\"}}}", "(public-service)"},
    {"no image", "{\"services\":{\"web\":{\"image\":\"\"}}}", "(image)"},
    {"no services", "{}", "(no-services)"},
};

static void test_bad_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bad_models); i++) {
        _cleanup_free_ char *text = findings_of(bad_models[i].json, &user_options);
        if (!strstr(text, bad_models[i].rule))
            fail_msg("%s: %s", bad_models[i].what, text);
    }
}

static void test_text_that_is_no_model_is_an_error(void **state)
{
    static const char *const texts[] = {"", "x", "[]", "{\"a\":1,\"a\":2}"};

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct findings *findings = arena_alloc(arena, sizeof(*findings));
        _cleanup_(error_freep) struct error *err =
            compose_lint_model(texts[i], strlen(texts[i]), &user_options, arena, findings);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_of_a_good_file_has_no_findings),
        cmocka_unit_test(test_what_compose_really_prints_has_no_findings),
        cmocka_unit_test(test_our_services_are_expected_only_where_said),
        cmocka_unit_test(test_users_service_is_not_exempt_in_the_merged_model),
        cmocka_unit_test(test_bad_models),
        cmocka_unit_test(test_text_that_is_no_model_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
