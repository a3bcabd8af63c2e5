#include "shared/collateral/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/collateral/cache_file.h"
#include "shared/seal/seal.h"

#define SUFFIX_KEPT "kept"
#define SUFFIX_CHIP "chip"
#define SUFFIX_NEW  "new" /* of file_write_atomic() */
#define LEFT_OVER_S 3600  /* a new file this old was never finished */

struct cache {
    char *dir;
    size_t max_chips;
    pthread_mutex_t lock; /* of writing */
};

struct error *cache_open(const char *dir, size_t max_chips, struct cache **ret_cache)
{
    struct error *err = dir_make(dir, 0755);

    if (err)
        return error_wrap(err, "collateral cache");
    struct cache *cache = xnew(struct cache);
    cache->dir = xstrdup(dir);
    cache->max_chips = max_chips;
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return NULL;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    pthread_mutex_destroy(&cache->lock);
    free(cache->dir);
    free(cache);
}

static char *path_of(const struct cache *cache, const struct cache_key *key)
{
    uint8_t hash[32];
    char name[65];

    sha256(key->path, strlen(key->path), hash);
    hex_encode(hash, sizeof(hash), name);
    return xasprintf("%s/%s.%s", cache->dir, name, key->kept ? SUFFIX_KEPT : SUFFIX_CHIP);
}

struct error *cache_read(struct cache *cache, const struct cache_key *key,
                         const struct cache_check *check, struct item *ret_item)
{
    _cleanup_free_ char *path = path_of(cache, key);
    _cleanup_buffer_ struct buffer file = {};
    _cleanup_(item_done) struct item item = {};

    struct error *err = file_read(path, CACHE_FILE_MAX, &file);
    if (!err)
        err = cache_file_parse(file.data, file.size, key->path, &item);
    if (!err)
        err = check->check(check->data, item.body.data, item.body.size);
    if (err)
        return error_wrap(err, "cached '%s'", key->path);
    *ret_item = item;
    item = (struct item){};
    return NULL;
}

static bool has_suffix(const char *name, const char *suffix)
{
    const char *dot = strrchr(name, '.');

    return dot && strcmp(dot + 1, suffix) == 0;
}

/* One look at the folder: how many chips, and which is the oldest. Clears what was left over. */
static size_t look(int dir_fd, DIR *dir, char ret_oldest[NAME_MAX + 1])
{
    time_t oldest = 0;
    struct stat st;
    size_t n = 0;

    rewinddir(dir);
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (has_suffix(entry->d_name, SUFFIX_NEW) && st.st_mtime + LEFT_OVER_S < time(NULL))
            unlinkat(dir_fd, entry->d_name, 0);
        if (!has_suffix(entry->d_name, SUFFIX_CHIP))
            continue;
        if (n++ == 0 || st.st_mtime < oldest) {
            oldest = st.st_mtime;
            snprintf(ret_oldest, NAME_MAX + 1, "%s", entry->d_name);
        }
    }
    return n;
}

/* Makes room for one more. */
static struct error *evict(const struct cache *cache)
{
    char oldest[NAME_MAX + 1];
    DIR *dir = opendir(cache->dir);

    if (!dir)
        return error_errno(errno, "open '%s'", cache->dir);
    while (look(dirfd(dir), dir, oldest) >= cache->max_chips)
        if (unlinkat(dirfd(dir), oldest, 0) < 0)
            break;
    closedir(dir);
    return NULL;
}

static struct error *write_file(const struct cache *cache, const struct cache_key *key,
                                const struct buffer *file)
{
    _cleanup_free_ char *path = path_of(cache, key);
    struct error *err = NULL;

    if (!key->kept && access(path, F_OK) < 0)
        err = evict(cache);
    return err ? err : file_write_atomic(path, file->data, file->size, 0644);
}

struct error *cache_write(struct cache *cache, const struct cache_key *key,
                          const struct cache_check *check, const struct item *item)
{
    _cleanup_buffer_ struct buffer file = {};

    if (strlen(key->path) > CACHE_KEY_MAX || item->body.size > CACHE_BODY_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "'%s' is too large to be cached", key->path);
    struct error *err = check->check(check->data, item->body.data, item->body.size);
    if (err)
        return error_wrap(err, "'%s'", key->path);
    cache_file_write(key->path, item, &file);
    pthread_mutex_lock(&cache->lock);
    err = write_file(cache, key, &file);
    pthread_mutex_unlock(&cache->lock);
    return error_wrap(err, "cache '%s'", key->path);
}
