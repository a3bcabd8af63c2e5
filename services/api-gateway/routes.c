#include "services/api-gateway/routes.h"

#include "services/api-gateway/handlers.h"

#define KIB     1024
#define MIB     (1024 * KIB)
#define SMALL   (16 * KIB)
#define SECRETS (2 * MIB)
#define CREATE  (25 * MIB) /* 16 MiB of files in base64, and everything else */

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* rows leave out what is zero */

const struct route gateway_routes[] = {
    {"GET", "/health", SCOPE_NONE, on_health, SMALL, on_health_now},

    {"POST", "/api/v1/workloads/create", SCOPE_DEPLOY, on_create, CREATE},
    {"GET", "/api/v1/workloads/list", SCOPE_READ, on_list, SMALL, on_list_now},
    {"POST", "/api/v1/workloads/delete", SCOPE_DEPLOY, on_delete, SMALL},
    {"POST", "/api/v1/workloads/restart", SCOPE_DEPLOY, on_restart, SECRETS},
    {"POST", "/api/v1/workloads/update", SCOPE_DEPLOY, on_update, CREATE},
    {"POST", "/api/v1/workloads/plan", SCOPE_READ, on_plan, CREATE, .share = SHARE_CHANGES},
    {"POST", "/api/v1/workloads/start", SCOPE_DEPLOY, on_start, SMALL},
    {"POST", "/api/v1/workloads/stop", SCOPE_DEPLOY, on_stop, SMALL},
    {"POST", "/api/v1/workloads/logs", SCOPE_READ, on_logs, SMALL, .share = SHARE_GUESTS},
    {"POST", "/api/v1/workloads/stats", SCOPE_READ, on_stats, SMALL, .share = SHARE_GUESTS},
    {"POST", "/api/v1/workload-containers/list", SCOPE_READ, on_containers, SMALL,
     .share = SHARE_GUESTS},
    {"POST", "/api/v1/workload-containers/logs", SCOPE_READ, on_container_logs, SMALL,
     .share = SHARE_GUESTS},
    {"POST", "/api/v1/workload-events/list", SCOPE_READ, on_events_list, SMALL},

    {"GET", "/api/v1/workloads/:id", SCOPE_READ, on_get, SMALL, on_get_now},
    {"GET", "/api/v1/workloads/:id/manifest", SCOPE_READ, on_manifest, SMALL},
    {"GET", "/api/v1/workloads/:id/env", SCOPE_READ, on_env, SMALL},
    {"GET", "/api/v1/workloads/:id/events", SCOPE_READ, on_workload_events_stream, SMALL},
    {"GET", "/api/v1/workloads/:id/logs", SCOPE_READ, on_logs_stream, SMALL},
    {"GET", "/api/v1/events", SCOPE_READ, on_all_events_stream, SMALL},

    {"POST", "/api/v1/accounts/create", SCOPE_ADMIN, on_account_create, SMALL},
    {"PUT", "/api/v1/accounts/update", SCOPE_ACCOUNT_ADMIN, on_account_update, SMALL},
    {"GET", "/api/v1/accounts/list", SCOPE_ADMIN, on_account_list, SMALL},
    {"GET", "/api/v1/accounts/me", SCOPE_IDENTITY, on_account_me, SMALL},
    {"POST", "/api/v1/accounts/add-balance", SCOPE_ADMIN, on_account_add_balance, SMALL},
    {"GET", "/api/v1/accounts/:id", SCOPE_ACCOUNT_READ, on_account_get, SMALL},
    {"POST", "/api/v1/api-keys/create", SCOPE_ACCOUNT_ADMIN, on_api_key_create, SMALL},
    {"GET", "/api/v1/api-keys/account/:id", SCOPE_ACCOUNT_READ, on_api_key_list, SMALL},
    {"PUT", "/api/v1/api-keys/update", SCOPE_ACCOUNT_ADMIN, on_api_key_update, SMALL},
    {"POST", "/api/v1/api-keys/delete", SCOPE_ACCOUNT_ADMIN, on_api_key_delete, SMALL},
    {"POST", "/api/v1/members/create", SCOPE_ACCOUNT_ADMIN, on_member_create, SMALL},
    {"GET", "/api/v1/members/account/:id", SCOPE_ACCOUNT_READ, on_member_list, SMALL},
    {"PUT", "/api/v1/members/update", SCOPE_ACCOUNT_ADMIN, on_member_update, SMALL},
    {"POST", "/api/v1/members/delete", SCOPE_ACCOUNT_ADMIN, on_member_delete, SMALL},
    {"GET", "/api/v1/audit", SCOPE_ACCOUNT_READ, on_audit, SMALL},

    {"POST", "/api/v1/webhooks/create", SCOPE_DEPLOY, on_webhook_create, SMALL},
    {"GET", "/api/v1/webhooks/list", SCOPE_DEPLOY, on_webhook_list, SMALL},
    {"PUT", "/api/v1/webhooks/update", SCOPE_DEPLOY, on_webhook_update, SMALL},
    {"POST", "/api/v1/webhooks/delete", SCOPE_DEPLOY, on_webhook_delete, SMALL},
    {"POST", "/api/v1/webhooks/test", SCOPE_DEPLOY, on_webhook_test, SMALL},
    {"GET", "/api/v1/webhooks/:id", SCOPE_DEPLOY, on_webhook_get, SMALL},
    {"GET", "/api/v1/webhooks/:id/deliveries", SCOPE_DEPLOY, on_webhook_deliveries, SMALL},

    {"POST", "/api/v1/artifacts/enable", SCOPE_ADMIN, on_artifact_enable, SMALL},
    {"GET", "/api/v1/artifacts/list", SCOPE_ADMIN_OR_ACCOUNT, on_artifacts, SMALL,
     on_artifacts_now},
    {"POST", "/api/v1/artifacts/disable", SCOPE_ADMIN, on_artifact_disable, SMALL},
    {"POST", "/api/v1/workload-tiers/create", SCOPE_ADMIN, on_tier_create, SMALL},
    {"GET", "/api/v1/workload-tiers/list", SCOPE_ADMIN_OR_ACCOUNT, on_tiers, SMALL, on_tiers_now},
    {"PUT", "/api/v1/workload-tiers/update", SCOPE_ADMIN, on_tier_update, SMALL},
    {"POST", "/api/v1/workload-tiers/delete", SCOPE_ADMIN, on_tier_delete, SMALL},
    {"GET", "/api/v1/metal-instances/list", SCOPE_ADMIN, on_hosts, SMALL},
    {"POST", "/api/v1/metal-instances/delete", SCOPE_ADMIN, on_host_delete, SMALL},
    {"GET", "/api/v1/metal-instances/:id", SCOPE_ADMIN, on_host, SMALL},

    /* what anybody may know, and needs to verify */
    {"GET", "/api/v1/fleet", SCOPE_NONE, on_fleet, SMALL},
    {"GET", "/api/v1/images/:version", SCOPE_NONE, on_image, SMALL},
    {"GET", "/openapi.json", SCOPE_NONE, on_openapi, SMALL},
    {"GET", "/docs", SCOPE_NONE, on_docs, SMALL},
    {"GET", "/docs/:file", SCOPE_NONE, on_docs_file, SMALL},
    {NULL, NULL, SCOPE_NONE, NULL, 0},
};

const struct route metrics_routes[] = {
    {"GET", "/metrics", SCOPE_NONE, on_metrics, SMALL},
    {"GET", "/healthz", SCOPE_NONE, on_health, SMALL},
    {"GET", "/readyz", SCOPE_NONE, on_ready, SMALL},
    {NULL, NULL, SCOPE_NONE, NULL, 0},
};

/* Part by part; a part that begins with ':' takes any one part into ret_parameter. */
static bool path_matches(const char *pattern, const char *path,
                         char ret_parameter[HTTP_PARAMETER_MAX])
{
    while (*pattern && *path) {
        if (pattern[0] == '/' && pattern[1] == ':' && path[0] == '/') {
            size_t size = strcspn(path + 1, "/");
            if (size == 0 || size >= HTTP_PARAMETER_MAX)
                return false;
            memcpy(ret_parameter, path + 1, size);
            ret_parameter[size] = '\0';
            path += 1 + size;
            pattern += 1 + strcspn(pattern + 1, "/");
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return !*pattern && !*path;
}

/* Methods are few and short; each once. */
static void allow(char methods[64], const char *method)
{
    size_t size = strlen(methods);

    if (!strstr(methods, method))
        snprintf(methods + size, 64 - size, "%s, ", method);
}

static struct error *wrong_method(struct request *request, char methods[64])
{
    struct response *response = &request->response;

    if (strstr(methods, MHD_HTTP_METHOD_GET))
        allow(methods, MHD_HTTP_METHOD_HEAD);
    strncat(methods, MHD_HTTP_METHOD_OPTIONS, 64 - strlen(methods) - 1);
    response_header(request, response, MHD_HTTP_HEADER_ALLOW, methods);
    if (request->is_options) {
        response->status = MHD_HTTP_NO_CONTENT;
        return NULL;
    }
    return http_refuse(request, 405, "METHOD_NOT_ALLOWED",
                       error_new(ERROR_INVALID_ARGUMENT, "this path has another method"));
}

struct error *routes_find(const struct route *routes, const char *method, const char *path,
                          struct request *request)
{
    char methods[64] = "";

    for (const struct route *route = routes; route->path; route++) {
        if (!path_matches(route->path, path, request->parameter))
            continue;
        if (strcmp(route->method, method) == 0) {
            request->route = route;
            return NULL;
        }
        allow(methods, route->method);
    }
    return *methods ? wrong_method(request, methods) : error_new(ERROR_NOT_FOUND, "no such path");
}
