#include "services/scheduler/host_memory.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

struct remembered_host {
    char *key;
    uint64_t changes; /* how often it was forgotten: the ticket */
    uint64_t version; /* 0: nothing is known */
    uint8_t *data;
    size_t size;
};

void host_memory_init(struct host_memory *memory)
{
    *memory = (struct host_memory){0};
    pthread_mutex_init(&memory->lock, NULL);
}

void host_memory_done(struct host_memory *memory)
{
    for (size_t i = 0; i < memory->n; i++) {
        free(memory->hosts[i].key);
        free(memory->hosts[i].data);
    }
    free(memory->hosts);
    pthread_mutex_destroy(&memory->lock);
}

/* Where it is, or would be. */
static size_t place_of(const struct host_memory *memory, const char *key, bool *ret_found)
{
    size_t low = 0;
    size_t high = memory->n;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(memory->hosts[middle].key, key);
        *ret_found = order == 0;
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct remembered_host *find_or_add(struct host_memory *memory, const char *key)
{
    bool found;
    size_t at = place_of(memory, key, &found);

    if (found)
        return &memory->hosts[at];
    if (memory->n == memory->room) {
        memory->room = memory->room ? 2 * memory->room : 64;
        memory->hosts = xrealloc_array(memory->hosts, memory->room, sizeof(*memory->hosts));
    }
    memmove(&memory->hosts[at + 1], &memory->hosts[at], (memory->n - at) * sizeof(*memory->hosts));
    memory->n++;
    memory->hosts[at] = (struct remembered_host){.key = xstrdup(key)};
    return &memory->hosts[at];
}

struct store_record host_memory_recall(struct host_memory *memory, const char *key,
                                       struct arena *arena, uint64_t *ret_ticket)
{
    struct store_record record = {.key = arena_strdup(arena, key)};

    pthread_mutex_lock(&memory->lock);
    const struct remembered_host *host = find_or_add(memory, key);
    *ret_ticket = host->changes;
    record.version = host->version;
    if (host->version)
        record.value = arena_bytes(arena, host->data, host->size);
    pthread_mutex_unlock(&memory->lock);
    return record;
}

static void clear(struct remembered_host *host)
{
    free(host->data);
    host->data = NULL;
    host->size = 0;
    host->version = 0;
}

void host_memory_keep(struct host_memory *memory, const struct store_record *record,
                      uint64_t ticket)
{
    if (!record->version)
        return;
    pthread_mutex_lock(&memory->lock);
    struct remembered_host *host = find_or_add(memory, record->key);
    if (host->changes == ticket) {
        clear(host);
        host->version = record->version;
        host->size = record->value.len;
        host->data = xmemdup(record->value.data, record->value.len);
    }
    pthread_mutex_unlock(&memory->lock);
}

void host_memory_forget(struct host_memory *memory, const char *key)
{
    bool found;

    if (strncmp(key, KEY_HOST, strlen(KEY_HOST)) != 0)
        return;
    pthread_mutex_lock(&memory->lock);
    size_t at = place_of(memory, key, &found);
    if (found) {
        memory->hosts[at].changes++;
        clear(&memory->hosts[at]);
    }
    pthread_mutex_unlock(&memory->lock);
}
