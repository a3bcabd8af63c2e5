#include "services/scheduler/images.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/store/keys.h"

/* A file that replaces another one has another inode, also within a tick of the clock. */
struct stamp {
    int64_t mtime_ns;
    uint64_t inode;
    int64_t size;
};

/* A version whose file was found good, and which file that was. */
struct known_image {
    char version[80];
    struct stamp stamp;
};

struct images {
    char *dir;
    uint8_t release_public[SIGN_KEY_SIZE];
    pthread_mutex_t lock; /* of known */
    struct known_image known[IMAGE_VERSIONS_MAX];
    size_t n_known;
};

struct error *images_open(const char *dir, const uint8_t release_public[SIGN_KEY_SIZE],
                          struct images **ret_images)
{
    struct images *images = xnew(struct images);

    images->dir = xstrdup(dir);
    memcpy(images->release_public, release_public, SIGN_KEY_SIZE);
    pthread_mutex_init(&images->lock, NULL);
    *ret_images = images;
    return NULL;
}

void images_free(struct images *images)
{
    if (!images)
        return;
    pthread_mutex_destroy(&images->lock);
    free(images->dir);
    free(images);
}

/* [A-Za-z0-9._-]{1,64}, not starting with a dot: it becomes part of a path. */
static bool version_is_valid(const char *version)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t length = strlen(version);

    return length > 0 && length <= 64 && version[0] != '.' && strspn(version, allowed) == length;
}

/* Where its image.json is or would be. A version may also name another one's file ("1.0.json"),
 * below which nothing can be. */
static char *path_of(const struct images *images, const char *version)
{
    _cleanup_free_ char *nested = xasprintf("%s/%s/image.json", images->dir, version);

    if (access(nested, F_OK) == 0)
        return TAKE_PTR(nested);
    return xasprintf("%s/%s.json", images->dir, version);
}

static struct error *read_json(const struct images *images, const char *version,
                               struct buffer *ret_json)
{
    _cleanup_free_ char *path = path_of(images, version);

    return file_read(path, IMAGE_JSON_MAX, ret_json);
}

static struct error *read_image(const struct images *images, const char *version,
                                struct arena *arena, struct buffer *ret_json,
                                struct image **ret_image)
{
    struct image *image;
    struct error *err;

    if (!images->dir[0] || !version_is_valid(version))
        return error_new(ERROR_NOT_FOUND, "no image version '%.64s'", version);
    err = read_json(images, version, ret_json);
    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return error_new(ERROR_NOT_FOUND, "no image version '%s'", version);
    }
    err = err ?: image_parse(ret_json->data, ret_json->size, images->release_public, arena, &image);
    if (err)
        return error_wrap(err, "image version '%s'", version);
    if (strcmp(image->version, version) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "image version '%s' is really '%.64s'", version,
                         image->version);
    *ret_image = image;
    return NULL;
}

struct error *images_find(const struct images *images, const char *version, struct arena *arena,
                          struct image **ret_image)
{
    _cleanup_buffer_ struct buffer json = {0};

    return read_image(images, version, arena, &json, ret_image);
}

static bool stamp_of(const struct images *images, const char *version, struct stamp *ret_stamp)
{
    _cleanup_free_ char *path = path_of(images, version);
    struct stat file;

    if (!version_is_valid(version) || stat(path, &file) != 0)
        return false;
    *ret_stamp = (struct stamp){
        .mtime_ns = (int64_t)file.st_mtim.tv_sec * 1000000000 + file.st_mtim.tv_nsec,
        .inode = file.st_ino,
        .size = file.st_size,
    };
    return true;
}

/* Under the lock. NULL: not known. */
static struct known_image *find_known(struct images *images, const char *version)
{
    for (size_t i = 0; i < images->n_known; i++)
        if (strcmp(images->known[i].version, version) == 0)
            return &images->known[i];
    return NULL;
}

static bool is_known(struct images *images, const char *version, const struct stamp *stamp)
{
    pthread_mutex_lock(&images->lock);
    const struct known_image *known = find_known(images, version);
    bool same = known && known->stamp.mtime_ns == stamp->mtime_ns &&
                known->stamp.inode == stamp->inode && known->stamp.size == stamp->size;
    pthread_mutex_unlock(&images->lock);
    return same;
}

/* Beyond the limit files are simply read each time. */
static void remember(struct images *images, const char *version, const struct stamp *stamp)
{
    pthread_mutex_lock(&images->lock);
    struct known_image *known = find_known(images, version);
    if (!known && images->n_known < IMAGE_VERSIONS_MAX)
        known = &images->known[images->n_known++];
    if (known) {
        snprintf(known->version, sizeof(known->version), "%s", version);
        known->stamp = *stamp;
    }
    pthread_mutex_unlock(&images->lock);
}

struct error *images_check(struct images *images, const char *version)
{
    _cleanup_(arena_freep) struct arena *arena = NULL;
    struct image *image;
    struct stamp stamp;
    bool there = images->dir[0] && stamp_of(images, version, &stamp);

    if (there && is_known(images, version, &stamp))
        return NULL;
    arena = arena_new();
    struct error *err = images_find(images, version, arena, &image);
    if (!err && there)
        remember(images, version, &stamp);
    return err;
}

static struct error *publish_one(const struct images *images, const char *version,
                                 struct store *store, uint64_t term)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer json = {0};
    struct image *image;
    struct error *err = read_image(images, version, arena, &json, &image);

    if (err)
        return err;
    const struct store_write write = {
        .key = arena_printf(arena, "%s%s", KEY_IMAGE, version),
        .expected_version = UINT64_MAX,
        .value = {.data = json.data, .len = json.size},
    };
    return store_commit(store,
                        &(struct store_change){.writes = &write, .n_writes = 1, .term = term});
}

static void dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static char *version_of_entry(const char *name, struct arena *arena)
{
    size_t length = strlen(name);
    bool flat = length > 5 && strcmp(name + length - 5, ".json") == 0;
    char *version = arena_strdup(arena, name);

    if (flat)
        version[length - 5] = '\0';
    return version_is_valid(version) ? version : NULL;
}

struct error *images_versions(const struct images *images, struct arena *arena,
                              const char ***ret_versions, size_t *ret_n)
{
    const char **versions = arena_alloc(arena, IMAGE_VERSIONS_MAX * sizeof(*versions));
    size_t n = 0;

    *ret_versions = versions;
    *ret_n = 0;
    if (!images->dir[0])
        return NULL;
    _cleanup_(dir_close) DIR *dir = opendir(images->dir);
    if (!dir)
        return error_errno(errno, "open '%s'", images->dir);
    for (const struct dirent *entry = readdir(dir); entry && n < IMAGE_VERSIONS_MAX;
         entry = readdir(dir)) {
        versions[n] = version_of_entry(entry->d_name, arena);
        n += versions[n] != NULL;
    }
    *ret_n = n;
    return NULL;
}

int64_t images_written_at_ms(const struct images *images, const char *version)
{
    _cleanup_free_ char *path = path_of(images, version);
    struct stat file;

    if (stat(path, &file) != 0)
        return 0;
    return (int64_t)file.st_mtim.tv_sec * 1000 + file.st_mtim.tv_nsec / 1000000;
}

struct error *images_publish(const struct images *images, struct store *store, uint64_t term)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char **versions;
    size_t n;
    struct error *err = images_versions(images, arena, &versions, &n);

    for (size_t i = 0; !err && i < n; i++) {
        err = publish_one(images, versions[i], store, term);
        if (error_get_code(err) == ERROR_UNAVAILABLE)
            return err;
        log_failure(LOG_LEVEL_WARNING, "image is not usable", err);
        err = NULL;
    }
    return err;
}
