/* configfs-tsm on a tree that answers as Linux does (drivers/virt/coco/tsm.c and sev-guest.c). */
#include "shared/attestation/test_attest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define ROOT        "/tree"
#define ENTRIES_MAX 2
#define TABLE       "a certificate table"

struct fake_entry {
    char name[32]; /* "": free */
    uint8_t inblob[64];
    bool has_inblob;
    unsigned privlevel;
    unsigned long generation;
};

/* The kernel; what tests turn stands first. */
static struct tree {
    const char *provider; /* NULL: none is registered */
    int floor;            /* below 0: no files for levels */
    bool no_auxblob;
    unsigned intruders;     /* so many reads of outblob come after a stranger's write */
    unsigned busy;          /* so many reads of outblob race */
    int broken;             /* errno of reading outblob */
    size_t report_size;     /* of outblob */
    const char *generation; /* instead of the number */
    size_t table_size;      /* of auxblob, 0: TABLE */
    struct fake_entry entries[ENTRIES_MAX];
    unsigned made, dropped, pauses;
    unsigned vmpl; /* of the last report */
} tree;

static uint8_t report_data[64];

static int set_up(void **state)
{
    (void)state;
    tree = (struct tree){.provider = "sev_guest\n", .floor = 0, .report_size = TEE_REPORT_SIZE};
    memset(report_data, 0x5a, sizeof(report_data));
    return 0;
}

/* "ROOT/ENTRY/FILE" */
static struct fake_entry *find(const char *path, const char **ret_file)
{
    const char *name = path + strlen(ROOT) + 1, *slash = strchr(name, '/');

    assert_memory_equal(path, ROOT "/", strlen(ROOT) + 1);
    for (size_t i = 0; slash && i < ENTRIES_MAX; i++) {
        struct fake_entry *entry = &tree.entries[i];

        if (strlen(entry->name) == (size_t)(slash - name) &&
            strncmp(entry->name, name, (size_t)(slash - name)) == 0) {
            *ret_file = slash + 1;
            return entry;
        }
    }
    return NULL;
}

static int fake_make(const char *path)
{
    if (!tree.provider)
        return -ENXIO;
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct fake_entry *entry = &tree.entries[i];

        if (entry->name[0])
            continue;
        *entry = (struct fake_entry){};
        snprintf(entry->name, sizeof(entry->name), "%s", path + strlen(ROOT) + 1);
        tree.made++;
        return 0;
    }
    return -ENOMEM;
}

static int fake_drop(const char *path)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        if (strcmp(tree.entries[i].name, path + strlen(ROOT) + 1) == 0)
            tree.entries[i] = (struct fake_entry){};
    tree.dropped++;
    return 0;
}

static int write_privlevel(struct fake_entry *entry, const char *text, size_t size)
{
    if (tree.floor < 0)
        return -ENOENT;
    assert_int_equal(size, 1);
    entry->privlevel = (unsigned)(text[0] - '0');
    if (entry->privlevel > 3 || (int)entry->privlevel < tree.floor)
        return -EINVAL;
    entry->generation++;
    return 0;
}

static int fake_write(const char *path, const void *data, size_t size)
{
    const char *file = NULL;
    struct fake_entry *entry = find(path, &file);

    if (!entry)
        return -ENOENT;
    if (strcmp(file, "privlevel") == 0)
        return write_privlevel(entry, data, size);
    assert_string_equal(file, "inblob");
    if (size > sizeof(entry->inblob))
        return -EINVAL;
    memcpy(entry->inblob, data, size);
    entry->has_inblob = size == sizeof(entry->inblob);
    entry->generation++;
    return 0;
}

static ssize_t give(void *room, size_t room_size, const void *data, size_t size)
{
    if (size > room_size)
        return -EFBIG;
    memcpy(room, data, size);
    return (ssize_t)size;
}

static ssize_t read_outblob(struct fake_entry *entry, void *room, size_t size)
{
    uint8_t report[2 * TEE_REPORT_SIZE] = {0};

    if (!entry->has_inblob)
        return -EINVAL;
    if (tree.broken)
        return -tree.broken;
    if (tree.busy > 0) {
        tree.busy--;
        return -EWOULDBLOCK;
    }
    if (tree.intruders > 0) {
        tree.intruders--;
        memset(entry->inblob, 0x66, sizeof(entry->inblob));
        entry->generation++;
    }
    if ((int)entry->privlevel < tree.floor)
        return -EIO; /* the firmware refuses */
    tree.vmpl = entry->privlevel;
    memcpy(report + 0x50, entry->inblob, sizeof(entry->inblob));
    return give(room, size, report, tree.report_size);
}

static ssize_t read_auxblob(void *room, size_t size)
{
    uint8_t *table = xcalloc(1, tree.table_size + 1);
    ssize_t n = give(room, size, table, tree.table_size);

    free(table);
    return n;
}

static ssize_t read_text(void *room, size_t size, const char *text)
{
    return give(room, size, text, strlen(text));
}

static ssize_t fake_read(const char *path, void *room, size_t size)
{
    const char *file = NULL;
    struct fake_entry *entry = find(path, &file);
    char text[32];

    if (!entry)
        return -ENOENT;
    if (strcmp(file, "outblob") == 0)
        return read_outblob(entry, room, size);
    if (strcmp(file, "auxblob") == 0 && !tree.no_auxblob)
        return tree.table_size ? read_auxblob(room, size) : read_text(room, size, TABLE);
    if (strcmp(file, "provider") == 0)
        return read_text(room, size, tree.provider);
    if (strcmp(file, "generation") == 0 && tree.generation)
        return read_text(room, size, tree.generation);
    if (strcmp(file, "generation") == 0)
        snprintf(text, sizeof(text), "%lu\n", entry->generation);
    else if (strcmp(file, "privlevel_floor") == 0 && tree.floor >= 0)
        snprintf(text, sizeof(text), "%d\n", tree.floor);
    else
        return -ENOENT;
    return read_text(room, size, text);
}

static void fake_pause(unsigned ms)
{
    (void)ms;
    tree.pauses++;
}

static const struct tee_configfs_calls calls = {fake_make, fake_drop, fake_write, fake_read,
                                                fake_pause};

/* One request of a tee of its own. */
static struct error *ask(struct tee_evidence *ret_evidence)
{
    struct tee *tee = NULL;

    expect_ok(tee_configfs_tsm_open_with(ROOT, false, &calls, &tee));
    struct error *err = tee_get_report(tee, report_data, ret_evidence);
    tee_free(tee);
    assert_int_equal(tree.made, tree.dropped);
    return err;
}

static void expect_report(void)
{
    struct tee_evidence evidence = {};

    expect_ok(ask(&evidence));
    assert_string_equal(evidence.tee, "sev-snp");
    assert_string_equal(evidence.provider, "configfs-tsm");
    assert_memory_equal(evidence.report + 0x50, report_data, 64);
    tee_evidence_done(&evidence);
}

static void expect_failure(enum error_code code, const char *text)
{
    struct tee_evidence evidence = {};
    _cleanup_(error_freep) struct error *err = ask(&evidence);

    assert_int_equal(error_get_code(err), code);
    if (!strstr(error_text(err), text))
        fail_msg("'%s' does not say '%s'", error_text(err), text);
    assert_null(evidence.certificates.data);
}

static void report_and_table_of_an_entry_of_our_own(void **state)
{
    (void)state;
    struct tee_evidence evidence = {};

    expect_ok(ask(&evidence));
    assert_memory_equal(evidence.report + 0x50, report_data, 64);
    assert_int_equal(evidence.certificates.size, strlen(TABLE));
    assert_memory_equal(evidence.certificates.data, TABLE, strlen(TABLE));
    tee_evidence_done(&evidence);
    assert_int_equal(tree.made, 1);
    assert_int_equal(tree.vmpl, 0);
}

static void host_without_certificates_gives_an_empty_table(void **state)
{
    (void)state;
    struct tee_evidence evidence = {};

    tree.no_auxblob = true;
    expect_ok(ask(&evidence));
    assert_int_equal(evidence.certificates.size, 0);
    tee_evidence_done(&evidence);
}

/* Another process wrote to our entry: its data must not come back as ours. */
static void strangers_write_is_noticed_and_asked_again(void **state)
{
    (void)state;
    tree.intruders = 2;
    expect_report();
    assert_int_equal(tree.made, 3);
    assert_int_equal(tree.pauses, 2);
    tree.intruders = 1000;
    expect_failure(ERROR_ABORTED, "somebody else");
}

static void race_in_the_kernel_is_asked_again(void **state)
{
    (void)state;
    tree.busy = 3;
    expect_report();
    assert_int_equal(tree.made, 4);
    tree.busy = 1000;
    expect_failure(ERROR_ABORTED, "busy");
}

/* A guest behind a paravisor may not name VMPL 0; without levels nothing is written. */
static void privlevel_is_the_floor(void **state)
{
    (void)state;
    for (int floor = -1; floor <= 3; floor++) {
        tree.floor = floor;
        expect_report();
        assert_int_equal(tree.vmpl, floor < 0 ? 0 : floor);
    }
    tree.floor = 4;
    expect_failure(ERROR_UNAVAILABLE, "privlevel_floor");
}

static void what_is_no_sev_snp_report_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct tree tree;
        enum error_code code;
        const char *text;
    } cases[] = {
        {{.provider = NULL}, ERROR_INTERNAL, "make"},
        {{.provider = "tdx_guest\n"}, ERROR_FAILED_PRECONDITION, "tdx_guest"},
        {{.provider = ""}, ERROR_FAILED_PRECONDITION, "provider"},
        {{.provider = "a name that is longer than any\n"}, ERROR_FAILED_PRECONDITION, "provider"},
        {{.provider = "a name that is really longer than any\n"}, ERROR_INTERNAL, "provider"},
        {{.report_size = TEE_REPORT_SIZE - 1}, ERROR_UNAVAILABLE, "1183 bytes"},
        {{.report_size = TEE_REPORT_SIZE + 1}, ERROR_UNAVAILABLE, "1185 bytes"},
        {{.report_size = 2 * TEE_REPORT_SIZE}, ERROR_INTERNAL, "outblob"},
        {{.report_size = 1}, ERROR_UNAVAILABLE, "1 bytes"},
        {{.generation = ""}, ERROR_UNAVAILABLE, "no number"},
        {{.generation = "-1\n"}, ERROR_UNAVAILABLE, "no number"},
        {{.generation = " 1\n"}, ERROR_UNAVAILABLE, "no number"},
        {{.generation = "1\n\n"}, ERROR_UNAVAILABLE, "no number"},
        {{.generation = "99999999999999999999\n"}, ERROR_UNAVAILABLE, "no number"},
        {{.generation = "7\n"}, ERROR_ABORTED, "somebody else"}, /* our writes do not count */
        {{.broken = EIO}, ERROR_INTERNAL, "outblob"},
        {{.broken = ETIMEDOUT}, ERROR_DEADLINE_EXCEEDED, "outblob"},
        {{.broken = ENXIO}, ERROR_INTERNAL, "outblob"},
        {{.table_size = TEE_CERTIFICATES_MAX + 1}, ERROR_INTERNAL, "auxblob"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        tree = cases[i].tree;
        if (i > 0 && !tree.provider)
            tree.provider = "sev_guest\n";
        if (tree.report_size == 0)
            tree.report_size = TEE_REPORT_SIZE;
        expect_failure(cases[i].code, cases[i].text);
    }
}

static void full_table_is_taken(void **state)
{
    (void)state;
    struct tee_evidence evidence = {};

    tree.table_size = TEE_CERTIFICATES_MAX;
    expect_ok(ask(&evidence));
    assert_int_equal(evidence.certificates.size, TEE_CERTIFICATES_MAX);
    tee_evidence_done(&evidence);
}

/* An entry that somebody made for us is used and stays. */
static void given_entry_is_used_as_it_is(void **state)
{
    (void)state;
    struct tee *tee = NULL;
    struct tee_evidence evidence = {};

    assert_int_equal(fake_make(ROOT "/given"), 0);
    tree.entries[0].generation = ULONG_MAX - 1; /* and the number comes around */
    expect_ok(tee_configfs_tsm_open_with(ROOT "/given", true, &calls, &tee));
    for (int i = 0; i < 3; i++) {
        report_data[0] = (uint8_t)i;
        expect_ok(tee_get_report(tee, report_data, &evidence));
        assert_memory_equal(evidence.report + 0x50, report_data, 64);
        tee_evidence_done(&evidence);
    }
    tree.intruders = 1000;
    expect_code(tee_get_report(tee, report_data, &evidence), ERROR_ABORTED);
    tee_free(tee);
    assert_int_equal(tree.made, 1);
    assert_int_equal(tree.dropped, 0);
}

/* With the real calls: a folder that the kernel does not answer in, and nothing left behind. */
static void an_ordinary_folder_gives_no_report(void **state)
{
    (void)state;
    char dir[] = "/tmp/coffer-tsm-XXXXXX";
    struct tee_evidence evidence = {};
    struct tee *tee = NULL;
    _cleanup_free_ char *inblob = xasprintf("%s/inblob", mkdtemp(dir));

    expect_ok(tee_configfs_tsm_open(dir, &tee));
    expect_code(tee_get_report(tee, report_data, &evidence), ERROR_NOT_FOUND);
    tee_free(tee);
    expect_ok(file_write_atomic(inblob, "", 0, 0600)); /* now it looks like an entry */
    expect_ok(tee_configfs_tsm_open(dir, &tee));
    expect_code(tee_get_report(tee, report_data, &evidence), ERROR_NOT_FOUND);
    tee_free(tee);
    tee_evidence_done(&evidence);
    assert_int_equal(remove(inblob), 0);
    assert_int_equal(remove(dir), 0); /* empty: the entry of our own is gone */
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(report_and_table_of_an_entry_of_our_own),
        TEST(host_without_certificates_gives_an_empty_table),
        TEST(strangers_write_is_noticed_and_asked_again),
        TEST(race_in_the_kernel_is_asked_again),
        TEST(privlevel_is_the_floor),
        TEST(what_is_no_sev_snp_report_is_refused),
        TEST(full_table_is_taken),
        TEST(given_entry_is_used_as_it_is),
        TEST(an_ordinary_folder_gives_no_report),
    };

    return cmocka_run_group_tests_name("configfs-tsm", tests, NULL, NULL);
}
