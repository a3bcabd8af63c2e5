/*
 * What goes on after the release: containers and their health, the certificate, figures of the
 * machine, container logs. One thread; monitor_tick() is one look, for tests.
 */
#pragma once

#include "services/guest-agent/certificate.h"
#include "services/guest-agent/followers.h"
#include "services/guest-agent/stats.h"
#include "services/guest-agent/uplink.h"

struct monitor;

struct monitor_options {
    struct clock *clock;
    struct engine *engine;
    struct uplink *uplink;
    struct logs *logs;
    const char *proc;    /* "/proc" */
    uint16_t https_port; /* of our proxy on the loopback interface */
};

/* What options point to outlives the monitor. */
struct monitor *monitor_new(const struct monitor_options *options);
void monitor_free(struct monitor *monitor); /* ends the threads */
DEFINE_CLEANUP(struct monitor *, monitor_free)
struct error *monitor_start(struct monitor *monitor) _must_check_;

/* The containers are there from now on; domain is what the certificate is for. */
void monitor_watch_project(struct monitor *monitor, const char *domain);
/* What the certificate stage knows: one was seen, or (NULL) why there is none. */
void monitor_set_certificate(struct monitor *monitor, const struct certificate *certificate,
                             const char *problem);

void monitor_tick(struct monitor *monitor);

/* A container of that service, or of ours, that has ended with a failure for good: Docker's words
 * and its last lines; NULL: none. Caller frees. */
char *monitor_lost_container(struct monitor *monitor, const char *service);

/* For queries: as last seen, copied into the arena. */
void monitor_containers(struct monitor *monitor, struct arena *arena,
                        struct engine_container **ret_containers, size_t *ret_n);
/* False: no sample yet. The caller ends it with stats_done(). */
bool monitor_sample(struct monitor *monitor, struct stats *ret_stats, int64_t *ret_at_ms);
