/* What is written must be what schemas/boot.proto documents: read back here byte by byte. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/boot.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "services/host-agent/config_disk.h"
#include "shared/base/alloc.h"
#include "shared/base/reader.h"

static struct config_disk sample(void)
{
    return (struct config_disk){.manifest = "{\"m\":1}",
                                .manifest_size = 7,
                                .compose = "services: {}\n",
                                .compose_size = 13,
                                .workload_id = "w1",
                                .host_id = "h1",
                                .leaf_url = "nats://192.168.7.1:4222",
                                .leaf_credentials = "CREDS",
                                .generation = 9,
                                .collateral = "TABLE",
                                .collateral_size = 5,
                                .collateral_at_ms = 1795412423000};
}

static Coffer__V1__ConfigDisk *parse(const struct buffer *disk)
{
    struct reader reader;
    uint8_t magic[8];

    reader_init(&reader, disk->data, disk->size);
    reader_bytes(&reader, magic, 8);
    assert_memory_equal(magic, "COFFERCD", 8);
    assert_int_equal(reader_u32be(&reader), 1);
    uint32_t size = reader_u32be(&reader);
    const uint8_t *body = reader_view(&reader, size);
    assert_non_null(body);
    assert_int_equal(disk->size % 4096, 0);
    while (reader_left(&reader))
        assert_int_equal(reader_u8(&reader), 0);
    Coffer__V1__ConfigDisk *message = coffer__v1__config_disk__unpack(NULL, size, body);
    assert_non_null(message);
    return message;
}

static void test_round_trip(_unused_ void **state)
{
    struct config_disk content = sample();
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;
    Coffer__V1__File file = COFFER__V1__FILE__INIT;
    Coffer__V1__File *files[] = {&file};
    _cleanup_buffer_ struct buffer disk = {0};
    uint8_t packed[128];

    file.path = (char *)"conf/a.txt";
    file.content = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)"abc"};
    input.files = files;
    input.n_files = 1;
    content.files = packed;
    content.files_size = coffer__v1__workload_input__pack(&input, packed);
    assert_null(config_disk_build(&content, &disk));

    Coffer__V1__ConfigDisk *message = parse(&disk);
    assert_int_equal(message->manifest.len, 7);
    assert_memory_equal(message->compose.data, "services: {}\n", 13);
    assert_int_equal(message->n_files, 1);
    assert_string_equal(message->files[0]->path, "conf/a.txt");
    assert_memory_equal(message->files[0]->content.data, "abc", 3);
    assert_string_equal(message->hints->workload_id, "w1");
    assert_string_equal(message->hints->host_id, "h1");
    assert_string_equal(message->hints->leaf_url, "nats://192.168.7.1:4222");
    assert_string_equal(message->hints->leaf_credentials, "CREDS");
    assert_int_equal(message->hints->generation, 9);
    assert_int_equal(message->hints->collateral.len, 5);
    assert_memory_equal(message->hints->collateral.data, "TABLE", 5);
    assert_int_equal(message->hints->collateral_at_ms, 1795412423000);
    coffer__v1__config_disk__free_unpacked(message, NULL);
}

static void test_only_files_are_taken_over(_unused_ void **state)
{
    struct config_disk content = sample();
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;
    _cleanup_buffer_ struct buffer disk = {0};
    uint8_t packed[64];

    input.manifest = (ProtobufCBinaryData){.len = 5, .data = (uint8_t *)"wrong"};
    content.files = packed;
    content.files_size = coffer__v1__workload_input__pack(&input, packed);
    assert_null(config_disk_build(&content, &disk));
    Coffer__V1__ConfigDisk *message = parse(&disk);
    assert_memory_equal(message->manifest.data, "{\"m\":1}", 7);
    coffer__v1__config_disk__free_unpacked(message, NULL);
}

static void expect_refused(const struct config_disk *content, enum error_code code)
{
    _cleanup_buffer_ struct buffer disk = {0};
    struct error *err = config_disk_build(content, &disk);

    assert_int_equal(error_get_code(err), code);
    assert_int_equal(disk.size, 0);
    error_free(err);
}

static void test_bad_content_is_refused(_unused_ void **state)
{
    struct config_disk content = sample();

    content.files = "\xff\xff\xff";
    content.files_size = 3;
    expect_refused(&content, ERROR_INVALID_ARGUMENT);
    content.files_size = 0;
    uint8_t *big = xcalloc(1, CONFIG_DISK_MAX);
    content.compose = big;
    content.compose_size = CONFIG_DISK_MAX;
    expect_refused(&content, ERROR_RESOURCE_EXHAUSTED);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_only_files_are_taken_over),
        cmocka_unit_test(test_bad_content_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
