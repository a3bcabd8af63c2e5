/* A nats-server of a test's own: on a free port, in a temporary directory. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "shared/base/error.h"

struct nats_server {
    pid_t pid;    /* 0: not running */
    char dir[64]; /* holds server.conf, server.log and the store; made by nats_server_init() */
    int port;
};

/* True when there is a nats-server in PATH (or at $NATS_SERVER) of at least that version. */
bool nats_server_is_available(int major, int minor);

int free_port(void);

/* A directory, and a port unless it is given. */
struct error *nats_server_init(struct nats_server *server, int port) _must_check_;

/* Writes the configuration and starts; waits until the port answers. Also starts it again. */
struct error *nats_server_start(struct nats_server *server, const char *config) _must_check_;
void nats_server_stop(struct nats_server *server);
void nats_server_done(struct nats_server *server); /* stops, removes the directory */

/* The log so far; caller frees. */
char *nats_server_log(const struct nats_server *server);
