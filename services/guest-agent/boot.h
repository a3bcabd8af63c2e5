/*
 * From power-on to running: one table of stages (DESIGN section 6), gone through in order, each
 * timed and told. A stage that may go well later is tried again within its bounds; one that was
 * refused is told with its code and ends the boot, in memory and without a secret released.
 *
 * Codes: config_disk_missing, config_disk_malformed, manifest_invalid, config_hash_mismatch,
 * host_data_mismatch, report_failed, gpu_failed, image_version_mismatch, leaf_unreachable,
 * challenge_refused, attest_refused, bundle_malformed, bundle_signature, bundle_open,
 * bundle_binding, secrets_mismatch, engine_unavailable, login_failed, pull_failed, digest_mismatch,
 * compose_refused, up_failed, container_exited, certificate_failed, internal.
 */
#pragma once

#include "services/guest-agent/app.h"
#include "services/guest-agent/monitor.h"
#include "services/guest-agent/release.h"
#include "services/guest-agent/uplink.h"

struct certificate;
struct gpus;

/* What a boot needs from the outside; tests give fakes. What it points to outlives the boot. */
struct boot_ports {
    struct clock *clock;
    struct engine *engine;
    struct tee *tee;
    const char *tee_device; /* handed to the attester's container */
    struct gpus *gpus;      /* NULL: this guest has none */
    struct identity *identity;
    struct logs *logs;
    struct uplink *uplink;
    struct monitor *monitor;
    const char *config_disk; /* path; "": found by its serial */
    const char *run_dir;     /* a tmpfs folder of ours */
    const char *certs_dir;   /* registry CAs, read by dockerd */
    const char *images_dir;  /* has platform.tar */
    const char *image_version;
    uint16_t https_port;
    struct error *(*connect)(void *data, const struct bus_options *options, struct bus **ret_bus);
    struct error *(*probe)(void *data, const char *domain, struct certificate *ret_certificate);
    /* Commands may be answered from now on. */
    struct error *(*serve)(void *data, struct bus *bus, const struct guest_config *config,
                           const struct release *release);
    bool (*pause)(void *data, int ms); /* false: the program ends */
    void *data;
};

struct boot;

struct boot *boot_new(const struct boot_ports *ports);
void boot_free(struct boot *boot);
DEFINE_CLEANUP(struct boot *, boot_free)

/* Goes through all stages in this thread. True: running. False: given up, or the program ends. */
bool boot_run(struct boot *boot);
const char *boot_failure_code(const struct boot *boot); /* NULL: none */
struct bus *boot_bus(struct boot *boot);                /* NULL: not connected; the boot's */
