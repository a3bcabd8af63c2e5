#include "services/host-agent/journal.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>

#include "services/host-agent/config_disk.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

#define RECORD_MAX (64 * 1024)
#define ORDER_MAX  (2 * 1024 * 1024)

struct journal {
    char *dir;
};

static const char *const state_names[] = {"starting", "running", "stopped", "failed"};
static const char *const wish_names[] = {"run", "stop", "delete"};

void vm_record_done(struct vm_record *record)
{
    vm_facts_done(&record->facts);
    free(record->reason);
    *record = (struct vm_record){0};
}

void vm_record_copy(struct vm_record *ret_record, const struct vm_record *from)
{
    *ret_record = *from;
    vm_facts_copy(&ret_record->facts, &from->facts);
    ret_record->reason = xstrdup(from->reason ?: "");
}

void vm_order_done(struct vm_order *order)
{
    buffer_done(&order->manifest);
    buffer_done(&order->compose);
    free(order->files_reference);
    if (order->credentials)
        OPENSSL_cleanse(order->credentials, strlen(order->credentials));
    free(order->credentials);
    *order = (struct vm_order){0};
}

char *journal_path(const struct journal *journal, const char *workload_id, const char *name)
{
    return xasprintf("%s/%s/%s", journal->dir, workload_id, name);
}

static char *folder(const struct journal *journal, const char *workload_id)
{
    return xasprintf("%s/%s", journal->dir, workload_id);
}

struct error *journal_open(const char *state_dir, struct journal **ret_journal)
{
    struct journal *journal = xnew(struct journal);

    journal->dir = xasprintf("%s/vms", state_dir);
    struct error *err = dir_make(journal->dir, 0700);
    if (err) {
        journal_free(journal);
        return error_wrap(err, "journal");
    }
    *ret_journal = journal;
    return NULL;
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    free(journal->dir);
    free(journal);
}

static json_t *domains_to_json(const struct vm_facts *facts)
{
    json_t *list = json_array();

    for (size_t i = 0; i < facts->n_domains; i++)
        json_array_append_new(list, json_string(facts->domains[i]));
    return list;
}

static json_t *record_to_json(const struct vm_record *record)
{
    const struct vm_facts *facts = &record->facts;
    _cleanup_free_ char *manifest = hex_encode_new(facts->manifest_sha256, 32);
    _cleanup_free_ char *measurement = hex_encode_new(record->measurement, LAUNCH_DIGEST_SIZE);
    _cleanup_free_ char *report_id = hex_encode_new(record->report_id, 32);

    return json_pack("{s:s, s:I, s:i, s:I, s:I, s:i, s:s, s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:I,"
                     " s:b, s:s, s:s, s:b}",
                     "workload_id", facts->workload_id, "generation", (json_int_t)facts->generation,
                     "cpus", (int)facts->cpus, "memory_mib", (json_int_t)facts->memory_mib,
                     "disk_gib", (json_int_t)facts->disk_gib, "gpus", (int)facts->gpus, "image",
                     facts->image_version, "manifest_sha256", manifest, "domains",
                     domains_to_json(facts), "wish", wish_names[record->wish], "state",
                     state_names[record->state], "reason", record->reason ?: "", "started_at_ms",
                     (json_int_t)record->started_at_ms, "changed_at_ms",
                     (json_int_t)record->changed_at_ms, "sequence", (json_int_t)record->sequence,
                     "measured", (int)record->measured, "measurement", measurement, "report_id",
                     report_id, "carried_out", (int)record->carried_out);
}

static struct error *save_json(const char *path, json_t *json)
{
    if (!json)
        return error_new(ERROR_INTERNAL, "'%s' has a text that JSON cannot carry", path);
    char *text = json_dumps(json, JSON_COMPACT);
    size_t size = strlen(text);
    struct error *err = file_write_atomic(path, text, size, 0600);
    OPENSSL_cleanse(text, size);
    free(text);
    return err;
}

struct error *journal_save(struct journal *journal, const struct vm_record *record)
{
    _cleanup_free_ char *dir = folder(journal, record->facts.workload_id);
    _cleanup_free_ char *path = journal_path(journal, record->facts.workload_id, "vm.json");
    _cleanup_(json_decrefp) json_t *json = record_to_json(record);
    struct error *err = dir_make(dir, 0700);

    return err ? err : save_json(path, json);
}

static bool lookup(const char *const *names, size_t n, const char *name, unsigned *ret_value)
{
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_value = i;
            return true;
        }
    }
    return false;
}

static struct error *read_names(const json_t *json, struct vm_record *record)
{
    const char *wish = json_string_value(json_object_get(json, "wish"));
    const char *state = json_string_value(json_object_get(json, "state"));
    const char *reason = json_string_value(json_object_get(json, "reason"));
    unsigned wish_value, state_value;

    if (!wish || !state || !reason ||
        !lookup(wish_names, ELEMENTSOF(wish_names), wish, &wish_value) ||
        !lookup(state_names, ELEMENTSOF(state_names), state, &state_value))
        return error_new(ERROR_DATA_LOSS, "no known wish or state");
    record->wish = (enum vm_wish)wish_value;
    record->state = (enum vm_state)state_value;
    record->reason = xstrdup(reason);
    return NULL;
}

static struct error *read_digests(const json_t *json, struct vm_record *record)
{
    static const char *const names[] = {"manifest_sha256", "measurement", "report_id"};
    uint8_t *const targets[] = {record->facts.manifest_sha256, record->measurement,
                                record->report_id};
    static const size_t sizes[] = {32, LAUNCH_DIGEST_SIZE, 32};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        const char *hex = json_string_value(json_object_get(json, names[i]));
        struct error *err = hex_decode(hex ?: "", targets[i], sizes[i]);
        if (err)
            return error_wrap(err, "%s", names[i]);
    }
    return NULL;
}

static struct error *read_facts(json_t *json, struct vm_record *record)
{
    struct vm_facts *facts = &record->facts;
    const char *id, *image;
    json_int_t generation, memory, disk, sequence, started, changed;
    json_t *domains;
    int cpus, gpus, measured, carried_out;

    if (json_unpack(json, "{s:s, s:I, s:i, s:I, s:I, s:i, s:s, s:o, s:I, s:I, s:I, s:b, s:b}",
                    "workload_id", &id, "generation", &generation, "cpus", &cpus, "memory_mib",
                    &memory, "disk_gib", &disk, "gpus", &gpus, "image", &image, "domains", &domains,
                    "sequence", &sequence, "started_at_ms", &started, "changed_at_ms", &changed,
                    "measured", &measured, "carried_out", &carried_out) < 0)
        return error_new(ERROR_DATA_LOSS, "a member is missing or has another type");
    facts->workload_id = xstrdup(id);
    facts->generation = (uint64_t)generation;
    facts->cpus = (uint32_t)cpus;
    facts->memory_mib = (uint64_t)memory;
    facts->disk_gib = (uint64_t)disk;
    facts->gpus = (uint32_t)gpus;
    facts->image_version = xstrdup(image);
    for (size_t i = 0; i < json_array_size(domains) && i <= VM_DOMAINS_MAX; i++)
        vm_facts_add_domain(facts, json_string_value(json_array_get(domains, i)) ?: "");
    record->sequence = (uint64_t)sequence;
    record->started_at_ms = started;
    record->changed_at_ms = changed;
    record->measured = measured;
    record->carried_out = carried_out;
    return NULL;
}

static struct error *load_record(struct journal *journal, const char *workload_id,
                                 struct vm_record *ret_record)
{
    _cleanup_free_ char *path = journal_path(journal, workload_id, "vm.json");
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_record_ struct vm_record record = {0};
    struct error *err = file_read(path, RECORD_MAX, &text);

    if (err)
        return err;
    _cleanup_(json_decrefp) json_t *json =
        json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, NULL);
    err = json ? read_facts(json, &record) : error_new(ERROR_DATA_LOSS, "not JSON");
    if (!err)
        err = read_names(json, &record);
    if (!err)
        err = read_digests(json, &record);
    if (!err)
        err = vm_facts_check(&record.facts);
    if (!err && strcmp(record.facts.workload_id, workload_id) != 0)
        err = error_new(ERROR_DATA_LOSS, "it is about '%s'", record.facts.workload_id);
    if (err)
        return error_recode(error_wrap(err, "'%s'", path), ERROR_DATA_LOSS);
    *ret_record = record;
    record = (struct vm_record){0};
    return NULL;
}

struct error *journal_load(struct journal *journal, struct vm_record **ret_records, size_t *ret_n,
                           struct error **ret_problem)
{
    DIR *dir = opendir(journal->dir);
    struct dirent *item;

    if (!dir)
        return error_errno(errno, "open '%s'", journal->dir);
    *ret_records = NULL;
    *ret_n = 0;
    *ret_problem = NULL;
    while ((item = readdir(dir))) {
        struct vm_record record;
        if (!name_is_valid(item->d_name))
            continue;
        struct error *err = load_record(journal, item->d_name, &record);
        if (!err) {
            *ret_records = xrealloc_array(*ret_records, *ret_n + 1, sizeof(record));
            (*ret_records)[(*ret_n)++] = record;
        } else if (error_get_code(err) == ERROR_NOT_FOUND) {
            error_free(err); /* half-made, or lost: journal_sweep() */
        } else {
            error_free(*ret_problem);
            *ret_problem = err;
        }
    }
    closedir(dir);
    return NULL;
}

struct error *journal_sweep(struct journal *journal,
                            bool (*is_known)(void *data, const char *workload_id), void *data)
{
    DIR *dir = opendir(journal->dir);
    struct error *err = NULL;
    struct dirent *item;

    if (!dir)
        return error_errno(errno, "open '%s'", journal->dir);
    while (!err && (item = readdir(dir)))
        if (name_is_valid(item->d_name) && !is_known(data, item->d_name))
            err = journal_remove(journal, item->d_name);
    closedir(dir);
    return err;
}

static json_t *base64_json(const struct buffer *content)
{
    _cleanup_free_ char *text = base64_encode_new(content->data, content->size);

    return json_string(text);
}

struct error *journal_save_order(struct journal *journal, const char *workload_id,
                                 const struct vm_order *order)
{
    _cleanup_free_ char *dir = folder(journal, workload_id);
    _cleanup_free_ char *path = journal_path(journal, workload_id, "order.json");
    _cleanup_(json_decrefp) json_t *json = json_pack(
        "{s:I, s:o, s:o, s:s, s:s}", "generation", (json_int_t)order->generation, "manifest",
        base64_json(&order->manifest), "compose", base64_json(&order->compose), "files_reference",
        order->files_reference, "credentials", order->credentials);
    struct error *err = dir_make(dir, 0700);

    return err ? err : save_json(path, json);
}

static struct error *read_base64(const json_t *json, const char *name, struct buffer *ret_content)
{
    _cleanup_free_ uint8_t *data = NULL;
    size_t size;
    const char *text = json_string_value(json_object_get(json, name));
    struct error *err = base64_decode_new(text ?: "*", CONFIG_DISK_MANIFEST, &data, &size);

    if (err)
        return error_wrap(err, "%s", name);
    buffer_add(ret_content, data, size);
    return NULL;
}

static struct error *read_order(const json_t *json, struct vm_order *order)
{
    const char *reference = json_string_value(json_object_get(json, "files_reference"));
    const char *credentials = json_string_value(json_object_get(json, "credentials"));

    if (!reference || !credentials)
        return error_new(ERROR_DATA_LOSS, "not an order");
    order->generation = (uint64_t)json_integer_value(json_object_get(json, "generation"));
    order->files_reference = xstrdup(reference);
    order->credentials = xstrdup(credentials);
    struct error *err = read_base64(json, "manifest", &order->manifest);
    return err ?: read_base64(json, "compose", &order->compose);
}

struct error *journal_load_order(struct journal *journal, const char *workload_id,
                                 struct vm_order *ret_order)
{
    _cleanup_free_ char *path = journal_path(journal, workload_id, "order.json");
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_order_ struct vm_order order = {0};
    struct error *err = file_read(path, ORDER_MAX, &text);

    if (err)
        return err;
    _cleanup_(json_decrefp) json_t *json =
        json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, NULL);
    err = read_order(json, &order);
    if (err)
        return error_recode(error_wrap(err, "'%s'", path), ERROR_DATA_LOSS);
    *ret_order = order;
    order = (struct vm_order){0};
    return NULL;
}

static struct error *remove_file(const char *path)
{
    return unlink(path) < 0 && errno != ENOENT ? error_errno(errno, "unlink '%s'", path) : NULL;
}

struct error *journal_drop_order(struct journal *journal, const char *workload_id)
{
    _cleanup_free_ char *path = journal_path(journal, workload_id, "order.json");

    return remove_file(path);
}

/* Everything in the folder but, with keep_record, vm.json. Folders of VMs have no folders. */
static struct error *remove_all(struct journal *journal, const char *workload_id, bool keep_record)
{
    _cleanup_free_ char *path = folder(journal, workload_id);
    DIR *dir = opendir(path);
    struct dirent *item;
    struct error *err = NULL;

    if (!dir)
        return errno == ENOENT ? NULL : error_errno(errno, "open '%s'", path);
    while (!err && (item = readdir(dir))) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 ||
            (keep_record && strcmp(item->d_name, "vm.json") == 0))
            continue;
        _cleanup_free_ char *file = journal_path(journal, workload_id, item->d_name);
        err = remove_file(file);
    }
    closedir(dir);
    if (!err && !keep_record && rmdir(path) < 0)
        err = error_errno(errno, "rmdir '%s'", path);
    return err;
}

struct error *journal_remove_files(struct journal *journal, const char *workload_id)
{
    return remove_all(journal, workload_id, true);
}

struct error *journal_remove(struct journal *journal, const char *workload_id)
{
    return remove_all(journal, workload_id, false);
}
