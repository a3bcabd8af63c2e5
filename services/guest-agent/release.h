/*
 * The released bundle: checked, opened, and held in memory until the containers are up.
 *
 * The authority signs (workload id, boot number, domain, both guest keys, nonce, SHA-256 of the
 * ciphertext) with the key that the manifest names, so a bundle of another boot, another guest or
 * another authority does not verify. Failure codes: bundle_malformed, bundle_signature,
 * bundle_open, bundle_binding, secrets_mismatch.
 */
#pragma once

#include <stdbool.h>

#include "services/guest-agent/identity.h"
#include "shared/base/arena.h"
#include "shared/manifest/manifest.h"

/* What this guest asked with. */
struct release_expectation {
    const char *workload_id;
    uint64_t boot_number;
    const uint8_t *nonce; /* 32 */
    const struct identity *identity;
    const struct manifest *manifest;
};

/* What the authority answered: untrusted bytes. */
struct release_answer {
    const void *sealed;
    size_t sealed_size;
    const void *signature;
    size_t signature_size;
    const char *domain;
};

struct release_variable {
    const char *name;
    const char *value;
};

struct release_registry {
    const char *server;
    const char *username;
    const char *password;
    bool platform; /* ours, to avoid the public registries' limits: never shown to the tenant */
};

struct release_file {
    const char *path;
    const uint8_t *data;
    size_t size;
};

struct release {
    struct arena *arena; /* owns all texts; wiped by release_free() */
    const char *domain;
    const char *acme_directory;
    const char *acme_eab_key_id; /* "" none */
    const char *acme_eab_mac_key;
    uint8_t gateway_sign_public[32];
    bool has_gateway; /* else only the authority commands */
    struct release_variable *variables;
    size_t n_variables;
    struct release_registry *registries;
    size_t n_registries;
    struct release_file *files;
    size_t n_files;
};

struct error *release_open(const struct release_expectation *expectation,
                           const struct release_answer *answer, struct release **ret_release,
                           const char **ret_code) _must_check_;
void release_free(struct release *release); /* wipes */
DEFINE_CLEANUP(struct release *, release_free)

/* The bytes that the authority signs (schemas/boot.proto, AttestReply). */
void release_signed_bytes(const struct release_expectation *expectation,
                          const struct release_answer *answer, struct buffer *ret_bytes);
