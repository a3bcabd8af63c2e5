/*
 * Real RIM files, good and bad. The files are not ours to ship: COFFER_VECTORS names their folder
 * (../shared/vectors); without it the test is skipped.
 */
#include "shared/nvidia/test_gpu.h"

#include <jansson.h>
#include <sys/stat.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/nvidia/rim.h"

static char *nvidia_dir;

static void read_file(struct buffer *ret, const char *fmt, ...) _printf_(2, 3);
static void read_file(struct buffer *ret, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *path = xvasprintf(fmt, args);
    va_end(args);
    expect_ok(file_read(path, 1024 * 1024, ret));
}

static void check_rim_file(const char *file, const json_t *expected)
{
    _cleanup_buffer_ struct buffer content = {};
    _cleanup_(rim_freep) struct rim *rim = NULL;
    bool valid = json_is_true(json_object_get(expected, "valid_ignoring_time"));
    size_t n = 0;

    read_file(&content, "%s/_rims/%s", nvidia_dir, file);
    expect_ok(rim_open(content.data, content.size, gpu_roots_nvidia.rim, &rim));
    assert_string_equal(rim->version, json_string_value(json_object_get(expected, "version")));
    assert_string_equal(rim->product, json_string_value(json_object_get(expected, "product")));
    if ((rim->problem == NULL) != valid)
        fail_msg("%s: %s", file, rim->problem ? rim->problem : "accepted");
    const json_t *active = json_object_get(expected, "active_indices");
    assert_int_equal(rim->n_active, valid ? json_array_size(active) : 0);
    for (size_t i = 0; i < json_array_size(active); i++)
        n += rim->measurements[json_integer_value(json_array_get(active, i))].active;
    assert_int_equal(n, rim->n_active);
    print_message("vector %s: %s, as its manifest says\n", file,
                  rim->problem ? rim->problem : "is NVIDIA's");
}

static void every_rim_is_as_its_manifest_says(void **state)
{
    (void)state;
    _cleanup_free_ char *path = xasprintf("%s/_rims/manifest.json", nvidia_dir);
    json_auto_t *manifest = json_load_file(path, 0, NULL);
    const char *file;
    json_t *expected;

    json_object_foreach(json_object_get(manifest, "rims"), file, expected)
        check_rim_file(file, expected);
    assert_true(json_object_size(json_object_get(manifest, "rims")) >= 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rim_is_as_its_manifest_says),
    };
    const char *root = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    struct stat st;

    nvidia_dir = xasprintf("%s/nvidia", root);
    if (stat(nvidia_dir, &st) < 0) {
        printf("skipped: no attestation vectors at '%s' (set COFFER_VECTORS)\n", root);
        free(nvidia_dir);
        return 77;
    }
    int rc = cmocka_run_group_tests_name("rim vectors", tests, NULL, NULL);
    free(nvidia_dir);
    return rc;
}
