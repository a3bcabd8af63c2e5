#include "services/api-gateway/workload_wait.h"

#include "shared/store/keys.h"

enum { LOOK_MS = 1000 }; /* whether the client waits still, and the store may tell nothing */

struct error *wait_of_query(struct request *request, int *ret_s)
{
    const char *text = http_query(request, "wait");
    char *end = NULL;

    *ret_s = 0;
    if (!text)
        return NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < 1 || value > WAIT_MAX_S)
        return error_new(ERROR_INVALID_ARGUMENT, "'wait' is not a whole number from 1 to %d",
                         WAIT_MAX_S);
    *ret_s = (int)value;
    return NULL;
}

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static struct error *look_until(struct request *request, const char *id, int64_t end_ms,
                                wait_try try, void *state)
{
    struct store_cache *cache = request->gateway->cache;
    char name[STORE_CACHE_NAME_MAX];
    bool done = false;

    read_cache_name(KEY_WORKLOAD, id, name);
    for (;;) {
        const struct store_ticket ticket = store_cache_ticket(cache, name);
        struct error *err = try(request, state, &done);
        int64_t left_ms = end_ms - now_ms();
        if (err || done || left_ms <= 0 || store_cache_is_stopped(cache) ||
            http_client_has_left(request->client->fd))
            return err;
        (void)store_cache_wait(cache, name, &ticket, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
    }
}

struct error *wait_until(struct request *request, const char *id, int wait_s, wait_try try,
                         void *state)
{
    struct limits *limits = &request->gateway->limits;

    if (!wait_s)
        return look_until(request, id, 0, try, state);
    struct error *err = limits_enter(limits, request->account, LIMIT_WAITS);
    if (err)
        return http_refuse(request, 429, "TOO_MANY_REQUESTS", err);
    err = look_until(request, id, now_ms() + wait_s * INT64_C(1000), try, state);
    limits_leave(limits, request->account, LIMIT_WAITS);
    return err;
}

struct look {
    const char *id;
    const char *known; /* If-None-Match */
    struct store_cached *value;
};

static struct error *look(struct request *request, void *state, bool *ret_done)
{
    struct look *look = state;

    store_cached_unref(look->value);
    look->value = NULL;
    struct error *err = rendered_load(request, look->id, &look->value);
    if (!err)
        *ret_done = !etag_is_in(look->known, rendered_of(look->value)->etag, true);
    return err;
}

struct error *workload_wait(struct request *request, const char *id, int wait_s,
                            struct store_cached **ret_value)
{
    struct look state = {.id = id, .known = http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH)};

    if (!wait_s || !state.known)
        return rendered_load(request, id, ret_value);
    struct error *err = wait_until(request, id, wait_s, look, &state);
    if (err)
        store_cached_unref(state.value);
    else
        *ret_value = state.value;
    return err;
}
