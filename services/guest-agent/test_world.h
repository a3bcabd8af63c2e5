/*
 * What a boot meets in tests: a scheduler and a leaf in memory, a fake engine, a TEE that obeys, a
 * clock that only pauses move. Tests change it before they run the boot.
 */
#pragma once

#include <stdatomic.h>

#include "services/guest-agent/boot.h"
#include "services/guest-agent/engine_fake.h"
#include "services/guest-agent/test_support.h"

#define WORLD_MERGED_MODEL                                                                         \
    "{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\",\"networks\":"                 \
    "{\"default\":null}},\"coffer-proxy\":{\"image\":\"coffer/platform:1.0\"},"                    \
    "\"coffer-attester\":{\"image\":\"coffer/platform:1.0\"}},"                                    \
    "\"networks\":{\"default\":{\"name\":\"app_default\"}}}"

enum { WORLD_STAGES_MAX = 48 };

/* What the authority's answer is, or the host makes of it. */
enum attack { NO_ATTACK, REPLAYED, FOREIGN_KEY, OTHER_GUEST, CUT_OFF };

/* As clock_fake, for the threads that follow logs. */
struct shared_clock {
    struct clock base;
    atomic_llong now_ms;
};

struct world {
    struct support_fleet fleet;
    struct support_workload workload;
    struct support_tee tee;
    struct shared_clock clock;
    struct engine_fake engine;
    struct identity identity;
    struct logs *logs;
    struct uplink *uplink;
    struct monitor *monitor;
    struct boot_ports ports;
    struct boot *boot;
    char dir[64];
    char *disk;
    char *certs;

    /* the scheduler's side */
    struct bus *bus;
    struct bus *leaf; /* the guest's connection; the boot frees it */
    struct bus_subscription *subscriptions[3];
    uint64_t boot_number;
    uint8_t nonce[32];
    unsigned challenges, attests;
    unsigned away;          /* challenges that are not answered first */
    enum error_code refuse; /* attest's answer when not 0 */
    unsigned stale;         /* attests whose nonce is said to be old first */
    enum attack attack;
    void (*saw_attest)(struct world *world, const Coffer__V1__AttestRequest *request); /* or NULL */
    struct buffer old_sealed; /* of an earlier boot */
    uint8_t old_signature[64];

    struct {
        char stage[16];
        bool failed;
        char code[32];
        char detail[512];
        bool is_signed;
        uint64_t boot_number;
    } stages[WORLD_STAGES_MAX];
    size_t n_stages;

    unsigned probes_until_certificate;
    unsigned pauses, pauses_max;
    unsigned served;
};

int world_setup(void **state);
int world_teardown(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* The config disk anew; change may spoil it. */
void world_write_disk(struct world *world, void (*change)(Coffer__V1__ConfigDisk *));
/* The guest has GPUs; before the boot runs. */
void world_use_gpus(struct world *world, struct gpus *gpus);
/* What the authority answers to this request. */
void world_bundle(const struct world *world, const Coffer__V1__AttestRequest *request,
                  const struct sign_key *authority, struct buffer *ret_sealed,
                  uint8_t ret_signature[64]);

/* Runs the boot and lets everything it said arrive. */
bool world_run(struct world *world);
/* The same: the boot fails, and exactly one event says where and with which code. */
void world_expect_failure(struct world *world, const char *stage, const char *code);
