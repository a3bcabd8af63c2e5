/*
 * The trust boundaries of the bus on real servers: a hub and two hosts' leafs in operator mode,
 * with identities as 'coffer fleet init' makes them. Programs skip (77) below nats-server 2.10.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nats/nats.h>

#include "shared/bus/bus.h"
#include "tests/integration/nats_server.h"

enum { WAIT_MS = 60000 };

struct leaf_fixture {
    char dir[64];
    struct nats_server hub;
    struct nats_server leafs[2];
    int leaf_port; /* of the hub */
};

extern const char *const hosts[];
void check(struct error *err);

/* NULL when the server refuses the credentials. Three times: nats.c loses the signature of one
 * nonce in 256 (bus: nats_credentials.c), and a starved server may give up on its client. */
natsConnection *connect_creds(int port, const char *creds_path);

/* The file of an identity below the fleet's folder. */
char *creds_of(const struct leaf_fixture *fixture, const char *name);

/* A guest's credentials, as text; ttl_s below 0: expired. Caller frees, as with all texts here. */
char *mint(const struct leaf_fixture *fixture, const char *host, const char *workload,
           int64_t ttl_s);

/* A guest's credentials as a file beside the others: "guests/<h>.<w>". */
char *mint_file(const struct leaf_fixture *fixture, const char *host, const char *workload);

/* A connection with the credentials in that file. */
struct bus *bus_as(const struct leaf_fixture *fixture, int port, const char *creds_name,
                   const char *inbox);

/* A connection to that leaf as the guest of a workload on its host. */
struct bus *guest_bus(const struct leaf_fixture *fixture, size_t leaf, const char *workload);
int leaf_setup(void **state);
int leaf_teardown(void **state);
