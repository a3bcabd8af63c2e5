#include "services/api-gateway/create_input.h"

#include "services/api-gateway/files_input.h"
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

/* Capitals are the same name to DNS; the manifest has it in small letters. */
static const char *take_domain(struct form *form)
{
    char *domain = (char *)form_text(form, "domain", false, 253);

    for (char *p = domain ?: (char[]){""}; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return domain;
}

void create_input_read_domain(struct form *form, struct create_input *input)
{
    const char *domain = take_domain(form);

    if (!domain || !*domain)
        return;
    if (!manifest_domain_is_valid(domain)) {
        form_find(form, "domain", "'domain' is not a domain name",
                  "give a name such as app.example.com");
        return;
    }
    create_input_set_domain(form->request->arena, domain, input);
}

void create_input_set_domain(struct arena *arena, const char *domain, struct create_input *input)
{
    input->domain = domain;
    input->project.domains = arena_memdup(arena, &domain, sizeof(domain));
    input->project.n_domains = 1;
}

/* The existing system's report of measurements to a chain of blocks: its clients may ask for it,
 * and there is none. */
static void read_heartbeat(struct form *form)
{
    const json_t *heartbeat = form_member(form, "heartbeat", JSON_OBJECT, 1);

    if (heartbeat && !json_is_string(json_object_get(heartbeat, "measurementHashUrl")))
        form_find(form, "heartbeat", "'heartbeat' is not {\"measurementHashUrl\": URL}",
                  "leave it out: nothing is done with it here");
}

static void read_sizes(struct form *form, struct create_input *input)
{
    input->memory_mib = form_uint(form, "memory", MEMORY_MIN_MIB, MEMORY_MAX_MIB, 0);
    input->cpus = (uint32_t)form_uint(form, "cpus", 1, CPUS_MAX, 0);
    input->disk_gib = form_uint(form, "disk", DISK_MIN_GIB, DISK_MAX_GIB, 0);
    input->gpus = (uint32_t)form_uint(form, "gpus", 0, GPUS_MAX, 0);
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
    ret_input->name = form_name(form, "name", true, NAME_MAX_BYTES);
    secrets_read(form, "envVars", &ret_input->secrets);
    read_project(form, ret_input);
    files_input_read(form, NULL, ret_input);
    create_input_read_domain(form, ret_input);
    read_sizes(form, ret_input);
    read_heartbeat(form);
    form_finish(form);
}
