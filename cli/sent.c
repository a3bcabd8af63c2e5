#include "cli/sent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/context.h"
#include "cli/local_key.h"
#include "cli/project_body.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

enum { RECORD_MAX = 256 * 1024 };

/* What is kept of one workload. */
struct sent {
    const char *url;
    const char *id;
    struct local_key key;
    char *path;
    json_t *values;        /* name: keyed hash, in hex */
    json_int_t generation; /* at which the workload has those */
};

static void sent_done(struct sent *sent)
{
    local_key_done(&sent->key);
    free(sent->path);
    json_decref(sent->values);
}

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static json_int_t generation_of(const json_t *workload)
{
    return json_integer_value(json_object_get(workload, "generation"));
}

static void read_record(struct sent *sent)
{
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_(json_decrefp) json_t *record = NULL;
    struct error *err = file_read(sent->path, RECORD_MAX, &text);

    if (!err)
        record = json_loadb(buffer_text(&text), text.size, 0, NULL);
    error_free(err);
    const json_t *values = json_object_get(record, "values");
    sent->generation = generation_of(record);
    sent->values = json_is_object(values) ? json_deep_copy(values) : json_object();
}

/* The id becomes a file's name. */
static bool find_record(const char *id, struct sent *ret_sent)
{
    _cleanup_free_ char *folder = NULL;
    struct error *err = id && name_is_valid(id) ? context_folder(&folder)
                                                : error_new(ERROR_INVALID_ARGUMENT, "no id");

    error_free(err);
    if (!folder)
        return false;
    ret_sent->id = id;
    ret_sent->path = xasprintf("%s/sent/%s.json", folder, id);
    read_record(ret_sent);
    return true;
}

/* For hashes: only then the key is needed, and made where there is none. */
static bool open_key(const char *url, struct sent *sent)
{
    struct error *err = local_key_load(&sent->key);
    bool ok = !err;

    sent->url = url;
    error_free(err);
    return ok;
}

static void write_record(const struct sent *sent)
{
    _cleanup_(json_decrefp) json_t *record =
        json_pack("{s:I, s:O}", "generation", sent->generation, "values", sent->values);
    _cleanup_free_ char *text = json_dumps(record, JSON_COMPACT);
    _cleanup_free_ char *folder = xstrndup(sent->path, strrchr(sent->path, '/') - sent->path);
    struct error *err = dir_make(folder, 0700);

    if (!text)
        return; /* a name that is no text: nothing of ours */
    err = err ?: file_write_atomic(sent->path, text, strlen(text), 0600);
    error_free(err);
}

static void hash(const struct sent *sent, const char *name, const char *user, const char *value,
                 char ret_hex[2 * LOCAL_MAC_SIZE + 1])
{
    const char *const parts[] = {"coffer/sent/v1", sent->url, sent->id, name, user, value};
    _cleanup_buffer_ struct buffer text = {0};
    uint8_t mac[LOCAL_MAC_SIZE];

    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        buffer_add_lp(&text, parts[i], strlen(parts[i]));
    local_key_mac(&sent->key, &text, mac);
    hex_encode(mac, sizeof(mac), ret_hex);
}

/* One value of the body: is it the one that was sent, or from now on. */
struct value {
    char *name; /* owned: "env.NAME", "registry.SERVER" */
    char hex[2 * LOCAL_MAC_SIZE + 1];
};

static void value_done(struct value *value)
{
    free(value->name);
}

static void of_env(const struct sent *sent, const char *name, const json_t *json,
                   struct value *ret_value)
{
    ret_value->name = xasprintf("env.%s", name);
    hash(sent, ret_value->name, "", json_string_value(json) ?: "", ret_value->hex);
}

static void of_registry(const struct sent *sent, const json_t *json, struct value *ret_value)
{
    ret_value->name = xasprintf("registry.%s", member(json, "server") ?: "");
    hash(sent, ret_value->name, member(json, "username") ?: "", member(json, "password") ?: "",
         ret_value->hex);
}

static bool is_kept(const struct sent *sent, const struct value *value)
{
    const char *kept = member(sent->values, value->name);

    return kept && strcmp(kept, value->hex) == 0;
}

static bool is_in(const json_t *names, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(names, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
            return true;
    }
    return false;
}

static bool has_env(const struct sent *sent, const json_t *present, const char *name,
                    const json_t *json)
{
    _cleanup_(value_done) struct value value;

    of_env(sent, name, json, &value);
    return is_in(json_object_get(present, "envVarNames"), name) && is_kept(sent, &value);
}

static void drop_same_env(const struct sent *sent, const json_t *present, json_t *env)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(env, next, name, value)
    {
        if (has_env(sent, present, name, value))
            project_body_drop(env, name);
    }
}

/* The whole set, as single changes: what is not in it goes. */
static void split_env(const json_t *present, json_t *body)
{
    json_t *env = json_object_get(body, "envVars");
    json_t *gone = json_array();
    const json_t *name;
    size_t i;

    json_array_foreach(json_object_get(present, "envVarNames"), i, name)
    {
        if (json_is_string(name) && !json_object_get(env, json_string_value(name)))
            json_array_append_new(gone, json_string(json_string_value(name)));
    }
    if (json_array_size(gone))
        json_object_set(body, "unsetEnvVars", gone);
    json_decref(gone);
    json_object_set(body, "setEnvVars", env);
    json_object_del(body, "envVars");
}

static void trim_env(const struct sent *sent, const json_t *present, json_t *body)
{
    if (json_object_get(body, "envVars"))
        split_env(present, body);
    json_t *env = json_object_get(body, "setEnvVars");
    drop_same_env(sent, present, env);
    if (env && json_object_size(env) == 0)
        json_object_del(body, "setEnvVars");
}

/* They are replaced together, so they stay only together. */
static void trim_registries(const struct sent *sent, const json_t *present, json_t *body)
{
    const json_t *list = json_object_get(body, "dockerCredentials");
    const json_t *there = json_object_get(present, "dockerRegistries");
    const json_t *item;
    bool same = list && json_array_size(list) == json_array_size(there);
    size_t i;

    json_array_foreach(list, i, item)
    {
        _cleanup_(value_done) struct value value;
        of_registry(sent, item, &value);
        same = same && is_in(there, member(item, "server") ?: "") && is_kept(sent, &value);
    }
    if (same)
        project_body_drop(body, "dockerCredentials");
}

/* The generation is that of the values. */
static bool is_current(const struct sent *sent, const json_t *workload)
{
    return sent->generation > 0 && sent->generation == generation_of(workload);
}

void sent_trim(const char *url, const json_t *present, json_t *body)
{
    _cleanup_(sent_done) struct sent sent = {0};

    if (!find_record(member(present, "workloadId"), &sent) || !is_current(&sent, present) ||
        !open_key(url, &sent))
        return;
    trim_env(&sent, present, body);
    trim_registries(&sent, present, body);
}

static void keep(struct sent *sent, const struct value *value)
{
    json_object_set_new(sent->values, value->name, json_string(value->hex));
}

static void keep_env(struct sent *sent, const json_t *env)
{
    const char *name;
    json_t *json;

    json_object_foreach((json_t *)env, name, json)
    {
        _cleanup_(value_done) struct value value;
        of_env(sent, name, json, &value);
        keep(sent, &value);
    }
}

/* Between before and after there was at most this one change. */
static bool is_next(const json_t *before, const json_t *after)
{
    json_int_t raised = generation_of(after) - generation_of(before);

    return raised == 0 || raised == 1;
}

static bool has_values(const json_t *body)
{
    return json_object_size(json_object_get(body, "envVars")) ||
           json_object_size(json_object_get(body, "setEnvVars")) ||
           json_array_size(json_object_get(body, "dockerCredentials"));
}

void sent_keep(const char *url, const json_t *before, const json_t *body, const json_t *after)
{
    _cleanup_(sent_done) struct sent sent = {0};
    const json_t *item;
    size_t i;

    if (!find_record(member(after, "workloadId"), &sent))
        return;
    if (!is_current(&sent, before) || !is_next(before, after))
        json_object_clear(sent.values);
    if (!has_values(body) && !json_object_size(sent.values))
        return;
    if (!open_key(url, &sent))
        return;
    keep_env(&sent, json_object_get(body, "envVars"));
    keep_env(&sent, json_object_get(body, "setEnvVars"));
    json_array_foreach(json_object_get(body, "dockerCredentials"), i, item)
    {
        _cleanup_(value_done) struct value value;
        of_registry(&sent, item, &value);
        keep(&sent, &value);
    }
    sent.generation = generation_of(after);
    write_record(&sent);
}

/* Each change raises the generation by one: if it is one more, there was none but ours. */
void sent_carry(const json_t *after)
{
    _cleanup_(sent_done) struct sent sent = {0};

    if (!find_record(member(after, "workloadId"), &sent) || sent.generation <= 0 ||
        sent.generation + 1 != generation_of(after))
        return;
    sent.generation++;
    write_record(&sent);
}

void sent_forget(const char *workload_id)
{
    _cleanup_(sent_done) struct sent sent = {0};

    if (find_record(workload_id, &sent))
        unlink(sent.path);
}
