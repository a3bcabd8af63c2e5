/*
 * What only the attested guest may see: environment values, registry passwords, secret files.
 * Read from the request, sealed to the release authority at once, and never kept, logged, sent or
 * answered in the clear (DESIGN section 2).
 */
#pragma once

#include "services/api-gateway/form.h"
#include "services/api-gateway/gateway.h"

struct secret_pair {
    const char *name;
    const char *value;
};

struct secret_registry {
    const char *server;
    const char *username;
    const char *password;
};

struct secret_file {
    const char *path;
    const uint8_t *content;
    size_t size;
    uint8_t salt[32];
    uint8_t commitment[32]; /* SHA-256(salt || content) */
};

/* In the request's arena, which is wiped at its end. */
struct secrets {
    bool given; /* at least one of the three fields is there */
    struct secret_pair *env;
    const char **env_names;
    size_t n_env;
    struct secret_registry *registries;
    const char **servers;
    size_t n_registries;
    struct secret_file *files;
    size_t n_files;
};

/* The fields envVars, dockerCredentials and secretFiles. */
void secrets_read(struct form *form, struct secrets *ret_secrets);

/* The sealed box for CreateWorkloadRequest.sealed_secrets; empty when there are none. */
struct error *secrets_seal(const struct gateway *gateway, const struct secrets *secrets,
                           const char *workload_id, struct arena *arena,
                           ProtobufCBinaryData *ret_box) _must_check_;
