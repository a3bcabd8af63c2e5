#include "services/api-gateway/rate_limit.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "services/api-gateway/gateway.h"

/* A few keys are older than ids; those of one account count together. */
static const char *name_of(const struct request *request)
{
    if (request->principal.kind == PRINCIPAL_GLOBAL_ADMIN)
        return "global-admin";
    return *request->principal.key_id ? request->principal.key_id : request->account;
}

static struct error *too_many(struct request *request, const char *what)
{
    return http_refuse(request, 429, "TOO_MANY_REQUESTS",
                       error_new(ERROR_RESOURCE_EXHAUSTED, "%s: try again in %" PRIu64 " s", what,
                                 request->rate.retry_after_s));
}

struct error *rate_limit_check(struct request *request, struct error *verdict)
{
    struct gateway *gateway = request->gateway;

    if (request->principal.kind == PRINCIPAL_NONE ||
        token_buckets_take(&gateway->key_rates, name_of(request),
                           clock_monotonic_ms(gateway->clock), &request->rate))
        return verdict;
    error_free(verdict);
    return too_many(request, "this API key has asked too often");
}

static void number_header(struct request *request, struct response *response, const char *name,
                          uint64_t value)
{
    response_header(request, response, name, arena_printf(request->arena, "%" PRIu64, value));
}

void rate_limit_headers(struct request *request, struct response *response)
{
    const struct token_state *rate = &request->rate;

    if (rate->retry_after_s)
        number_header(request, response, "Retry-After", rate->retry_after_s);
    if (!rate->limit)
        return;
    number_header(request, response, "RateLimit-Limit", rate->limit);
    number_header(request, response, "RateLimit-Remaining", rate->remaining);
    number_header(request, response, "RateLimit-Reset", rate->reset_s);
}

void rate_limit_network(const char *address, char ret_network[BUCKET_NAME_SIZE])
{
    struct in6_addr parts;

    snprintf(ret_network, BUCKET_NAME_SIZE, "%s", address);
    if (inet_pton(AF_INET6, address, &parts) != 1 || IN6_IS_ADDR_V4MAPPED(&parts))
        return;
    memset(&parts.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &parts, ret_network, BUCKET_NAME_SIZE);
}

/* Files of the page, and health, cost next to nothing. */
static bool asks_store(const struct route *route)
{
    return strncmp(route->path, "/api/", strlen("/api/")) == 0;
}

/* Of the share nothing is told: others may come from the same address. */
struct error *rate_limit_anybody(struct request *request)
{
    struct gateway *gateway = request->gateway;
    char network[BUCKET_NAME_SIZE];
    struct token_state state;

    if (!gateway->anybody_rates.per_minute || !asks_store(request->route))
        return NULL;
    rate_limit_network(http_client_address(request), network);
    if (token_buckets_take(&gateway->anybody_rates, network, clock_monotonic_ms(gateway->clock),
                           &state))
        return NULL;
    request->rate.retry_after_s = state.retry_after_s;
    return too_many(request, "too many requests came from this address");
}

struct error *rate_limit_guess(struct request *request,
                               struct error *(*judge)(struct request *request))
{
    struct token_buckets *failures = &request->gateway->failure_rates;
    int64_t now_ms = clock_monotonic_ms(request->gateway->clock);
    char network[BUCKET_NAME_SIZE];
    struct token_state state;

    if (!failures->per_minute)
        return judge(request);
    rate_limit_network(http_client_address(request), network);
    if (!token_buckets_peek(failures, network, now_ms, &state)) {
        request->rate.retry_after_s = state.retry_after_s;
        return too_many(request, "too many wrong API keys came from this address");
    }
    struct error *err = judge(request);
    if (error_get_code(err) == ERROR_UNAUTHENTICATED)
        token_buckets_charge(failures, network, now_ms);
    return err;
}
