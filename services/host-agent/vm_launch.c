/* From an accepted order to a running domain: files, disks, measurement, start. */
#include <fcntl.h>
#include <openssl/rand.h>

#include "services/host-agent/config_disk.h"
#include "services/host-agent/console.h"
#include "services/host-agent/vm_internal.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define FIRMWARE_MAX   (16 * 1024 * 1024)
#define GUEST_FEATURES 0x1 /* SNPActive */

/* The paths of one launch; domain_spec points into it. */
struct launch_paths {
    char *kernel, *initrd, *root, *verity, *firmware;
    char *state, *config, *console, *channel;
};

static void paths_init(struct launch_paths *paths, const struct vms *vms,
                       const struct vm_facts *facts, const struct image *image)
{
    const struct vms_options *o = &vms->options;
    const char *w = facts->workload_id, *v = facts->image_version;

    *paths = (struct launch_paths){
        .kernel = image_cache_path(o->images, v, "vmlinuz"),
        .initrd = image_cache_path(o->images, v, "initrd.img"),
        .root = image_cache_path(o->images, v, "root.img"),
        .verity = image_cache_path(o->images, v, "root.verity"),
        .firmware = image_cache_path(o->images, v, image->firmware),
        .state = journal_path(o->journal, w, "state.img"),
        .config = journal_path(o->journal, w, "config.img"),
        .console = journal_path(o->journal, w, "console.log"),
        .channel = vms_channel_path(vms, w),
    };
}

static void paths_done(struct launch_paths *paths)
{
    char **all[] = {&paths->kernel, &paths->initrd,   &paths->root,
                    &paths->verity, &paths->firmware, &paths->state,
                    &paths->config, &paths->console,  &paths->channel};

    for (size_t i = 0; i < ELEMENTSOF(all); i++)
        free(*all[i]);
}

/* Only files that image.json names, and thus were checked, are ever started. */
static struct error *check_files(const struct image *image)
{
    static const char *const names[] = {"vmlinuz", "initrd.img", "root.img", "root.verity"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (!image_find_file(image, names[i]))
            return error_new(ERROR_FAILED_PRECONDITION, "guest image '%s' has no file '%s'",
                             image->version, names[i]);
    if (!image_find_file(image, image->firmware))
        return error_new(ERROR_FAILED_PRECONDITION, "guest image '%s' does not have its firmware",
                         image->version);
    return NULL;
}

/* The firmware is measured also where it is not executed: under emulation. */
static struct error *measure(const struct vms *vms, const struct image *image,
                             const struct launch_paths *paths, struct vm_record *record)
{
    _cleanup_buffer_ struct buffer firmware = {0};
    struct error *err = file_read(paths->firmware, FIRMWARE_MAX, &firmware);

    if (err)
        return err;
    const struct launch_input input = {
        .firmware = firmware.data,
        .firmware_size = firmware.size,
        .kernel_sha256 = image_find_file(image, "vmlinuz")->sha256,
        .initrd_sha256 = image_find_file(image, "initrd.img")->sha256,
        .cmdline = image->cmdline,
        .vcpus = record->facts.cpus,
        .cpu_model = vms->options.cpu_model,
        .guest_features = GUEST_FEATURES,
    };
    err = launch_measure(&input, record->measurement);
    if (!err && RAND_bytes(record->report_id, sizeof(record->report_id)) != 1)
        err = error_openssl("report id");
    record->measured = !err;
    return error_wrap(err, "launch measurement");
}

/* Sparse and empty at every boot: the guest's key for it is fresh too. */
static struct error *make_state_disk(const char *path, uint64_t gib)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(errno, "create '%s'", path);
    if (ftruncate(fd, (off_t)(gib << 30)) < 0)
        return error_errno(errno, "size '%s'", path);
    return NULL;
}

static struct error *make_config_disk(struct vms *vms, const struct vm_record *record,
                                      const struct vm_order *order, const char *path)
{
    const struct vms_options *o = &vms->options;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer disk = {0}, collateral = {0};
    struct config_disk content = {
        .manifest = order->manifest.data,
        .manifest_size = order->manifest.size,
        .compose = order->compose.data,
        .compose_size = order->compose.size,
        .workload_id = record->facts.workload_id,
        .host_id = o->host_id,
        .leaf_url = o->leaf_url,
        .leaf_credentials = order->credentials,
        .generation = record->facts.generation,
    };
    struct error *err = NULL;

    if (order->files_reference[0])
        err = o->fetch_files(o->data, order->files_reference, arena, &content.files,
                             &content.files_size);
    if (!err && o->collateral)
        err = host_collateral_copy(o->collateral, &collateral, &content.collateral_at_ms);
    content.collateral = collateral.data;
    content.collateral_size = collateral.size;
    if (!err)
        err = config_disk_build(&content, &disk);
    if (!err)
        err = file_write_atomic(path, disk.data, disk.size, 0600);
    return error_wrap(err, "config disk");
}

static void fill_spec(const struct vms *vms, const struct vm_record *record,
                      const struct image *image, const struct launch_paths *paths,
                      struct domain_spec *ret_spec)
{
    *ret_spec = (struct domain_spec){
        .facts = &record->facts,
        .virt = vms->options.sev_snp ? DOMAIN_VIRT_KVM : DOMAIN_VIRT_QEMU,
        .sev_snp = vms->options.sev_snp,
        .cpu_model = vms->options.cpu_model,
        .firmware = paths->firmware,
        .kernel = paths->kernel,
        .initrd = paths->initrd,
        .cmdline = image->cmdline,
        .root_disk = paths->root,
        .verity_disk = paths->verity,
        .state_disk = paths->state,
        .config_disk = paths->config,
        .console_log = paths->console,
        .channel_socket = vms->options.channel ? paths->channel : NULL,
        .network = vms->options.network,
    };
}

void vm_serve_channel(struct vms *vms, const struct vm_record *record)
{
    _cleanup_free_ char *path = vms_channel_path(vms, record->facts.workload_id);
    struct sp_guest guest;

    if (!vms->options.channel || !record->measured)
        return;
    memcpy(guest.measurement, record->measurement, sizeof(guest.measurement));
    memcpy(guest.host_data, record->facts.manifest_sha256, sizeof(guest.host_data));
    memcpy(guest.report_id, record->report_id, sizeof(guest.report_id));
    sp_channel_add(vms->options.channel, record->facts.workload_id, path, &guest);
    pthread_mutex_lock(&vms->lock);
    struct vm *vm = vms_find(vms, record->facts.workload_id);
    if (vm)
        vm->served = true;
    pthread_mutex_unlock(&vms->lock);
}

static struct error *prepare_and_start(struct vms *vms, struct vm_plan *plan,
                                       const struct vm_order *order, const struct image *image,
                                       const struct launch_paths *paths)
{
    struct vm_record *record = &plan->record;
    struct domain_spec spec;
    struct error *err = make_config_disk(vms, record, order, paths->config);

    if (!err)
        err = make_state_disk(paths->state, record->facts.disk_gib);
    if (!err)
        err = console_begin(paths->console);
    if (!err && vms->options.channel)
        err = measure(vms, image, paths, record);
    if (!err) /* what was measured must outlive us from the moment the guest can ask for it */
        err = vms_commit(vms, plan);
    if (err)
        return err;
    fill_spec(vms, record, image, paths, &spec);
    unlink(paths->channel);
    err = hypervisor_start(vms->options.hypervisor, &spec);
    if (!err)
        vm_serve_channel(vms, record);
    return err;
}

struct error *vm_launch(struct vms *vms, struct vm_plan *plan, const struct vm_order *order)
{
    const struct vm_facts *facts = &plan->record.facts;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct launch_paths paths;
    struct image *image = NULL;
    struct error *err = image_cache_open(vms->options.images, facts->image_version, arena, &image);

    if (!err)
        err = check_files(image);
    if (err)
        return err;
    paths_init(&paths, vms, facts, image);
    err = prepare_and_start(vms, plan, order, image, &paths);
    paths_done(&paths);
    return err;
}
