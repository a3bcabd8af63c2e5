/* From what was named on the command line and in coffer.yaml to texts and bytes in memory. */
#pragma once

#include "cli/project_input.h"

/* What the command line named. */
struct project_names {
    const char *compose; /* file or folder; NULL: none */
    const char *config;  /* --config; NULL: the one beside the compose file, if there is one */
    struct coffer_yaml_list files;
    struct coffer_yaml_list secret_files;
};

/*
 * Reads coffer.yaml (for what the options left open), the compose file and the files. Without a
 * compose file, config or folder nothing is read but the files, from the current folder.
 */
struct error *project_files_load(struct project_input *input,
                                 const struct project_names *names) _must_check_;

/* The compose file that a path means: itself, or the one that lies in the folder. Arena text. */
const char *project_files_compose(struct arena *arena, const char *path);
