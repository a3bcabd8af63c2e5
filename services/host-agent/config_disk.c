#include "services/host-agent/config_disk.h"

#include "schemas/boot.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/arena.h"
#include "shared/bus/bus.h"

#define MAGIC     "COFFERCD"
#define VERSION   1
#define BLOCK     4096
#define FILES_MAX 256

static ProtobufCBinaryData bytes(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)data, .len = size};
}

/* WorkloadInput and ConfigDisk both carry files as field 3; only that field is taken over. */
static struct error *unpack_files(const struct config_disk *content, struct arena *arena,
                                  Coffer__V1__ConfigDisk *disk)
{
    void *message = NULL;

    if (!content->files_size)
        return NULL;
    struct error *err = bus_unpack(&coffer__v1__workload_input__descriptor, content->files,
                                   content->files_size, arena, &message);
    if (err)
        return error_wrap(err, "files of '%s'", content->workload_id);
    const Coffer__V1__WorkloadInput *input = message;
    if (input->n_files > FILES_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d files", FILES_MAX);
    disk->n_files = input->n_files;
    disk->files = input->files;
    return NULL;
}

static struct error *frame(const Coffer__V1__ConfigDisk *disk, struct buffer *ret_disk)
{
    size_t size = coffer__v1__config_disk__get_packed_size(disk);
    struct buffer frame_bytes = {0};

    if (size > CONFIG_DISK_MAX - 16)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the config disk would be larger than %d bytes",
                         CONFIG_DISK_MAX);
    buffer_add(&frame_bytes, MAGIC, 8);
    buffer_add_u32be(&frame_bytes, VERSION);
    buffer_add_u32be(&frame_bytes, (uint32_t)size);
    size_t total = (16 + size + BLOCK - 1) / BLOCK * BLOCK;
    uint8_t *packed = xcalloc(1, total - 16);
    coffer__v1__config_disk__pack(disk, packed);
    buffer_add(&frame_bytes, packed, total - 16);
    OPENSSL_cleanse(packed, total - 16);
    free(packed);
    buffer_add(ret_disk, frame_bytes.data, frame_bytes.size);
    buffer_done(&frame_bytes);
    return NULL;
}

struct error *config_disk_build(const struct config_disk *content, struct buffer *ret_disk)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__ConfigDisk disk = COFFER__V1__CONFIG_DISK__INIT;
    Coffer__V1__ConfigHints hints = COFFER__V1__CONFIG_HINTS__INIT;

    disk.manifest = bytes(content->manifest, content->manifest_size);
    disk.compose = bytes(content->compose, content->compose_size);
    hints.workload_id = (char *)content->workload_id;
    hints.host_id = (char *)content->host_id;
    hints.leaf_url = (char *)content->leaf_url;
    hints.leaf_credentials = (char *)content->leaf_credentials;
    hints.generation = content->generation;
    hints.collateral = bytes(content->collateral, content->collateral_size);
    hints.collateral_at_ms = content->collateral_at_ms;
    disk.hints = &hints;
    struct error *err = unpack_files(content, arena, &disk);
    return err ? err : frame(&disk, ret_disk);
}
