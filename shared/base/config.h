/*
 * Settings as a table: one row gives the parser, the default, --help and the documentation.
 *
 *   { "HOST_AGENT_MAX_VMS", CONFIG_UINT, offsetof(struct host_agent_config, max_vms), "8",
 *     "most VMs on this host" },
 *
 * A value comes from the flag --host-agent-max-vms, else from the environment variable, else
 * from the default. Missing (default NULL) or wrong values stop the start, naming the setting.
 * A secret is never given as a setting: its file is (CONFIG_PATH).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/base/error.h"

enum config_type {
    CONFIG_STRING, /* char *; "" allowed only when the default is "" */
    CONFIG_PATH,   /* char *; same rule */
    CONFIG_UINT,   /* uint64_t, decimal */
    CONFIG_BOOL,   /* bool: true or false */
    CONFIG_NAME,   /* char *; name_is_valid() */
};

struct config_row {
    const char *name; /* NULL ends the table */
    enum config_type type;
    size_t offset;
    const char *default_value; /* NULL: must be given */
    const char *help;
};

/*
 * Fills the struct at config from argv and the environment. Strings belong to the struct:
 * config_done() frees them. INVALID_ARGUMENT names every wrong setting, not only the first.
 * Flags are --name=value or --name value; operands are refused.
 */
struct error *config_load(const struct config_row *rows, int argc, char **argv,
                          void *config) _must_check_;
void config_done(const struct config_row *rows, void *config);
void config_print_help(const struct config_row *rows, FILE *out);
