/*
 * A scheduler on the in-memory bus and store with a fleet folder, two hosts, and a guest, moved by
 * hand: for the tests of this folder. Servers and wall clocks are not involved.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/boot.pb-c.h"
#include "schemas/guest.pb-c.h"
#include "services/scheduler/records.h"
#include "shared/attestation/processor.h"
#include "shared/nvidia/nvml_collect.h"

#define KIT_DOMAIN "w.coffer.test"
#define KIT_IMAGE  "1.0"

/* A host-agent that does what it is told, at once, and remembers. */
struct kit_host {
    char id[16];
    struct bus *bus;
    struct bus_subscription *subscriptions[3];
    pthread_mutex_t lock;
    bool away;              /* answers nothing */
    enum error_code refuse; /* of a start */
    unsigned starts;        /* that changed something */
    unsigned start_calls;
    unsigned ends;
    struct {
        char workload_id[64];
        uint64_t generation;
        Coffer__V1__VmState state;
    } vms[8];
    size_t n_vms;
    Coffer__V1__Resources total;
    char public_address[32];
    const char *extra_image; /* that it has besides; NULL: none */
    char files_reference[200];
    char credentials[4096];
};

/* The guest of one workload: keys, and the signature's counter. */
struct kit_guest {
    char host_id[16];
    char workload_id[64];
    uint64_t generation;
    uint64_t boot_number;
    struct box_key box;
    struct sign_key sign;
    uint64_t counter;
    uint8_t nonce[32];
    const struct gpu_evidence_list
        *devices;    /* what its report commits to, and it shows; NULL: none */
    struct bus *bus; /* of a remote kit: with the credentials that the scheduler made */
};

struct kit {
    char dir[64];
    struct scheduler_config config;
    struct clock_fake clock;
    struct bus *bus;
    struct store *store; /* outlives schedulers */
    struct dns *dns;     /* outlives schedulers */
    struct scheduler *scheduler;
    struct arena *arena;
    struct kit_host hosts[2];
    struct processor *processors[2];
    uint8_t measurement[48];
    bool sign_wrong; /* of kit_stage: uses another key */
    uint64_t claims;
    struct bus *gateway; /* of a remote kit: the scheduler is another process, over real servers */
};

/* The fleet folder and its keys (slow: RSA) are made once for all tests of a program. */
int kit_group_setup(void **state);
int kit_group_teardown(void **state);
struct kit *kit_new(void); /* folder, keys, config, clock; no scheduler, no bus */
void kit_free(struct kit *kit);
void kit_start_host(struct kit *kit, size_t index, struct bus *bus);
void kit_stop_host(struct kit_host *host);
int kit_setup(void **state);
int kit_teardown(void **state);
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

/* Puts a signed image.json of that version into the images folder, which all tests share. */
void kit_add_image(struct kit *kit, const char *version);

/* Ends the scheduler without ceremony and makes another one from the store. */
void kit_restart_scheduler(struct kit *kit);

void kit_heartbeat(struct kit *kit, size_t host);
/* Heartbeats of both hosts, then one pass. */
void kit_tick(struct kit *kit);

/* A valid request; secrets hold the text "canary". */
Coffer__V1__CreateWorkloadRequest *kit_create_request(struct kit *kit, const char *id);
struct error *kit_call(struct kit *kit, const char *subject, const ProtobufCMessage *in,
                       void *ret_out);
Coffer__V1__Workload *kit_create(struct kit *kit, const char *id);
struct error *kit_wish(struct kit *kit, const char *verb, const char *id);

Coffer__V1__Workload *kit_workload(struct kit *kit, const char *id);
Coffer__V1__Host *kit_host_record(struct kit *kit, const char *id);
enum status kit_status(struct kit *kit, const char *id);

/* Kinds of the workload's events as monitors got them, "created scheduled ..."; checks that the
 * sequence has no gap and no duplicate. Stage events show as "stage:<stage>". */
const char *kit_events(struct kit *kit, const char *id);
/* The code of the latest event of that kind, NULL: none. */
const Coffer__V1__WorkloadEvent *kit_last_event(struct kit *kit, const char *id, const char *kind);

void kit_guest_init(struct kit *kit, struct kit_guest *guest, const char *workload_id);
struct error *kit_challenge(struct kit *kit, struct kit_guest *guest);
/* Evidence as the software processor of the host gives it. */
Coffer__V1__AttestRequest *kit_attest_request(struct kit *kit, struct kit_guest *guest);
struct error *kit_attest(struct kit *kit, const struct kit_guest *guest,
                         const Coffer__V1__AttestRequest *request,
                         Coffer__V1__AttestReply **ret_reply);
/* Challenge and attest, both must work. */
void kit_release(struct kit *kit, struct kit_guest *guest);

/* Claims of the guest, signed when it has attested keys and sign is true. */
enum bus_ack kit_stage(struct kit *kit, struct kit_guest *guest, const char *stage,
                       const char *failed_code, bool sign);
enum bus_ack kit_health(struct kit *kit, struct kit_guest *guest, bool healthy, bool sign);
enum bus_ack kit_vm_changed(struct kit *kit, const char *host_id, const char *workload_id,
                            uint64_t generation, Coffer__V1__VmState vm_state);
enum bus_ack kit_claim(struct kit *kit, const char *subject, const ProtobufCMessage *message,
                       struct kit_guest *signer);

/* The whole way to running. */
void kit_run_workload(struct kit *kit, const char *id, struct kit_guest *ret_guest);

void kit_ok(struct error *err);
void kit_code(struct error *err, enum error_code code);
