/* Members of an account and their roles: kept by its owners, or the global admin. */
#include "services/api-gateway/accounts.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/members.h"

static void take_role(struct form *form, bool required, struct member_edit *edit)
{
    const char *text = form_text(form, "role", required, 32);

    edit->set_role = text != NULL;
    if (text && !member_role_parse(text, &edit->role))
        form_find(form, "role", "there is no such role",
                  "write \"owner\", \"deployer\" or \"viewer\"");
}

struct error *on_member_create(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct member_edit edit = {0};
    struct account account;
    struct form form;
    struct error *err = http_json(request, &body);

    if (err)
        return err;
    form_init(&form, request, body);
    const char *id = form_text(&form, "accountId", true, ACCOUNT_ID_MAX);
    const char *name = form_name(&form, "name", true, MEMBER_NAME_MAX);
    take_role(&form, true, &edit);
    form_finish(&form);
    err = form_result(&form);
    err = err ?: account_load(request, id, &account);
    if (err)
        return err;
    struct member member = {.account = account.id, .name = name, .role = edit.role, .active = true};
    err = member_create(request, &member);
    if (!err)
        ret_response->json = member_to_json(&member);
    return err;
}

struct error *on_member_list(struct request *request, struct response *ret_response)
{
    struct account account;

    if (!name_is_valid(request->parameter))
        return http_refuse(request, 400, "INVALID_PATH",
                           error_new(ERROR_INVALID_ARGUMENT, "this is no account's id"));
    struct error *err = account_load(request, request->parameter, &account);
    return err ?: members_list(request, account.id, ret_response);
}

static void take_edit(struct form *form, struct member_edit *ret_edit)
{
    *ret_edit = (struct member_edit){.name = form_name(form, "name", false, MEMBER_NAME_MAX)};
    take_role(form, false, ret_edit);
    ret_edit->set_active = form_value(form, "active") != NULL;
    ret_edit->active = form_bool(form, "active", true);
    form_finish(form);
    if (!form->request->findings->n && !ret_edit->name && !ret_edit->set_role &&
        !ret_edit->set_active)
        form_find(form, "memberId", "nothing is to be changed", "give name, role or active");
}

struct error *on_member_update(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct member_edit edit;
    struct member member;
    struct form form;
    struct error *err = http_json(request, &body);

    if (err)
        return err;
    form_init(&form, request, body);
    const char *id = form_text(&form, "memberId", true, MEMBER_ID_MAX);
    take_edit(&form, &edit);
    err = form_result(&form);
    err = err ?: member_change(request, id, &edit, &member);
    if (!err)
        ret_response->json = member_to_json(&member);
    return err;
}

struct error *on_member_delete(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct form form;
    struct error *err = http_json(request, &body);

    if (err)
        return err;
    form_init(&form, request, body);
    const char *id = form_text(&form, "memberId", true, MEMBER_ID_MAX);
    form_finish(&form);
    err = form_result(&form);
    err = err ?: member_delete(request, id);
    if (!err)
        ret_response->json = json_object();
    return err;
}
