/*
 * The scheduler's state, passed to everything. What must survive a restart is in the store; what
 * stands here can be lost at any time.
 *
 * Two threads use it: the bus's delivery thread (handlers, claims) and the job thread (reconcile,
 * outbox). Records are changed by compare-and-set, so neither waits for the other.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "services/scheduler/authority.h"
#include "services/scheduler/dns.h"
#include "services/scheduler/host_memory.h"
#include "services/scheduler/images.h"
#include "services/scheduler/intake.h"
#include "services/scheduler/ledger.h"
#include "services/scheduler/platform.h"
#include "shared/attestation/verifier.h"
#include "shared/base/clock.h"
#include "shared/bus/bus.h"
#include "shared/nvidia/gpu_verify.h"
#include "shared/service/service.h"
#include "shared/store/store.h"

struct scheduler_config {
    struct service_config service;
    char *redis_url;
    char *redis_password_file;
    char *fleet_dir;
    char *images_dir;
    char *acme_directory;
    char *acme_eab_file;
    char *platform_registry_file;
    char *dns_server;
    char *dns_zone;
    char *dns_tsig_file;
    char *trust_root_dir;
    bool allow_software_tee;
    bool require_crl;
    char *gpu_rims;
    bool gpu_require_ocsp;
    bool gpu_require_current_rims;
    uint64_t suspect_after_ms;
    uint64_t lost_after_ms;
    uint64_t boot_deadline_ms;
    uint64_t restart_backoff_ms;
    uint64_t restart_max;
    uint64_t tombstone_ms;
};
extern const struct config_row scheduler_config_rows[];

/* What was refused, since the start; each is also a log line. */
enum counter {
    COUNTER_FORGED_CLAIM, /* wrong host, wrong signature, unsigned where one is due */
    COUNTER_STALE_CLAIM,  /* an older generation, boot or counter */
    COUNTER_MALFORMED_CLAIM,
    COUNTER_ILLEGAL_EVENT, /* not in the table of workload_fsm.c */
    COUNTER_UNKNOWN_HOST,
    COUNTER_REFUSED_RELEASE,
    COUNTER_MAX_,
};

/* Makes the NATS credentials of one boot of one guest (shared/fleet; a fake in tests). The text
 * is wiped and freed by the caller. */
typedef struct error *(*credentials_fn)(void *data, const char *host_id, const char *workload_id,
                                        uint64_t generation, char **ret_credentials);

/* When a repeated command last went out; lost at a restart, which is harmless. */
enum { PACING_SLOTS = 256 };
struct pacing {
    char id[80];
    int64_t at_ms;
};

/* What has changed since the job thread last looked. */
enum { CHANGED_MAX = 4096 };
struct changed {
    char (*ids)[64]; /* workloads, oldest first */
    size_t n;
    bool all; /* anything may have, or there were too many */
};

/* Which hosts there are, so that a batch of creates reads all it needs at once. Only this scheduler
 * adds and removes hosts; a removed one is simply not found. */
struct host_ids {
    struct arena *arena;
    const char **ids;
    size_t n;
    bool known;
};

struct scheduler {
    const struct scheduler_config *config;
    struct bus *bus;
    struct store *store;
    struct clock *clock;
    struct dns *dns;
    struct authority authority;
    struct images *images;
    struct platform platform;
    struct trust_roots *roots;              /* AMD's */
    struct trust_roots *development_roots;  /* NULL: the software TEE is refused */
    struct gpu_roots gpu_development_roots; /* with development_roots */
    credentials_fn make_credentials;
    void *credentials_data;
    uint64_t term;
    int64_t started_at_ms; /* silence of a host before that is not its fault */
    atomic_uint_fast64_t counters[COUNTER_MAX_];
    struct intake intake; /* of the delivery thread */
    struct ledger ledger;
    struct host_ids host_ids; /* of the delivery thread */
    struct host_memory host_memory;

    pthread_t job_thread;
    bool job_running;
    pthread_mutex_t job_lock;
    pthread_cond_t job_wake;
    bool fenced;            /* of the job thread: another scheduler has taken over */
    struct changed changed; /* under job_lock */
    bool job_stop;
    struct pacing pacing[PACING_SLOTS]; /* of the job thread */
    int64_t images_at_ms;               /* of the job thread */
    int64_t dns_retry_at_ms;            /* of the job thread */
    bool names_leave;                   /* of the job thread: some were just given up */
    struct bus_subscription *sources;
};

/* Config, bus and clock stay the caller's. */
struct scheduler *scheduler_new(const struct scheduler_config *config, struct bus *bus,
                                struct clock *clock);
void scheduler_free(struct scheduler *scheduler); /* stops its threads first */
DEFINE_CLEANUP(struct scheduler *, scheduler_free)

/* Reads the files, opens the store unless a test has set one, and takes the next term. */
struct error *scheduler_open(struct scheduler *scheduler) _must_check_;

extern const struct service scheduler_service;
extern const struct bus_handler scheduler_handlers[];

/* Wakes the job thread: there is something to do now, with that workload, or anywhere. */
void scheduler_kick_workload(struct scheduler *scheduler, const char *workload_id);
void scheduler_kick(struct scheduler *scheduler);

/* Counts and logs one refusal; detail is for people. */
void scheduler_count(struct scheduler *scheduler, enum counter counter, const char *subject,
                     const char *detail);
uint64_t scheduler_counter(const struct scheduler *scheduler, enum counter counter);
