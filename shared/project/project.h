/*
 * From a compose project and the public facts of a fleet to the manifest: one function for the
 * gateway, which deploys it, and for the owner's command line, which knows the hash beforehand.
 */
#pragma once

#include "shared/compose/lint.h"
#include "shared/manifest/manifest.h"

/* What a fleet publishes (GET /api/v1/fleet). */
struct fleet_facts {
    uint8_t authority_sign[32];
    const char *acme_directory;
    const char *acme_ca;                      /* PEM, "" none */
    const struct manifest_text *registry_cas; /* server, PEM */
    size_t n_registry_cas;
};

struct project_file {
    const char *path;
    const void *content; /* plain files */
    size_t size;
    const uint8_t *commitment; /* secret files: SHA-256(salt || content), 32; then no content */
};

struct project {
    const char *compose; /* the exact text */
    size_t compose_size;
    const char *public_service;
    uint32_t public_port;
    const char *image_version;
    const struct project_file *files; /* plain and secret ones, in any order */
    size_t n_files;
    const char *const *env; /* names */
    size_t n_env;
    const char *const *domains; /* custom ones */
    size_t n_domains;
    const char *const *registries; /* servers that credentials are given for */
    size_t n_registries;
};

/*
 * Lints the compose text and adds the manifest's canonical bytes to *ret_json. A registry's CA is
 * bound when an image or a credential names its server. With findings nothing is added and the
 * result is INVALID_ARGUMENT: *ret_findings says what. All texts live in the arena.
 */
struct error *project_manifest(const struct project *project, const struct fleet_facts *facts,
                               struct arena *arena, struct findings *ret_findings,
                               struct buffer *ret_json) _must_check_;

/* The server part of an image reference: "docker.io" when it names none. Arena text. */
const char *image_server(const char *reference, struct arena *arena);

/* "sha256:<64 hex>" of a reference that is pinned, else "unpinned". Lives with the reference. */
const char *image_digest(const char *reference);
