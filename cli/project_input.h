/*
 * A compose project as given to `deploy`, `plan`, `update` and `manifest`: the compose file, its
 * coffer.yaml, options, plain and secret files, environment values, registry credentials. Options
 * win over coffer.yaml.
 */
#pragma once

#include "cli/coffer_yaml.h"
#include "cli/command.h"
#include "shared/base/arena.h"
#include "shared/base/encode.h"
#include "shared/project/project.h"

struct input_pair {
    const char *name;
    const char *value;
};

/* Of a secret file: what the manifest's commitment is made with, once project_salt.h has done it.
 */
struct input_salt {
    uint8_t salt[32];
    const void *content;
    size_t size;
};

struct project_input {
    struct arena *arena; /* owns everything; wiped at the end */
    const char *name;    /* NULL: none was given (update) */
    struct project project;
    struct input_pair env[COFFER_YAML_ENV_MAX];
    size_t n_env;
    struct project_file files[MANIFEST_FILES_MAX]; /* plain ones, then secret ones */
    size_t n_files;
    size_t n_plain_files;
    struct input_salt salts[MANIFEST_FILES_MAX];              /* of files[n_plain_files + i] */
    struct input_pair registries[COFFER_YAML_REGISTRIES_MAX]; /* server, user */
    const char *passwords[COFFER_YAML_REGISTRIES_MAX];
    size_t n_registries;
    struct coffer_yaml_list unset_env;    /* update */
    struct coffer_yaml_list remove_files; /* update */
    const char *domain;
    const char *workload;        /* id or name of an existing one; NULL: a new one */
    char new_id[UUID_TEXT_SIZE]; /* of a new one with secret files, else "" */
    const char *authority;       /* hex, --authority: do not take it from the gateway */
    const char *tier;            /* id or name; NULL: the sizes below */
    const char *config;          /* the coffer.yaml that was read; NULL: none */
    const char *reason;
    const char *if_match;
    uint32_t cpus; /* 0: the default */
    uint32_t memory_mb;
    uint32_t disk_gb;
    uint32_t timeout_s; /* of --wait; 0: none */
    int gpus;           /* -1: none was given */
    bool pin;
    bool wait;
    bool json;
    bool dry_run;
    bool again; /* a second workload of the same name is meant */
    bool confirm_data_loss;
};

enum project_use {
    PROJECT_DEPLOY,   /* [COMPOSE|FOLDER] */
    PROJECT_MANIFEST, /* WORKLOAD, or --compose */
    PROJECT_PLAN,     /* [WORKLOAD] [COMPOSE|FOLDER]: an operand alone that exists is a path */
    PROJECT_UPDATE,   /* WORKLOAD [COMPOSE|FOLDER] */
};

/* Reads options, coffer.yaml and all files. */
struct error *project_input_parse(int argc, char **argv, enum project_use use,
                                  struct project_input *ret_input) _must_check_;
void project_input_done(struct project_input *input);

/* Adds a value; a later one of the same name replaces it. name is copied up to length. */
struct error *project_input_add_env(struct project_input *input, const char *name, size_t length,
                                    const char *value) _must_check_;
/* NAME=value lines of a file. keep: names that are there already win. */
struct error *project_input_add_env_file(struct project_input *input, const char *path,
                                         bool keep) _must_check_;
struct error *project_input_add_registry(struct project_input *input, const char *server,
                                         const char *username, const char *password) _must_check_;

/* GET /api/v1/fleet; texts in the arena. Fills in the image version when none was given. */
struct error *project_input_facts(struct project_input *input, struct client *client,
                                  struct fleet_facts *ret_facts) _must_check_;

/* Computes the manifest here, on this machine; prints findings into the error. */
struct error *project_input_manifest(struct project_input *input, const struct fleet_facts *facts,
                                     struct buffer *ret_json) _must_check_;
