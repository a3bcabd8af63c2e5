/* Two connections of one bus, in memory or by a nats-server of the program's own: BACKEND says
 * which. And handlers that keep what they see. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "schemas/workload.pb-c.h"
#include "shared/base/test_findings.h"
#include "shared/bus/bus.h"
#include "tests/integration/nats_server.h"

enum { WAIT_MS = 60000, SEEN_MAX = 512 };

struct bus_fixture {
    struct nats_server server;
    char *config;
    char url[64];
    struct bus *server_side; /* where handlers are */
    struct bus *client;
};

/* What handlers and consumers saw; waited for by condition, not by time. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
    char subjects[SEEN_MAX][80];
    uint64_t numbers[SEEN_MAX];
    uint32_t deliveries[SEEN_MAX];
    atomic_bool inside;
    atomic_bool overlapped;
    size_t nak_at; /* refuse this one once; 0: none */
    struct bus *bus;
    struct bus_signer *signer;
};

#define SEEN_INIT                                                                                  \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

void check(struct error *err);
void expect_code(struct error *err, enum error_code code);

/* A real server, which can be stopped. */
bool is_nats(void);
int bus_setup(void **state);
int bus_teardown(void **state);

/* Fails the test when so many do not come. */
void seen_wait(struct seen *seen, size_t count);

/* From a handler; returns which it was, from 1. */
size_t seen_note(struct seen *seen, const struct bus_message *message, uint64_t number);

/* Notes whether two callbacks of one bus were ever inside at the same time. */
void seen_enter(struct seen *seen);
void send_heartbeat(struct bus *bus, const char *subject, uint64_t sequence);

/* Core subscriptions start some time after the call on a real bus: ask until they are heard. */
struct error *call_workload(struct bus *bus, const char *id, struct arena *arena,
                            Coffer__V1__WorkloadReply **ret_reply, struct bus_message *ret_message);

/* A consumer: acknowledges, ends every seventh, and refuses nak_at once. */
enum bus_ack on_source(void *state, const struct bus_message *message);

/* hb.host.*, noted by its sequence; and the same in a queue group. */
extern const struct bus_handler heartbeat_row;
extern const struct bus_handler queue_row;

/* svc.scheduler.workload.stop, answered by what the request asks for. */
extern const struct bus_handler workload_row;
