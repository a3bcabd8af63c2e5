/* `coffer measure`: the launch measurement that a guest of these files has, or several. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/measure_options.h"
#include "shared/attestation/id_key.h"
#include "shared/attestation/image.h"
#include "shared/attestation/launch_layout.h"
#include "shared/base/alloc.h"
#include "shared/base/arena.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

#define IMAGE_MAX     (16 * 1024 * 1024)
#define BOOT_FILE_MAX (256 * 1024 * 1024)

/* What is measured: paths and texts from the image's description, or from the options. */
struct inputs {
    struct arena *arena;
    const char *firmware;
    const char *kernel; /* NULL: no direct boot */
    const char *initrd; /* NULL: empty */
    const char *cmdline;
    const char *cpu_model;
    uint64_t guest_features;
    enum launch_vmm vmm;
    const char *svsm; /* NULL: none */
    uint32_t vars_size;
    uint8_t kernel_sha256[SHA256_SIZE];
    uint8_t initrd_sha256[SHA256_SIZE];
    struct launch_layout layout;
    uint8_t images_digest[LAUNCH_DIGEST_SIZE]; /* the part that all vCPU counts share */
};

static void inputs_done(struct inputs *inputs)
{
    arena_free(inputs->arena);
}

/* The folder of the image, whether it or its description is named. */
static char *image_folder(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat st;

    if (stat(path, &st) < 0 || S_ISDIR(st.st_mode))
        return arena_strdup(arena, path);
    return slash ? arena_printf(arena, "%.*s", (int)(slash - path), path)
                 : arena_strdup(arena, ".");
}

static const char *text_or(struct arena *arena, const json_t *object, const char *name,
                           const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, name));

    return arena_strdup(arena, text ? text : otherwise);
}

/* Signed or not: measuring needs no trust, what is printed is what these files give. */
static struct error *describe(const char *path, struct inputs *inputs)
{
    _cleanup_buffer_ struct buffer text = {};
    struct arena *arena = inputs->arena;
    const char *dir = image_folder(arena, path);
    json_error_t problem;

    struct error *err = file_read(arena_printf(arena, "%s/image.json", dir), IMAGE_JSON_MAX, &text);
    if (err)
        return err;
    json_auto_t *image =
        json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(image))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s/image.json': %s", dir,
                         image ? "not an object" : problem.text);
    const char *firmware = text_or(arena, image, "firmware", "OVMF.amdsev.fd");
    if (strchr(firmware, '/'))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s/image.json': 'firmware' is a path", dir);
    const json_t *models = json_object_get(image, "vcpu_models");
    const char *model = json_string_value(json_array_get(models, 0));
    inputs->firmware = arena_printf(arena, "%s/%s", dir, firmware);
    inputs->kernel = arena_printf(arena, "%s/vmlinuz", dir);
    inputs->initrd = arena_printf(arena, "%s/initrd.img", dir);
    inputs->cmdline = text_or(arena, image, "cmdline", "");
    inputs->cpu_model = model ? arena_strdup(arena, model) : NULL;
    inputs->guest_features = (uint64_t)json_integer_value(json_object_get(image, "guest_features"));
    return NULL;
}

/* What the caller says comes before what the image says. */
static void apply_options(const struct measure_options *options, struct inputs *inputs)
{
    inputs->firmware = options->firmware ?: inputs->firmware;
    inputs->kernel = options->kernel ?: inputs->kernel;
    inputs->initrd = options->initrd ?: inputs->initrd;
    inputs->cmdline = options->cmdline ?: inputs->cmdline;
    inputs->cpu_model = options->cpu_model ?: inputs->cpu_model ?: "EPYC-v4";
    inputs->guest_features = options->guest_features ?: inputs->guest_features ?: 1;
    inputs->vmm = options->vmm;
    inputs->svsm = options->svsm;
    inputs->vars_size = options->vars_size;
    if (inputs->kernel && !inputs->cmdline)
        inputs->cmdline = "";
}

static struct error *hash_file(const char *path, uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_buffer_ struct buffer content = {};

    struct error *err = path ? file_read(path, BOOT_FILE_MAX, &content) : NULL;
    if (!err) /* none is measured as an empty one */
        sha256(content.size ? content.data : (const uint8_t *)"", content.size, ret_digest);
    return err;
}

static struct error *read_images(struct inputs *inputs)
{
    _cleanup_buffer_ struct buffer firmware = {}, svsm = {};

    struct error *err = file_read(inputs->firmware, IMAGE_MAX, &firmware);
    if (!err && inputs->svsm)
        err = file_read(inputs->svsm, IMAGE_MAX, &svsm);
    if (err)
        return err;
    const struct launch_input input = {
        .firmware = firmware.data,
        .firmware_size = firmware.size,
        .vmm = inputs->vmm,
        .svsm = svsm.data,
        .svsm_size = svsm.size,
        .svsm_vars_size = inputs->vars_size,
    };
    return error_wrap(launch_measure_images(&input, &inputs->layout, inputs->images_digest), "'%s'",
                      inputs->firmware);
}

static struct error *read_files(struct inputs *inputs)
{
    struct error *err = read_images(inputs);

    if (!err && inputs->kernel)
        err = hash_file(inputs->kernel, inputs->kernel_sha256);
    if (!err && inputs->kernel)
        err = hash_file(inputs->initrd, inputs->initrd_sha256);
    return err;
}

static struct error *measure(const struct inputs *inputs, uint32_t vcpus, char *ret_hex)
{
    const struct launch_input input = {
        .kernel_sha256 = inputs->kernel ? inputs->kernel_sha256 : NULL,
        .initrd_sha256 = inputs->kernel ? inputs->initrd_sha256 : NULL,
        .cmdline = inputs->kernel ? inputs->cmdline : NULL,
        .vcpus = vcpus,
        .cpu_model = inputs->cpu_model,
        .guest_features = inputs->guest_features,
        .vmm = inputs->vmm,
    };
    uint8_t digest[LAUNCH_DIGEST_SIZE];

    memcpy(digest, inputs->images_digest, sizeof(digest));
    struct error *err = launch_measure_rest(&inputs->layout, &input, digest);
    if (!err)
        hex_encode(digest, sizeof(digest), ret_hex);
    return err;
}

/* The members of image.json, so that one can be compared with the other. */
static struct error *make_list(const struct measure_options *options, const struct inputs *inputs,
                               json_t *list)
{
    char hex[2 * LAUNCH_DIGEST_SIZE + 1];

    for (uint32_t i = 0; i < options->n_vcpus; i++) {
        struct error *err = measure(inputs, options->vcpus[i], hex);
        if (err)
            return err;
        json_array_append_new(list, json_pack("{s:i, s:s, s:I, s:s}", "vcpus", options->vcpus[i],
                                              "cpu_model", inputs->cpu_model, "guest_features",
                                              (json_int_t)inputs->guest_features, "digest", hex));
    }
    return NULL;
}

static void print_json(const struct inputs *inputs, json_t *list)
{
    json_auto_t *root =
        json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:O}", "vmm", launch_vmm_name(inputs->vmm),
                  "firmware", inputs->firmware, "svsm", inputs->svsm, "kernel", inputs->kernel,
                  "initrd", inputs->initrd, "cmdline", inputs->cmdline, "measurements", list);

    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
}

static void print_text(const struct measure_options *options, const json_t *list)
{
    const json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        if (options->n_vcpus > 1)
            printf("%3u  ", options->vcpus[i]);
        puts(json_string_value(json_object_get(row, "digest")));
    }
}

static struct error *run(const struct measure_options *options)
{
    _cleanup_(inputs_done) struct inputs inputs = {.arena = arena_new()};
    json_auto_t *list = json_array();

    struct error *err = options->image ? describe(options->image, &inputs) : NULL;
    if (err)
        return err;
    apply_options(options, &inputs);
    err = read_files(&inputs);
    if (!err)
        err = make_list(options, &inputs, list);
    if (err)
        return err;
    if (options->json)
        print_json(&inputs, list);
    else
        print_text(options, list);
    return NULL;
}

static struct error *print_id_key(const char *path)
{
    _cleanup_buffer_ struct buffer pem = {};
    uint8_t digest[ID_KEY_DIGEST_SIZE];
    char hex[2 * ID_KEY_DIGEST_SIZE + 1];

    struct error *err = file_read(path, ID_KEY_PEM_MAX, &pem);
    if (!err)
        err = error_wrap(id_key_digest(pem.data, pem.size, digest), "'%s'", path);
    if (err)
        return err;
    hex_encode(digest, sizeof(digest), hex);
    puts(hex);
    return NULL;
}

int measure_main(int argc, char **argv)
{
    struct measure_options options;
    int code = measure_options_parse(argc, argv, &options);

    if (code != EXIT_OK)
        return code;
    return command_fail_here(options.id_key ? print_id_key(options.id_key) : run(&options));
}
