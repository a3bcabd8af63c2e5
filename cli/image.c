/* `coffer image seal` and `coffer measure`: the reference values of a guest image. */
#include <getopt.h>
#include <stdio.h>

#include "cli/command.h"
#include "shared/attestation/image.h"
#include "shared/attestation/launch.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

enum { VCPUS_MAX = 512, FIRMWARE_MAX = 16 * 1024 * 1024, BOOT_FILE_MAX = 256 * 1024 * 1024 };

struct image_options {
    const char *dir;
    const char *key;
    const char *cpu;
    uint32_t vcpus;
};

static int parse(int argc, char **argv, struct image_options *ret_options)
{
    static const struct option options[] = {{"key", required_argument, NULL, 'k'},
                                            {"vcpus", required_argument, NULL, 'v'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'k')
            ret_options->key = optarg;
        else if (c == 'v')
            ret_options->vcpus = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'c')
            ret_options->cpu = optarg;
        else
            return EXIT_USAGE;
    }
    if (optind + 1 != argc)
        return command_usage("exactly one image folder is needed");
    ret_options->dir = argv[optind];
    if (ret_options->vcpus < 1 || ret_options->vcpus > VCPUS_MAX)
        return command_usage("--vcpus must be from 1 to 512");
    return EXIT_OK;
}

int image_seal_main(int argc, char **argv)
{
    struct image_options options = {.vcpus = 64};
    struct sign_key key;
    int code = parse(argc, argv, &options);

    if (code != EXIT_OK)
        return code;
    if (!options.key)
        return command_usage("image seal needs --key, the release key's file");
    struct error *err = sign_key_load(options.key, &key);
    if (err)
        return command_fail(err);
    err = image_seal(options.dir, &key, options.vcpus);
    sign_key_done(&key);
    if (!err)
        printf("sealed %s/image.json for 1 to %u vCPUs\n", options.dir, options.vcpus);
    return command_fail(err);
}

static struct error *read_part(const char *dir, const char *name, size_t max,
                               struct buffer *ret_content)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    return file_read(path, max, ret_content);
}

static struct error *hash_part(const char *dir, const char *name, uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_buffer_ struct buffer content = {0};
    struct error *err = read_part(dir, name, BOOT_FILE_MAX, &content);

    if (!err)
        sha256(content.data, content.size, ret_digest);
    return err;
}

/* The command line and the firmware's name come from image.json, signed or not: measuring needs
 * no trust, what is printed is what these files give. */
static struct error *read_description(const char *dir, json_t **ret_json)
{
    _cleanup_buffer_ struct buffer text = {0};
    struct error *err = read_part(dir, "image.json", IMAGE_JSON_MAX, &text);
    json_error_t problem;

    if (err)
        return err;
    *ret_json = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &problem);
    if (!*ret_json)
        return error_new(ERROR_INVALID_ARGUMENT, "image.json: %s", problem.text);
    return NULL;
}

static struct error *measure(const struct image_options *options,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    _cleanup_buffer_ struct buffer firmware = {0};
    _cleanup_(json_decrefp) json_t *image = NULL;
    uint8_t kernel[SHA256_SIZE];
    uint8_t initrd[SHA256_SIZE];
    struct error *err = read_description(options->dir, &image);

    if (!err)
        err = read_part(options->dir,
                        json_string_value(json_object_get(image, "firmware")) ?: "OVMF.amdsev.fd",
                        FIRMWARE_MAX, &firmware);
    if (!err)
        err = hash_part(options->dir, "vmlinuz", kernel);
    if (!err)
        err = hash_part(options->dir, "initrd.img", initrd);
    if (err)
        return err;
    const struct launch_input input = {
        .firmware = firmware.data,
        .firmware_size = firmware.size,
        .kernel_sha256 = kernel,
        .initrd_sha256 = initrd,
        .cmdline = json_string_value(json_object_get(image, "cmdline")) ?: "",
        .vcpus = options->vcpus,
        .cpu_model = options->cpu,
        .guest_features = 1,
    };
    return launch_measure(&input, ret_digest);
}

int measure_main(int argc, char **argv)
{
    struct image_options options = {.vcpus = 2, .cpu = "EPYC-v4"};
    uint8_t digest[LAUNCH_DIGEST_SIZE];
    char text[2 * LAUNCH_DIGEST_SIZE + 1];
    int code = parse(argc, argv, &options);

    if (code == EXIT_OK)
        code = command_fail(measure(&options, digest));
    if (code != EXIT_OK)
        return code;
    hex_encode(digest, sizeof(digest), text);
    puts(text);
    return EXIT_OK;
}
