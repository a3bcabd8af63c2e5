/*
 * The skeleton of a program on the bus: arguments, config, log, signals, bus, start(), handlers,
 * "ready", wait, drain, stop(). Everything that differs between services is this struct.
 *
 * service_main() loads the config (service->config plus the common rows below), blocks SIGTERM
 * and SIGINT before any thread exists, connects, calls start(), subscribes the handlers, logs
 * "ready" and sends READY=1 to a service manager if there is one. Exit code 0 or 1.
 * --check-config stops after the config, --help prints the tables, --version the version.
 */
#pragma once

#include "shared/base/config.h"
#include "shared/bus/bus.h"

/* Embedded as the FIRST member of every service's config struct. */
struct service_config {
    char *nats_url;         /* COFFER_NATS_URL */
    char *nats_credentials; /* COFFER_NATS_CREDS, path; "" none */
    char *log_level;        /* COFFER_LOG_LEVEL */
};

struct service {
    const char *name;                /* "scheduler" */
    const struct config_row *config; /* own rows, offsets into the whole config struct */
    size_t config_size;
    const struct bus_handler *handlers; /* ends with subject NULL; NULL: none */
    /* "%" in handler subjects, and "_INBOX.<name>-<id>"; NULL: no id. Called after the config. */
    const char *(*id)(const void *config);
    bool without_bus; /* attester: no bus at all */
    struct error *(*start)(const void *config, struct bus *bus, void **ret_state);
    void (*stop)(void *state); /* state NULL is fine */
};

int service_main(const struct service *service, int argc, char **argv);

/* Asks the running service to end as SIGTERM would; from any thread. */
void service_request_stop(void);

/* Unlinks core files (RLIMIT_CORE 0, PR_SET_DUMPABLE 0); service_main() calls it. */
void service_forbid_core_files(void);
