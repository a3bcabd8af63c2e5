/* The release step: an image recipe's description becomes a signed image.json. */
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/attestation/image.h"
#include "shared/attestation/launch_layout.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/manifest/manifest.h"
#include "shared/manifest/signed_document.h"

#define FIRMWARE_MAX  (16 * 1024 * 1024)
#define KERNEL_NAME   "vmlinuz"
#define INITRD_NAME   "initrd.img"
#define DEFAULT_VCPUS 512
#define READ_SIZE     (256 * 1024)

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

static struct error *hash_fd(int fd, const char *path, uint8_t ret_sha256[32])
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    _cleanup_free_ uint8_t *block = xcalloc(1, READ_SIZE);

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        return error_openssl("sha-256");
    for (;;) {
        ssize_t n = read(fd, block, READ_SIZE);
        if (n < 0)
            return error_errno(errno, "read '%s'", path);
        if (n == 0)
            break;
        if (EVP_DigestUpdate(ctx, block, (size_t)n) != 1)
            return error_openssl("sha-256");
    }
    return EVP_DigestFinal_ex(ctx, ret_sha256, NULL) == 1 ? NULL : error_openssl("sha-256");
}

/* Is the file in the folder the one that the description names? */
static struct error *check_file(const char *dir, const char *name, const json_t *value,
                                uint8_t ret_sha256[32])
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    const char *text = json_string_value(json_object_get(value, "sha256"));
    uint8_t expected[32];
    struct stat st;

    if (strchr(name, '/') || !text)
        return error_new(ERROR_INVALID_ARGUMENT, "file '%s' has no valid name or sha256", name);
    struct error *err = hex_decode(text, expected, sizeof(expected));
    if (err)
        return err;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(errno, "open '%s'", path);
    err = hash_fd(fd, path, ret_sha256);
    if (err)
        return err;
    if (memcmp(expected, ret_sha256, sizeof(expected)) != 0 ||
        json_integer_value(json_object_get(value, "size")) != st.st_size)
        return error_new(ERROR_FAILED_PRECONDITION, "'%s' is not the file of image.json", path);
    return NULL;
}

struct boot_hashes {
    uint8_t kernel[32];
    uint8_t initrd[32];
    bool have_kernel;
    bool have_initrd;
};

static struct error *check_files(const char *dir, json_t *root, struct boot_hashes *hashes)
{
    json_t *files = json_object_get(root, "files"), *value;
    uint8_t digest[32];
    const char *name;

    json_object_foreach(files, name, value)
    {
        struct error *err = check_file(dir, name, value, digest);
        if (err)
            return err;
        if (strcmp(name, KERNEL_NAME) == 0) {
            memcpy(hashes->kernel, digest, sizeof(digest));
            hashes->have_kernel = true;
        } else if (strcmp(name, INITRD_NAME) == 0) {
            memcpy(hashes->initrd, digest, sizeof(digest));
            hashes->have_initrd = true;
        }
    }
    if (!hashes->have_kernel || !hashes->have_initrd)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "image.json names no " KERNEL_NAME " or no " INITRD_NAME);
    return NULL;
}

/* The firmware's part of the measurement is the same for all: computed once. */
struct firmware {
    struct launch_layout layout;
    uint8_t digest[LAUNCH_DIGEST_SIZE];
};

static struct error *load_firmware(const char *dir, const json_t *root,
                                   struct firmware *ret_firmware)
{
    const char *name = json_string_value(json_object_get(root, "firmware"));
    _cleanup_buffer_ struct buffer bytes = {};

    if (!name || !json_object_get(json_object_get(root, "files"), name))
        return error_new(ERROR_INVALID_ARGUMENT, "'firmware' is not one of 'files'");
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    struct error *err = file_read(path, FIRMWARE_MAX, &bytes);
    if (err)
        return err;
    if (bytes.size % LAUNCH_PAGE_SIZE != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware of %zu bytes", bytes.size);
    err = launch_layout_parse(bytes.data, bytes.size, &ret_firmware->layout);
    if (!err)
        launch_measure_firmware(bytes.data, bytes.size, ret_firmware->digest);
    return err;
}

static struct error *add_measurement(json_t *list, const struct firmware *firmware,
                                     const struct launch_input *input)
{
    uint8_t digest[LAUNCH_DIGEST_SIZE];

    memcpy(digest, firmware->digest, sizeof(digest));
    struct error *err = launch_measure_rest(&firmware->layout, input, digest);
    if (err)
        return err;
    _cleanup_free_ char *text = hex_encode_new(digest, sizeof(digest));
    json_array_append_new(list, json_pack("{s:I, s:s, s:I, s:s}", "vcpus", (json_int_t)input->vcpus,
                                          "cpu_model", input->cpu_model, "guest_features",
                                          (json_int_t)input->guest_features, "digest", text));
    return NULL;
}

static struct error *add_measurements(const char *dir, json_t *root,
                                      const struct boot_hashes *hashes, uint32_t max_vcpus)
{
    const json_t *models = json_object_get(root, "vcpu_models");
    const json_t *features = json_object_get(root, "guest_features");
    const char *cmdline = json_string_value(json_object_get(root, "cmdline"));
    struct firmware firmware;

    if (!cmdline || !json_is_integer(features) || json_array_size(models) == 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "'cmdline', 'guest_features' or 'vcpu_models' is missing");
    struct error *err = load_firmware(dir, root, &firmware);
    json_t *list = json_array();
    for (size_t i = 0; !err && i < json_array_size(models); i++) {
        const char *model = json_string_value(json_array_get(models, i));
        struct launch_input input = {
            .kernel_sha256 = hashes->kernel,
            .initrd_sha256 = hashes->initrd,
            .cmdline = cmdline,
            .cpu_model = model ? model : "",
            .guest_features = (uint64_t)json_integer_value(features),
        };

        for (input.vcpus = 1; !err && input.vcpus <= max_vcpus; input.vcpus++)
            err = add_measurement(list, &firmware, &input);
    }
    json_object_set_new(root, "measurements", list);
    return err;
}

static struct error *save(const char *path, const json_t *root)
{
    _cleanup_buffer_ struct buffer text = {};

    struct error *err = canonical_json(root, &text);
    if (err)
        return err;
    buffer_add_u8(&text, '\n');
    return file_write_atomic(path, text.data, text.size, 0644);
}

struct error *image_seal(const char *dir, const struct sign_key *release_key, uint32_t max_vcpus)
{
    _cleanup_free_ char *path = xasprintf("%s/image.json", dir);
    _cleanup_buffer_ struct buffer text = {};
    struct boot_hashes hashes = {};

    struct error *err = file_read(path, IMAGE_JSON_MAX, &text);
    if (err)
        return err;
    json_auto_t *root = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a JSON object", path);
    json_object_del(root, "measurements"); /* sealing again gives the same */
    err = check_files(dir, root, &hashes);
    if (!err)
        err = add_measurements(dir, root, &hashes, max_vcpus ? max_vcpus : DEFAULT_VCPUS);
    if (!err)
        err = signed_document_seal(root, release_key);
    if (!err)
        err = save(path, root);
    return error_wrap(err, "seal image '%s'", dir);
}
