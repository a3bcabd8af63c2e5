/* API keys of an account: made, listed, changed and deleted by its admins or the global admin. */
#include "services/api-gateway/accounts.h"
#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/members.h"
#include "services/api-gateway/time_text.h"

/* A date that is over is refused: who asks for one means another. */
static void take_expiry(struct form *form, struct api_key_edit *edit)
{
    const json_t *value = json_object_get(form->json, "expiresAt");
    const char *text = form_text(form, "expiresAt", false, CLOCK_TEXT_SIZE);

    edit->set_expiry = value != NULL;
    if (!text) /* null: never */
        return;
    if (!time_text_parse(text, &edit->expires_at_ms))
        form_find(form, "expiresAt", "'expiresAt' is not a time",
                  "write it like 2030-01-31T12:00:00Z");
    else if (edit->expires_at_ms <= clock_wall_ms(form->request->gateway->clock))
        form_find(form, "expiresAt", "'expiresAt' is over", "give a time to come");
}

/* The highest counts: each contains the ones before it. */
static void take_scopes(struct form *form, struct api_key_edit *edit)
{
    const json_t *scopes = form_member(form, "scopes", JSON_ARRAY, LEVEL_ADMIN);
    const json_t *scope;
    size_t i;

    if (scopes && !json_array_size(scopes))
        form_find(form, "scopes", "'scopes' is empty", "name one, or leave it out");
    json_array_foreach(scopes, i, scope)
    {
        const char *name = json_string_value(scope);
        enum key_level level = LEVEL_NONE;
        if (!name || !key_level_parse(name, &level))
            form_find(form, "scopes", "there is no such scope",
                      "write \"read\", \"deploy\" or \"admin\"");
        if (level > edit->level)
            edit->level = level;
    }
}

static void take_type(struct form *form, bool required, struct api_key_edit *edit)
{
    const char *text = form_text(form, "type", required, 32);
    enum api_key_type type;

    if (!text)
        return;
    if (!api_key_type_parse(text, &type)) {
        form_find(form, "type", "there is no such type", "write \"account-admin\" or \"user\"");
        return;
    }
    edit->type = text;
    if (edit->level > api_key_type_level(type))
        form_find(form, "scopes", "a key of type 'user' cannot have scope 'admin'",
                  "make it an account-admin key, or leave the scope out");
}

static void take_edit(struct form *form, bool create, struct api_key_edit *ret_edit)
{
    *ret_edit = (struct api_key_edit){0};
    take_scopes(form, ret_edit);
    take_type(form, create, ret_edit);
    ret_edit->set_active = form_active(form, &ret_edit->active);
    ret_edit->name = form_name(form, "name", false, API_KEY_NAME_MAX);
    take_expiry(form, ret_edit);
}

static bool is_empty(const struct api_key_edit *edit)
{
    return !edit->type && !edit->name && edit->level == LEVEL_NONE && !edit->set_active &&
           !edit->set_expiry;
}

/* type was checked. */
static struct api_key key_of(const struct api_key_edit *edit, const struct account *account)
{
    struct api_key key = {.account = account->id,
                          .name = edit->name ?: "",
                          .active = edit->active,
                          .expires_at_ms = edit->expires_at_ms};

    (void)api_key_type_parse(edit->type, &key.type);
    key.level = edit->level ?: api_key_type_level(key.type);
    return key;
}

/* A member of another account is as unknown as one that there is not. */
static struct error *check_member(struct request *request, const char *account, const char *id)
{
    struct member member;
    struct error *err = id ? member_find(request, id, &member) : NULL;

    if (!err && id && strcmp(member.account, account) != 0)
        err = error_new(ERROR_NOT_FOUND, "no such member");
    return err;
}

static struct error *create(struct request *request, const struct account *account,
                            const char *member_id, const struct api_key_edit *edit,
                            struct response *ret_response)
{
    struct api_key key = key_of(edit, account);
    char secret[API_KEY_SECRET_SIZE];
    struct error *err = check_member(request, account->id, member_id);

    key.member_id = member_id;
    err = err ?: api_key_create(request, &key, secret);
    if (!err)
        ret_response->json = api_key_to_json(&key, secret);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

struct error *on_api_key_create(struct request *request, struct response *ret_response)
{
    struct api_key_edit edit;
    struct account account;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *id = form_text(&form, "accountId", true, ACCOUNT_ID_MAX);
    const char *member_id = form_text(&form, "memberId", false, MEMBER_ID_MAX);
    take_edit(&form, true, &edit);
    err = form_close(&form);
    err = err ?: account_load(request, id, &account);
    return err ?: create(request, &account, member_id, &edit, ret_response);
}

struct error *on_api_key_list(struct request *request, struct response *ret_response)
{
    struct account account;

    struct error *err = account_check_path(request);
    err = err ?: account_load(request, request->parameter, &account);
    return err ?: api_keys_list(request, account.id, ret_response);
}

struct error *on_api_key_update(struct request *request, struct response *ret_response)
{
    struct api_key_edit edit;
    struct api_key key;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *id = form_text(&form, "id", true, API_KEY_MAX);
    take_edit(&form, false, &edit);
    err = form_close_edit(&form, !is_empty(&edit), "id",
                          "give type, active, name, scopes or expiresAt");
    err = err ?: api_key_change(request, id, &edit, &key);
    if (!err)
        ret_response->json = api_key_to_json(&key, key.id);
    return err;
}

struct error *on_api_key_delete(struct request *request, struct response *ret_response)
{
    const char *id = NULL;
    struct error *err = form_read_text(request, "id", API_KEY_MAX, &id);

    err = err ?: api_key_delete(request, id);
    if (!err)
        ret_response->json = json_object();
    return err;
}
