#include "services/host-agent/spool.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

struct item {
    uint64_t number;
    char *message_id;
};

struct spool {
    char *dir;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct item *items; /* in order */
    size_t n;
    uint64_t next_number;
    uint64_t lost;
};

static char *path_of(const struct spool *spool, const struct item *item)
{
    return xasprintf("%s/%020" PRIu64 "_%s", spool->dir, item->number, item->message_id);
}

static bool id_is_valid(const char *id)
{
    static const char alphabet[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    size_t size = strlen(id);

    return size >= 1 && size <= 128 && strspn(id, alphabet) == size;
}

static void append(struct spool *spool, uint64_t number, const char *message_id)
{
    spool->items = xrealloc_array(spool->items, spool->n + 1, sizeof(struct item));
    spool->items[spool->n++] = (struct item){.number = number, .message_id = xstrdup(message_id)};
    if (number >= spool->next_number)
        spool->next_number = number + 1;
}

static void drop_first(struct spool *spool)
{
    _cleanup_free_ char *path = path_of(spool, &spool->items[0]);

    unlink(path);
    free(spool->items[0].message_id);
    memmove(spool->items, spool->items + 1, (spool->n - 1) * sizeof(struct item));
    spool->n--;
}

static int by_number(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static struct error *scan(struct spool *spool)
{
    DIR *dir = opendir(spool->dir);
    struct dirent *item;

    if (!dir)
        return error_errno(errno, "open '%s'", spool->dir);
    while ((item = readdir(dir))) {
        char *end;
        uint64_t number = strtoull(item->d_name, &end, 10);
        if (end == item->d_name || *end != '_' || !id_is_valid(end + 1))
            continue;
        if (strstr(end, ".new")) { /* a write that did not end */
            unlinkat(dirfd(dir), item->d_name, 0);
            continue;
        }
        append(spool, number, end + 1);
    }
    closedir(dir);
    if (spool->n)
        qsort(spool->items, spool->n, sizeof(struct item), by_number);
    return NULL;
}

struct error *spool_open(const char *state_dir, struct spool **ret_spool)
{
    _cleanup_(spool_freep) struct spool *spool = xnew(struct spool);

    spool->dir = xasprintf("%s/spool", state_dir);
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->changed, NULL);
    struct error *err = dir_make(spool->dir, 0700);
    if (!err)
        err = scan(spool);
    if (err)
        return error_wrap(err, "spool");
    *ret_spool = TAKE_PTR(spool);
    return NULL;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    for (size_t i = 0; i < spool->n; i++)
        free(spool->items[i].message_id);
    free(spool->items);
    pthread_cond_destroy(&spool->changed);
    pthread_mutex_destroy(&spool->lock);
    free(spool->dir);
    free(spool);
}

static bool has(const struct spool *spool, const char *message_id)
{
    for (size_t i = 0; i < spool->n; i++)
        if (strcmp(spool->items[i].message_id, message_id) == 0)
            return true;
    return false;
}

struct error *spool_add(struct spool *spool, const char *message_id, const void *data, size_t size)
{
    struct error *err = NULL;

    if (!id_is_valid(message_id) || size > SPOOL_ITEM_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "message '%s' does not fit the spool", message_id);
    pthread_mutex_lock(&spool->lock);
    if (!has(spool, message_id)) {
        struct item item = {.number = spool->next_number, .message_id = (char *)message_id};
        _cleanup_free_ char *path = path_of(spool, &item);
        err = file_write_atomic(path, data, size, 0600);
        if (!err)
            append(spool, item.number, message_id);
        if (spool->n > SPOOL_MAX) {
            drop_first(spool);
            spool->lost++;
        }
        pthread_cond_broadcast(&spool->changed);
    }
    pthread_mutex_unlock(&spool->lock);
    return err;
}

bool spool_peek(struct spool *spool, char **ret_message_id, struct buffer *ret_data)
{
    bool found = false;

    pthread_mutex_lock(&spool->lock);
    while (spool->n && !found) {
        _cleanup_free_ char *path = path_of(spool, &spool->items[0]);
        struct error *err = file_read(path, SPOOL_ITEM_MAX, ret_data);
        if (err) { /* unreadable: it cannot hold up the rest */
            error_free(err);
            drop_first(spool);
            spool->lost++;
            continue;
        }
        *ret_message_id = xstrdup(spool->items[0].message_id);
        found = true;
    }
    pthread_mutex_unlock(&spool->lock);
    return found;
}

void spool_drop(struct spool *spool, const char *message_id)
{
    pthread_mutex_lock(&spool->lock);
    if (spool->n && strcmp(spool->items[0].message_id, message_id) == 0)
        drop_first(spool);
    pthread_mutex_unlock(&spool->lock);
}

bool spool_wait(struct spool *spool, int timeout_ms)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += timeout_ms / 1000;
    limit.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (limit.tv_nsec >= 1000000000L) {
        limit.tv_sec++;
        limit.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&spool->lock);
    if (!spool->n)
        pthread_cond_timedwait(&spool->changed, &spool->lock, &limit);
    bool any = spool->n > 0;
    pthread_mutex_unlock(&spool->lock);
    return any;
}

void spool_wake(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    pthread_cond_broadcast(&spool->changed);
    pthread_mutex_unlock(&spool->lock);
}

uint64_t spool_lost(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    uint64_t lost = spool->lost;
    pthread_mutex_unlock(&spool->lock);
    return lost;
}
