#include "services/api-gateway/create_input.h"

#include "services/api-gateway/idempotency.h"
#include "shared/manifest/manifest.h"

static void read_id(struct form *form, struct create_input *input)
{
    const char *id = form_text(form, "workloadId", false, 63);
    char made[UUID_TEXT_SIZE];

    if (!id) {
        idempotency_make_id(form->request, made);
        id = arena_strdup(form->request->arena, made);
    } else if (!name_is_valid(id)) {
        form_find(form, "workloadId", "'workloadId' is not an id",
                  "leave it out, or give a lower-case UUID");
    }
    input->workload_id = id;
}

static void read_domain(struct form *form, struct create_input *input)
{
    const char *domain = form_text(form, "domain", false, 253);

    if (!domain || !*domain)
        return;
    if (!manifest_domain_is_valid(domain)) {
        form_find(form, "domain", "'domain' is not a domain name",
                  "give a lower-case name such as app.example.com");
        return;
    }
    input->domain = domain;
    input->project.domains = arena_memdup(form->request->arena, &domain, sizeof(domain));
    input->project.n_domains = 1;
}

static void read_sizes(struct form *form, struct create_input *input)
{
    input->memory_mib = form_uint(form, "memory", MEMORY_MIN_MIB, MEMORY_MAX_MIB, 0);
    input->cpus = (uint32_t)form_uint(form, "cpus", 1, CPUS_MAX, 0);
    input->disk_gib = form_uint(form, "disk", DISK_MIN_GIB, DISK_MAX_GIB, 0);
    input->gpus = (uint32_t)form_uint(form, "gpus", 0, GPUS_MAX, 0);
}

static void check_path(struct form *form, const char *field, const char *path)
{
    if (!manifest_path_is_valid(path))
        form_find(form, arena_printf(form->request->arena, "%s.%.80s", field, path),
                  "the path of a file is not allowed",
                  "use a relative path of letters, digits, '.', '_', '-' and '/', without '..'");
}

static void read_file(struct form *form, const char *path, const json_t *value, size_t *total,
                      struct project_file *ret_file)
{
    struct arena *arena = form->request->arena;
    const char *text = json_string_value(value);
    uint8_t *data = NULL;
    size_t size = 0;

    check_path(form, "files", path);
    ret_file->path = arena_strdup(arena, path);
    ret_file->content = "";
    struct error *err = text
                            ? base64_decode_new(text, CREATE_FILES_TOTAL_MAX - *total, &data, &size)
                            : error_new(ERROR_INVALID_ARGUMENT, "not a text");
    if (err) {
        form_find(form, arena_printf(arena, "files.%.80s", path), error_text(err),
                  "give the content in base64; all files together at most 16 MiB");
        error_free(err);
        return;
    }
    ret_file->content = arena_memdup(arena, data, size);
    ret_file->size = size;
    *total += size;
    free(data);
}

/* Plain files first, then the secret ones by their commitments. */
static void read_files(struct form *form, struct create_input *input)
{
    json_t *files = form_member(form, "files", JSON_OBJECT, MANIFEST_FILES_MAX);
    size_t n_secret = input->secrets.n_files;
    size_t n = json_object_size(files);
    struct project_file *list =
        arena_alloc(form->request->arena, (n + n_secret + 1) * sizeof(*list));
    size_t total = 0;
    const char *path;
    json_t *value;
    size_t at = 0;

    json_object_foreach(files, path, value) read_file(form, path, value, &total, &list[at++]);
    input->n_plain_files = at;
    for (size_t i = 0; i < n_secret; i++) {
        const struct secret_file *secret = &input->secrets.files[i];
        check_path(form, "secretFiles", secret->path);
        if (json_object_get(files, secret->path))
            form_find(form, arena_printf(form->request->arena, "secretFiles.%.80s", secret->path),
                      "a file is both plain and secret", "give it once");
        list[at++] = (struct project_file){.path = secret->path, .commitment = secret->commitment};
    }
    input->project.files = list;
    input->project.n_files = at;
}

static void read_project(struct form *form, struct create_input *input)
{
    struct project *project = &input->project;
    /* Too large a text is the linter's finding, with all others. */
    const char *compose = form_text(form, "dockerCompose", true, SIZE_MAX);

    project->compose = compose ?: "";
    project->compose_size = strlen(project->compose);
    project->public_service = form_text(form, "publicContainerName", true, 63);
    project->public_port = (uint32_t)form_uint(form, "publicContainerPort", 1, 65535, 0);
    project->image_version = form_text(form, "artifactsVersion", true, 64);
    project->env = input->secrets.env_names;
    project->n_env = input->secrets.n_env;
    project->registries = input->secrets.servers;
    project->n_registries = input->secrets.n_registries;
}

void create_input_read(struct form *form, struct create_input *ret_input)
{
    *ret_input = (struct create_input){.workload_id = ""};
    read_id(form, ret_input);
    ret_input->name = form_text(form, "name", true, NAME_MAX_BYTES);
    secrets_read(form, &ret_input->secrets);
    read_project(form, ret_input);
    read_files(form, ret_input);
    read_domain(form, ret_input);
    read_sizes(form, ret_input);
    form_finish(form);
}
