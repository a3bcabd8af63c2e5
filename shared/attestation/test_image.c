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

static char *sign_text(json_t *root)
{
    _cleanup_buffer_ struct buffer text = {};
    uint8_t signature[SIGN_SIZE];

    expect_ok(canonical_json(root, &text));
    expect_ok(sign_bytes(&release_key, text.data, text.size, signature));
    _cleanup_free_ char *key = hex_encode_new(release_key.public, 32);
    _cleanup_free_ char *value = base64_encode_new(signature, SIGN_SIZE);
    json_object_set_new(root, "signature", json_pack("{s:s, s:s}", "key", key, "value", value));
    return json_dumps(root, 0);
}

#define DIGEST32 "0101010101010101010101010101010101010101010101010101010101010101"
#define DIGEST48 DIGEST32 "01010101010101010101010101010101"
#define FILE_OF  "{\"sha256\":\"" DIGEST32 "\",\"size\":1}"
#define MEASURED                                                                                   \
    "{\"vcpus\":1,\"cpu_model\":\"EPYC\",\"guest_features\":1,\"digest\":\"" DIGEST48 "\"}"
#define NAME_127                                                                                   \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                             \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char whole[] = "{\"version\":\"1\",\"verity_root_hash\":\"00\",\"cmdline\":\"\","
                            "\"firmware\":\"f\",\"files\":{\"f\":" FILE_OF "},"
                            "\"measurements\":[" MEASURED "]}";

/* Signed, and with this member put in place of its own. */
static struct error *parse_with(const char *member, struct arena *arena)
{
    struct image *image = NULL;
    json_auto_t *root = json_loads(whole, 0, NULL), *other = json_loads(member, 0, NULL);

    assert_non_null(root);
    if (!other)
        fail_msg("not JSON: %s", member);
    assert_int_equal(json_object_update(root, other), 0);
    _cleanup_free_ char *text = sign_text(root);
    return image_parse(text, strlen(text), release_key.public, arena, &image);
}

static const char *const good_members[] = {
    "{}",
    "{\"files\":{\"f\":" FILE_OF ",\"" NAME_127 "\":" FILE_OF "}}",
    "{\"measurements\":[" MEASURED "," MEASURED "]}",
    "{\"cmdline\":\"a b\"}",
};

static const char *const bad_members[] = {
    "{\"version\":1}",
    "{\"version\":null}",
    "{\"verity_root_hash\":1}",
    "{\"cmdline\":[]}",
    "{\"firmware\":null}",
    "{\"firmware\":\"g\"}",
    "{\"files\":[]}",
    "{\"files\":null}",
    "{\"files\":{}}",
    "{\"files\":{\"f\":1}}",
    "{\"files\":{\"f\":{\"size\":1}}}",
    "{\"files\":{\"f\":{\"sha256\":\"00\",\"size\":1}}}",
    "{\"files\":{\"f\":{\"sha256\":1,\"size\":1}}}",
    "{\"files\":{\"f\":{\"sha256\":\"" DIGEST32 "\"}}}",
    "{\"files\":{\"f\":{\"sha256\":\"" DIGEST32 "\",\"size\":-1}}}",
    "{\"files\":{\"f\":{\"sha256\":\"" DIGEST32 "\",\"size\":\"1\"}}}",
    "{\"files\":{\"f\":" FILE_OF ",\"\":" FILE_OF "}}",
    "{\"files\":{\"f\":" FILE_OF ",\".g\":" FILE_OF "}}",
    "{\"files\":{\"f\":" FILE_OF ",\"a/b\":" FILE_OF "}}",
    "{\"files\":{\"f\":" FILE_OF ",\"" NAME_127 "a\":" FILE_OF "}}",
    "{\"files\":{\"a\":1,\"f\":" FILE_OF "}}", /* the bad one is not the last */
    "{\"measurements\":{}}",
    "{\"measurements\":[]}",
    "{\"measurements\":[1]}",
    "{\"measurements\":[{\"cpu_model\":\"EPYC\",\"guest_features\":1,\"digest\":\"" DIGEST48
    "\"}]}",
    "{\"measurements\":[{\"vcpus\":513,\"cpu_model\":\"EPYC\",\"guest_features\":1,\"digest\":"
    "\"" DIGEST48 "\"}]}",
    "{\"measurements\":[{\"vcpus\":1,\"guest_features\":1,\"digest\":\"" DIGEST48 "\"}]}",
    "{\"measurements\":[{\"vcpus\":1,\"cpu_model\":\"EPYC\",\"guest_features\":-1,\"digest\":"
    "\"" DIGEST48 "\"}]}",
    "{\"measurements\":[{\"vcpus\":1,\"cpu_model\":\"EPYC\",\"guest_features\":1}]}",
    "{\"measurements\":[{\"vcpus\":1,\"cpu_model\":\"EPYC\",\"guest_features\":1,\"digest\":"
    "\"" DIGEST32 "\"}]}",
    "{\"measurements\":[1," MEASURED "]}",
};

/* Signed, but not what an image.json is. */
static void malformed_documents_are_refused(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *documents = arena_new();

    for (size_t i = 0; i < ELEMENTSOF(good_members); i++)
        expect_ok(parse_with(good_members[i], documents));
    for (size_t i = 0; i < ELEMENTSOF(bad_members); i++) {
        struct error *err = parse_with(bad_members[i], documents);

        if (!err)
            fail_msg("accepted: %s", bad_members[i]);
        expect_code(err, ERROR_INVALID_ARGUMENT);
    }
    static const char *const broken[] = {"", "[]", "{", "nul", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct image *image = NULL;

        expect_code(image_parse(broken[i], strlen(broken[i]), release_key.public, arena, &image),
                    ERROR_INVALID_ARGUMENT);
    }
}

/* As many as there may be, and one more. */
static void lists_and_texts_have_limits(void **state)
{
    (void)state;
    static const struct {
        const char *before, *item, *after;
        size_t most;
    } rows[] = {
        {"{\"cmdline\":\"", "a", "\"}", 4096},
        {"{\"measurements\":[" MEASURED, "," MEASURED, "]}", 4095},
    };
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        for (size_t more = 0; more < 2; more++) {
            _cleanup_buffer_ struct buffer text = {};

            buffer_add_text(&text, rows[i].before);
            for (size_t n = 0; n < rows[i].most + more; n++)
                buffer_add_text(&text, rows[i].item);
            buffer_add_text(&text, rows[i].after);
            expect_code(parse_with(buffer_text(&text), arena),
                        more ? ERROR_INVALID_ARGUMENT : ERROR_OK);
        }
    }
    for (size_t n = 16; n <= 17; n++) {
        _cleanup_buffer_ struct buffer text = {};

        buffer_add_text(&text, "{\"files\":{\"f\":" FILE_OF);
        for (size_t k = 1; k < n; k++)
            buffer_printf(&text, ",\"f%zu\":" FILE_OF, k);
        buffer_add_text(&text, "}}");
        expect_code(parse_with(buffer_text(&text), arena),
                    n > 16 ? ERROR_INVALID_ARGUMENT : ERROR_OK);
    }
}

static void large_documents_are_not_read(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer text = {};
    struct image *image = NULL;
    json_auto_t *root = json_loads(whole, 0, NULL);
    _cleanup_free_ char *good = sign_text(root);

    buffer_add_text(&text, good);
    while (text.size < IMAGE_JSON_MAX)
        buffer_add_u8(&text, '\n');
    expect_ok(image_parse(text.data, text.size, release_key.public, arena, &image));
    buffer_add_u8(&text, '\n');
    expect_code(image_parse(text.data, text.size, release_key.public, arena, &image),
                ERROR_INVALID_ARGUMENT);
}

/* What the recipe must give for an image to be sealed: with this member in place of its own. */
static void incomplete_recipes_are_not_sealed(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        enum error_code code;
    } rows[] = {
        {"{\"cmdline\":null}", ERROR_INVALID_ARGUMENT},
        {"{\"guest_features\":\"1\"}", ERROR_INVALID_ARGUMENT},
        {"{\"vcpu_models\":[]}", ERROR_INVALID_ARGUMENT},
        {"{\"vcpu_models\":[\"Z80\",\"EPYC-v4\"]}", ERROR_INVALID_ARGUMENT},
        {"{\"vcpu_models\":[1,\"EPYC-v4\"]}", ERROR_INVALID_ARGUMENT},
        {"{\"firmware\":null}", ERROR_INVALID_ARGUMENT},
        {"{\"firmware\":\"image.json\"}", ERROR_INVALID_ARGUMENT}, /* there, but not listed */
        {"{\"firmware\":\"vmlinuz\"}", ERROR_INVALID_ARGUMENT},    /* listed, but no firmware */
        {"{\"files\":{}}", ERROR_INVALID_ARGUMENT},
        {"{\"files\":{\"missing\":" FILE_OF "}}", ERROR_NOT_FOUND},
        {"{\"files\":{\"../x\":" FILE_OF "}}", ERROR_INVALID_ARGUMENT},
        {"{\"files\":{\"vmlinuz\":{\"size\":6}}}", ERROR_INVALID_ARGUMENT},
        {"{\"files\":{\"vmlinuz\":{\"sha256\":\"00\",\"size\":6}}}", ERROR_INVALID_ARGUMENT},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer bytes = {};

        write_unsigned();
        read_image(&bytes);
        json_auto_t *root = json_loadb(buffer_text(&bytes), bytes.size, 0, NULL);
        json_auto_t *other = json_loads(rows[i].member, 0, NULL);
        assert_int_equal(json_object_update(root, other), 0);
        _cleanup_free_ char *text = json_dumps(root, 0);
        write_file("image.json", text, strlen(text));
        struct error *err = image_seal(dir, &release_key, 1);
        if (!err)
            fail_msg("sealed: %s", rows[i].member);
        expect_code(err, rows[i].code);
    }
    write_file("image.json", "[]", 2);
    expect_code(image_seal(dir, &release_key, 1), ERROR_INVALID_ARGUMENT);
}

/* A file whose size alone is another; each boot file by itself; whole pages of firmware. */
static void listed_files_are_the_ones_in_the_folder(void **state)
{
    (void)state;
    static const char *const taken_out[] = {"vmlinuz", "initrd.img"};
    uint8_t firmware[4097] = {};

    for (size_t i = 0; i < ELEMENTSOF(taken_out) + 2; i++) {
        _cleanup_buffer_ struct buffer bytes = {};

        write_unsigned();
        read_image(&bytes);
        json_auto_t *root = json_loadb(buffer_text(&bytes), bytes.size, 0, NULL);
        json_t *files = json_object_get(root, "files");
        if (i < ELEMENTSOF(taken_out)) {
            json_object_del(files, taken_out[i]);
        } else if (i == ELEMENTSOF(taken_out)) {
            json_object_set_new(json_object_get(files, "vmlinuz"), "size", json_integer(7));
        } else {
            test_firmware(firmware);
            write_file("OVMF.fd", firmware, sizeof(firmware));
            json_object_set_new(files, "OVMF.fd", file_entry(firmware, sizeof(firmware)));
        }
        _cleanup_free_ char *text = json_dumps(root, 0);
        write_file("image.json", text, strlen(text));
        expect_code(image_seal(dir, &release_key, 1), i == ELEMENTSOF(taken_out)
                                                          ? ERROR_FAILED_PRECONDITION
                                                          : ERROR_INVALID_ARGUMENT);
    }
}

static void a_size_that_is_not_said_is_the_largest(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer json = {};
    struct image *image = NULL;

    write_unsigned();
    expect_ok(image_seal(dir, &release_key, 0));
    read_image(&json);
    expect_ok(image_parse(json.data, json.size, release_key.public, arena, &image));
    assert_int_equal(image->n_measurements, 2 * 512);
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
        cmocka_unit_test(lists_and_texts_have_limits),
        cmocka_unit_test(large_documents_are_not_read),
        cmocka_unit_test(incomplete_recipes_are_not_sealed),
        cmocka_unit_test(listed_files_are_the_ones_in_the_folder),
        cmocka_unit_test(a_size_that_is_not_said_is_the_largest),
        cmocka_unit_test(changed_file_is_not_sealed),
    };

    return cmocka_run_group_tests_name("image", tests, set_up, tear_down);
}
