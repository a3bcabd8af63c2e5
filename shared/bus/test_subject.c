#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/bus/subject.h"

static void test_patterns_match_as_nats_does(void **state)
{
    static const struct {
        const char *pattern;
        const char *subject;
        bool matches;
    } cases[] = {
        {"a.b", "a.b", true},    {"a.b", "a.bc", false},   {"a.b", "a", false},
        {"a.b", "a.b.c", false}, {"a.*", "a.b", true},     {"a.*", "a.b.c", false},
        {"a.*", "a", false},     {"*", "a", true},         {"*.b", "a.b", true},
        {"a.>", "a.b", true},    {"a.>", "a.b.c.d", true}, {"a.>", "a", false},
        {">", "a.b", true},      {"a.*.c", "a.b.c", true}, {"a.*.c", "a.b.d", false},
        {"a.b", "a..b", false},  {"a.*", "a.", false},     {"a", "", false},
        {"ab.*", "a.b", false},  {"a.b.>", "a.b.", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (subject_matches(cases[i].pattern, cases[i].subject) != cases[i].matches)
            fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].subject);
    }
}

static void test_table_names_the_message_of_a_subject(void **state)
{
    static const struct {
        const char *subject;
        const char *message; /* NULL: no row */
        const char *reply;
    } cases[] = {
        {"svc.scheduler.workload.create", "coffer.v1.CreateWorkloadRequest",
         "coffer.v1.WorkloadReply"},
        {"svc.scheduler.workload.stop", "coffer.v1.WorkloadRequest", "coffer.v1.WorkloadReply"},
        {"svc.scheduler.artifact.enable", "coffer.v1.ArtifactRequest", "coffer.v1.Artifact"},
        {"svc.scheduler.artifact.disable", "coffer.v1.ArtifactRequest", "coffer.v1.Artifact"},
        {"svc.scheduler.tier.create", "coffer.v1.WorkloadTier", "coffer.v1.WorkloadTier"},
        {"svc.scheduler.tier.update", "coffer.v1.WorkloadTier", "coffer.v1.WorkloadTier"},
        {"svc.scheduler.tier.delete", "coffer.v1.WorkloadTierRequest", "coffer.v1.Empty"},
        {"svc.scheduler.host.delete", "coffer.v1.HostRequest", "coffer.v1.Empty"},
        {"hb.host.h1", "coffer.v1.HostHeartbeat", NULL},
        {"evt.workload.w1.running", "coffer.v1.WorkloadEvent", NULL},
        {"log.h1.w1.guest-agent", "coffer.v1.LogBatch", NULL},
        {"boot.h1.w1.attest", "coffer.v1.AttestRequest", "coffer.v1.AttestReply"},
        {"cmd.guest.h1.w1.logs", "coffer.v1.LogsRequest", "coffer.v1.LogsReply"},
        {"evt.workload.w1", NULL, NULL},
        {"_INBOX.x", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct subject_row *row = subject_find(cases[i].subject);
        assert_int_equal(row != NULL, cases[i].message != NULL);
        if (!row)
            continue;
        assert_string_equal(row->message->name, cases[i].message);
        assert_int_equal(row->reply != NULL, cases[i].reply != NULL);
        if (row->reply)
            assert_string_equal(row->reply->name, cases[i].reply);
    }
}

static void test_build_refuses_what_would_widen_a_subject(void **state)
{
    static const char *const bad[] = {
        "",         "*",
        ">",        "a.b",
        "a b",      "a\n",
        "\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123"};
    char subject[SUBJECT_MAX] = "untouched";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error *err = subject_build(subject, "cmd", bad[i], NULL);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        assert_string_equal(subject, "untouched");
        error_free(err);
    }
    assert_null(subject_build(subject, "cmd", "host", "h-1", "start", NULL));
    assert_string_equal(subject, "cmd.host.h-1.start");
}

static void test_token_by_index(void **state)
{
    char token[8];

    (void)state;
    assert_true(subject_token("cmd.host.h1.start", 2, token, sizeof(token)));
    assert_string_equal(token, "h1");
    assert_true(subject_token("cmd.host.h1.start", 3, token, sizeof(token)));
    assert_string_equal(token, "start");
    assert_false(subject_token("cmd.host", 2, token, sizeof(token)));
    assert_false(subject_token("cmd.longer-than-eight", 1, token, sizeof(token)));
}

static void test_foreign_names_become_tokens(void **state)
{
    char token[64];
    char other[64];

    (void)state;
    subject_encode_name("web-1", token);
    assert_string_equal(token, "web-1");
    subject_encode_name("Web_1", token);
    assert_string_equal(token, "x-5765625f31");
    subject_encode_name("x-5765625f31", other); /* looks encoded: is encoded again */
    assert_string_not_equal(token, other);
    subject_encode_name("a name of more than thirty bytes, so it is cut", token);
    assert_int_equal(strlen(token), 62);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_match_as_nats_does),
        cmocka_unit_test(test_table_names_the_message_of_a_subject),
        cmocka_unit_test(test_build_refuses_what_would_widen_a_subject),
        cmocka_unit_test(test_token_by_index),
        cmocka_unit_test(test_foreign_names_become_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
