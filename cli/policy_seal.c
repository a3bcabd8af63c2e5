/* `coffer policy seal`: an appraisal policy that `coffer verify` accepts. */
#include <getopt.h>
#include <stdio.h>

#include "cli/command.h"
#include "shared/attestation/policy.h"
#include "shared/base/file.h"
#include "shared/manifest/signed_document.h"

/* What cannot be read as a policy is not signed. */
static struct error *check(const json_t *root)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    json_auto_t *bare = json_copy((json_t *)root);
    struct verify_policy policy;

    json_object_del(bare, "signature");
    char *text = json_dumps(bare, JSON_COMPACT);
    struct error *err = text ? policy_parse(text, strlen(text), arena, &policy)
                             : error_new(ERROR_INVALID_ARGUMENT, "not a JSON object");
    free(text);
    return err;
}

static struct error *save(const char *path, const json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    struct error *err = file_write_atomic(path, text, strlen(text), 0644);

    free(text);
    return err;
}

static struct error *seal(const char *path, const struct sign_key *key)
{
    _cleanup_buffer_ struct buffer text = {};

    struct error *err = file_read(path, POLICY_MAX, &text);
    if (err)
        return err;
    json_auto_t *root = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a JSON object", path);
    err = check(root);
    if (!err)
        err = signed_document_seal(root, key);
    if (!err)
        err = save(path, root);
    return error_wrap(err, "seal policy '%s'", path);
}

int policy_seal_main(int argc, char **argv)
{
    static const struct option options[] = {{"key", required_argument, NULL, 'k'},
                                            {NULL, 0, NULL, 0}};
    const char *key_path = NULL;
    struct sign_key key;

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c != 'k')
            return EXIT_USAGE;
        key_path = optarg;
    }
    if (optind + 1 != argc || !key_path)
        return command_usage("policy seal takes one file and --key, the release key's file");
    struct error *err = sign_key_load(key_path, &key);
    if (err)
        return command_fail_here(err);
    err = seal(argv[optind], &key);
    sign_key_done(&key);
    return command_fail_here(err);
}
