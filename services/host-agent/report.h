/*
 * What the host says on the bus: heartbeat and samples by a timer thread, changes of VMs through
 * the spool by another, so that a bus that is away holds up neither VMs nor heartbeat.
 */
#pragma once

#include "services/host-agent/inventory.h"
#include "services/host-agent/spool.h"
#include "services/host-agent/vm.h"
#include "shared/bus/bus.h"

#define REPORT_HEARTBEAT_MS 5000
#define REPORT_SAMPLE_MS    10000

struct reporter;

struct reporter_options {
    struct bus *bus; /* all of these stay the caller's */
    struct spool *spool;
    struct vms *vms;
    struct image_cache *images;
    struct hypervisor *hypervisor;
    struct clock *clock;
    const char *host_id;
    const char *state_dir;
    const char *public_address;
    const char *tee;
    const uint8_t *chip_id; /* 64; NULL: none */
    const char *cpu_model;
    struct inventory_limits limits;
};

struct error *reporter_new(const struct reporter_options *options,
                           struct reporter **ret_reporter) _must_check_;
void reporter_free(struct reporter *reporter);
DEFINE_CLEANUP(struct reporter *, reporter_free)

/* The two threads; stop waits for them. */
struct error *reporter_start(struct reporter *reporter) _must_check_;
void reporter_stop(struct reporter *reporter);

/* One turn each, as the threads take them; tests call them directly. */
struct error *reporter_beat(struct reporter *reporter) _must_check_;
struct error *reporter_sample(struct reporter *reporter) _must_check_;
/* Publishes what is in the spool, in order, until it is empty or the bus refuses. */
struct error *reporter_flush(struct reporter *reporter) _must_check_;

/* Puts src.host.<h>.vm about this change into the spool. */
struct error *report_change(struct spool *spool, struct clock *clock,
                            const struct vm_status *status, const char *tail) _must_check_;

/* A VM as the bus carries it; texts live in the arena. */
typedef struct Coffer__V1__Vm Coffer__V1__Vm;
Coffer__V1__Vm *report_vm(const struct vm_status *status, struct arena *arena);
