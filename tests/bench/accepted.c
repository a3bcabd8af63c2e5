#include "tests/bench/accepted.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/store/keys.h"
#include "shared/store/store.h"
#include "tests/bench/process.h"

enum { BATCH = 256 };

struct batch {
    struct store *store;
    struct arena *arena; /* of the keys */
    const char *keys[BATCH];
    size_t n;
    struct accepted count;
};

static void look_up(struct batch *batch)
{
    struct store_record records[BATCH];

    must(store_get_many(batch->store, batch->keys, batch->n, batch->arena, records));
    for (size_t i = 0; i < batch->n; i++)
        batch->count.n_stored += records[i].version != 0;
    batch->count.n += batch->n;
    batch->n = 0;
    arena_free(batch->arena);
    batch->arena = arena_new();
}

static void add_file(struct batch *batch, const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "r");
    char line[128];

    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        batch->keys[batch->n++] = arena_printf(batch->arena, "%s%s", KEY_WORKLOAD, line);
        if (batch->n == BATCH)
            look_up(batch);
    }
}

struct accepted accepted_count(const char *folder, const char *redis_url)
{
    struct batch batch = {.arena = arena_new()};
    const struct dirent *entry;
    DIR *dir = opendir(folder);

    must(store_open(redis_url, NULL, &batch.store));
    while (dir && (entry = readdir(dir))) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            add_file(&batch, path);
    }
    if (dir)
        closedir(dir);
    look_up(&batch);
    store_free(batch.store);
    arena_free(batch.arena);
    return batch.count;
}
