/* Target functions: update_input_read, files_input_read, secrets_read: the body of an update, over
 * a workload that has something of everything. */
#include "services/api-gateway/update_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the workload is: names as in the corpus. */
static void make_kept(struct arena *arena, struct kept *ret_kept)
{
    static const char *const names[] = {"A", "r.test"};
    static char path[] = "f";
    static const struct manifest_hash plain = {.name = path};
    static const struct manifest_hash secret = {.name = "k"};
    struct manifest *manifest = arena_alloc(arena, sizeof(*manifest));
    Coffer__V1__Workload *workload = arena_alloc(arena, sizeof(*workload));
    Coffer__V1__WorkloadInput *input = arena_alloc(arena, sizeof(*input));
    Coffer__V1__File *file = arena_alloc(arena, sizeof(*file));

    coffer__v1__workload__init(workload);
    coffer__v1__workload_input__init(input);
    coffer__v1__file__init(file);
    file->path = path;
    input->files = arena_memdup(arena, &file, sizeof(file));
    input->n_files = 1;
    manifest->image_version = "0.1.0";
    manifest->public_service = "web";
    manifest->public_port = 80;
    manifest->env = arena_memdup(arena, &names[0], sizeof(names[0]));
    manifest->n_env = 1;
    manifest->registries = arena_memdup(arena, &names[1], sizeof(names[1]));
    manifest->n_registries = 1;
    manifest->files = arena_memdup(arena, &plain, sizeof(plain));
    manifest->n_files = 1;
    manifest->secret_files = arena_memdup(arena, &secret, sizeof(secret));
    manifest->n_secret_files = 1;
    *ret_kept = (struct kept){.workload = workload, .input = input, .manifest = manifest};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct request request = {.arena = arena};
    struct update_input input;
    struct kept kept;
    struct form form;
    _cleanup_buffer_ struct buffer body = {0};
    json_t *json = NULL;

    make_kept(arena, &kept);
    buffer_add(&body, data, size);
    request.body = body;
    struct error *err = http_json(&request, &json);
    if (!err) {
        form_init(&form, &request, json);
        update_input_read(&form, &kept, &input);
        err = form_result(&form);
    }
    error_free(err);
    json_decref(json);
    return 0;
}
