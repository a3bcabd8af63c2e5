/*
 * The compose file, read twice (DESIGN section 2): on the text, for fast and helpful findings
 * (compose_lint), and in the guest on the merged model that compose itself prints
 * (compose_lint_model), which decides, against an allow-list of keys. The guest holds the text
 * against the rules too, for what the model does not show: files that compose reads, and "$".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/arena.h"
#include "shared/base/error.h"

#define COMPOSE_TEXT_MAX     (256 * 1024)
#define COMPOSE_FINDINGS_MAX 256
#define COMPOSE_SERVICES_MAX 32

struct finding {
    const char *rule;  /* stable name: "privileged" ... */
    const char *where; /* "services.web.privileged" */
    unsigned line;     /* from 1; 0 unknown */
    const char *what;
    const char *why;
    const char *fix;
};

struct findings {
    struct finding items[COMPOSE_FINDINGS_MAX];
    size_t n;
};

struct compose_service {
    const char *name;
    const char *image;          /* "" when it has none (which is a finding) */
    const char *container_name; /* "" when it has none */
};

struct compose_options {
    const char *public_service;
    uint32_t public_port;
    const char *const *files; /* paths of uploaded files, may be mounted through ${FILES} */
    size_t n_files;
    const char *const *env; /* names of the environment values that will be given */
    size_t n_env;

    /* Only for the model: where ${FILES} lies in the guest (absolute, without a final slash;
     * NULL: no bind mount is right), and whether our own services coffer-proxy and coffer-attester
     * with their volumes and networks (coffer-*) are merged in. False: those names are refused. */
    const char *files_dir;
    bool with_ours;
};

/* What the text says, for the manifest; filled as far as it can be read. Without the services that
 * are in a profile: they are never started. */
struct compose_summary {
    struct compose_service services[COMPOSE_SERVICES_MAX];
    size_t n_services;
};

/*
 * Lints the text (libyaml events, bounded: depth, nodes, aliases, size). Bad input gives
 * findings, not an error. All texts live in the arena.
 */
void compose_lint(const char *text, size_t size, const struct compose_options *options,
                  struct arena *arena, struct findings *ret_findings,
                  struct compose_summary *ret_summary);

/* Lints `docker compose config --format json` output. Text that is not such a model is an error. */
struct error *compose_lint_model(const char *json, size_t size,
                                 const struct compose_options *options, struct arena *arena,
                                 struct findings *ret_findings) _must_check_;

/* Adds a finding; texts are copied into the arena. Full: the last one says so. Never a secret. */
void findings_add(struct findings *findings, struct arena *arena, const struct finding *finding);

/* One line per finding, for logs and events; caller frees. */
char *findings_to_text(const struct findings *findings);
