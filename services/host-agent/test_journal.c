
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/host-agent/journal.h"
#include "services/host-agent/spool.h"
#include "services/host-agent/testdata/folder.h"
#include "services/host-agent/testdata/spec.h"
#include "shared/base/file.h"

struct fixture {
    char *dir;
    struct journal *journal;
    struct test_spec test;
    struct vm_record record;
};

static int setup(void **state)
{
    struct fixture *f = xnew(struct fixture);

    f->dir = test_folder_new();
    assert_null(journal_open(f->dir, &f->journal));
    test_spec_init(&f->test);
    vm_facts_copy(&f->record.facts, &f->test.facts);
    f->record.reason = xstrdup("because \"x\"\n");
    f->record.wish = VM_WISH_STOP;
    f->record.state = VM_FAILED;
    f->record.sequence = 12;
    f->record.started_at_ms = 1700000000000;
    f->record.measured = true;
    memset(f->record.measurement, 0xab, sizeof(f->record.measurement));
    memset(f->record.report_id, 0xcd, sizeof(f->record.report_id));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    vm_record_done(&f->record);
    test_spec_done(&f->test);
    journal_free(f->journal);
    test_folder_free(f->dir);
    free(f);
    return 0;
}

static void write_file(struct fixture *f, const char *id, const char *name, const char *text)
{
    _cleanup_free_ char *dir = xasprintf("%s/vms/%s", f->dir, id);
    _cleanup_free_ char *path = journal_path(f->journal, id, name);

    assert_null(dir_make(dir, 0700));
    assert_null(file_write_atomic(path, text, strlen(text), 0600));
}

static bool exists(struct fixture *f, const char *id, const char *name)
{
    _cleanup_free_ char *path = journal_path(f->journal, id, name);

    return access(path, F_OK) == 0;
}

static void test_record_round_trips(void **state)
{
    struct fixture *f = *state;
    struct vm_record *records;
    struct error *problem;
    size_t n;

    assert_null(journal_save(f->journal, &f->record));
    assert_null(journal_load(f->journal, &records, &n, &problem));
    assert_null(problem);
    assert_int_equal(n, 1);
    assert_string_equal(records[0].facts.workload_id, f->test.facts.workload_id);
    assert_int_equal(records[0].facts.generation, 3);
    assert_int_equal(records[0].facts.n_domains, 2);
    assert_string_equal(records[0].reason, "because \"x\"\n");
    assert_int_equal(records[0].wish, VM_WISH_STOP);
    assert_int_equal(records[0].state, VM_FAILED);
    assert_int_equal(records[0].sequence, 12);
    assert_true(records[0].measured);
    assert_memory_equal(records[0].measurement, f->record.measurement, 48);
    assert_memory_equal(records[0].report_id, f->record.report_id, 32);
    vm_record_done(&records[0]);
    free(records);
}

static bool is_known(void *data, const char *workload_id)
{
    return strcmp(data, workload_id) == 0;
}

static void test_half_made_folder_is_removed(void **state)
{
    struct fixture *f = *state;
    struct vm_record *records;
    struct error *problem;
    size_t n;

    write_file(f, "half", "order.json", "{}");
    write_file(f, "half", "state.img", "");
    write_file(f, "known", "state.img", "");
    assert_null(journal_load(f->journal, &records, &n, &problem));
    assert_null(problem);
    assert_int_equal(n, 0);
    assert_true(exists(f, "half", "order.json"));
    assert_null(journal_sweep(f->journal, is_known, (void *)"known"));
    assert_false(exists(f, "half", "order.json"));
    assert_true(exists(f, "known", "state.img"));
    free(records);
}

static void test_broken_record_is_kept_and_named(void **state)
{
    static const char *const broken[] = {
        "", "{", "[]", "{\"workload_id\":\"w\"}",
        "{\"workload_id\":\"other\",\"generation\":1,\"cpus\":1,\"memory_mib\":512,\"disk_gib\":1,"
        "\"gpus\":0,\"image\":\"1\",\"domains\":[],\"sequence\":0,\"started_at_ms\":0,"
        "\"changed_at_ms\":0,\"measured\":false,\"carried_out\":true,\"wish\":\"run\","
        "\"state\":\"running\",\"reason\":\"\"}"};
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        struct vm_record *records;
        struct error *problem;
        size_t n;
        write_file(f, "w", "vm.json", broken[i]);
        assert_null(journal_load(f->journal, &records, &n, &problem));
        assert_int_equal(error_get_code(problem), ERROR_DATA_LOSS);
        assert_int_equal(n, 0);
        assert_true(exists(f, "w", "vm.json"));
        error_free(problem);
        free(records);
    }
}

static void test_order_round_trips_and_is_private(void **state)
{
    struct fixture *f = *state;
    _cleanup_order_ struct vm_order order = {
        .generation = 3, .files_reference = xstrdup("files/h/w"), .credentials = xstrdup("CREDS")};
    _cleanup_order_ struct vm_order back = {0};
    _cleanup_free_ char *path = journal_path(f->journal, "w", "order.json");
    struct stat st;

    buffer_add(&order.manifest, "{\0}", 3);
    buffer_add(&order.compose, "x", 1);
    assert_null(journal_save_order(f->journal, "w", &order));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_null(journal_load_order(f->journal, "w", &back));
    assert_int_equal(back.generation, 3);
    assert_int_equal(back.manifest.size, 3);
    assert_memory_equal(back.manifest.data, "{\0}", 3);
    assert_string_equal(back.credentials, "CREDS");
    assert_null(journal_drop_order(f->journal, "w"));
    assert_null(journal_drop_order(f->journal, "w"));
    struct error *err = journal_load_order(f->journal, "w", &back);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    error_free(err);
}

static void test_removal_keeps_the_record_until_told(void **state)
{
    struct fixture *f = *state;
    const char *id = f->test.facts.workload_id;

    assert_null(journal_save(f->journal, &f->record));
    write_file(f, id, "state.img", "x");
    assert_null(journal_remove_files(f->journal, id));
    assert_false(exists(f, id, "state.img"));
    assert_true(exists(f, id, "vm.json"));
    assert_null(journal_remove(f->journal, id));
    assert_false(exists(f, id, "vm.json"));
    assert_null(journal_remove(f->journal, id));
}

static void expect_oldest(struct spool *spool, const char *id, const char *text)
{
    _cleanup_buffer_ struct buffer data = {0};
    _cleanup_free_ char *oldest = NULL;

    assert_true(spool_peek(spool, &oldest, &data));
    assert_string_equal(oldest, id);
    assert_string_equal(buffer_text(&data), text);
}

static void test_spool_keeps_order_over_restarts(void **state)
{
    struct fixture *f = *state;
    struct spool *spool = NULL;
    char *id = NULL;
    _cleanup_buffer_ struct buffer data = {0};

    assert_null(spool_open(f->dir, &spool));
    assert_null(spool_add(spool, "w.1.2", "second", 6));
    assert_null(spool_add(spool, "w.1.1", "later", 5));
    assert_null(spool_add(spool, "w.1.2", "again", 5));
    expect_oldest(spool, "w.1.2", "second");
    spool_free(spool);
    assert_null(spool_open(f->dir, &spool));
    expect_oldest(spool, "w.1.2", "second");
    spool_drop(spool, "other");
    expect_oldest(spool, "w.1.2", "second");
    spool_drop(spool, "w.1.2");
    expect_oldest(spool, "w.1.1", "later");
    assert_null(spool_add(spool, "w.1.3", "", 0));
    spool_drop(spool, "w.1.1");
    expect_oldest(spool, "w.1.3", "");
    spool_drop(spool, "w.1.3");
    assert_false(spool_peek(spool, &id, &data));
    assert_int_equal(spool_lost(spool), 0);
    spool_free(spool);
}

static void test_spool_refuses_what_is_no_name(void **state)
{
    static const char *const bad[] = {"", "../x", "a/b", "a b", "a_b"};
    struct fixture *f = *state;
    struct spool *spool = NULL;

    assert_null(spool_open(f->dir, &spool));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        struct error *err = spool_add(spool, bad[i], "x", 1);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
    spool_free(spool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_record_round_trips),
        TEST(test_half_made_folder_is_removed),
        TEST(test_broken_record_is_kept_and_named),
        TEST(test_order_round_trips_and_is_private),
        TEST(test_removal_keeps_the_record_until_told),
        TEST(test_spool_keeps_order_over_restarts),
        TEST(test_spool_refuses_what_is_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
