/* Makes the roots that tests start from (test_root.h), once per build folder. */
#include "shared/attestation/test_root.h"

static struct error *make_roots(const char *dir)
{
    struct error *err = dir_make(dir, 0700);

    for (unsigned i = 0; i < TEST_ROOTS && !err; i++) {
        _cleanup_free_ char *root = xasprintf("%s/%u", dir, i);
        err = tee_dev_init_root(root);
    }
    return err;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    _cleanup_(error_freep) struct error *err = make_roots(argv[1]);
    if (err)
        fprintf(stderr, "make_test_roots: %s\n", error_text(err));
    return err ? 1 : 0;
}
