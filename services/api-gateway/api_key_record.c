#include "services/api-gateway/api_key_record.h"

#include "services/api-gateway/json_record.h"
#include "services/api-gateway/json_text.h"
#include "shared/base/clock.h"

static const char *const level_names[] = {
    [LEVEL_NONE] = "none",
    [LEVEL_READ] = "read",
    [LEVEL_DEPLOY] = "deploy",
    [LEVEL_ADMIN] = "admin",
};

static const struct {
    const char *name;
    enum key_level level;
} types[API_KEY_TYPES_] = {
    [API_KEY_USER] = {"user", LEVEL_DEPLOY},
    [API_KEY_ACCOUNT_ADMIN] = {"account-admin", LEVEL_ADMIN},
};

bool api_key_type_parse(const char *text, enum api_key_type *ret_type)
{
    for (size_t i = 0; i < ELEMENTSOF(types); i++)
        if (strcmp(types[i].name, text) == 0) {
            *ret_type = (enum api_key_type)i;
            return true;
        }
    return false;
}

bool key_level_parse(const char *text, enum key_level *ret_level)
{
    for (size_t i = LEVEL_READ; i < ELEMENTSOF(level_names); i++)
        if (strcmp(level_names[i], text) == 0) {
            *ret_level = (enum key_level)i;
            return true;
        }
    return false;
}

enum key_level api_key_type_level(enum api_key_type type)
{
    return types[type].level;
}

static int64_t number(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

/* A record that says no type is the bootstrap key of before there were types. */
void api_key_read(const json_t *json, struct arena *arena, struct api_key *ret_key)
{
    *ret_key = (struct api_key){
        .id = json_record_text(json, "id", arena),
        .account = json_record_text(json, "account", arena),
        .name = json_record_text(json, "name", arena),
        .member_id = json_record_text(json, "member_id", arena),
        .type = API_KEY_ACCOUNT_ADMIN,
        .active = json_is_true(json_object_get(json, "active")),
        .created_at_ms = number(json, "created_at_ms"),
        .updated_at_ms = number(json, "updated_at_ms"),
        .expires_at_ms = number(json, "expires_at_ms"),
    };
    const char *type = json_record_text(json, "type", arena);
    if (*type && !api_key_type_parse(type, &ret_key->type))
        ret_key->type = API_KEY_USER;
    ret_key->level = types[ret_key->type].level;
    const char *level = json_record_text(json, "level", arena);
    if (*level && !key_level_parse(level, &ret_key->level))
        ret_key->level = LEVEL_NONE;
}

ProtobufCBinaryData api_key_value(struct arena *arena, const struct api_key *key)
{
    _cleanup_(json_decrefp) json_t *json = json_pack(
        "{s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "account", key->account, "id",
        key->id, "name", json_text(key->name, strlen(key->name)), "member_id", key->member_id ?: "",
        "type", types[key->type].name, "level", level_names[key->level], "active", key->active,
        "created_at_ms", (json_int_t)key->created_at_ms, "updated_at_ms",
        (json_int_t)key->updated_at_ms, "expires_at_ms", (json_int_t)key->expires_at_ms);

    return json_record_value(arena, json);
}

static json_t *time_json(int64_t at_ms)
{
    char text[CLOCK_TEXT_SIZE];

    if (!at_ms)
        return json_null();
    clock_format(at_ms, text);
    return json_string(text);
}

/* Every level it contains, so that a reader need not know their order. */
static json_t *scopes_json(enum key_level level)
{
    json_t *scopes = json_array();

    for (size_t i = LEVEL_READ; i < ELEMENTSOF(level_names) && i <= (size_t)level; i++)
        json_array_append_new(scopes, json_string(level_names[i]));
    return scopes;
}

json_t *api_key_details(const struct api_key *key)
{
    const char *member = key->member_id && *key->member_id ? key->member_id : NULL;

    return json_pack("{s:o, s:s, s:o, s:b, s:o, s:s?}", "name",
                     json_text(key->name, strlen(key->name)), "type", types[key->type].name,
                     "scopes", scopes_json(key->level), "active", key->active, "expiresAt",
                     time_json(key->expires_at_ms), "memberId", member);
}

json_t *api_key_to_json(const struct api_key *key, const char *id)
{
    json_t *json = api_key_details(key);

    json_object_set_new(json, "id", json_string(id));
    json_object_set_new(json, "keyId", json_string(key->id));
    json_object_set_new(json, "accountId", json_string(key->account));
    json_object_set_new(json, "createdAt", time_json(key->created_at_ms));
    json_object_set_new(json, "updatedAt", time_json(key->updated_at_ms));
    json_object_set_new(json, "lastUsedAt", time_json(key->used_at_ms));
    return json;
}
