/*
 * The manifest (DESIGN section 5): the owner's statement of what runs, as canonical JSON (RFC
 * 8785). Identical input gives identical bytes on any machine. SHA-256 of the bytes is the SNP
 * report's HOST_DATA.
 *
 * {
 *   "acme": {"ca": PEM or "", "directory": URL},
 *   "authority": {"sign": hex of the release authority's Ed25519 public key},
 *   "compose_sha256": hex,
 *   "domains": [custom domains, sorted],
 *   "env": [names, sorted],
 *   "files": {path: hex SHA-256},
 *   "image_version": text,
 *   "owner_keys": [],
 *   "policy": {"egress": "any", "logs": "platform", "storage": "ephemeral"},
 *   "public": {"port": number, "service": name},
 *   "registries": [servers, sorted],
 *   "registry_cas": {server: PEM},
 *   "schema": "coffer.manifest/v1",
 *   "secret_files": {path: hex SHA-256(salt || content)},
 *   "services": {name: {"digest": "sha256:..." or "unpinned", "image": reference}}
 * }
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define MANIFEST_MAX         (256 * 1024)
#define MANIFEST_COMPOSE_MAX (256 * 1024)
#define MANIFEST_FILES_MAX   256
#define MANIFEST_SHA256_SIZE 32

struct manifest_hash {
    const char *name; /* path, server ... */
    uint8_t sha256[32];
};

struct manifest_service {
    const char *name;
    const char *image;
    const char *digest; /* "sha256:<64 hex>" or "unpinned" */
};

struct manifest_text {
    const char *name;
    const char *text;
};

struct manifest {
    uint8_t compose_sha256[32];
    const char *image_version;
    const char *public_service;
    uint32_t public_port;
    uint8_t authority_sign[32];
    const char *acme_directory;
    const char *acme_ca; /* PEM, "" none */
    const char *policy_egress;
    const char *policy_logs;
    const char *policy_storage;
    const char **env;
    size_t n_env;
    const char **domains;
    size_t n_domains;
    const char **registries;
    size_t n_registries;
    struct manifest_text *registry_cas;
    size_t n_registry_cas;
    struct manifest_service *services;
    size_t n_services;
    struct manifest_hash *files;
    size_t n_files;
    struct manifest_hash *secret_files;
    size_t n_secret_files;
};

/* Canonical bytes; lists may come in any order. Duplicates are INVALID_ARGUMENT. */
struct error *manifest_write(const struct manifest *manifest, struct buffer *ret_json) _must_check_;

/* Strict: unknown members, duplicates, wrong types, or bytes that are not canonical are
 * INVALID_ARGUMENT. Everything lives in the arena. */
struct error *manifest_parse(const void *json, size_t size, struct arena *arena,
                             struct manifest **ret_manifest) _must_check_;

void manifest_hash(const void *json, size_t size, uint8_t ret_sha256[MANIFEST_SHA256_SIZE]);

/* RFC 8785 for what we use (no fractions, integers within 2^53): also for image.json. */
struct error *canonical_json(const json_t *value, struct buffer *ret_json) _must_check_;

/* The bounds of single fields, for those who want to name every problem (gateway, CLI). */
bool manifest_path_is_valid(const char *path); /* relative, [A-Za-z0-9._/-], no ".." */
bool manifest_env_is_valid(const char *name);  /* [A-Za-z_][A-Za-z0-9_]{0,127} */

/* Names that docker, compose, the loader or the platform itself would obey inside the guest, as
 * root and outside a container. The gateway refuses them, and so does the guest. */
bool manifest_env_is_reserved(const char *name);
bool manifest_domain_is_valid(const char *domain);   /* lower case, at least two labels */
bool manifest_service_is_valid(const char *name);    /* a compose service name */
bool manifest_server_is_valid(const char *server);   /* registry host[:port][/path] */
bool manifest_version_is_valid(const char *version); /* of a guest image */
