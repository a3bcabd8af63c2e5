/* Host records that are remembered: never older than what this scheduler has written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/scheduler/host_memory.h"
#include "shared/store/keys.h"

#define KEY KEY_HOST "h1"

struct scene {
    struct host_memory memory;
    struct arena *arena;
};

static struct scene scene_new(void)
{
    struct scene scene = {.arena = arena_new()};

    host_memory_init(&scene.memory);
    return scene;
}

static void scene_done(struct scene *scene)
{
    host_memory_done(&scene->memory);
    arena_free(scene->arena);
}
#define _cleanup_scene_ _cleanup_(scene_done)

static struct store_record recall(struct scene *scene, const char *key, uint64_t *ret_ticket)
{
    return host_memory_recall(&scene->memory, key, scene->arena, ret_ticket);
}

static void keep(struct scene *scene, const char *key, uint64_t version, const char *text,
                 uint64_t ticket)
{
    const struct store_record record = {
        .key = key, .version = version, .value = {.data = (uint8_t *)text, .len = strlen(text)}};

    host_memory_keep(&scene->memory, &record, ticket);
}

static void test_what_was_read_is_there(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    uint64_t ticket;

    assert_int_equal(recall(&scene, KEY, &ticket).version, 0);
    keep(&scene, KEY, 7, "seven", ticket);
    struct store_record record = recall(&scene, KEY, &ticket);
    assert_int_equal(record.version, 7);
    assert_int_equal(record.value.len, 5);
    assert_memory_equal(record.value.data, "seven", 5);
    assert_string_equal(record.key, KEY);
    keep(&scene, KEY, 8, "", ticket);
    assert_int_equal(recall(&scene, KEY, &ticket).version, 8);
    assert_int_equal(recall(&scene, KEY_HOST "h", &ticket).version, 0);
}

static void test_what_was_written_meanwhile_is_not_kept(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    uint64_t before;
    uint64_t after;

    recall(&scene, KEY, &before);
    host_memory_forget(&scene.memory, KEY); /* a commit ended between the read and its keeping */
    keep(&scene, KEY, 7, "old", before);
    assert_int_equal(recall(&scene, KEY, &after).version, 0);
    keep(&scene, KEY, 9, "new", after);
    host_memory_forget(&scene.memory, KEY);
    assert_int_equal(recall(&scene, KEY, &after).version, 0);
}

static void test_other_keys_and_absent_hosts(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    uint64_t ticket;
    uint64_t other;

    recall(&scene, KEY, &ticket);
    keep(&scene, KEY, 0, "", ticket); /* the store has no such host */
    host_memory_forget(&scene.memory, KEY_WORKLOAD "h1");
    host_memory_forget(&scene.memory, KEY_HOSTS);
    host_memory_forget(&scene.memory, KEY_HOST "unknown");
    assert_int_equal(recall(&scene, KEY, &other).version, 0);
    assert_int_equal(other, ticket);
}

static void test_many_hosts_in_any_order(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    char key[64];
    uint64_t ticket;

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), KEY_HOST "h%u", i * 7919 % 1000);
        recall(&scene, key, &ticket);
        keep(&scene, key, i + 1, key, ticket);
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), KEY_HOST "h%u", i * 7919 % 1000);
        struct store_record record = recall(&scene, key, &ticket);
        assert_int_equal(record.version, i + 1);
        assert_memory_equal(record.value.data, key, strlen(key));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_read_is_there),
        cmocka_unit_test(test_what_was_written_meanwhile_is_not_kept),
        cmocka_unit_test(test_other_keys_and_absent_hosts),
        cmocka_unit_test(test_many_hosts_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
