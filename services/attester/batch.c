#include "services/attester/batch.h"

#include <string.h>

#include "shared/attestation/binding.h"

#define ATTEMPTS 3 /* the key changed while the report was made */

/* The evidence must be bound to the key that is served when it is handed out. */
static struct error *make_evidence(struct batch *batch, const uint8_t root[32], size_t n,
                                   struct evidence **ret_evidence)
{
    uint8_t before[32], after[32];

    for (int i = 0; i < ATTEMPTS; i++) {
        _cleanup_(evidence_unrefp) struct evidence *evidence = NULL;

        struct error *err = live_key_get(batch->key, before);
        if (!err)
            err = evidence_make(batch->maker, before, root, n, &evidence);
        if (!err)
            err = live_key_get(batch->key, after);
        if (err)
            return err;
        if (memcmp(before, after, sizeof(before)) == 0) {
            *ret_evidence = TAKE_PTR(evidence);
            return NULL;
        }
    }
    return error_new(ERROR_UNAVAILABLE, "the TLS key keeps changing");
}

void batch_serve(void *context, const uint8_t (*nonces)[32], size_t n, struct reply *replies)
{
    struct batch *batch = context;
    _cleanup_(evidence_unrefp) struct evidence *evidence = NULL;
    uint8_t root[32], path[MERKLE_PATH_MAX][32];

    _cleanup_(merkle_tree_freep) struct merkle_tree *tree = merkle_tree_new(nonces, n);
    merkle_tree_root(tree, root);
    _cleanup_(error_freep) struct error *err = make_evidence(batch, root, n, &evidence);
    for (size_t i = 0; i < n; i++) {
        if (err) {
            replies[i].err = error_new(error_get_code(err), "%s", error_text(err));
            continue;
        }
        size_t n_path = merkle_tree_path(tree, i, path);
        const struct evidence_leaf leaf = {nonces[i], i, (const uint8_t(*)[32])path, n_path};
        replies[i].evidence = evidence_ref(evidence);
        evidence_answer(batch->maker, evidence, &leaf, &replies[i].binding);
    }
}
