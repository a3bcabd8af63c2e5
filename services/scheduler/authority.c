#include "services/scheduler/authority.h"

#include <jansson.h>
#include <sys/stat.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

enum { FLEET_JSON_MAX = 4 * 1024 * 1024, FLEET_HOSTS_MAX = 4096, SEED_MAX = 256 };

static struct error *member_hex(const json_t *root, const char *name, void *ret_data, size_t size)
{
    const char *text = json_string_value(json_object_get(root, name));

    if (!text)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is missing", name);
    return error_wrap(hex_decode(text, ret_data, size), "'%s'", name);
}

static struct error *read_fleet_json(const char *dir, json_t **ret_root)
{
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", dir);
    _cleanup_buffer_ struct buffer text = {0};
    json_error_t problem;
    struct error *err = file_read(path, FLEET_JSON_MAX, &text);

    if (err)
        return err;
    json_t *root = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' line %d: %s", path, problem.line,
                         problem.text);
    *ret_root = root;
    return NULL;
}

static void free_hosts(struct enrolled_host *hosts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(hosts[i].id);
    free(hosts);
}

static struct error *read_host(const json_t *item, struct enrolled_host *ret_host)
{
    const char *id = json_string_value(json_object_get(item, "id"));
    struct error *err;

    if (!id || !name_is_valid(id))
        return error_new(ERROR_INVALID_ARGUMENT, "a host has no valid 'id'");
    err = member_hex(item, "chip_id", ret_host->chip_id, CHIP_ID_SIZE);
    if (err)
        return error_wrap(err, "host '%s'", id);
    ret_host->id = xstrdup(id);
    return NULL;
}

static struct error *read_hosts(const json_t *root, struct enrolled_host **ret_hosts, size_t *ret_n)
{
    const json_t *list = json_object_get(root, "hosts");
    size_t n = json_array_size(list);
    struct error *err = NULL;

    if (!json_is_array(list)) /* half a file is not a fleet without hosts */
        return error_new(ERROR_INVALID_ARGUMENT, "'hosts' is missing");
    if (n > FLEET_HOSTS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d hosts", FLEET_HOSTS_MAX);
    struct enrolled_host *hosts = xnew_array(struct enrolled_host, n + 1);
    for (size_t i = 0; !err && i < n; i++)
        err = read_host(json_array_get(list, i), &hosts[i]);
    if (err) {
        free_hosts(hosts, n);
        return err;
    }
    *ret_hosts = hosts;
    *ret_n = n;
    return NULL;
}

/* All zero: there is no file. */
static struct fleet_stamp get_stamp(const char *dir)
{
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", dir);
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct fleet_stamp){0};
    return (struct fleet_stamp){
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .inode = (uint64_t)st.st_ino,
        .size = (int64_t)st.st_size,
    };
}

static bool same_stamp(const struct fleet_stamp *a, const struct fleet_stamp *b)
{
    return a->mtime_ns == b->mtime_ns && a->inode == b->inode && a->size == b->size;
}

static struct error *load_keys(struct authority *authority, const json_t *root)
{
    _cleanup_free_ char *sign_path = xasprintf("%s/authority/sign.key", authority->fleet_dir);
    _cleanup_free_ char *box_path = xasprintf("%s/authority/box.key", authority->fleet_dir);
    uint8_t sign_public[SIGN_KEY_SIZE];
    uint8_t box_public[SEAL_KEY_SIZE];
    struct error *err = sign_key_load(sign_path, &authority->sign);

    err = err ?: box_key_load(box_path, &authority->box);
    err = err ?: box_opener_new(&authority->box, &authority->opener);
    err = err ?: member_hex(root, "authority_sign_public", sign_public, sizeof(sign_public));
    err = err ?: member_hex(root, "authority_box_public", box_public, sizeof(box_public));
    if (err)
        return err;
    if (memcmp(sign_public, authority->sign.public, sizeof(sign_public)) != 0 ||
        memcmp(box_public, authority->box.public, sizeof(box_public)) != 0)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the keys in 'authority' are not those of fleet.json");
    return NULL;
}

static struct error *member_text(const json_t *root, const char *name, char **ret_text)
{
    const char *text = json_string_value(json_object_get(root, name));

    if (!text || !text[0])
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is missing", name);
    *ret_text = xstrdup(text);
    return NULL;
}

static struct error *load_seed(struct authority *authority)
{
    _cleanup_free_ char *path = xasprintf("%s/nats/account-signing.seed", authority->fleet_dir);

    return file_read_text(path, SEED_MAX, &authority->account_seed);
}

static struct error *load(struct authority *authority)
{
    _cleanup_(json_decrefp) json_t *root = NULL;

    /* Before it is read: what replaces it meanwhile is noticed later. */
    authority->stamp = get_stamp(authority->fleet_dir);
    struct error *err = read_fleet_json(authority->fleet_dir, &root);
    if (err)
        return err;
    err = load_keys(authority, root);
    err = err
              ?: member_hex(root, "gateway_sign_public", authority->gateway_sign_public,
                            SIGN_KEY_SIZE);
    err = err
              ?: member_hex(root, "image_release_public", authority->image_release_public,
                            SIGN_KEY_SIZE);
    err = err ?: read_hosts(root, &authority->hosts, &authority->n_hosts);
    err = err ?: member_text(root, "workload_domain", &authority->workload_domain);
    err = err ?: member_text(root, "nats_account", &authority->nats_account);
    return err ?: load_seed(authority);
}

struct error *authority_load(const char *fleet_dir, struct authority *ret_authority)
{
    *ret_authority = (struct authority){.fleet_dir = xstrdup(fleet_dir)};
    pthread_mutex_init(&ret_authority->lock, NULL);
    struct error *err = load(ret_authority);

    if (err)
        authority_done(ret_authority);
    return error_wrap(err, "fleet folder '%s'", fleet_dir);
}

void authority_done(struct authority *authority)
{
    if (!authority->fleet_dir)
        return;
    sign_key_done(&authority->sign);
    box_key_done(&authority->box);
    box_opener_free(authority->opener);
    free_hosts(authority->hosts, authority->n_hosts);
    if (authority->account_seed)
        OPENSSL_cleanse(authority->account_seed, strlen(authority->account_seed));
    free(authority->account_seed);
    free(authority->nats_account);
    free(authority->workload_domain);
    free(authority->fleet_dir);
    pthread_mutex_destroy(&authority->lock);
    *authority = (struct authority){0};
}

static bool find_locked(const struct authority *authority, const char *host_id,
                        uint8_t ret_chip_id[CHIP_ID_SIZE])
{
    for (size_t i = 0; i < authority->n_hosts; i++) {
        if (strcmp(authority->hosts[i].id, host_id) != 0)
            continue;
        memcpy(ret_chip_id, authority->hosts[i].chip_id, CHIP_ID_SIZE);
        return true;
    }
    return false;
}

/* A half-written or wrong file keeps what was known; its stamp is taken nevertheless, so that it is
 * read and complained about once. */
static void reload_hosts_locked(struct authority *authority)
{
    _cleanup_(json_decrefp) json_t *root = NULL;
    struct enrolled_host *hosts = NULL;
    size_t n = 0;
    struct fleet_stamp stamp = get_stamp(authority->fleet_dir);

    if (same_stamp(&stamp, &authority->stamp))
        return;
    authority->stamp = stamp;
    struct error *err = read_fleet_json(authority->fleet_dir, &root);
    err = err ?: read_hosts(root, &hosts, &n);
    if (err) {
        log_failure(LOG_LEVEL_ERROR, "the hosts stay those of the last good fleet.json", err);
        return;
    }
    free_hosts(authority->hosts, authority->n_hosts);
    authority->hosts = hosts;
    authority->n_hosts = n;
    log_info("fleet.json has changed");
}

bool authority_find_chip(struct authority *authority, const char *host_id,
                         uint8_t ret_chip_id[CHIP_ID_SIZE])
{
    pthread_mutex_lock(&authority->lock);
    reload_hosts_locked(authority);
    bool found = find_locked(authority, host_id, ret_chip_id);
    pthread_mutex_unlock(&authority->lock);
    return found;
}
