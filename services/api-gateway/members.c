#include "services/api-gateway/members.h"

#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/json_record.h"
#include "services/api-gateway/list_page.h"
#include "services/api-gateway/member_record.h"
#include "shared/store/keys.h"

enum { TRIES = 200 };

struct roster {
    json_t *json;
    uint64_t version;
};

static void roster_done(struct roster *roster)
{
    json_decref(roster->json);
}

static const char *key_of(struct arena *arena, const char *family, const char *name)
{
    return arena_printf(arena, "%s%s", family, name);
}

/* Version 0: there is none. */
static struct error *load(struct store *store, const char *id, struct arena *arena,
                          struct member *ret_member)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    uint64_t version = 0;
    struct error *err =
        json_record_load(store, key_of(arena, KEY_MEMBER, id), arena, &json, &version);

    if (err)
        return err;
    member_read(json, arena, ret_member);
    ret_member->version = version;
    return NULL;
}

static struct error *no_such_member(void)
{
    return error_new(ERROR_NOT_FOUND, "no such member");
}

struct error *member_find(struct request *request, const char *id, struct member *ret_member)
{
    if (!name_is_valid(id))
        return no_such_member();
    struct error *err = load(request->gateway->store, id, request->arena, ret_member);
    if (err)
        return err;
    if (!ret_member->version)
        return no_such_member();
    if (request->principal.kind != PRINCIPAL_GLOBAL_ADMIN &&
        strcmp(ret_member->account, request->account) != 0)
        return no_such_member();
    return NULL;
}

static struct error *roster_load(struct request *request, const char *account,
                                 struct roster *ret_roster)
{
    struct error *err =
        json_record_load(request->gateway->store, key_of(request->arena, KEY_MEMBERS_OF, account),
                         request->arena, &ret_roster->json, &ret_roster->version);

    if (!err && !ret_roster->json)
        ret_roster->json = json_pack("{s:[], s:[]}", "members", "owners");
    return err;
}

static void list_set(json_t *list, const char *id, bool in)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) if (strcmp(json_string_value(item) ?: "", id) == 0)
    {
        json_array_remove(list, i);
        break;
    }
    if (in)
        json_array_append_new(list, json_string(id));
}

/* The roster after the change. Who is there without an active owner may go on without one. */
static struct error *roster_edit(struct roster *roster, const struct member *member, bool gone)
{
    json_t *members = json_object_get(roster->json, "members");
    json_t *owners = json_object_get(roster->json, "owners");
    size_t n_before = json_array_size(owners);
    bool new = member->version == 0;

    if (new &&json_array_size(members) >= MEMBERS_MAX)
        return error_new(ERROR_FAILED_PRECONDITION, "the account has %d members: delete some first",
                         MEMBERS_MAX);
    if (new || gone)
        list_set(members, member->id, !gone);
    list_set(owners, member->id, !gone && member->active && member->role == MEMBER_OWNER);
    if (n_before && !json_array_size(owners))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "this is the account's last active owner: make another one first");
    return NULL;
}

/* One commit: the member, the roster as it was read, the audit entry and the answer. */
static struct error *commit(struct request *request, const struct member *member, bool gone,
                            const struct roster *roster)
{
    _cleanup_(json_decrefp) json_t *details = member_details(member);
    _cleanup_(json_decrefp) json_t *answer = gone ? json_object() : member_to_json(member);
    const struct store_write writes[] = {
        {.key = key_of(request->arena, KEY_MEMBER, member->id),
         .expected_version = member->version,
         .value = gone ? (ProtobufCBinaryData){0} : member_value(request->arena, member)},
        {.key = key_of(request->arena, KEY_MEMBERS_OF, member->account),
         .expected_version = roster->version,
         .value = json_record_value(request->arena, roster->json)},
    };
    const struct audit_entry entry = {
        .account = member->account, .object = member->id, .result = "ok", .details = details};
    struct store_list_edit lists[AUDIT_LISTS];
    const struct store_change change = {.writes = writes,
                                        .n_writes = 2,
                                        .lists = lists,
                                        .n_lists = audit_edits(request, &entry, lists)};

    return idempotency_commit(request, &change, answer);
}

static struct error *keep(struct request *request, const struct member *member, bool gone)
{
    _cleanup_(roster_done) struct roster roster = {0};
    struct error *err = roster_load(request, member->account, &roster);

    err = err ?: roster_edit(&roster, member, gone);
    return err ?: commit(request, member, gone, &roster);
}

struct error *member_create(struct request *request, struct member *member)
{
    struct error *err = NULL;
    char id[UUID_TEXT_SIZE];

    uuid_generate_text(id); /* not one that follows from the request: see members.h */
    member->id = arena_strdup(request->arena, id);
    member->created_at_ms = clock_wall_ms(request->gateway->clock);
    member->updated_at_ms = member->created_at_ms;
    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = keep(request, member, false);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

static void apply(struct member *member, const struct member_edit *edit)
{
    if (edit->name)
        member->name = edit->name;
    if (edit->set_role)
        member->role = edit->role;
    if (edit->set_active)
        member->active = edit->active;
}

/* edit NULL: it is deleted. */
static struct error *try_change(struct request *request, const char *id,
                                const struct member_edit *edit, struct member *ret_member)
{
    struct error *err = member_find(request, id, ret_member);

    err = err ?: etag_check_version(request, ret_member->version);
    if (err)
        return err;
    if (edit)
        apply(ret_member, edit);
    ret_member->updated_at_ms = clock_wall_ms(request->gateway->clock);
    return keep(request, ret_member, edit == NULL);
}

/* Whoever is aborted lost to one that got on, so this ends; the limit is for a broken store. */
struct error *member_change(struct request *request, const char *id, const struct member_edit *edit,
                            struct member *ret_member)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_change(request, id, edit, ret_member);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

struct error *member_delete(struct request *request, const char *id)
{
    struct member member;

    return member_change(request, id, NULL, &member);
}

static struct error *load_all(struct request *request, const json_t *ids, struct member *members,
                              size_t *ret_found)
{
    size_t n = json_array_size(ids);
    struct store_record *records = arena_alloc(request->arena, (n + 1) * sizeof(*records));
    const char **keys = arena_alloc(request->arena, (n + 1) * sizeof(*keys));

    for (size_t i = 0; i < n; i++)
        keys[i] =
            key_of(request->arena, KEY_MEMBER, json_string_value(json_array_get(ids, i)) ?: "");
    struct error *err = store_get_many(request->gateway->store, keys, n, request->arena, records);
    for (size_t i = 0; !err && i < n; i++) {
        _cleanup_(json_decrefp) json_t *json = json_record_parse(&records[i]);
        if (!json) /* deleted between the two reads */
            continue;
        member_read(json, request->arena, &members[*ret_found]);
        members[(*ret_found)++].version = records[i].version;
    }
    return err;
}

/* The tag is what If-Match takes: there is no answer of one member alone. */
static json_t *listed(const struct member *member)
{
    json_t *json = member_to_json(member);
    char tag[ETAG_SIZE];

    etag_of_version(member->version, tag);
    json_object_set_new(json, "etag", json_string(tag));
    return json;
}

/* The page of them, oldest first. */
static void answer(struct request *request, const struct list_query *query,
                   const struct member *members, size_t n, struct response *response)
{
    struct list_item *items = arena_alloc(request->arena, (n + 1) * sizeof(*items));

    for (size_t i = 0; i < n; i++)
        items[i] = (struct list_item){
            .key = list_key_of_number(request->arena, (uint64_t)members[i].created_at_ms),
            .id = members[i].id,
            .what = &members[i]};
    items = list_page(request, response, query, list_by_key, items, &n);
    response->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(response->json, listed(items[i].what));
}

struct error *members_list(struct request *request, const char *account,
                           struct response *ret_response)
{
    static const char *const arguments[] = {NULL};
    _cleanup_(roster_done) struct roster roster = {0};
    struct list_query query;
    size_t found = 0;

    list_query_read(request, arguments, &query);
    struct error *err = list_query_result(&query);
    err = err ?: roster_load(request, account, &roster);
    if (err)
        return err;
    const json_t *ids = json_object_get(roster.json, "members");
    struct member *members =
        arena_alloc(request->arena, (json_array_size(ids) + 1) * sizeof(*members));
    err = load_all(request, ids, members, &found);
    if (err)
        return err;
    answer(request, &query, members, found, ret_response);
    return NULL;
}

struct error *member_limit_key(struct gateway *gateway, struct arena *arena, struct api_key *key)
{
    struct member member;

    if (!key->member_id || !*key->member_id)
        return NULL;
    struct error *err = load(gateway->store, key->member_id, arena, &member);
    if (err)
        return err;
    if (!member.active || strcmp(member.account, key->account) != 0)
        key->active = false;
    if (key->level > member_role_level(member.role))
        key->level = member_role_level(member.role);
    return NULL;
}
