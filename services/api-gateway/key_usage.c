#include "services/api-gateway/key_usage.h"

#include <string.h>

#include "services/api-gateway/json_record.h"
#include "shared/base/log.h"
#include "shared/store/keys.h"

/* A key that is not used for so long has no last use; what a deleted key leaves goes too. */
#define KEEP_MS (INT64_C(400) * 24 * 3600 * 1000)

/* Other gateways write too, so what is there decides. */
static struct error *write_one(struct key_usage *usage, const char *sha256, int64_t at_ms)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(json_decrefp) json_t *before = NULL;
    _cleanup_(json_decrefp) json_t *now = json_pack("{s:I}", "at_ms", (json_int_t)at_ms);
    const char *key = arena_printf(arena, "%s%s", KEY_API_KEY_USED, sha256);
    struct error *err = json_record_load(usage->store, key, arena, &before, NULL);

    if (err)
        return err;
    int64_t last_ms = json_integer_value(json_object_get(before, "at_ms"));
    if (last_ms && at_ms - last_ms < KEY_USAGE_PERIOD_MS)
        return NULL;
    const struct store_write write = {.key = key,
                                      .expected_version = UINT64_MAX,
                                      .value = json_record_value(arena, now),
                                      .expire_ms = KEEP_MS};
    return store_commit(usage->store, &(struct store_change){.writes = &write, .n_writes = 1});
}

static void *run(void *state)
{
    struct key_usage *usage = state;

    pthread_mutex_lock(&usage->lock);
    for (;;) {
        while (!usage->n_queued && !usage->stopping)
            pthread_cond_wait(&usage->changed, &usage->lock);
        if (!usage->n_queued)
            break;
        usage->n_queued--;
        char sha256[65];
        int64_t at_ms = usage->queue[usage->n_queued].at_ms;
        memcpy(sha256, usage->queue[usage->n_queued].sha256, sizeof(sha256));
        pthread_mutex_unlock(&usage->lock);
        log_failure(LOG_LEVEL_WARNING, "last use of an API key", write_one(usage, sha256, at_ms));
        pthread_mutex_lock(&usage->lock);
    }
    pthread_mutex_unlock(&usage->lock);
    return NULL;
}

struct error *key_usage_start(struct key_usage *usage, struct store *store, struct clock *clock)
{
    usage->store = store;
    usage->clock = clock;
    pthread_mutex_init(&usage->lock, NULL);
    pthread_cond_init(&usage->changed, NULL);
    int rc = pthread_create(&usage->thread, NULL, run, usage);
    if (rc != 0)
        return error_errno(rc, "start a thread");
    usage->running = true;
    return NULL;
}

void key_usage_stop(struct key_usage *usage)
{
    if (!usage->running)
        return;
    pthread_mutex_lock(&usage->lock);
    usage->stopping = true;
    pthread_cond_signal(&usage->changed);
    pthread_mutex_unlock(&usage->lock);
    pthread_join(usage->thread, NULL);
    pthread_cond_destroy(&usage->changed);
    pthread_mutex_destroy(&usage->lock);
    usage->running = false;
}

/* A slot holds one key: two that share one only ask the store more often. */
static size_t slot_of(const char *sha256)
{
    size_t slot = 0;

    for (size_t i = 0; i < 8; i++)
        slot = slot * 31 + (unsigned char)sha256[i];
    return slot % KEY_USAGE_SLOTS;
}

void key_usage_note(struct key_usage *usage, const char sha256[65])
{
    int64_t now_ms = clock_wall_ms(usage->clock);
    size_t slot = slot_of(sha256);

    pthread_mutex_lock(&usage->lock);
    bool same = strcmp(usage->slots[slot].sha256, sha256) == 0;
    bool due = !same || now_ms - usage->slots[slot].at_ms >= KEY_USAGE_PERIOD_MS;
    if (due && usage->n_queued < KEY_USAGE_QUEUE) {
        memcpy(usage->slots[slot].sha256, sha256, 65);
        usage->slots[slot].at_ms = now_ms;
        usage->queue[usage->n_queued++] = usage->slots[slot];
        pthread_cond_signal(&usage->changed);
    }
    pthread_mutex_unlock(&usage->lock);
}
