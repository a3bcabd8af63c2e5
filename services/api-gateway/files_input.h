/* The fields files and removeFiles, and the files among the secrets: which files a workload has. */
#pragma once

#include "services/api-gateway/create_input.h"
#include "services/api-gateway/kept.h"

/*
 * Fills project.files of *input, plain ones first, and n_plain_files. kept NULL: a new workload,
 * whose files are those of the request. Otherwise what is there stays unless it is removed or
 * given again; removing comes first. A plain file that is given as a secret one becomes secret;
 * the other way its name must also be in removeFiles, since what was secret would be readable.
 */
void files_input_read(struct form *form, const struct kept *kept, struct create_input *input);
