#include "services/host-agent/image_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/stat.h>

#include "services/host-agent/vm_facts.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

#define FILES_MAX 16 /* per image, as image.h says */

/* A file whose content we know: as long as none of these change, neither did the digest. */
struct known_file {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
    uint8_t sha256[32];
};

struct entry {
    struct image_state state;
    struct known_file files[FILES_MAX];
    size_t n_files;
};

struct image_cache {
    char *dir;
    uint8_t release_public[32];
    pthread_mutex_t lock; /* of n_entries and each entry's state; files belong to the worker */
    struct entry *entries[IMAGE_CACHE_MAX];
    size_t n_entries;
};

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

struct image_cache *image_cache_new(const char *dir, const uint8_t release_public[32])
{
    struct image_cache *cache = xnew(struct image_cache);

    cache->dir = xstrdup(dir);
    memcpy(cache->release_public, release_public, 32);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void image_cache_free(struct image_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->n_entries; i++)
        free(cache->entries[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache->dir);
    free(cache);
}

char *image_cache_path(const struct image_cache *cache, const char *version, const char *name)
{
    return xasprintf("%s/%s/%s", cache->dir, version, name);
}

static struct error *hash_fd(int fd, const char *path, uint8_t ret_sha256[32])
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
    _cleanup_free_ uint8_t *block = xcalloc(1, 1 << 18);

    if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        return error_openssl("hash '%s'", path);
    for (;;) {
        ssize_t n = read(fd, block, 1 << 18);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(errno, "read '%s'", path);
        if (n == 0)
            break;
        if (!EVP_DigestUpdate(context, block, (size_t)n))
            return error_openssl("hash '%s'", path);
    }
    return EVP_DigestFinal_ex(context, ret_sha256, NULL) ? NULL : error_openssl("hash '%s'", path);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static const struct known_file *find_known(const struct entry *entry, const struct stat *st)
{
    for (size_t i = 0; i < entry->n_files; i++) {
        const struct known_file *file = &entry->files[i];
        if (file->device == st->st_dev && file->inode == st->st_ino && file->size == st->st_size &&
            same_time(&file->modified, &st->st_mtim) && same_time(&file->changed, &st->st_ctim))
            return file;
    }
    return NULL;
}

static void remember(struct entry *entry, const struct known_file *file)
{
    for (size_t i = 0; i < entry->n_files; i++) {
        if (entry->files[i].device == file->device && entry->files[i].inode == file->inode) {
            entry->files[i] = *file;
            return;
        }
    }
    if (entry->n_files == FILES_MAX) /* replaced files: what is forgotten is hashed again */
        entry->n_files = 0;
    entry->files[entry->n_files++] = *file;
}

static struct error *check_file(struct entry *entry, const char *path,
                                const struct image_file *want)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct known_file file = {0};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(errno, "file '%s'", want->name);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != want->size)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "file '%s' does not have the size in image.json", want->name);
    const struct known_file *known = find_known(entry, &st);
    if (!known) {
        file = (struct known_file){.device = st.st_dev,
                                   .inode = st.st_ino,
                                   .size = st.st_size,
                                   .modified = st.st_mtim,
                                   .changed = st.st_ctim};
        struct error *err = hash_fd(fd, path, file.sha256);
        if (err)
            return err;
        remember(entry, &file);
        known = &file;
    }
    if (memcmp(known->sha256, want->sha256, 32) != 0)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "file '%s' does not have the SHA-256 in image.json", want->name);
    return NULL;
}

static struct error *check_image(struct image_cache *cache, struct entry *entry,
                                 const char *version, struct arena *arena, struct image **ret_image)
{
    _cleanup_free_ char *json_path = image_cache_path(cache, version, "image.json");
    _cleanup_buffer_ struct buffer json = {0};
    struct image *image = NULL;
    struct error *err = file_read(json_path, IMAGE_JSON_MAX, &json);

    if (!err)
        err = image_parse(json.data, json.size, cache->release_public, arena, &image);
    if (err)
        return error_wrap(err, "image.json");
    if (strcmp(image->version, version) != 0)
        return error_new(ERROR_FAILED_PRECONDITION, "image.json is of version '%s'",
                         image->version);
    for (size_t i = 0; !err && i < image->n_files; i++) {
        _cleanup_free_ char *path = image_cache_path(cache, version, image->files[i].name);
        err = check_file(entry, path, &image->files[i]);
    }
    if (!err)
        *ret_image = image;
    return err;
}

static struct entry *get_entry(struct image_cache *cache, const char *version)
{
    for (size_t i = 0; i < cache->n_entries; i++)
        if (strcmp(cache->entries[i]->state.version, version) == 0)
            return cache->entries[i];
    if (cache->n_entries == IMAGE_CACHE_MAX)
        return NULL;
    struct entry *entry = xnew(struct entry);
    snprintf(entry->state.version, sizeof(entry->state.version), "%s", version);
    snprintf(entry->state.reason, sizeof(entry->state.reason), "being checked");
    pthread_mutex_lock(&cache->lock);
    cache->entries[cache->n_entries++] = entry;
    pthread_mutex_unlock(&cache->lock);
    return entry;
}

static void set_state(struct image_cache *cache, struct entry *entry, const struct image *image,
                      const struct error *err)
{
    pthread_mutex_lock(&cache->lock);
    entry->state.ready = !err;
    snprintf(entry->state.root_hash, sizeof(entry->state.root_hash), "%s",
             image ? image->root_hash : "");
    snprintf(entry->state.reason, sizeof(entry->state.reason), "%s", err ? error_text(err) : "");
    pthread_mutex_unlock(&cache->lock);
}

struct error *image_cache_open(struct image_cache *cache, const char *version, struct arena *arena,
                               struct image **ret_image)
{
    if (!image_version_is_valid(version))
        return error_new(ERROR_INVALID_ARGUMENT, "the image version is not a valid name");
    _cleanup_free_ char *dir = xasprintf("%s/%s", cache->dir, version);
    struct stat st;
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_new(ERROR_NOT_FOUND, "no guest image '%s' on this host", version);
    struct entry *entry = get_entry(cache, version);
    if (!entry)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d guest images", IMAGE_CACHE_MAX);
    struct image *image = NULL;
    struct error *err = check_image(cache, entry, version, arena, &image);
    set_state(cache, entry, image, err);
    if (err)
        return error_recode(error_wrap(err, "guest image '%s'", version),
                            ERROR_FAILED_PRECONDITION);
    *ret_image = image;
    return NULL;
}

static void forget_missing(struct image_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    for (size_t i = cache->n_entries; i-- > 0;) {
        _cleanup_free_ char *dir = xasprintf("%s/%s", cache->dir, cache->entries[i]->state.version);
        if (access(dir, F_OK) == 0)
            continue;
        free(cache->entries[i]);
        cache->entries[i] = cache->entries[--cache->n_entries];
    }
    pthread_mutex_unlock(&cache->lock);
}

struct error *image_cache_scan(struct image_cache *cache)
{
    DIR *dir = opendir(cache->dir);
    struct dirent *item;

    if (!dir)
        return error_errno(errno, "open '%s'", cache->dir);
    forget_missing(cache);
    while ((item = readdir(dir))) {
        _cleanup_free_ char *json = image_cache_path(cache, item->d_name, "image.json");
        if (!image_version_is_valid(item->d_name) || access(json, F_OK) < 0)
            continue;
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct image *image = NULL;
        /* what is wrong with it stands in its state */
        error_free(image_cache_open(cache, item->d_name, arena, &image));
    }
    closedir(dir);
    return NULL;
}

struct image_state *image_cache_copy_states(struct image_cache *cache, size_t *ret_n)
{
    pthread_mutex_lock(&cache->lock);
    struct image_state *states = xnew_array(struct image_state, cache->n_entries + 1);
    for (size_t i = 0; i < cache->n_entries; i++)
        states[i] = cache->entries[i]->state;
    *ret_n = cache->n_entries;
    pthread_mutex_unlock(&cache->lock);
    return states;
}

struct error *image_release_key(const char *text, uint8_t ret_public[32])
{
    if (text[0] != '/')
        return error_wrap(hex_decode(text, ret_public, 32), "release key");
    _cleanup_buffer_ struct buffer content = {0};
    struct error *err = file_read(text, 1024 * 1024, &content);
    if (err)
        return err;
    _cleanup_(json_decrefp) json_t *json =
        json_loadb((const char *)content.data, content.size, JSON_REJECT_DUPLICATES, NULL);
    const char *hex = json_string_value(json_object_get(json, "image_release_public"));
    if (!hex)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' has no \"image_release_public\"", text);
    return error_wrap(hex_decode(hex, ret_public, 32), "'%s'", text);
}
