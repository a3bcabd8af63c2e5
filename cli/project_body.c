#include "cli/project_body.h"

#include "shared/base/encode.h"

enum { CPUS_DEFAULT = 2, MEMORY_DEFAULT_MB = 2048, DISK_DEFAULT_GB = 10 };

static uint32_t size_of(const json_t *tier, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(tier, name));

    return value > 0 && value <= INT32_MAX ? (uint32_t)value : 0;
}

static bool is_called(const json_t *tier, const char *member, const char *text)
{
    const char *value = json_string_value(json_object_get(tier, member));

    return value && strcmp(value, text) == 0;
}

static struct error *take_tier(struct project_input *in, const json_t *tiers)
{
    _cleanup_buffer_ struct buffer names = {0};
    const json_t *tier;
    size_t i;

    json_array_foreach(tiers, i, tier)
    {
        if (is_called(tier, "tierId", in->tier) || is_called(tier, "name", in->tier)) {
            in->cpus = size_of(tier, "cpus");
            in->memory_mb = size_of(tier, "memoryMb");
            in->disk_gb = size_of(tier, "diskGb");
            in->gpus = (int)size_of(tier, "gpus");
            return NULL;
        }
        buffer_printf(&names, "%s%s", names.size ? ", " : "; there are: ",
                      json_string_value(json_object_get(tier, "name")) ?: "?");
    }
    return error_new(ERROR_INVALID_ARGUMENT, "no tier is called '%s'%s", in->tier,
                     buffer_text(&names));
}

struct error *project_body_sizes(struct project_input *in, struct client *client)
{
    _cleanup_(json_decrefp) json_t *tiers = NULL;

    if (in->tier) {
        struct error *err = client_call(client, "GET", "/api/v1/workload-tiers/list", NULL, &tiers);
        return err ?: take_tier(in, tiers);
    }
    in->cpus = in->cpus ?: CPUS_DEFAULT;
    in->memory_mb = in->memory_mb ?: MEMORY_DEFAULT_MB;
    in->disk_gb = in->disk_gb ?: DISK_DEFAULT_GB;
    in->gpus = in->gpus < 0 ? 0 : in->gpus;
    return NULL;
}

static json_t *env_json(const struct project_input *in)
{
    json_t *env = json_object();

    for (size_t i = 0; i < in->n_env; i++)
        json_object_set_new(env, in->env[i].name, json_string(in->env[i].value));
    return env;
}

static json_t *base64_json(const void *data, size_t size)
{
    char *text = base64_encode_new(data, size);
    json_t *json = json_string(text);

    OPENSSL_cleanse(text, strlen(text)); /* it may be a secret file's */
    free(text);
    return json;
}

static json_t *files_json(const struct project_input *in)
{
    json_t *files = json_object();

    for (size_t i = 0; i < in->n_plain_files; i++)
        json_object_set_new(files, in->files[i].path,
                            base64_json(in->files[i].content, in->files[i].size));
    return files;
}

static json_t *secret_files_json(const struct project_input *in)
{
    json_t *files = json_object();

    for (size_t i = in->n_plain_files; i < in->n_files; i++) {
        const struct input_salt *salt = &in->salts[i - in->n_plain_files];
        char hex[2 * sizeof(salt->salt) + 1];
        hex_encode(salt->salt, sizeof(salt->salt), hex);
        json_object_set_new(files, in->files[i].path,
                            json_pack("{s:o, s:s}", "content",
                                      base64_json(salt->content, salt->size), "salt", hex));
    }
    return files;
}

static json_t *registries_json(const struct project_input *in)
{
    json_t *list = json_array();

    for (size_t i = 0; i < in->n_registries; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "server", in->registries[i].name,
                                              "username", in->registries[i].value, "password",
                                              in->passwords[i]));
    return list;
}

static void set_text(json_t *body, const char *name, const char *text)
{
    if (text)
        json_object_set_new(body, name, json_string(text));
}

static void set_public(json_t *body, const struct project_input *in)
{
    if (!in->project.public_service)
        return;
    set_text(body, "publicContainerName", in->project.public_service);
    json_object_set_new(body, "publicContainerPort", json_integer(in->project.public_port));
}

static void set_sizes(json_t *body, const struct project_input *in)
{
    json_object_set_new(body, "memory", json_integer(in->memory_mb));
    json_object_set_new(body, "cpus", json_integer(in->cpus));
    json_object_set_new(body, "disk", json_integer(in->disk_gb));
    json_object_set_new(body, "gpus", json_integer(in->gpus));
}

json_t *project_body_create(const struct project_input *in)
{
    json_t *body = json_object();

    set_text(body, "name", in->name);
    set_text(body, "artifactsVersion", in->project.image_version);
    set_text(body, "dockerCompose", in->project.compose);
    set_public(body, in);
    set_sizes(body, in);
    json_object_set_new(body, "envVars", env_json(in));
    json_object_set_new(body, "files", files_json(in));
    if (in->n_files > in->n_plain_files)
        json_object_set_new(body, "secretFiles", secret_files_json(in));
    json_object_set_new(body, "dockerCredentials", registries_json(in));
    set_text(body, "domain", in->domain && in->domain[0] ? in->domain : NULL);
    return body;
}

static json_t *list_json(const struct coffer_yaml_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

static bool is_given(const struct project_input *in, const char *path)
{
    for (size_t i = 0; i < in->n_files; i++)
        if (strcmp(in->files[i].path, path) == 0)
            return true;
    return false;
}

/* Files that the workload has and coffer.yaml has no more. */
static void add_gone(const struct project_input *in, const json_t *names, json_t *ret_list)
{
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        const char *path = json_string_value(name);
        if (path && !is_given(in, path))
            json_array_append_new(ret_list, json_string(path));
    }
}

static void set_env_changes(json_t *body, const struct project_input *in)
{
    if (in->config) {
        json_object_set_new(body, "envVars", env_json(in));
        return;
    }
    if (in->n_env)
        json_object_set_new(body, "setEnvVars", env_json(in));
    if (in->unset_env.n)
        json_object_set_new(body, "unsetEnvVars", list_json(&in->unset_env));
}

static void set_file_changes(json_t *body, const struct project_input *in, const json_t *present)
{
    json_t *gone = list_json(&in->remove_files);

    if (in->config) {
        add_gone(in, json_object_get(present, "fileNames"), gone);
        add_gone(in, json_object_get(present, "secretFileNames"), gone);
    }
    if (in->n_plain_files)
        json_object_set_new(body, "files", files_json(in));
    if (in->n_files > in->n_plain_files)
        json_object_set_new(body, "secretFiles", secret_files_json(in));
    if (json_array_size(gone))
        json_object_set(body, "removeFiles", gone);
    json_decref(gone);
}

json_t *project_body_update(const struct project_input *in, const char *id, const json_t *present)
{
    json_t *body = json_object();

    set_text(body, "workloadId", id);
    set_text(body, "name", in->name);
    set_text(body, "artifactsVersion", in->project.image_version);
    set_text(body, "dockerCompose", in->project.compose);
    set_public(body, in);
    set_env_changes(body, in);
    set_file_changes(body, in, present);
    if (in->n_registries)
        json_object_set_new(body, "dockerCredentials", registries_json(in));
    if (in->domain) /* null takes it away */
        json_object_set_new(body, "domain", in->domain[0] ? json_string(in->domain) : json_null());
    set_text(body, "reason", in->reason);
    return body;
}

bool project_body_is_empty(const json_t *update)
{
    size_t n = json_object_size(update);

    n -= json_object_get(update, "workloadId") ? 1 : 0;
    n -= json_object_get(update, "reason") ? 1 : 0;
    return n == 0;
}

static void wipe(json_t *value)
{
    const char *name;
    json_t *item;
    size_t i;

    if (json_is_string(value))
        OPENSSL_cleanse((char *)json_string_value(value), json_string_length(value));
    json_object_foreach(value, name, item) wipe(item);
    json_array_foreach(value, i, item) wipe(item);
}

void project_body_drop(json_t *object, const char *name)
{
    wipe(json_object_get(object, name));
    json_object_del(object, name);
}

void project_body_free(json_t *body)
{
    wipe(body);
    json_decref(body);
}
