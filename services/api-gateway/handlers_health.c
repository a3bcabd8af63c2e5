/* For supervisors and Prometheus. */
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "shared/store/keys.h"

enum { LEAVING_MAX = 65536 };

bool on_health_now(struct request *request, struct response *ret_response)
{
    (void)request;
    buffer_add_text(&ret_response->body, "OK");
    return true;
}

struct error *on_health(struct request *request, struct response *ret_response)
{
    (void)on_health_now(request, ret_response);
    return NULL;
}

static struct error *not_ready(struct request *request, const char *why)
{
    return http_refuse(request, 503, "UNAVAILABLE", error_new(ERROR_UNAVAILABLE, "%s", why));
}

struct error *on_ready(struct request *request, struct response *ret_response)
{
    struct gateway *gateway = request->gateway;
    struct error *err = store_ping(gateway->store);

    if (!err && atomic_load(&gateway->draining))
        err = not_ready(request, "shutting down");
    if (!err && !bus_is_connected(gateway->bus))
        err = not_ready(request, "the bus is away");
    err = err ?: gateway_ensure_bootstrap(gateway);
    if (err)
        return error_recode(err, ERROR_UNAVAILABLE);
    buffer_add_text(&ret_response->body, "OK");
    return NULL;
}

/* Names that the name server should have let go; each one's LeavingName says since when, and why
 * not. Left out while the store is away. */
static void print_leaving_names(struct request *request, struct buffer *text)
{
    const char **names;
    size_t n = 0;
    struct error *err = store_members(request->gateway->store, KEY_LEAVING_NAMES, LEAVING_MAX,
                                      request->arena, &names, &n);

    if (!err)
        buffer_printf(text,
                      "# TYPE coffer_gateway_names_leaving gauge\n"
                      "coffer_gateway_names_leaving %zu\n",
                      n);
    error_free(err);
}

struct error *on_metrics(struct request *request, struct response *ret_response)
{
    struct gateway *gateway = request->gateway;
    struct error *err = store_ping(gateway->store);
    struct store_cache_stats kept;

    store_cache_stats(gateway->cache, &kept);
    ret_response->content_type = "text/plain; version=0.0.4";
    metrics_print(&gateway->metrics, &ret_response->body);
    buffer_printf(&ret_response->body,
                  "# TYPE coffer_gateway_store_up gauge\ncoffer_gateway_store_up %d\n"
                  "# TYPE coffer_gateway_bus_up gauge\ncoffer_gateway_bus_up %d\n"
                  "# TYPE coffer_gateway_streams gauge\ncoffer_gateway_streams %zu\n",
                  err == NULL, bus_is_connected(gateway->bus), sse_hub_count(&gateway->streams));
    error_free(err);
    buffer_printf(&ret_response->body,
                  "# TYPE coffer_gateway_cache_up gauge\ncoffer_gateway_cache_up %d\n"
                  "# TYPE coffer_gateway_cache_hits_total counter\n"
                  "coffer_gateway_cache_hits_total %llu\n"
                  "# TYPE coffer_gateway_cache_misses_total counter\n"
                  "coffer_gateway_cache_misses_total %llu\n"
                  "# TYPE coffer_gateway_cache_changes_total counter\n"
                  "coffer_gateway_cache_changes_total %llu\n"
                  "# TYPE coffer_gateway_cache_bytes gauge\ncoffer_gateway_cache_bytes %zu\n",
                  kept.on, (unsigned long long)kept.hits, (unsigned long long)kept.misses,
                  (unsigned long long)kept.changes, kept.bytes);
    print_leaving_names(request, &ret_response->body);
    return NULL;
}
