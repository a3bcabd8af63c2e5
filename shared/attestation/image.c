#include "shared/attestation/image.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "shared/base/encode.h"
#include "shared/manifest/signed_document.h"

#define FILES_MAX        16
#define MEASUREMENTS_MAX 4096
#define TEXT_MAX         4096

static struct error *bad(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "image.json: %s", what);
}

static struct error *get_text(const json_t *object, const char *name, struct arena *arena,
                              const char **ret_text)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value) ||
        json_string_length(value) > TEXT_MAX) /* NUL: no parser lets it in */
        return error_new(ERROR_INVALID_ARGUMENT, "image.json: '%s' is not a text", name);
    *ret_text = arena_strdup(arena, json_string_value(value));
    return NULL;
}

static struct error *get_number(const json_t *object, const char *name, uint64_t max,
                                uint64_t *ret_value)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return error_new(ERROR_INVALID_ARGUMENT, "image.json: '%s' is not a number up to %" PRIu64,
                         name, max);
    *ret_value = (uint64_t)json_integer_value(value);
    return NULL;
}

static struct error *get_digest(const json_t *object, const char *name, void *ret_digest,
                                size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (!text)
        return error_new(ERROR_INVALID_ARGUMENT, "image.json: '%s' is missing", name);
    return error_wrap(hex_decode(text, ret_digest, size), "image.json: '%s'", name);
}

static bool file_name_is_valid(const char *name)
{
    return name[0] && name[0] != '.' && strlen(name) < 128 && !strchr(name, '/');
}

static struct error *parse_files(const json_t *root, struct arena *arena, struct image *image)
{
    json_t *files = json_object_get(root, "files"), *value;
    const char *name;

    if (!json_is_object(files) || json_object_size(files) > FILES_MAX)
        return bad("'files' is not an object of at most 16");
    image->files = arena_alloc(arena, FILES_MAX * sizeof(*image->files));
    json_object_foreach(files, name, value)
    {
        struct image_file *file = &image->files[image->n_files++];

        if (!file_name_is_valid(name))
            return bad("a file name is not valid");
        file->name = arena_strdup(arena, name);
        struct error *err = get_digest(value, "sha256", file->sha256, sizeof(file->sha256));
        if (!err)
            err = get_number(value, "size", INT64_MAX, &file->size);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *parse_measurement(const json_t *value, struct arena *arena,
                                       struct image_measurement *measurement)
{
    uint64_t vcpus = 0;

    struct error *err = get_number(value, "vcpus", 512, &vcpus);
    if (!err)
        err = get_text(value, "cpu_model", arena, &measurement->cpu_model);
    if (!err)
        err = get_number(value, "guest_features", INT64_MAX, &measurement->guest_features);
    if (!err)
        err = get_digest(value, "digest", measurement->digest, LAUNCH_DIGEST_SIZE);
    measurement->vcpus = (uint32_t)vcpus;
    return err;
}

static struct error *parse_measurements(const json_t *root, struct arena *arena,
                                        struct image *image)
{
    json_t *list = json_object_get(root, "measurements");
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n == 0 || n > MEASUREMENTS_MAX)
        return bad("'measurements' is not a list of 1 to 4096");
    image->measurements = arena_alloc(arena, n * sizeof(*image->measurements));
    for (size_t i = 0; i < n; i++) {
        struct error *err =
            parse_measurement(json_array_get(list, i), arena, &image->measurements[i]);
        if (err)
            return err;
    }
    image->n_measurements = n;
    return NULL;
}

static struct error *parse_image(const json_t *root, struct arena *arena, struct image *image)
{
    struct error *err = get_text(root, "version", arena, &image->version);

    if (!err)
        err = get_text(root, "verity_root_hash", arena, &image->root_hash);
    if (!err)
        err = get_text(root, "cmdline", arena, &image->cmdline);
    if (!err)
        err = get_text(root, "firmware", arena, &image->firmware);
    if (!err)
        err = parse_files(root, arena, image);
    if (!err && !image_find_file(image, image->firmware))
        err = bad("'firmware' is not one of 'files'");
    if (!err)
        err = parse_measurements(root, arena, image);
    return err;
}

struct error *image_parse(const void *json, size_t size, const uint8_t release_public[32],
                          struct arena *arena, struct image **ret_image)
{
    json_auto_t *root = NULL;

    if (!release_public)
        return error_new(ERROR_PERMISSION_DENIED, "image.json: no release key is given");
    if (size > IMAGE_JSON_MAX)
        return bad("larger than 4 MiB");
    struct error *err = signed_document_open(json, size, release_public, &root);
    if (err)
        return error_wrap(err, "image.json");
    struct image *image = arena_alloc(arena, sizeof(*image));
    err = parse_image(root, arena, image);
    if (!err)
        *ret_image = image;
    return err;
}

const struct image_file *image_find_file(const struct image *image, const char *name)
{
    for (size_t i = 0; i < image->n_files; i++)
        if (strcmp(image->files[i].name, name) == 0)
            return &image->files[i];
    return NULL;
}

size_t image_measurements_for(const struct image *image, uint32_t vcpus, const char *cpu_model,
                              uint8_t (*ret_digests)[LAUNCH_DIGEST_SIZE], size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < image->n_measurements && n < max; i++) {
        const struct image_measurement *m = &image->measurements[i];

        if (m->vcpus == vcpus && (!cpu_model[0] || strcmp(m->cpu_model, cpu_model) == 0))
            memcpy(ret_digests[n++], m->digest, LAUNCH_DIGEST_SIZE);
    }
    return n;
}
