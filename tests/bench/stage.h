/*
 * What a bench plays on: a real NATS server with JetStream, a Redis that writes each change to disk
 * before it answers, the scheduler itself, and hosts that report and start VMs, which are simulated
 * in this process. All on the loopback, in a temporary directory. Failures end the program.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared/base/arena.h"
#include "shared/bus/bus.h"
#include "shared/seal/seal.h"
#include "tests/bench/process.h"
#include "tests/integration/nats_server.h"

#define STAGE_IMAGE  "1.0" /* of the only guest image */
#define STAGE_DOMAIN "w.coffer.test"

enum {
    STAGE_CPUS = 2,           /* the image is measured for that many */
    STAGE_VMS_OF_HOST = 1024, /* more are started and not reported */
    STAGE_HEARTBEAT_S = 5,
};

struct stage_host;

struct stage {
    char dir[64]; /* holds fleet/, images/, root/, logs */
    struct arena *arena;
    struct nats_server nats;
    char nats_url[64];
    char redis_url[64];
    pid_t redis;
    pid_t scheduler;
    struct sign_key authority_sign;
    struct box_key authority_box;
    struct bus *fleet; /* all hosts */
    struct bus_subscription *starts;
    struct bus_subscription *stops;
    struct stage_host *hosts;
    size_t n_hosts;
    atomic_uint launched; /* VMs, since the start */
    atomic_bool ending;
    pthread_t heart;
};

/* Whether there are the servers for it. */
bool stage_is_available(void);

/* Returns when the hosts have been heard of; each has room for STAGE_VMS_OF_HOST VMs of STAGE_CPUS
 * and 1 GiB. */
void stage_start(struct stage *stage, size_t n_hosts);
void stage_end(struct stage *stage); /* keeps the directory when $BENCH_KEEP is set */

/* Caller frees, before the stage ends. */
struct bus *stage_connect(struct stage *stage, const char *name);

/* first and second together, in the stage's arena. */
char *stage_text(struct stage *stage, const char *first, const char *second);
