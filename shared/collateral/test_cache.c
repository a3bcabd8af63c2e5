/* The disk: bounded, replaced whole, and never believed. */
#include "shared/collateral/test_stage.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/collateral/cache.h"
#include "shared/collateral/cache_file.h"
#include "shared/seal/seal.h"

static struct test_service service;
static struct test_stage stage;

static int start_service(void **state)
{
    (void)state;
    test_service_start(&service);
    return 0;
}

static int stop_service(void **state)
{
    (void)state;
    test_service_stop(&service);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    test_stage_init(&stage, &service);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_stage_done(&stage);
    return 0;
}

static char *file_of(const char *key, const char *suffix)
{
    uint8_t hash[32];
    char name[65];

    sha256(key, strlen(key), hash);
    hex_encode(hash, sizeof(hash), name);
    return xasprintf("%s/%s.%s", stage.dir, name, suffix);
}

static size_t count(const char *pattern)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", stage.dir, pattern);
    glob_t found;
    size_t n = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;

    globfree(&found);
    return n;
}

static struct error *get(struct collateral *ret)
{
    return collateral_get(stage.client, VEK_VCEK, &service.chips[0], ret);
}

static void expect_complete(void)
{
    _cleanup_(collateral_done) struct collateral collateral = {};

    expect_ok(get(&collateral));
    assert_memory_equal(collateral.vcek.data, service.vceks[0], service.vcek_sizes[0]);
}

/* A file for this key, well formed, with these bytes in it. */
static void write_item(const char *path, const char *key, const void *data, size_t size)
{
    _cleanup_(item_done) struct item item = {.fetched_at_ms = stage.clock.now_ms};
    _cleanup_buffer_ struct buffer file = {};

    buffer_add(&item.body, data, size);
    cache_file_write(key, &item, &file);
    expect_ok(file_write_atomic(path, file.data, file.size, 0644));
}

static void poison(const char *what, const char *path, const char *key)
{
    _cleanup_buffer_ struct buffer file = {};

    expect_ok(file_read(path, CACHE_FILE_MAX, &file));
    if (strcmp(what, "other chip") == 0) {
        write_item(path, key, service.vceks[1], service.vcek_sizes[1]);
        return;
    }
    if (strcmp(what, "other key") == 0) {
        write_item(path, "/vcek/v1/Genoa/other", service.vceks[0], service.vcek_sizes[0]);
        return;
    }
    if (strcmp(what, "last byte") == 0)
        file.data[file.size - 1] ^= 1;
    if (strcmp(what, "truncated") == 0)
        file.size /= 2;
    if (strcmp(what, "empty") == 0)
        file.size = 0;
    if (strcmp(what, "garbage") == 0)
        memset(file.data, 0x5a, file.size);
    expect_ok(file_write_atomic(path, file.data, file.size, 0644));
}

static void poisoned_cache_only_fails_and_is_repaired(void **state)
{
    (void)state;
    static const char *const faults[] = {"other chip", "other key", "last byte",
                                         "truncated",  "empty",     "garbage"};
    char key[KDS_PATH_MAX];

    kds_path_vcek(&service.chips[0], key);
    _cleanup_free_ char *path = NULL;
    for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
        _cleanup_(collateral_done) struct collateral collateral = {};

        print_message("%s\n", faults[i]);
        test_stage_restart(&stage, service.url);
        expect_complete();
        free(path);
        path = file_of(key, "chip");
        poison(faults[i], path, key);
        test_stage_restart(&stage, NULL);
        expect_code(get(&collateral), ERROR_NOT_FOUND);
        test_stage_restart(&stage, service.url);
        expect_complete();
        assert_int_equal(test_service_asked(&service, TEST_VCEK), i + 2);
        test_stage_restart(&stage, NULL);
        expect_complete();
    }
}

static void older_crl_on_disk_is_not_believed_while_running(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer good = {}, older = {};
    _cleanup_(collateral_done) struct collateral collateral = {};
    static const char key[] = "/vcek/v1/Genoa/crl";
    _cleanup_free_ char *path = file_of(key, "kept");

    test_service_crl(&service, 200, &good);
    test_service_set_body(&service, TEST_CRL, good.data, good.size);
    expect_complete();
    test_service_crl(&service, 100, &older);
    write_item(path, key, older.data, older.size);
    expect_ok(get(&collateral));
    assert_memory_equal(collateral.crl.data, good.data, good.size);
    assert_int_equal(test_service_asked(&service, TEST_CRL), 2);
}

static struct error *accept_all(_unused_ void *data, _unused_ const void *body,
                                _unused_ size_t size)
{
    return NULL;
}

static struct error *refuse_all(_unused_ void *data, _unused_ const void *body,
                                _unused_ size_t size)
{
    return error_new(ERROR_PERMISSION_DENIED, "refused");
}

static const struct cache_check accepting = {accept_all, NULL}, refusing = {refuse_all, NULL};

static void age_file(const char *path, time_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = time(NULL) - seconds},
                                      {.tv_sec = time(NULL) - seconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void oldest_chips_make_room_and_what_is_kept_stays(void **state)
{
    (void)state;
    static const char *const chips[] = {"/a", "/b", "/c", "/d"};
    _cleanup_(cache_freep) struct cache *cache = NULL;
    _cleanup_(item_done) struct item item = {}, found = {};

    buffer_add_text(&item.body, "x");
    expect_ok(cache_open(stage.dir, 2, &cache));
    expect_ok(cache_write(cache, &(struct cache_key){"/kept", true}, &accepting, &item));
    for (size_t i = 0; i < ELEMENTSOF(chips); i++) {
        _cleanup_free_ char *path = file_of(chips[i], "chip");

        expect_ok(cache_write(cache, &(struct cache_key){chips[i], false}, &accepting, &item));
        age_file(path, 100 - (time_t)i);
    }
    assert_int_equal(count("*.chip"), 2);
    assert_int_equal(count("*.kept"), 1);
    expect_code(cache_read(cache, &(struct cache_key){"/b", false}, &accepting, &found),
                ERROR_NOT_FOUND);
    expect_ok(cache_read(cache, &(struct cache_key){"/d", false}, &accepting, &found));
}

static void what_is_refused_is_neither_written_nor_read(void **state)
{
    (void)state;
    const struct cache_key key = {"/a", false};
    _cleanup_(cache_freep) struct cache *cache = NULL;
    _cleanup_(item_done) struct item item = {}, found = {};

    buffer_add_text(&item.body, "x");
    expect_ok(cache_open(stage.dir, 2, &cache));
    expect_code(cache_write(cache, &key, &refusing, &item), ERROR_PERMISSION_DENIED);
    assert_int_equal(count("*"), 0);
    expect_ok(cache_write(cache, &key, &accepting, &item));
    expect_code(cache_read(cache, &key, &refusing, &found), ERROR_PERMISSION_DENIED);
    assert_int_equal(found.body.size, 0);
}

static void unfinished_files_of_a_crash_are_cleared(void **state)
{
    (void)state;
    _cleanup_(cache_freep) struct cache *cache = NULL;
    _cleanup_(item_done) struct item item = {};
    _cleanup_free_ char *left = xasprintf("%s/left.1.new", stage.dir);
    _cleanup_free_ char *fresh = xasprintf("%s/fresh.2.new", stage.dir);

    buffer_add_text(&item.body, "x");
    expect_ok(file_write_atomic(left, "x", 1, 0644));
    expect_ok(file_write_atomic(fresh, "x", 1, 0644));
    age_file(left, 7200);
    expect_ok(cache_open(stage.dir, 2, &cache));
    expect_ok(cache_write(cache, &(struct cache_key){"/a", false}, &accepting, &item));
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(access(fresh, F_OK), 0);
}

/* A full or read-only disk costs the cache, not the answer. */
static void cache_that_cannot_be_written_does_not_stop_the_answer(void **state)
{
    (void)state;
    _cleanup_free_ char *path = file_of("/vcek/v1/Genoa/crl", "kept");
    _cleanup_(collateral_done) struct collateral collateral = {};

    assert_int_equal(mkdir(path, 0755), 0); /* nothing can be renamed over it */
    expect_ok(get(&collateral));
    assert_true(collateral.crl.size > 0);
    assert_non_null(strstr(collateral.crl_note, "cache"));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(poisoned_cache_only_fails_and_is_repaired),
        TEST(older_crl_on_disk_is_not_believed_while_running),
        TEST(oldest_chips_make_room_and_what_is_kept_stays),
        TEST(what_is_refused_is_neither_written_nor_read),
        TEST(unfinished_files_of_a_crash_are_cleared),
        TEST(cache_that_cannot_be_written_does_not_stop_the_answer),
    };

    return cmocka_run_group_tests(tests, start_service, stop_service);
}
