#include "services/api-gateway/api_keys.h"

#include <openssl/rand.h>

#include "services/api-gateway/api_key_record.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/json_record.h"
#include "services/api-gateway/read_cache.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

enum { TRIES = 20, SECRET_BYTES = 32 };

static struct error *no_such_key(void)
{
    return error_new(ERROR_NOT_FOUND, "no such API key");
}

void api_key_hash(const char *secret, char ret_sha256[65])
{
    uint8_t digest[SHA256_SIZE];

    sha256(secret, strlen(secret), digest);
    hex_encode(digest, sizeof(digest), ret_sha256);
}

static const char *key_of(struct arena *arena, const char *family, const char *name)
{
    return arena_printf(arena, "%s%s", family, name);
}

struct error *api_key_load(struct gateway *gateway, const char *sha256, struct arena *arena,
                           struct api_key *ret_key)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    uint64_t version = 0;
    struct error *err = json_record_load(gateway->store, key_of(arena, KEY_API_KEY, sha256), arena,
                                         &json, &version);

    if (err)
        return err;
    api_key_read(json, arena, ret_key);
    snprintf(ret_key->sha256, sizeof(ret_key->sha256), "%s", sha256);
    ret_key->version = version;
    return NULL;
}

/*
 * The hash that a public id stands for, or that of the text as a secret. Ids are looked up by their
 * hash too: what was given may be a secret, which must not get into the store, not even as the
 * name of a record, nor into the error that names it.
 */
static struct error *resolve(struct request *request, const char *id_or_secret, char ret_hash[65])
{
    _cleanup_(json_decrefp) json_t *json = NULL;

    api_key_hash(id_or_secret, ret_hash);
    struct error *err =
        json_record_load(request->gateway->store, key_of(request->arena, KEY_API_KEY_ID, ret_hash),
                         request->arena, &json, NULL);
    const char *hash = json_string_value(json_object_get(json, "sha256"));
    if (!err && hash)
        snprintf(ret_hash, 65, "%s", hash);
    return err;
}

struct error *api_key_find(struct request *request, const char *id_or_secret,
                           struct api_key *ret_key)
{
    char hash[65];
    struct error *err = resolve(request, id_or_secret, hash);

    err = err ?: api_key_load(request->gateway, hash, request->arena, ret_key);
    if (err)
        return err;
    if (!ret_key->version)
        return no_such_key();
    if (request->principal.kind != PRINCIPAL_GLOBAL_ADMIN &&
        strcmp(ret_key->account, request->account) != 0)
        return no_such_key();
    return NULL;
}

/* The change of one key, its audit entry with it, and the answer, which is taken. */
static struct error *commit(struct request *request, const struct api_key *key, json_t *answer_json,
                            struct store_change change)
{
    _cleanup_(json_decrefp) json_t *answer = answer_json;
    _cleanup_(json_decrefp) json_t *details = api_key_details(key);
    const struct audit_entry entry = {
        .account = key->account, .object = key->id, .result = "ok", .details = details};
    struct store_list_edit lists[AUDIT_LISTS];

    change.lists = lists;
    change.n_lists = audit_edits(request, &entry, lists);
    return idempotency_commit(request, &change, answer);
}

/* Record, id and index of a key, for writing or, with no value, for deleting. */
static struct store_change all_of(struct arena *arena, const struct api_key *key,
                                  struct store_write writes[3], struct store_index_edit *edit)
{
    char id_hash[65];

    api_key_hash(key->id, id_hash);
    writes[0] = (struct store_write){.key = key_of(arena, KEY_API_KEY, key->sha256),
                                     .expected_version = key->version};
    writes[1] = (struct store_write){.key = key_of(arena, KEY_API_KEY_ID, id_hash),
                                     .expected_version = UINT64_MAX};
    writes[2] = (struct store_write){.key = key_of(arena, KEY_API_KEY_USED, key->sha256),
                                     .expected_version = UINT64_MAX};
    *edit = (struct store_index_edit){.set = key_of(arena, KEY_API_KEYS_OF, key->account),
                                      .member = arena_strdup(arena, key->sha256)};
    return (struct store_change){.writes = writes, .n_writes = 3, .edits = edit, .n_edits = 1};
}

/* A new key was not used yet, so the third write, which would only delete, is left out. */
static struct store_change for_new(struct arena *arena, const struct api_key *key,
                                   struct store_write writes[3], struct store_index_edit *edit)
{
    _cleanup_(json_decrefp) json_t *hash = json_pack("{s:s}", "sha256", key->sha256);
    struct store_change change = all_of(arena, key, writes, edit);

    writes[0].value = api_key_value(arena, key);
    writes[1].value = json_record_value(arena, hash);
    change.n_writes = 2;
    return change;
}

static void fill_new(struct api_key *key, struct gateway *gateway, struct arena *arena)
{
    char id[UUID_TEXT_SIZE];

    uuid_generate_text(id);
    key->id = arena_strdup(arena, id);
    key->created_at_ms = clock_wall_ms(gateway->clock);
    key->updated_at_ms = key->created_at_ms;
}

static struct error *make_secret(char ret_secret[API_KEY_SECRET_SIZE])
{
    uint8_t random[SECRET_BYTES];

    if (RAND_bytes(random, sizeof(random)) != 1)
        return error_new(ERROR_INTERNAL, "no random numbers");
    char *text = base64url_encode_new(random, sizeof(random));
    snprintf(ret_secret, API_KEY_SECRET_SIZE, "coffer_%s", text); /* scanners find what leaked */
    OPENSSL_cleanse(random, sizeof(random));
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return NULL;
}

static struct error *check_room(struct request *request, const char *account)
{
    const char **hashes = NULL;
    size_t n = 0;
    struct error *err =
        store_members(request->gateway->store, key_of(request->arena, KEY_API_KEYS_OF, account),
                      2 * API_KEYS_MAX, request->arena, &hashes, &n);

    if (!err && n >= API_KEYS_MAX)
        err = error_new(ERROR_FAILED_PRECONDITION, "the account has %d API keys: delete some first",
                        API_KEYS_MAX);
    return err;
}

struct error *api_key_create(struct request *request, struct api_key *key,
                             char ret_secret[API_KEY_SECRET_SIZE])
{
    struct store_write writes[3];
    struct store_index_edit edit;
    struct error *err = check_room(request, key->account);

    err = err ?: make_secret(ret_secret);
    if (err)
        return err;
    fill_new(key, request->gateway, request->arena);
    api_key_hash(ret_secret, key->sha256);
    const struct store_change change = for_new(request->arena, key, writes, &edit);
    return commit(request, key, api_key_to_json(key, ret_secret), change);
}

static void apply(struct api_key *key, const struct api_key_edit *edit)
{
    if (edit->name)
        key->name = edit->name;
    if (edit->type && api_key_type_parse(edit->type, &key->type))
        key->level = api_key_type_level(key->type);
    if (edit->level != LEVEL_NONE)
        key->level = edit->level;
    if (edit->set_active)
        key->active = edit->active;
    if (edit->set_expiry)
        key->expires_at_ms = edit->expires_at_ms;
}

static struct error *try_change(struct request *request, const char *id_or_secret,
                                const struct api_key_edit *edit, struct api_key *ret_key)
{
    struct error *err = api_key_find(request, id_or_secret, ret_key);

    err = err ?: etag_check_version(request, ret_key->version);
    if (err)
        return err;
    apply(ret_key, edit);
    if (ret_key->level > api_key_type_level(ret_key->type))
        return error_new(ERROR_INVALID_ARGUMENT, "a key of type 'user' cannot have scope 'admin'");
    ret_key->updated_at_ms = clock_wall_ms(request->gateway->clock);
    const struct store_write write = {.key = key_of(request->arena, KEY_API_KEY, ret_key->sha256),
                                      .expected_version = ret_key->version,
                                      .value = api_key_value(request->arena, ret_key)};
    struct store_change change = {.writes = &write, .n_writes = 1};
    return commit(request, ret_key, api_key_to_json(ret_key, ret_key->id), change);
}

struct error *api_key_change(struct request *request, const char *id_or_secret,
                             const struct api_key_edit *edit, struct api_key *ret_key)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_change(request, id_or_secret, edit, ret_key);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

static struct error *try_delete(struct request *request, const char *id_or_secret)
{
    struct store_write writes[3];
    struct store_index_edit edit;
    struct api_key key;
    struct error *err = api_key_find(request, id_or_secret, &key);

    err = err ?: etag_check_version(request, key.version);
    if (err)
        return err;
    const struct store_change change = all_of(request->arena, &key, writes, &edit);
    edit.remove = true;
    return commit(request, &key, json_object(), change);
}

struct error *api_key_delete(struct request *request, const char *id_or_secret)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_delete(request, id_or_secret);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

struct error *api_key_ensure(struct gateway *gateway, const char *account, const char *secret)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_write writes[3];
    struct store_index_edit edit;
    struct api_key key = {0};
    char hash[65];

    if (strlen(secret) < API_KEY_MIN || strlen(secret) > API_KEY_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "an API key has %d to %d characters", API_KEY_MIN,
                         API_KEY_MAX);
    api_key_hash(secret, hash);
    struct error *err = api_key_load(gateway, hash, arena, &key);
    if (err || *key.id)
        return err;
    /* Not there, or without an id, as keys were before they had one. */
    bool active = !key.version || key.active;
    key = (struct api_key){.account = account,
                           .name = "bootstrap",
                           .type = API_KEY_ACCOUNT_ADMIN,
                           .level = LEVEL_ADMIN,
                           .active = active,
                           .version = key.version};
    snprintf(key.sha256, sizeof(key.sha256), "%s", hash);
    fill_new(&key, gateway, arena);
    const struct store_change change = for_new(arena, &key, writes, &edit);
    err = read_cache_commit(gateway, &change);
    if (error_get_code(err) != ERROR_ABORTED)
        return err;
    error_free(err); /* another gateway was quicker */
    return NULL;
}
