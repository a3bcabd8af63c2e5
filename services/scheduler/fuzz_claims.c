/* What hosts and guests may send: byte 0 picks the subject, byte 1 the workload's status and
 * whether it has attested, the rest is the payload. Nothing of it may end or corrupt the program.
 */
#include "services/scheduler/records.h"
#include "services/scheduler/sources.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/bus/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const subjects[] = {
    "src.host.h1.vm", "src.guest.h1.w1.stage", "src.guest.h1.w1.health",
    "hb.host.h1",     "boot.h1.w1.challenge",  "boot.h1.w1.attest",
};

static void make_authority(struct scheduler *scheduler)
{
    struct authority *authority = &scheduler->authority;

    authority->fleet_dir = xstrdup("/nonexistent");
    pthread_mutex_init(&authority->lock, NULL);
    authority->hosts = xnew_array(struct enrolled_host, 1);
    authority->hosts[0].id = xstrdup("h1");
    authority->n_hosts = 1;
}

/* Made once and kept; the store is new for every input. */
static struct scheduler *the_scheduler(void)
{
    static struct scheduler_config config = {.fleet_dir = (char *)"/nonexistent",
                                             .dns_zone = (char *)"",
                                             .allow_software_tee = true,
                                             .boot_deadline_ms = 1000,
                                             .restart_backoff_ms = 1000,
                                             .restart_max = 3,
                                             .tombstone_ms = 1000};
    static struct scheduler *scheduler;

    if (scheduler)
        return scheduler;
    log_init("fuzz", LOG_LEVEL_ERROR);
    scheduler = scheduler_new(&config, NULL, clock_system());
    make_authority(scheduler);
    error_free(
        images_open("/nonexistent", scheduler->authority.image_release_public, &scheduler->images));
    error_free(trust_roots_amd(&scheduler->roots));
    return scheduler;
}

static void put_workload(struct scheduler *scheduler, uint8_t state, struct arena *arena)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;
    Coffer__V1__BootRecord boot = COFFER__V1__BOOT_RECORD__INIT;
    Coffer__V1__Resources resources = COFFER__V1__RESOURCES__INIT;
    static const uint8_t bytes[32] = {1};
    struct change change;

    resources.cpus = 1;
    workload.workload_id = (char *)"w1";
    workload.host_id = (char *)"h1";
    workload.status = (Coffer__V1__WorkloadStatus)(state % STATUS_MAX_);
    workload.generation = 1;
    workload.boot_number = 1;
    workload.resources = &resources;
    workload.image_version = (char *)"1.0";
    workload.manifest_sha256 = arena_bytes(arena, bytes, sizeof(bytes));
    if (state & 0x80)
        workload.guest_sign_public = arena_bytes(arena, bytes, sizeof(bytes));
    boot.boot_number = boot.generation = 1;
    boot.nonce = arena_bytes(arena, bytes, sizeof(bytes));
    boot.issued_at_ms = clock_wall_ms(scheduler->clock);
    change_init(&change, scheduler, arena);
    change_put(&change, KEY_WORKLOAD, "w1", 0, &workload.base, 0);
    change_put(&change, KEY_BOOT, "w1", 0, &boot.base, 0);
    error_free(change_commit(&change));
}

static void hand_over(struct scheduler *scheduler, const struct bus_message *message,
                      struct arena *arena)
{
    ProtobufCBinaryData reply;

    if (strncmp(message->subject, "src.", 4) == 0) {
        (void)source_consume(scheduler, message);
        return;
    }
    for (const struct bus_handler *row = scheduler_handlers; row->subject; row++)
        if (subject_matches(row->subject, message->subject))
            error_free(bus_dispatch(row, scheduler, message, arena, &reply));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scheduler *scheduler = the_scheduler();

    if (size < 2)
        return 0;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    scheduler->store = store_memory_new();
    put_workload(scheduler, data[1], arena);
    const struct bus_message message = {
        .subject = subjects[data[0] % ELEMENTSOF(subjects)],
        .data = data + 2,
        .size = size - 2,
        .signature = data[1] & 0x40 ? "AAAA" : NULL,
        .counter = 1,
    };
    hand_over(scheduler, &message, arena);
    store_free(TAKE_PTR(scheduler->store));
    return 0;
}
