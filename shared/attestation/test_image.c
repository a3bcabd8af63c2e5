/* image.json: sealed in a folder with a firmware of our own making, then parsed. */
#include "shared/attestation/test_firmware.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/attestation/image.h"
#include "shared/attestation/launch_layout.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/manifest/manifest.h"

static char dir[64];
static struct sign_key release_key;

static void write_file(const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    expect_ok(file_write_atomic(path, data, size, 0644));
}

static json_t *file_entry(const void *data, size_t size)
{
    uint8_t digest[32];

    sha256(data, size, digest);
    _cleanup_free_ char *text = hex_encode_new(digest, 32);
    return json_pack("{s:s, s:I}", "sha256", text, "size", (json_int_t)size);
}

static void write_unsigned(void)
{
    uint8_t firmware[4096];

    test_firmware(firmware);
    write_file("OVMF.fd", firmware, sizeof(firmware));
    write_file("vmlinuz", "kernel", 6);
    write_file("initrd.img", "initrd", 6);
    json_auto_t *root = json_pack(
        "{s:s, s:{s:o, s:o, s:o}, s:s, s:s, s:s, s:[s,s], s:i}", "version", "0.1.0", "files",
        "OVMF.fd", file_entry(firmware, sizeof(firmware)), "vmlinuz", file_entry("kernel", 6),
        "initrd.img", file_entry("initrd", 6), "verity_root_hash", "00ff", "cmdline", "quiet",
        "firmware", "OVMF.fd", "vcpu_models", "EPYC-v4", "EPYC-Genoa", "guest_features", 1);
    _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(1));
    write_file("image.json", text, strlen(text));
}

static void read_image(struct buffer *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/image.json", dir);

    expect_ok(file_read(path, IMAGE_JSON_MAX, ret));
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/coffer-image-XXXXXX");
    assert_non_null(mkdtemp(dir));
    expect_ok(sign_key_generate(&release_key));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
    return 0;
}

static void sealed_image_is_parsed(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer json = {}, again = {};
    struct image *image = NULL;
    uint8_t digests[8][LAUNCH_DIGEST_SIZE], firmware[4096], hash[2][32];
    uint8_t expected[LAUNCH_DIGEST_SIZE];

    write_unsigned();
    expect_ok(image_seal(dir, &release_key, 4));
    read_image(&json);
    expect_ok(image_parse(json.data, json.size, release_key.public, arena, &image));
    assert_string_equal(image->version, "0.1.0");
    assert_int_equal(image->n_files, 3);
    assert_int_equal(image->n_measurements, 8);
    assert_int_equal(image_find_file(image, "vmlinuz")->size, 6);
    assert_null(image_find_file(image, "root.img"));
    assert_int_equal(image_measurements_for(image, 3, "EPYC-v4", digests, 8), 1);
    test_firmware(firmware);
    sha256("kernel", 6, hash[0]);
    sha256("initrd", 6, hash[1]);
    const struct launch_input input = {
        .firmware = firmware,
        .firmware_size = sizeof(firmware),
        .kernel_sha256 = hash[0],
        .initrd_sha256 = hash[1],
        .cmdline = "quiet",
        .vcpus = 3,
        .cpu_model = "EPYC-v4",
        .guest_features = 1,
    };
    expect_ok(launch_measure(&input, expected));
    assert_memory_equal(digests[0], expected, sizeof(expected));
    assert_int_equal(image_measurements_for(image, 3, "", digests, 8), 2);
    assert_int_equal(image_measurements_for(image, 3, "", digests, 1), 1);
    assert_int_equal(image_measurements_for(image, 5, "", digests, 8), 0);
    assert_int_equal(image_measurements_for(image, 3, "Z80", digests, 8), 0);

    expect_ok(image_seal(dir, &release_key, 4)); /* sealing again gives the same bytes */
    read_image(&again);
    assert_int_equal(again.size, json.size);
    assert_memory_equal(again.data, json.data, json.size);
}

static void only_the_named_key_is_accepted(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer json = {};
    struct image *image = NULL;
    struct sign_key other;

    write_unsigned();
    read_image(&json);
    expect_code(image_parse(json.data, json.size, release_key.public, arena, &image),
                ERROR_PERMISSION_DENIED); /* not signed at all */
    buffer_done(&json);
    expect_ok(sign_key_generate(&other));
    expect_ok(image_seal(dir, &other, 1));
    read_image(&json);
    expect_code(image_parse(json.data, json.size, release_key.public, arena, &image),
                ERROR_PERMISSION_DENIED);
    expect_code(image_parse(json.data, json.size, NULL, arena, &image), ERROR_PERMISSION_DENIED);
    expect_ok(image_parse(json.data, json.size, other.public, arena, &image));
}

/* Each value of the document, changed behind the signature's back. */
static void every_changed_value_is_refused(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"0.1.0\"", "\"0.1.1\""},        {"\"quiet\"", "\"quiet init=/bin/sh\""},
        {"\"vcpus\":1", "\"vcpus\":2"},    {"\"EPYC-v4\"", "\"EPYC-v3\""},
        {"\"firmware\"", "\"firmware2\""}, {"{", "{\"new\":1,"},
        {"\"key\":\"", "\"key\":\"0"},     {"\"value\":\"", "\"value\":\"A"},
    };
    _cleanup_buffer_ struct buffer json = {};

    write_unsigned();
    expect_ok(image_seal(dir, &release_key, 2));
    read_image(&json);
    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        _cleanup_buffer_ struct buffer changed = {};
        struct image *image = NULL;
        const char *text = buffer_text(&json), *at = strstr(text, changes[i][0]);

        assert_non_null(at);
        buffer_add(&changed, text, (size_t)(at - text));
        buffer_add_text(&changed, changes[i][1]);
        buffer_add_text(&changed, at + strlen(changes[i][0]));
        expect_code(image_parse(changed.data, changed.size, release_key.public, arena, &image),
                    ERROR_PERMISSION_DENIED);
    }
}

/* Signed, but not what an image.json is. */
static void malformed_documents_are_refused(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "{}",
        "{\"version\":1}",
        "{\"version\":\"1\",\"verity_root_hash\":\"\",\"cmdline\":\"\",\"firmware\":\"f\","
        "\"files\":{},\"measurements\":[]}",
        "{\"version\":\"1\",\"verity_root_hash\":\"\",\"cmdline\":\"\",\"firmware\":\"../f\","
        "\"files\":{\"../f\":{\"sha256\":\"00\",\"size\":1}},\"measurements\":[]}",
    };

    for (size_t i = 0; i < ELEMENTSOF(documents); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        _cleanup_buffer_ struct buffer text = {};
        struct image *image = NULL;
        uint8_t signature[SIGN_SIZE];
        json_auto_t *root = json_loads(documents[i], 0, NULL);

        expect_ok(canonical_json(root, &text));
        expect_ok(sign_bytes(&release_key, text.data, text.size, signature));
        _cleanup_free_ char *key = hex_encode_new(release_key.public, 32);
        _cleanup_free_ char *value = base64_encode_new(signature, SIGN_SIZE);
        json_object_set_new(root, "signature", json_pack("{s:s, s:s}", "key", key, "value", value));
        _cleanup_free_ char *signed_text = json_dumps(root, 0);
        expect_code(
            image_parse(signed_text, strlen(signed_text), release_key.public, arena, &image),
            ERROR_INVALID_ARGUMENT);
    }
    static const char *const broken[] = {"", "[]", "{", "nul", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct image *image = NULL;

        expect_code(image_parse(broken[i], strlen(broken[i]), release_key.public, arena, &image),
                    ERROR_INVALID_ARGUMENT);
    }
}

static void changed_file_is_not_sealed(void **state)
{
    (void)state;
    write_unsigned();
    write_file("vmlinuz", "kernel!", 7);
    expect_code(image_seal(dir, &release_key, 1), ERROR_FAILED_PRECONDITION);
    write_file("vmlinuz", "kernal", 6);
    expect_code(image_seal(dir, &release_key, 1), ERROR_FAILED_PRECONDITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_image_is_parsed),
        cmocka_unit_test(only_the_named_key_is_accepted),
        cmocka_unit_test(every_changed_value_is_refused),
        cmocka_unit_test(malformed_documents_are_refused),
        cmocka_unit_test(changed_file_is_not_sealed),
    };

    return cmocka_run_group_tests_name("image", tests, set_up, tear_down);
}
