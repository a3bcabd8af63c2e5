#include "shared/attestation/test_attest.h"

#include <jansson.h>

#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

static json_t *vectors;

static const char *text_of(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    assert_non_null(text);
    return text;
}

/* NULL for an empty text. */
static const uint8_t *hash_of(json_t *object, const char *name, uint8_t room[32])
{
    const char *text = text_of(object, name);

    if (!text[0])
        return NULL;
    expect_ok(hex_decode(text, room, 32));
    return room;
}

static void expect_hex(const void *data, size_t size, const char *expected)
{
    _cleanup_free_ char *actual = hex_encode_new(data, size);

    assert_string_equal(actual, expected);
}

static void boot_binding_equals_the_vectors(void **state)
{
    (void)state;
    size_t i;
    json_t *v;

    json_array_foreach(json_object_get(vectors, "boot"), i, v)
    {
        uint8_t room[5][32], report_data[BINDING_SIZE], room_devices[32];
        struct binding_boot in = {
            .workload_id = text_of(v, "workload_id"),
            .boot_number = (uint64_t)json_integer_value(json_object_get(v, "boot_number")),
            .box_public = hash_of(v, "box_public", room[0]),
            .sign_public = hash_of(v, "sign_public", room[1]),
            .nonce = hash_of(v, "nonce", room[2]),
            .manifest_sha256 = hash_of(v, "manifest_sha256", room[3]),
            .devices_hash = hash_of(v, "devices_hash", room_devices),
        };

        binding_boot(&in, report_data);
        expect_hex(report_data, sizeof(report_data), text_of(v, "report_data"));
    }
    assert_int_equal(i, 3);
}

static void tls_binding_equals_the_vectors(void **state)
{
    (void)state;
    size_t i;
    json_t *v;

    json_array_foreach(json_object_get(vectors, "tls"), i, v)
    {
        uint8_t room[4][32], report_data[BINDING_SIZE];
        struct binding_tls in = {
            .nonce_root = hash_of(v, "nonce_root", room[0]),
            .spki_sha256 = hash_of(v, "spki_sha256", room[1]),
            .manifest_sha256 = hash_of(v, "manifest_sha256", room[2]),
            .devices_hash = hash_of(v, "devices_hash", room[3]),
        };

        binding_tls(&in, report_data);
        expect_hex(report_data, sizeof(report_data), text_of(v, "report_data"));
    }
    assert_int_equal(i, 2);
    v = json_array_get(json_object_get(vectors, "tls_static"), 0);
    uint8_t spki[32], report_data[BINDING_SIZE];
    binding_tls_static(hash_of(v, "spki_sha256", spki), report_data);
    expect_hex(report_data, sizeof(report_data), text_of(v, "report_data"));
}

static void devices_hash_equals_the_vectors(void **state)
{
    (void)state;
    size_t i, k;
    json_t *v, *evidence;

    json_array_foreach(json_object_get(vectors, "devices"), i, v)
    {
        uint8_t room[8][16], hash[32];
        struct binding_bytes devices[8];

        json_array_foreach(json_object_get(v, "evidence"), k, evidence)
        {
            size_t size = json_string_length(evidence) / 2;
            expect_ok(hex_decode(json_string_value(evidence), room[k], size));
            devices[k] = (struct binding_bytes){room[k], size};
        }
        const uint8_t *actual = binding_devices(devices, k, hash);
        expect_hex(hash, actual ? 32 : 0, text_of(v, "hash"));
    }
    assert_int_equal(i, 3);
}

static void gpu_nonces_equal_the_vectors(void **state)
{
    (void)state;
    size_t i;
    json_t *v;

    json_array_foreach(json_object_get(vectors, "gpu"), i, v)
    {
        uint8_t root[32], key_hash[32], nonce[32];

        binding_gpu_nonce(hash_of(v, "root", root), hash_of(v, "key_hash", key_hash),
                          (uint32_t)json_integer_value(json_object_get(v, "index")), nonce);
        expect_hex(nonce, 32, text_of(v, "nonce"));
    }
    assert_int_equal(i, 4);
    v = json_array_get(json_object_get(vectors, "guest_keys"), 0);
    uint8_t box[32], sign[32], hash[32];
    binding_guest_keys(hash_of(v, "box_public", box), hash_of(v, "sign_public", sign), hash);
    expect_hex(hash, 32, text_of(v, "hash"));
}

/* Fields cannot be shifted into each other. */
static void length_prefixes_keep_fields_apart(void **state)
{
    (void)state;
    const struct binding_bytes a[] = {{"ab", 2}, {"c", 1}}, b[] = {{"a", 1}, {"bc", 2}};
    uint8_t first[BINDING_SIZE], second[BINDING_SIZE];

    binding_compute("t", a, 2, first);
    binding_compute("t", b, 2, second);
    assert_memory_not_equal(first, second, BINDING_SIZE);
    binding_compute("u", a, 2, second);
    assert_memory_not_equal(first, second, BINDING_SIZE);
}

static void check_paths(json_t *v, const struct merkle_tree *tree, const uint8_t (*nonces)[32],
                        size_t n, const uint8_t root[32])
{
    for (size_t index = 0; index < n; index++) {
        uint8_t path[64][32], actual[32];
        json_t *expected = json_array_get(json_object_get(v, "paths"), index);
        size_t n_path = merkle_tree_path(tree, index, path);

        assert_int_equal(n_path, json_array_size(expected));
        for (size_t i = 0; i < n_path; i++)
            expect_hex(path[i], 32, json_string_value(json_array_get(expected, i)));
        const uint8_t(*in)[32] = (const uint8_t(*)[32])path;
        expect_ok(merkle_root_from_path(nonces[index], index, n, in, n_path, actual));
        assert_memory_equal(actual, root, 32);

        expect_code(merkle_root_from_path(nonces[index], index, n, in, n_path + 1, actual),
                    ERROR_INVALID_ARGUMENT);
        expect_code(merkle_root_from_path(nonces[index], n, n, in, n_path, actual),
                    ERROR_INVALID_ARGUMENT);
        if (n_path == 0)
            continue;
        expect_code(merkle_root_from_path(nonces[index], index, n, in, n_path - 1, actual),
                    ERROR_INVALID_ARGUMENT);
        path[n_path - 1][5] ^= 1;
        expect_ok(merkle_root_from_path(nonces[index], index, n, in, n_path, actual));
        assert_memory_not_equal(actual, root, 32);
    }
}

static void merkle_trees_equal_the_vectors(void **state)
{
    (void)state;
    size_t i, k;
    json_t *v, *nonce;

    json_array_foreach(json_object_get(vectors, "merkle"), i, v)
    {
        uint8_t nonces[16][32], root[32];

        json_array_foreach(json_object_get(v, "nonces"), k, nonce)
            expect_ok(hex_decode(json_string_value(nonce), nonces[k], 32));
        const uint8_t(*in)[32] = (const uint8_t(*)[32])nonces;
        _cleanup_(merkle_tree_freep) struct merkle_tree *tree = merkle_tree_new(in, k);
        merkle_tree_root(tree, root);
        expect_hex(root, 32, text_of(v, "root"));
        check_paths(v, tree, in, k, root);
    }
    assert_int_equal(i, 9);
}

static void path_of_an_empty_tree_is_refused(void **state)
{
    (void)state;
    static const uint8_t nonce[32];
    uint8_t root[32];

    expect_code(merkle_root_from_path(nonce, 0, 0, NULL, 0, root), ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boot_binding_equals_the_vectors),
        cmocka_unit_test(tls_binding_equals_the_vectors),
        cmocka_unit_test(devices_hash_equals_the_vectors),
        cmocka_unit_test(gpu_nonces_equal_the_vectors),
        cmocka_unit_test(length_prefixes_keep_fields_apart),
        cmocka_unit_test(merkle_trees_equal_the_vectors),
        cmocka_unit_test(path_of_an_empty_tree_is_refused),
    };

    vectors = json_load_file("tests/vectors/binding.json", 0, NULL);
    if (!vectors)
        return 1;
    int failed = cmocka_run_group_tests_name("binding", tests, NULL, NULL);
    json_decref(vectors);
    return failed;
}
