/*
 * A compose project as given on the command line of `deploy` and `manifest`: the compose file,
 * options, plain and secret files, environment values, registry credentials.
 */
#pragma once

#include "cli/command.h"
#include "shared/base/arena.h"
#include "shared/project/project.h"

struct input_pair {
    const char *name;
    const char *value;
};

struct project_input {
    struct arena *arena; /* owns everything; wiped at the end */
    const char *name;
    struct project project;
    struct input_pair env[256];
    size_t n_env;
    struct project_file files[MANIFEST_FILES_MAX];
    size_t n_files;
    struct input_pair registries[16]; /* server, user */
    const char *passwords[16];
    size_t n_registries;
    const char *domain;
    const char *workload;  /* manifest: of an existing workload */
    const char *authority; /* hex, --authority: do not take it from the gateway */
    uint32_t cpus;
    uint32_t memory_mb;
    uint32_t disk_gb;
    bool wait;
    bool json;
};

extern const char project_input_help[];

/*
 * Options:
 *   --public SERVICE:PORT   what the world reaches     --name NAME
 *   --env NAME              value from the environment --env-file FILE  NAME=value lines
 *   --file PATH             plain file, same path in the workload
 *   --registry SERVER[=USER]  credentials from COFFER_REGISTRY_PASSWORD, or docker's own file
 *   --domain NAME --image VERSION --cpus N --memory MB --disk GB --wait --json
 */
struct error *project_input_parse(int argc, char **argv, bool compose_needed,
                                  struct project_input *ret_input) _must_check_;
void project_input_done(struct project_input *input);

/* GET /api/v1/fleet; texts in the arena. Fills in the image version when none was given. */
struct error *project_input_facts(struct project_input *input, struct client *client,
                                  struct fleet_facts *ret_facts) _must_check_;

/* Computes the manifest here, on this machine; prints findings into the error. */
struct error *project_input_manifest(struct project_input *input, const struct fleet_facts *facts,
                                     struct buffer *ret_json) _must_check_;
