#include "services/guest-agent/messages.h"

/* An initialised message of the type in the arena. */
#define MESSAGE(type, name, arena)                                                                 \
    ({                                                                                             \
        type *message_ = arena_alloc((arena), sizeof(type));                                       \
        coffer__v1__##name##__init(message_);                                                      \
        message_;                                                                                  \
    })

Coffer__V1__Container **messages_of_containers(const struct engine_container *containers, size_t n,
                                               struct arena *arena)
{
    Coffer__V1__Container **out = arena_alloc(arena, (n + 1) * sizeof(Coffer__V1__Container *));

    for (size_t i = 0; i < n; i++) {
        const struct engine_container *from = &containers[i];
        out[i] = MESSAGE(Coffer__V1__Container, container, arena);
        out[i]->name = arena_strdup(arena, from->name);
        out[i]->service = arena_strdup(arena, from->service);
        out[i]->image = arena_strdup(arena, from->image);
        out[i]->image_id = arena_strdup(arena, from->image_id);
        out[i]->state = arena_strdup(arena, from->state);
        out[i]->health = arena_strdup(arena, from->health);
        out[i]->exit_code = from->exit_code;
        out[i]->restarts = from->restarts;
        out[i]->ours = from->ours;
    }
    return out;
}

Coffer__V1__LogLine **messages_of_lines(const struct log_line *lines, size_t n, struct arena *arena)
{
    Coffer__V1__LogLine **out = arena_alloc(arena, (n + 1) * sizeof(Coffer__V1__LogLine *));

    for (size_t i = 0; i < n; i++) {
        out[i] = MESSAGE(Coffer__V1__LogLine, log_line, arena);
        out[i]->at_ms = lines[i].at_ms;
        out[i]->stream = (char *)(lines[i].standard_error ? "stderr" : "stdout");
        out[i]->text = (ProtobufCBinaryData){lines[i].size, (uint8_t *)lines[i].text};
        out[i]->dropped = lines[i].dropped;
    }
    return out;
}

const ProtobufCMessage *message_of_health(const struct message_health *health, struct arena *arena)
{
    Coffer__V1__GuestHealth *out = MESSAGE(Coffer__V1__GuestHealth, guest_health, arena);
    const struct certificate *certificate = health->certificate;

    out->boot_number = health->boot_number;
    out->n_containers = health->n_containers;
    out->containers = messages_of_containers(health->containers, health->n_containers, arena);
    out->healthy = health->healthy;
    out->reason = arena_strdup(arena, health->reason);
    out->at_ms = health->at_ms;
    if (certificate) {
        out->certificate_not_after_ms = certificate->not_after_ms;
        out->certificate_spki_sha256 = arena_bytes(arena, certificate->spki_sha256, 32);
    }
    return &out->base;
}

static void fill_cpus(Coffer__V1__GuestSample *out, const struct stats *stats, struct arena *arena)
{
    out->cpus = arena_alloc(arena, (stats->n_cpus + 1) * sizeof(*out->cpus));
    for (size_t i = 0; i < stats->n_cpus; i++) {
        Coffer__V1__CpuSample *cpu = MESSAGE(Coffer__V1__CpuSample, cpu_sample, arena);
        cpu->name = arena_strdup(arena, stats->cpus[i].name);
        cpu->usage_percent = stats->cpus[i].usage_percent;
        cpu->frequency_mhz = stats->cpus[i].frequency_mhz;
        out->cpus[out->n_cpus++] = cpu;
    }
}

static void fill_disks(Coffer__V1__GuestSample *out, const struct stats *stats, struct arena *arena)
{
    out->disks = arena_alloc(arena, (stats->n_disks + 1) * sizeof(*out->disks));
    for (size_t i = 0; i < stats->n_disks; i++) {
        const struct stats_disk *from = &stats->disks[i];
        Coffer__V1__DiskSample *disk = MESSAGE(Coffer__V1__DiskSample, disk_sample, arena);
        disk->name = arena_strdup(arena, from->name);
        disk->mount_point = arena_strdup(arena, from->mount_point);
        disk->filesystem = arena_strdup(arena, from->filesystem);
        disk->size_bytes = from->size_bytes;
        disk->used_bytes = from->used_bytes;
        out->disks[out->n_disks++] = disk;
    }
}

void fill_sample(Coffer__V1__GuestSample *out, const struct stats *stats, int64_t at_ms,
                 uint64_t boot_number, struct arena *arena)
{
    out->at_ms = at_ms;
    out->boot_number = boot_number;
    out->memory_total_bytes = stats->memory_total_bytes;
    out->memory_used_bytes = stats->memory_used_bytes;
    fill_cpus(out, stats, arena);
    fill_disks(out, stats, arena);
}

const ProtobufCMessage *message_of_sample(const struct stats *stats, int64_t at_ms,
                                          uint64_t boot_number, struct arena *arena)
{
    Coffer__V1__GuestSample *out = MESSAGE(Coffer__V1__GuestSample, guest_sample, arena);

    fill_sample(out, stats, at_ms, boot_number, arena);
    return &out->base;
}
