/* What the platform itself gives every guest in its sealed bundle: ACME and registry accounts. */
#pragma once

#include <stddef.h>

#include "shared/base/error.h"

#define PLATFORM_REGISTRIES_MAX 4

struct platform_registry {
    char *server;
    char *username;
    char *password;
};

struct platform {
    char *acme_directory;
    char *eab_key_id; /* "" without external account binding */
    char *eab_mac_key;
    struct platform_registry registries[PLATFORM_REGISTRIES_MAX];
    size_t n_registries;
};

/* eab_file: JSON {key_id, mac_key}; registry_file: JSON [{server, username, password}]; "" none. */
struct error *platform_load(const char *acme_directory, const char *eab_file,
                            const char *registry_file, struct platform *ret_platform) _must_check_;
void platform_done(struct platform *platform); /* wipes */
