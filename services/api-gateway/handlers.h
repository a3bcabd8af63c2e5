/* Every handler, for routes.c. A handler answers one request; see http.h. */
#pragma once

#include "services/api-gateway/http.h"

/* handlers_create.c */
struct error *on_create(struct request *request, struct response *ret_response);

/* handlers_restart.c, handlers_update.c, handlers_plan.c, handlers_env.c */
struct error *on_restart(struct request *request, struct response *ret_response);
struct error *on_update(struct request *request, struct response *ret_response);
struct error *on_plan(struct request *request, struct response *ret_response);
struct error *on_env(struct request *request, struct response *ret_response);

/* handlers_workloads.c */
struct error *on_list(struct request *request, struct response *ret_response);
bool on_list_now(struct request *request, struct response *ret_response);
struct error *on_get(struct request *request, struct response *ret_response);
bool on_get_now(struct request *request, struct response *ret_response);
struct error *on_manifest(struct request *request, struct response *ret_response);
struct error *on_events_list(struct request *request, struct response *ret_response);
struct error *on_delete(struct request *request, struct response *ret_response);
struct error *on_start(struct request *request, struct response *ret_response);
struct error *on_stop(struct request *request, struct response *ret_response);

/* handlers_guest.c */
struct error *on_logs(struct request *request, struct response *ret_response);
struct error *on_stats(struct request *request, struct response *ret_response);
struct error *on_containers(struct request *request, struct response *ret_response);
struct error *on_container_logs(struct request *request, struct response *ret_response);

/* handlers_stream.c */
struct error *on_workload_events_stream(struct request *request, struct response *ret_response);
struct error *on_all_events_stream(struct request *request, struct response *ret_response);
struct error *on_logs_stream(struct request *request, struct response *ret_response);

/* handlers_accounts.c */
struct error *on_account_create(struct request *request, struct response *ret_response);
struct error *on_account_update(struct request *request, struct response *ret_response);
struct error *on_account_list(struct request *request, struct response *ret_response);
struct error *on_account_me(struct request *request, struct response *ret_response);
struct error *on_account_get(struct request *request, struct response *ret_response);
struct error *on_account_add_balance(struct request *request, struct response *ret_response);

/* handlers_api_keys.c */
struct error *on_api_key_create(struct request *request, struct response *ret_response);
struct error *on_api_key_list(struct request *request, struct response *ret_response);
struct error *on_api_key_update(struct request *request, struct response *ret_response);
struct error *on_api_key_delete(struct request *request, struct response *ret_response);

/* handlers_members.c */
struct error *on_member_create(struct request *request, struct response *ret_response);
struct error *on_member_list(struct request *request, struct response *ret_response);
struct error *on_member_update(struct request *request, struct response *ret_response);
struct error *on_member_delete(struct request *request, struct response *ret_response);
/* handlers_webhooks.c */
struct error *on_webhook_create(struct request *request, struct response *ret_response);
struct error *on_webhook_list(struct request *request, struct response *ret_response);
struct error *on_webhook_get(struct request *request, struct response *ret_response);
struct error *on_webhook_update(struct request *request, struct response *ret_response);
struct error *on_webhook_delete(struct request *request, struct response *ret_response);
struct error *on_webhook_test(struct request *request, struct response *ret_response);
struct error *on_webhook_deliveries(struct request *request, struct response *ret_response);

/* handlers_audit.c */
struct error *on_audit(struct request *request, struct response *ret_response);

/* handlers_fleet.c */
struct error *on_fleet(struct request *request, struct response *ret_response);
struct error *on_image(struct request *request, struct response *ret_response);

/* handlers_docs.c */
struct error *on_openapi(struct request *request, struct response *ret_response);
struct error *on_docs(struct request *request, struct response *ret_response);
struct error *on_docs_file(struct request *request, struct response *ret_response);

/* handlers_artifacts.c */
struct error *on_artifacts(struct request *request, struct response *ret_response);
bool on_artifacts_now(struct request *request, struct response *ret_response);
struct error *on_artifact_enable(struct request *request, struct response *ret_response);
struct error *on_artifact_disable(struct request *request, struct response *ret_response);

/* handlers_tiers.c */
struct error *on_tiers(struct request *request, struct response *ret_response);
bool on_tiers_now(struct request *request, struct response *ret_response);
struct error *on_tier_create(struct request *request, struct response *ret_response);
struct error *on_tier_update(struct request *request, struct response *ret_response);
struct error *on_tier_delete(struct request *request, struct response *ret_response);

/* handlers_hosts.c */
struct error *on_hosts(struct request *request, struct response *ret_response);
struct error *on_host(struct request *request, struct response *ret_response);
struct error *on_host_delete(struct request *request, struct response *ret_response);

/* handlers_health.c */
struct error *on_health(struct request *request, struct response *ret_response);
bool on_health_now(struct request *request, struct response *ret_response);
struct error *on_ready(struct request *request, struct response *ret_response);
struct error *on_metrics(struct request *request, struct response *ret_response);
