#include "services/api-gateway/update_input.h"

#include "services/api-gateway/files_input.h"

enum { REASON_MAX = 256 };

static bool is_there(const struct form *form, const char *name)
{
    const json_t *value = json_object_get(form->json, name);

    return value && !json_is_null(value);
}

/* Either all environment values anew, or single ones. */
static const char *env_field(struct form *form)
{
    bool single = is_there(form, "setEnvVars") || is_there(form, "unsetEnvVars");

    if (single && is_there(form, "envVars"))
        form_find(form, "envVars", "all values are given, and single ones too",
                  "give envVars alone, or setEnvVars and unsetEnvVars");
    (void)form_value(form, single ? "envVars" : "setEnvVars"); /* the one that is not read */
    return single ? "setEnvVars" : "envVars";
}

static bool has_text(const json_t *list, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

static const json_t *read_unset(struct form *form, const struct kept *kept,
                                const struct secrets *secrets)
{
    const json_t *unset = form_member(form, "unsetEnvVars", JSON_ARRAY, SECRETS_ENV_MAX);
    struct arena *arena = form->request->arena;
    const json_t *item;
    size_t i;

    json_array_foreach(unset, i, item)
    {
        const char *name = json_string_value(item);
        const char *where = name ? arena_printf(arena, "unsetEnvVars.%.80s", name)
                                 : arena_printf(arena, "unsetEnvVars[%zu]", i);
        if (!name)
            form_find(form, where, "not a text", "give the name of an environment value");
        else if (secrets_have_env(secrets, name))
            form_find(form, where, "this value is set and unset", "decide for one");
        else if (!kept_has_env(kept, name))
            form_find(form, where, "the workload has no such environment value",
                      "leave it out, or correct its name");
    }
    return unset;
}

static void merge_env(struct form *form, const struct kept *kept, struct create_input *input)
{
    const struct secrets *secrets = &input->secrets;
    const json_t *unset = read_unset(form, kept, secrets);
    size_t n_kept = is_there(form, "envVars") ? 0 : kept->manifest->n_env;
    const char **names =
        arena_alloc(form->request->arena, (n_kept + secrets->n_env + 1) * sizeof(*names));
    size_t n = 0;

    for (size_t i = 0; i < n_kept; i++) {
        const char *name = kept->manifest->env[i];
        if (!has_text(unset, name) && !secrets_have_env(secrets, name))
            names[n++] = name;
    }
    for (size_t i = 0; i < secrets->n_env; i++)
        names[n++] = secrets->env_names[i];
    if (n > SECRETS_ENV_MAX)
        form_find(form, "setEnvVars", "there would be more than 256 environment values",
                  "unset some");
    input->project.env = names;
    input->project.n_env = n;
}

static void merge_registries(const struct kept *kept, struct create_input *input)
{
    const struct secrets *secrets = &input->secrets;
    struct project *project = &input->project;

    project->registries = secrets->registries_given ? secrets->servers : kept->manifest->registries;
    project->n_registries =
        secrets->registries_given ? secrets->n_registries : kept->manifest->n_registries;
}

/* A null takes a custom domain away; what is missing keeps it. */
static void merge_domain(struct form *form, const struct kept *kept, struct create_input *input)
{
    bool is_said = json_object_get(form->json, "domain");

    create_input_read_domain(form, input);
    if (!is_said && kept->manifest->n_domains)
        create_input_set_domain(form->request->arena, kept->manifest->domains[0], input);
}

/* A text of the request that may not be empty, or what is there. */
static const char *text_or(struct form *form, const char *name, size_t max, const char *there)
{
    bool is_said = is_there(form, name);
    const char *text = form_text(form, name, is_said, max);

    return is_said ? text : there;
}

static void merge_project(struct form *form, const struct kept *kept, struct project *project)
{
    const char *compose =
        form_text(form, "dockerCompose", is_there(form, "dockerCompose"), SIZE_MAX);

    project->compose = compose ?: (const char *)kept->input->compose.data ?: "";
    project->compose_size = compose ? strlen(compose) : kept->input->compose.len;
    project->public_service =
        text_or(form, "publicContainerName", 63, kept->manifest->public_service);
    project->public_port =
        (uint32_t)form_uint(form, "publicContainerPort", 1, 65535, kept->manifest->public_port);
    project->image_version = text_or(form, "artifactsVersion", 64, kept->manifest->image_version);
}

static void keep_size(const struct kept *kept, struct create_input *input)
{
    const Coffer__V1__Resources *resources = kept->workload->resources;

    if (!resources)
        return;
    input->memory_mib = resources->memory_mib;
    input->disk_gib = resources->disk_gib;
    input->cpus = resources->cpus;
    input->gpus = resources->gpus;
}

void update_input_read(struct form *form, const struct kept *kept, struct update_input *ret_update)
{
    struct create_input *input = &ret_update->input;

    *ret_update = (struct update_input){.input.workload_id = kept->workload->workload_id};
    (void)form_value(form, "workloadId"); /* by which kept was found */
    bool is_named = is_there(form, "name");
    const char *name = form_name(form, "name", is_named, NAME_MAX_BYTES);
    input->name = is_named ? name : kept->workload->name;
    secrets_read(form, env_field(form), &input->secrets);
    merge_env(form, kept, input);
    merge_registries(kept, input);
    merge_project(form, kept, &input->project);
    files_input_read(form, kept, input);
    merge_domain(form, kept, input);
    keep_size(kept, input);
    ret_update->confirmed = form_bool(form, "confirmDataLoss", false);
    ret_update->reason = form_text(form, "reason", false, REASON_MAX);
    form_finish(form);
}
