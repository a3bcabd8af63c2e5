#include <jansson.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/fleet/fleet_internal.h"

enum { FLEET_JSON_MAX = 4 * 1024 * 1024 };

/* The fleet's own signing and box keys: file, and its public half in fleet.json. */
static const struct key_row {
    const char *path;
    const char *fact;
    bool box;
} key_table[] = {
    {"authority/sign.key", "authority_sign_public", false},
    {"authority/box.key", "authority_box_public", true},
    {"gateway/sign.key", "gateway_sign_public", false},
    {"release/sign.key", "image_release_public", false},
};

static const char *const folders[] = {"authority", "gateway", "release",
                                      "operator",  "nats",    "hosts"};

static struct error *load_fleet_json(const char *dir, json_t **ret_root)
{
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", dir);
    _cleanup_buffer_ struct buffer text = {0};
    json_error_t problem;

    if (access(path, F_OK) != 0) {
        *ret_root = json_object();
        return NULL;
    }
    struct error *err = file_read(path, FLEET_JSON_MAX, &text);
    if (err)
        return err;
    json_t *root = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' line %d: %s", path, problem.line,
                         problem.text);
    }
    *ret_root = root;
    return NULL;
}

static struct error *save_fleet_json(const char *dir, const json_t *root)
{
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", dir);
    _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    _cleanup_free_ char *lines = xasprintf("%s\n", text);

    return file_write_atomic(path, lines, strlen(lines), 0644);
}

static struct error *make_key(const struct key_row *row, const char *path)
{
    struct sign_key sign;
    struct box_key box;
    struct error *err = row->box ? box_key_generate(&box) : sign_key_generate(&sign);

    if (err)
        return err;
    err = key_file_save(path, row->box ? box.secret : sign.secret);
    if (row->box)
        box_key_done(&box);
    else
        sign_key_done(&sign);
    return err;
}

static struct error *load_public(const struct key_row *row, const char *path, char ret_hex[65])
{
    struct sign_key sign;
    struct box_key box;
    struct error *err = row->box ? box_key_load(path, &box) : sign_key_load(path, &sign);

    if (err)
        return err;
    hex_encode(row->box ? box.public : sign.public, 32, ret_hex);
    if (row->box)
        box_key_done(&box);
    else
        sign_key_done(&sign);
    return NULL;
}

static struct error *ensure_key(const char *dir, const struct key_row *row, json_t *root)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, row->path);
    char public_hex[65];
    struct error *err = access(path, F_OK) == 0 ? NULL : make_key(row, path);

    err = err ?: load_public(row, path, public_hex);
    if (!err)
        json_object_set_new(root, row->fact, json_string(public_hex));
    return error_wrap(err, "'%s'", path);
}

static struct error *check_options(const struct fleet_options *options)
{
    for (size_t i = 0; i < options->n_hosts; i++) {
        if (!name_is_valid(options->hosts[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "'%.80s' is no host id: [a-z0-9-]{1,63}",
                             options->hosts[i]);
    }
    return NULL;
}

static struct error *make_folders(const char *dir)
{
    struct error *err = dir_make(dir, 0700);

    for (size_t i = 0; !err && i < ELEMENTSOF(folders); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", dir, folders[i]);
        err = dir_make(path, 0700);
    }
    return err;
}

static void set_facts(json_t *root, const struct fleet_options *options, const char *account)
{
    json_object_set_new(root, "nats_account", json_string(account));
    if (options->workload_domain)
        json_object_set_new(root, "workload_domain", json_string(options->workload_domain));
    if (!json_is_array(json_object_get(root, "hosts")))
        json_object_set_new(root, "hosts", json_array());
}

struct error *fleet_init(const char *dir, const struct fleet_options *options)
{
    _cleanup_(json_decrefp) json_t *root = NULL;
    struct fleet_nats nats = {0};
    struct error *err = check_options(options);

    err = err ?: make_folders(dir);
    err = err ?: load_fleet_json(dir, &root);
    for (size_t i = 0; !err && i < ELEMENTSOF(key_table); i++)
        err = ensure_key(dir, &key_table[i], root);
    err = err ?: fleet_nats_init(dir, &nats);
    if (err)
        return error_wrap(err, "fleet '%s'", dir);
    err = fleet_nats_write(dir, &nats);
    for (size_t i = 0; !err && i < options->n_hosts; i++)
        err = fleet_nats_write_host(dir, &nats, options->hosts[i]);
    set_facts(root, options, nats.account);
    fleet_nats_done(&nats);
    err = err ?: save_fleet_json(dir, root);
    return error_wrap(err, "fleet '%s'", dir);
}

static json_t *find_host(json_t *hosts, const char *id)
{
    size_t i;
    json_t *host;

    json_array_foreach(hosts, i, host)
    {
        const char *have = json_string_value(json_object_get(host, "id"));
        if (have && strcmp(have, id) == 0)
            return host;
    }
    return NULL;
}

struct error *fleet_enroll_host(const char *dir, const char *host,
                                const uint8_t chip_id[FLEET_CHIP_ID_SIZE])
{
    _cleanup_(json_decrefp) json_t *root = NULL;
    char chip_hex[2 * FLEET_CHIP_ID_SIZE + 1];
    struct error *err = NULL;

    if (!name_is_valid(host))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.80s' is no host id", host);
    err = load_fleet_json(dir, &root);
    if (err)
        return err;
    json_t *hosts = json_object_get(root, "hosts");
    if (!json_is_array(hosts))
        return error_new(ERROR_FAILED_PRECONDITION, "'%s' holds no fleet yet", dir);
    hex_encode(chip_id, FLEET_CHIP_ID_SIZE, chip_hex);
    json_t *entry = find_host(hosts, host);
    if (entry)
        json_object_set_new(entry, "chip_id", json_string(chip_hex));
    else
        json_array_append_new(hosts, json_pack("{s:s, s:s}", "id", host, "chip_id", chip_hex));
    return save_fleet_json(dir, root);
}
