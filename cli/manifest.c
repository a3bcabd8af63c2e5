/* `coffer manifest`: of a workload, or computed here from a compose file before deploying it. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/project_salt.h"
#include "cli/resolve.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

static struct error *of_workload(struct client *client, const char *workload,
                                 struct buffer *ret_json)
{
    _cleanup_free_ char *id = NULL;
    _cleanup_free_ char *text = NULL;
    struct error *err = workload_resolve(client, workload, &id);

    if (err)
        return err;
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s/manifest", id);
    err = client_get_text(client, path, MANIFEST_MAX, &text);
    if (err)
        return err;
    buffer_add_text(ret_json, text);
    return NULL;
}

static struct error *make(struct project_input *in, struct buffer *ret_json)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct fleet_facts facts;
    struct error *err = client_open(&client);

    if (err)
        return err;
    if (in->workload)
        return of_workload(client, in->workload, ret_json);
    if (!in->project.compose)
        return error_new(ERROR_INVALID_ARGUMENT, "a workload id or --compose FILE is needed");
    err = project_input_facts(in, client, &facts);
    err = err ?: project_salt_new(in, client_url(client));
    return err ?: project_input_manifest(in, &facts, ret_json);
}

int manifest_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input input = {0};
    _cleanup_buffer_ struct buffer json = {0};
    uint8_t digest[SHA256_SIZE];
    char hash[2 * SHA256_SIZE + 1];
    struct error *err = project_input_parse(argc, argv, PROJECT_MANIFEST, &input);

    if (!err)
        err = make(&input, &json);
    if (err)
        return command_fail(err);
    sha256(json.data, json.size, digest);
    hex_encode(digest, sizeof(digest), hash);
    /* The bytes alone on stdout, so that a file of them has this hash; the hash beside. */
    fwrite(json.data, 1, json.size, stdout);
    fflush(stdout);
    fprintf(stderr, "%smanifest hash  %s\n", isatty(STDERR_FILENO) ? "\n" : "", hash);
    return EXIT_OK;
}
