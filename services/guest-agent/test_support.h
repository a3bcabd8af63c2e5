/* What the guest-agent's tests share: a fleet's keys, a workload's input, a TEE that obeys. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/boot.pb-c.h"
#include "services/guest-agent/release.h"
#include "shared/attestation/tee.h"
#include "shared/base/alloc.h"
#include "shared/manifest/manifest.h"

#define SUPPORT_WORKLOAD "5a3c1f6e-7b1d-4a6e-9a51-1f0c3b7f2a10"
#define SUPPORT_HOST     "host-1"
#define SUPPORT_DOMAIN   "w1.coffer.test"
#define SUPPORT_COMPOSE  "services: {web: {image: hello:1}}\n"
#define SUPPORT_MODEL                                                                              \
    "{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\",\"networks\":"                 \
    "{\"default\":null}}},\"networks\":{\"default\":{\"name\":\"app_default\"}}}"

_Noreturn void support_fail(const struct error *err);

/* Fails the test on an error. */
static inline void support_check(struct error *err)
{
    if (err)
        support_fail(err);
}

void support_refused(struct error *err, enum error_code code); /* fails it otherwise */

struct support_fleet {
    struct sign_key authority;
    struct sign_key gateway;
    struct sign_key stranger;
};
void support_fleet_init(struct support_fleet *fleet);

/* A workload's manifest with one file "app.conf", one secret file and one variable. */
struct support_workload {
    struct manifest manifest;
    struct buffer manifest_json;
    uint8_t manifest_sha256[32];
    struct manifest_service services[1];
    struct manifest_hash files[1];
    struct manifest_hash secret_files[1];
    const char *env[1];
    const char *registries[1];
    const char *domains[1];
};
extern const char support_file[];        /* content of app.conf */
extern const char support_secret_file[]; /* content of keys/private */
extern const uint8_t support_salt[32];
void support_workload_init(struct support_workload *workload, const struct support_fleet *fleet);
void support_workload_write(struct support_workload *workload); /* manifest -> bytes, hash */
void support_workload_done(struct support_workload *workload);

/* The certificate table on the disk: an ASK of these bytes. The TEE gives none. */
#define SUPPORT_ASK              "ask of the host"
#define SUPPORT_COLLATERAL_AT_MS 1795412423000
void support_collateral(struct buffer *ret_table);

/* The disk of that workload, framed and packed. change may spoil the message first. */
void support_disk(const struct support_workload *workload,
                  void (*change)(Coffer__V1__ConfigDisk *disk), struct buffer *ret_disk);

struct support_tee {
    struct tee base;
    uint8_t host_data[32];
    uint8_t last_report_data[64];
    bool stale;            /* answers with other report data */
    enum error_code fails; /* 0: works */
};
void support_tee_init(struct support_tee *tee, const uint8_t host_data[32]);

/* A bundle as the scheduler makes it; change may spoil it before it is sealed. From any thread:
 * what goes wrong is a finding (test_findings.h). */
void support_bundle(const struct release_expectation *expectation, const struct sign_key *authority,
                    void (*change)(Coffer__V1__Bundle *bundle), struct buffer *ret_sealed,
                    uint8_t ret_signature[64]);
