#include "services/api-gateway/webhook_sender.h"

#include "services/api-gateway/webhook_call.h"
#include "shared/base/log.h"

enum {
    LOOK_MS = 1000, /* for what other copies have put into the queues, and for retries */
    SOON_MS = 20,
    DRAIN_MS = 3000, /* for attempts on their way when we end */
    CONNECTIONS_MAX = 32,
};

static int64_t real_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static size_t count_free(const struct webhook_sender *sender)
{
    size_t n = 0;

    for (size_t i = 0; i < WEBHOOK_CALLS_MAX; i++)
        n += !sender->calls[i];
    return n;
}

/* How many more the account may have on their way from here. */
static size_t count_free_of(const struct webhook_sender *sender, const char *account)
{
    size_t taken = 0;

    for (size_t i = 0; i < WEBHOOK_CALLS_MAX; i++)
        taken += sender->calls[i] && strcmp(sender->calls[i]->claim.webhook.account, account) == 0;
    size_t left = taken < WEBHOOK_CALLS_OF_MAX ? WEBHOOK_CALLS_OF_MAX - taken : 0;
    size_t all = count_free(sender);
    return left < all ? left : all;
}

static void count_up(struct webhook_sender *sender, uint64_t *counter, size_t n)
{
    for (size_t i = 0; i < n; i++)
        metrics_add(sender->metrics, counter);
}

static void count_settled(struct webhook_sender *sender, bool delivered,
                          enum webhook_settled settled)
{
    struct metrics *metrics = sender->metrics;

    metrics_add(metrics, delivered ? &metrics->webhook_ok : &metrics->webhook_failures);
    if (settled == SETTLED_DELIVERED)
        metrics_add(metrics, &metrics->webhook_delivered);
    if (settled == SETTLED_FAILED)
        metrics_add(metrics, &metrics->webhook_given_up);
}

/* What cannot be written now is tried again when its lease has ended. */
static void settle(struct webhook_sender *sender, const struct webhook_claim *claim,
                   const struct webhook_outcome *outcome, struct arena *arena)
{
    enum webhook_settled settled = SETTLED_LOST;
    struct error *err = webhook_queue_settle(sender->store, claim, outcome,
                                             clock_wall_ms(sender->clock), arena, &settled);

    log_failure(LOG_LEVEL_WARNING, "outcome of a webhook delivery not kept", err);
    count_settled(sender, outcome->delivered, settled);
}

/* An attempt that cannot even begin (its secret does not open) has failed as one. */
static void give_back(struct webhook_sender *sender, const struct webhook_claim *claim,
                      struct arena *arena, struct error *err)
{
    const struct webhook_outcome outcome = {.error = "not signed: change the webhook's secret"};

    log_failure(LOG_LEVEL_ERROR, "webhook delivery", err);
    settle(sender, claim, &outcome, arena);
    arena_free(arena);
}

/* Takes the arena. */
static void begin_call(struct webhook_sender *sender, const struct webhook_claim *claim,
                       struct arena *arena)
{
    struct webhook_call *call = NULL;
    size_t slot = 0;
    const struct webhook_call_options options = {
        .key = sender->key,
        .now_ms = clock_wall_ms(sender->clock),
        .timeout_ms = sender->timeout_ms,
        .insecure = sender->insecure,
    };
    struct error *err = webhook_call_new(claim, arena, &options, &call);

    if (err) {
        give_back(sender, claim, arena, err);
        return;
    }
    while (sender->calls[slot])
        slot++;
    sender->calls[slot] = call;
    curl_multi_add_handle(sender->multi, call->curl);
}

/* A claim's texts are in the arena of its queue's look; each call has one of its own. */
static struct arena *adopt(struct webhook_claim *claim)
{
    struct arena *arena = arena_new();
    struct webhook *webhook = &claim->webhook;
    struct delivery_record *delivery = &claim->delivery;

    webhook->id = arena_strdup(arena, webhook->id);
    webhook->account = arena_strdup(arena, webhook->account);
    webhook->url = arena_strdup(arena, webhook->url);
    webhook->secret = arena_strdup(arena, webhook->secret);
    webhook->previous_secret = arena_strdup(arena, webhook->previous_secret);
    webhook->description = "";
    webhook->disabled_reason = "";
    webhook->n_events = 0;
    delivery->webhook = webhook->id;
    delivery->name = arena_strdup(arena, delivery->name);
    delivery->event = arena_strdup(arena, delivery->event);
    delivery->kind = arena_strdup(arena, delivery->kind);
    delivery->body = arena_strdup(arena, delivery->body);
    delivery->status = arena_strdup(arena, delivery->status);
    delivery->error = "";
    return arena;
}

static struct error *look_into(struct webhook_sender *sender, const struct webhook_due *due,
                               struct arena *arena)
{
    struct webhook_claim claims[WEBHOOK_AT_ONCE_MAX];
    size_t free = count_free_of(sender, due->account);
    size_t n = 0;
    size_t dropped = 0;

    if (!free)
        return NULL;
    struct error *err = webhook_queue_claim(
        sender->store, due->webhook, clock_wall_ms(sender->clock),
        free < WEBHOOK_AT_ONCE_MAX ? free : WEBHOOK_AT_ONCE_MAX, arena, claims, &n, &dropped);

    count_up(sender, &sender->metrics->webhook_dropped, dropped);
    for (size_t i = 0; i < n; i++) {
        struct arena *own = adopt(&claims[i]);
        begin_call(sender, &claims[i], own);
    }
    if (dropped)
        sender->look_at_ms = 0; /* there may be more of them */
    if (error_get_code(err) == ERROR_UNAVAILABLE)
        return err;
    if (error_get_code(err) == ERROR_ABORTED) { /* another copy is at it */
        sender->look_at_ms = real_ms() + SOON_MS;
        error_free(err);
        return NULL;
    }
    log_failure(LOG_LEVEL_ERROR, "queue of a webhook", err); /* of this one; the others go on */
    return NULL;
}

/* From another place each time, so that many busy webhooks do not keep the others waiting. */
static void look(struct webhook_sender *sender)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct webhook_due *due = NULL;
    size_t n = 0;

    atomic_store(&sender->woken, false);
    sender->look_at_ms = real_ms() + LOOK_MS;
    struct error *err =
        webhook_queues_due(sender->store, clock_wall_ms(sender->clock), arena, &due, &n);
    size_t first = n ? (size_t)real_ms() % n : 0;
    for (size_t i = 0; !err && i < n && count_free(sender); i++)
        err = look_into(sender, &due[(first + i) % n], arena);
    log_failure(LOG_LEVEL_DEBUG, "webhook queues", err); /* the store is away: readyz tells */
}

static void end_call(struct webhook_sender *sender, struct webhook_call *call)
{
    curl_multi_remove_handle(sender->multi, call->curl);
    for (size_t i = 0; i < WEBHOOK_CALLS_MAX; i++)
        if (sender->calls[i] == call)
            sender->calls[i] = NULL;
    webhook_call_free(call);
}

/* True: some have ended, so their queues may have more for us. */
static bool take_ended(struct webhook_sender *sender)
{
    const CURLMsg *message;
    bool any = false;
    int left = 0;

    while ((message = curl_multi_info_read(sender->multi, &left))) {
        struct webhook_call *call = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        const struct webhook_outcome outcome = webhook_call_outcome(call, code);
        settle(sender, &call->claim, &outcome, call->arena);
        end_call(sender, call);
        any = true;
    }
    return any;
}

static void step(struct webhook_sender *sender, int wait_ms)
{
    int running = 0;

    curl_multi_perform(sender->multi, &running);
    if (take_ended(sender))
        sender->look_at_ms = 0;
    else
        curl_multi_poll(sender->multi, NULL, 0, wait_ms, NULL);
}

static void *run(void *state)
{
    struct webhook_sender *sender = state;

    while (!atomic_load(&sender->stopping)) {
        bool due = atomic_load(&sender->woken) || real_ms() >= sender->look_at_ms;
        if (due && count_free(sender))
            look(sender);
        int64_t wait_ms = sender->look_at_ms - real_ms();
        if (!count_free(sender))
            wait_ms = LOOK_MS; /* until one ends */
        step(sender, wait_ms < 0 ? 0 : (int)wait_ms);
    }
    int64_t end_ms = real_ms() + DRAIN_MS;
    while (count_free(sender) < WEBHOOK_CALLS_MAX && real_ms() < end_ms)
        step(sender, LOOK_MS / 10);
    return NULL;
}

struct error *webhook_sender_start(struct webhook_sender *sender)
{
    if (!sender->timeout_ms || sender->timeout_ms > WEBHOOK_TIMEOUT_MAX_MS)
        return error_new(ERROR_INVALID_ARGUMENT, "GATEWAY_WEBHOOK_TIMEOUT_MS is not 1 to %d",
                         WEBHOOK_TIMEOUT_MAX_MS);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    sender->multi = curl_multi_init();
    if (!sender->multi)
        return error_new(ERROR_INTERNAL, "libcurl");
    curl_multi_setopt(sender->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    int rc = pthread_create(&sender->thread, NULL, run, sender);
    sender->running = rc == 0;
    return rc == 0 ? NULL : error_errno(rc, "start a thread");
}

void webhook_sender_wake(struct webhook_sender *sender)
{
    atomic_store(&sender->woken, true);
    if (sender->running)
        curl_multi_wakeup(sender->multi);
}

void webhook_sender_stop(struct webhook_sender *sender)
{
    if (!sender->multi)
        return;
    atomic_store(&sender->stopping, true);
    curl_multi_wakeup(sender->multi);
    if (sender->running)
        pthread_join(sender->thread, NULL);
    for (size_t i = 0; i < WEBHOOK_CALLS_MAX; i++)
        if (sender->calls[i])
            end_call(sender, sender->calls[i]);
    curl_multi_cleanup(sender->multi);
    sender->multi = NULL;
    sender->running = false;
    curl_global_cleanup();
}
