/*
 * coffer.yaml: what `deploy`, `plan`, `update` and `manifest` else take as options, beside the
 * compose file and fit to be kept with it. No secret is written in it: values come from the
 * environment, from files, or from docker's stored logins.
 *
 *   name: hello                        # a name of the workload
 *   compose: compose.yaml              # beside this file
 *   image: 0.3.1                       # guest image; default: the fleet's newest
 *   public: {service: web, port: 8080}
 *   tier: small                        # or resources: {cpus: 2, memory: 2G, disk: 10G, gpus: 0}
 *   domain: app.example.com
 *   env: [GREETING]                    # or {GREETING: , LEVEL: debug, KEY: {from_file: key}, ...}
 *   env_file: [.env]
 *   files: [conf/app.conf]
 *   secret_files: [tls.key]
 *   registries:
 *     - ghcr.io                        # docker's stored login
 *     - {server: ghcr.io, username: me, password: {from_env: NAME}}   # from_file, from_stdin: true
 *   pin: required                      # or allowed: an image may be named by a tag alone
 */
#pragma once

#include "shared/compose/lint.h"
#include "shared/manifest/manifest.h"

enum {
    COFFER_YAML_MAX = 64 * 1024,
    COFFER_YAML_ENV_MAX = 256,
    COFFER_YAML_ENV_FILES_MAX = 16,
    COFFER_YAML_REGISTRIES_MAX = 16,
};

enum coffer_source {
    SOURCE_VALUE, /* the text itself */
    SOURCE_ENVIRONMENT,
    SOURCE_FILE,
    SOURCE_STDIN,
    SOURCE_DOCKER, /* docker's stored login */
};

struct coffer_yaml_env {
    const char *name;
    enum coffer_source source;
    const char *text; /* the value, or the name of variable or file */
    unsigned line;
};

struct coffer_yaml_registry {
    const char *server;
    const char *username; /* NULL: docker's stored login */
    enum coffer_source source;
    const char *text; /* name of variable or file */
    unsigned line;
};

struct coffer_yaml_list {
    const char *items[MANIFEST_FILES_MAX];
    size_t n;
};

/* Texts live in the arena; NULL, 0 and -1 are what the file does not say. */
struct coffer_yaml {
    const char *name;
    const char *compose;
    const char *image;
    const char *public_service;
    uint32_t public_port;
    const char *tier;
    uint32_t cpus;
    uint32_t memory_mb;
    uint32_t disk_gb;
    int gpus;
    const char *domain;
    struct coffer_yaml_env env[COFFER_YAML_ENV_MAX];
    size_t n_env;
    struct coffer_yaml_list env_files;
    struct coffer_yaml_list files;
    struct coffer_yaml_list secret_files;
    struct coffer_yaml_registry registries[COFFER_YAML_REGISTRIES_MAX];
    size_t n_registries;
    bool pin;
};

/* Every problem becomes a finding with its line; no finding ever shows a value. */
void coffer_yaml_parse(const char *text, size_t size, struct arena *arena,
                       struct findings *ret_findings, struct coffer_yaml *ret_yaml);

/* The file at path. INVALID_ARGUMENT lists all findings; NOT_FOUND: there is no such file. */
struct error *coffer_yaml_read(const char *path, struct arena *arena,
                               struct coffer_yaml *ret_yaml) _must_check_;
