/* A development root and two chips in a temporary folder, for tests. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "shared/attestation/processor.h"
#include "shared/attestation/test_attest.h"
#include "shared/attestation/test_root.h"
#include "shared/base/alloc.h"

struct test_fleet {
    char dir[64];
    char root[80];
    struct processor *processors[2];
};

static inline void test_fleet_init(struct test_fleet *fleet)
{
    snprintf(fleet->dir, sizeof(fleet->dir), "/tmp/coffer-fleet-XXXXXX");
    assert_non_null(mkdtemp(fleet->dir));
    snprintf(fleet->root, sizeof(fleet->root), "%s/root", fleet->dir);
    expect_ok(test_root_init(fleet->root));
    for (size_t i = 0; i < 2; i++) {
        _cleanup_free_ char *host = xasprintf("%s/host-%zu", fleet->dir, i);

        expect_ok(tee_dev_init_host(fleet->root, host));
        expect_ok(processor_open(host, &fleet->processors[i]));
    }
}

static inline void test_fleet_done(struct test_fleet *fleet)
{
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", fleet->dir);

    processor_free(fleet->processors[0]);
    processor_free(fleet->processors[1]);
    assert_int_equal(system(command), 0);
}

static inline struct processor_guest test_guest(void)
{
    struct processor_guest guest = {.policy = 0x30000, .vmpl = 0};

    memset(guest.measurement, 0x4d, sizeof(guest.measurement));
    memset(guest.host_data, 0x48, sizeof(guest.host_data));
    memset(guest.report_id, 0x52, sizeof(guest.report_id));
    return guest;
}
