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
    struct member_edit edit = {0};
    struct account account;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *id = form_text(&form, "accountId", true, ACCOUNT_ID_MAX);
    const char *name = form_name(&form, "name", true, MEMBER_NAME_MAX);
    take_role(&form, true, &edit);
    err = form_close(&form);
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

    struct error *err = account_check_path(request);
    err = err ?: account_load(request, request->parameter, &account);
    return err ?: members_list(request, account.id, ret_response);
}

static void take_edit(struct form *form, struct member_edit *ret_edit)
{
    *ret_edit = (struct member_edit){.name = form_name(form, "name", false, MEMBER_NAME_MAX)};
    take_role(form, false, ret_edit);
    ret_edit->set_active = form_active(form, &ret_edit->active);
}

struct error *on_member_update(struct request *request, struct response *ret_response)
{
    struct member_edit edit;
    struct member member;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *id = form_text(&form, "memberId", true, MEMBER_ID_MAX);
    take_edit(&form, &edit);
    err = form_close_edit(&form, edit.name || edit.set_role || edit.set_active, "memberId",
                          "give name, role or active");
    err = err ?: member_change(request, id, &edit, &member);
    if (!err)
        ret_response->json = member_to_json(&member);
    return err;
}

struct error *on_member_delete(struct request *request, struct response *ret_response)
{
    const char *id = NULL;
    struct error *err = form_read_text(request, "memberId", MEMBER_ID_MAX, &id);

    err = err ?: member_delete(request, id);
    if (!err)
        ret_response->json = json_object();
    return err;
}
