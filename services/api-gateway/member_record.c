#include "services/api-gateway/member_record.h"

#include "services/api-gateway/json_record.h"
#include "services/api-gateway/json_text.h"
#include "shared/base/clock.h"

static const struct {
    const char *name;
    enum key_level level;
} roles[MEMBER_ROLES_] = {
    [MEMBER_VIEWER] = {"viewer", LEVEL_READ},
    [MEMBER_DEPLOYER] = {"deployer", LEVEL_DEPLOY},
    [MEMBER_OWNER] = {"owner", LEVEL_ADMIN},
};

bool member_role_parse(const char *text, enum member_role *ret_role)
{
    for (size_t i = 0; i < ELEMENTSOF(roles); i++)
        if (strcmp(roles[i].name, text) == 0) {
            *ret_role = (enum member_role)i;
            return true;
        }
    return false;
}

enum key_level member_role_level(enum member_role role)
{
    return roles[role].level;
}

/* A role that we do not know is the least. */
void member_read(const json_t *json, struct arena *arena, struct member *ret_member)
{
    *ret_member = (struct member){
        .id = json_record_text(json, "member", arena),
        .account = json_record_text(json, "account", arena),
        .name = json_record_text(json, "name", arena),
        .role = MEMBER_VIEWER,
        .active = json_is_true(json_object_get(json, "active")),
        .created_at_ms = json_integer_value(json_object_get(json, "created_at_ms")),
        .updated_at_ms = json_integer_value(json_object_get(json, "updated_at_ms")),
    };
    (void)member_role_parse(json_record_text(json, "role", arena), &ret_member->role);
}

ProtobufCBinaryData member_value(struct arena *arena, const struct member *member)
{
    _cleanup_(json_decrefp) json_t *json = json_pack(
        "{s:s, s:s, s:o, s:s, s:b, s:I, s:I}", "member", member->id, "account", member->account,
        "name", json_text(member->name, strlen(member->name)), "role", roles[member->role].name,
        "active", member->active, "created_at_ms", (json_int_t)member->created_at_ms,
        "updated_at_ms", (json_int_t)member->updated_at_ms);

    return json_record_value(arena, json);
}

json_t *member_details(const struct member *member)
{
    return json_pack("{s:o, s:s, s:b}", "name", json_text(member->name, strlen(member->name)),
                     "role", roles[member->role].name, "active", member->active);
}

json_t *member_to_json(const struct member *member)
{
    char created[CLOCK_TEXT_SIZE];
    char updated[CLOCK_TEXT_SIZE];
    json_t *json = member_details(member);

    clock_format(member->created_at_ms, created);
    clock_format(member->updated_at_ms, updated);
    json_object_set_new(json, "memberId", json_string(member->id));
    json_object_set_new(json, "accountId", json_string(member->account));
    json_object_set_new(json, "createdAt", json_string(created));
    json_object_set_new(json, "updatedAt", json_string(updated));
    return json;
}
