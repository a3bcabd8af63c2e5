#include "services/guest-agent/config_disk.h"

#include <dirent.h>
#include <fcntl.h>

#include "schemas/boot.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/base/reader.h"
#include "shared/bus/bus.h"
#include "shared/seal/seal.h"

enum {
    HEADER_SIZE = 16,
    VERSION = 1,
    LEAF_URL_MAX = 256,
    CREDENTIALS_MAX = 16 * 1024,
    FILES_TOTAL_MAX = 16 * 1024 * 1024,
};
#define TIME_MAX_MS 253402300799000 /* the end of the year 9999 */

static const char magic[8] = {'C', 'O', 'F', 'F', 'E', 'R', 'C', 'D'};

static bool serial_matches(const char *sys, const char *device)
{
    _cleanup_free_ char *path = xasprintf("%s/block/%s/serial", sys, device);
    _cleanup_free_ char *serial = NULL;

    struct error *err = file_read_text(path, 256, &serial);
    if (err) {
        error_free(err);
        return false;
    }
    return strcmp(serial, CONFIG_DISK_SERIAL) == 0;
}

struct error *config_disk_find(const char *sys, char **ret_path)
{
    _cleanup_free_ char *folder = xasprintf("%s/block", sys);
    DIR *dir = opendir(folder);

    if (!dir)
        return error_errno(errno, "open '%s'", folder);
    char *found = NULL;
    for (const struct dirent *entry = readdir(dir); entry && !found; entry = readdir(dir)) {
        if (entry->d_name[0] != '.' && serial_matches(sys, entry->d_name))
            found = xasprintf("/dev/%s", entry->d_name);
    }
    closedir(dir);
    if (!found)
        return error_new(ERROR_NOT_FOUND, "no disk with serial '%s'", CONFIG_DISK_SERIAL);
    *ret_path = found;
    return NULL;
}

static struct error *read_exactly(int fd, const char *path, size_t size, struct buffer *ret_copy)
{
    uint8_t block[64 * 1024];

    while (size) {
        ssize_t n = read(fd, block, size < sizeof(block) ? size : sizeof(block));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(errno, "read '%s'", path);
        if (n == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "'%s' ends too early", path);
        buffer_add(ret_copy, block, (size_t)n);
        size -= (size_t)n;
    }
    return NULL;
}

/* Length of the message behind the header; the caller has HEADER_SIZE bytes. */
static struct error *parse_header(const void *data, size_t size, uint32_t *ret_length)
{
    struct reader reader;
    char start[sizeof(magic)];

    reader_init(&reader, data, size);
    reader_bytes(&reader, start, sizeof(start));
    uint32_t version = reader_u32be(&reader);
    uint32_t length = reader_u32be(&reader);
    if (reader.failed || memcmp(start, magic, sizeof(magic)) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "not a config disk");
    if (version != VERSION)
        return error_new(ERROR_INVALID_ARGUMENT, "config disk version %u is not known", version);
    if (length > CONFIG_DISK_MAX - HEADER_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "config disk of %u bytes is too large", length);
    *ret_length = length;
    return NULL;
}

struct error *config_disk_read(const char *path, struct buffer *ret_copy)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_buffer_ struct buffer copy = {0};
    uint32_t length = 0;

    if (fd < 0)
        return error_errno(errno, "open '%s'", path);
    struct error *err = read_exactly(fd, path, HEADER_SIZE, &copy);
    if (!err)
        err = parse_header(copy.data, copy.size, &length);
    if (!err)
        err = read_exactly(fd, path, length, &copy);
    if (err)
        return err;
    buffer_add(ret_copy, copy.data, copy.size);
    return NULL;
}

static bool part_is_valid(const char *part, size_t length)
{
    if (length == 0 || (length == 1 && part[0] == '.'))
        return false;
    return !(length == 2 && part[0] == '.' && part[1] == '.');
}

bool config_path_is_valid(const char *path)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    size_t length = strlen(path);

    if (length == 0 || length > 255 || strspn(path, allowed) != length)
        return false;
    for (const char *part = path;;) {
        size_t n = strcspn(part, "/");
        if (!part_is_valid(part, n))
            return false;
        if (part[n] == '\0')
            return true;
        part += n + 1;
    }
}

static struct error *take_hints(const Coffer__V1__ConfigHints *hints, struct guest_config *config)
{
    if (!hints)
        return error_new(ERROR_INVALID_ARGUMENT, "config disk has no hints");
    if (!name_is_valid(hints->workload_id))
        return error_new(ERROR_INVALID_ARGUMENT, "workload id on the config disk is not a name");
    if (!name_is_valid(hints->host_id))
        return error_new(ERROR_INVALID_ARGUMENT, "host id on the config disk is not a name");
    if (strlen(hints->leaf_url) > LEAF_URL_MAX || strlen(hints->leaf_credentials) > CREDENTIALS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "leaf hints on the config disk are too long");
    config->workload_id = hints->workload_id;
    config->host_id = hints->host_id;
    config->leaf_url = hints->leaf_url;
    config->leaf_credentials = hints->leaf_credentials;
    config->generation = hints->generation;
    if (hints->collateral.len > TEE_CERTIFICATES_MAX || hints->collateral_at_ms < 0 ||
        hints->collateral_at_ms > TIME_MAX_MS)
        return error_new(ERROR_INVALID_ARGUMENT, "collateral on the config disk is not in bounds");
    config->collateral = (struct buffer){hints->collateral.data, hints->collateral.len, 0};
    config->collateral_at_ms = hints->collateral_at_ms;
    return NULL;
}

static struct error *take_files(const Coffer__V1__ConfigDisk *disk, struct arena *arena,
                                struct guest_config *config)
{
    size_t total = 0;

    if (disk->n_files > MANIFEST_FILES_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "config disk has %zu files, at most %d allowed",
                         disk->n_files, MANIFEST_FILES_MAX);
    config->files = arena_alloc(arena, (disk->n_files + 1) * sizeof(config->files[0]));
    for (size_t i = 0; i < disk->n_files; i++) {
        const Coffer__V1__File *file = disk->files[i];
        if (!config_path_is_valid(file->path))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "file number %zu has a path that is not allowed", i);
        total += file->content.len;
        config->files[config->n_files++] = (struct config_file){
            .path = file->path, .data = file->content.data, .size = file->content.len};
    }
    if (total > FILES_TOTAL_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "files of %zu bytes are too large", total);
    return NULL;
}

struct error *config_disk_parse(const void *data, size_t size, struct arena *arena,
                                struct guest_config **ret_config)
{
    uint32_t length = 0;
    void *message;

    if (size < HEADER_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "not a config disk");
    struct error *err = parse_header(data, size, &length);
    if (err)
        return err;
    if (length > size - HEADER_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "config disk ends too early");
    err = bus_unpack(&coffer__v1__config_disk__descriptor, (const uint8_t *)data + HEADER_SIZE,
                     length, arena, &message);
    if (err)
        return error_wrap(err, "config disk");
    const Coffer__V1__ConfigDisk *disk = message;
    struct guest_config *config = arena_alloc(arena, sizeof(*config));
    config->manifest_json = disk->manifest.data;
    config->manifest_size = disk->manifest.len;
    config->compose = disk->compose.data;
    config->compose_size = disk->compose.len;
    err = take_hints(disk->hints, config);
    if (!err)
        err = take_files(disk, arena, config);
    if (!err)
        *ret_config = config;
    return err;
}

static const struct manifest_hash *find_hash(const struct manifest *manifest, const char *path)
{
    for (size_t i = 0; i < manifest->n_files; i++) {
        if (strcmp(manifest->files[i].name, path) == 0)
            return &manifest->files[i];
    }
    return NULL;
}

static size_t count_path(const struct guest_config *config, const char *path)
{
    size_t n = 0;

    for (size_t i = 0; i < config->n_files; i++)
        n += strcmp(config->files[i].path, path) == 0;
    return n;
}

static struct error *check_hash(const char *what, const void *data, size_t size,
                                const uint8_t expected[32])
{
    uint8_t actual[32];
    char want[65];
    char got[65];

    sha256(data, size, actual);
    if (CRYPTO_memcmp(actual, expected, sizeof(actual)) == 0)
        return NULL;
    hex_encode(expected, 32, want);
    hex_encode(actual, 32, got);
    return error_new(ERROR_PERMISSION_DENIED, "sha-256 of %s is %s, the manifest says %s", what,
                     got, want);
}

static struct error *check_files(const struct guest_config *config)
{
    const struct manifest *manifest = config->manifest;

    for (size_t i = 0; i < config->n_files; i++) {
        const struct config_file *file = &config->files[i];
        const struct manifest_hash *hash = find_hash(manifest, file->path);
        _cleanup_free_ char *what = xasprintf("file '%s'", file->path);
        if (!hash || count_path(config, file->path) != 1)
            return error_new(ERROR_PERMISSION_DENIED, "%s is not in the manifest, or there twice",
                             what);
        struct error *err = check_hash(what, file->data, file->size, hash->sha256);
        if (err)
            return err;
    }
    for (size_t i = 0; i < manifest->n_files; i++) {
        if (count_path(config, manifest->files[i].name) == 0)
            return error_new(ERROR_PERMISSION_DENIED, "file '%s' of the manifest is missing",
                             manifest->files[i].name);
    }
    return NULL;
}

struct error *config_check_hashes(struct guest_config *config, struct arena *arena,
                                  const char **ret_code)
{
    struct manifest *manifest;

    *ret_code = "manifest_invalid";
    if (config->manifest_size > MANIFEST_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "manifest of %zu bytes is too large",
                         config->manifest_size);
    struct error *err =
        manifest_parse(config->manifest_json, config->manifest_size, arena, &manifest);
    if (err)
        return error_wrap(err, "manifest");
    manifest_hash(config->manifest_json, config->manifest_size, config->manifest_sha256);
    config->manifest = manifest;
    *ret_code = "config_hash_mismatch";
    err = check_hash("the compose file", config->compose, config->compose_size,
                     manifest->compose_sha256);
    return err ? err : check_files(config);
}

/* SEV-SNP firmware ABI, ATTESTATION_REPORT: REPORT_DATA at 50h, HOST_DATA at C0h. */
static void read_report(const uint8_t report[TEE_REPORT_SIZE], uint8_t ret_report_data[64],
                        uint8_t ret_host_data[32])
{
    struct reader reader;

    reader_init(&reader, report, TEE_REPORT_SIZE);
    reader_skip(&reader, 0x50);
    reader_bytes(&reader, ret_report_data, 64);
    reader_skip(&reader, 0xc0 - 0x90);
    reader_bytes(&reader, ret_host_data, 32);
}

struct error *config_check_host_data(const struct guest_config *config, struct tee *tee,
                                     const char **ret_code)
{
    uint8_t asked[TEE_REPORT_DATA_SIZE] = {0};
    uint8_t report_data[64];
    uint8_t host_data[32];
    struct tee_evidence evidence = {0};

    /* Ties the answer to this question: an old report has other bytes here. */
    memcpy(asked, config->manifest_sha256, 32);
    *ret_code = "report_failed";
    if (!tee)
        return error_new(ERROR_NOT_FOUND, "this guest has no security processor");
    struct error *err = tee_get_report(tee, asked, &evidence);
    if (err)
        return error_wrap(err, "get a report of our own");
    read_report(evidence.report, report_data, host_data);
    tee_evidence_done(&evidence);
    *ret_code = "host_data_mismatch";
    if (memcmp(report_data, asked, sizeof(asked)) != 0)
        return error_new(ERROR_PERMISSION_DENIED, "report answers another question");
    if (CRYPTO_memcmp(host_data, config->manifest_sha256, 32) != 0) {
        char want[65];
        char got[65];
        hex_encode(config->manifest_sha256, 32, want);
        hex_encode(host_data, 32, got);
        return error_new(ERROR_PERMISSION_DENIED,
                         "sha-256 of the manifest is %s, HOST_DATA of the report is %s", want, got);
    }
    return NULL;
}
