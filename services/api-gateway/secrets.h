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
    bool given;            /* at least one of the three fields is there */
    bool registries_given; /* dockerCredentials is, if only as an empty list */
    bool salted_by_us;     /* a file's salt is random, so its commitment is another next time */
    struct secret_pair *env;
    const char **env_names;
    size_t n_env;
    struct secret_registry *registries;
    const char **servers;
    size_t n_registries;
    struct secret_file *files;
    size_t n_files;
};

enum { SECRETS_ENV_MAX = 256, SECRETS_FILES_MAX = 64 };

/* The fields dockerCredentials, secretFiles, and the one with the environment's values. */
void secrets_read(struct form *form, const char *env_field, struct secrets *ret_secrets);

bool secrets_any(const struct secrets *secrets);
bool secrets_have_env(const struct secrets *secrets, const char *name);
bool secrets_have_file(const struct secrets *secrets, const char *path);

/* The sealed box for the sealed_secrets of a request to the scheduler; empty when there are none.
 */
struct error *secrets_seal(const struct gateway *gateway, const struct secrets *secrets,
                           const char *workload_id, struct arena *arena,
                           ProtobufCBinaryData *ret_box) _must_check_;
