/* What the tests of the client share: a service, a cache folder, a clock, recorded pauses. */
#pragma once

#include "shared/collateral/test_service.h"

#define TEST_PAUSES_MAX 64

struct test_stage {
    struct test_service *service;
    char dir[64];
    struct clock_fake clock;
    int64_t pauses[TEST_PAUSES_MAX]; /* asked for by the client, ms; none is waited for */
    size_t n_pauses;
    struct collateral_client *client;
};

static inline bool test_stage_pause(void *data, int64_t ms)
{
    struct test_stage *stage = data;

    if (stage->n_pauses < TEST_PAUSES_MAX)
        stage->pauses[stage->n_pauses++] = ms;
    return true;
}

static inline struct collateral_options test_stage_options(struct test_stage *stage)
{
    return (struct collateral_options){
        .dir = stage->dir,
        .base_url = stage->service->url,
        .allow_http = true,
        .roots = stage->service->roots,
        .clock = &stage->clock.base,
        .timeout_ms = 10000,
        .pause = test_stage_pause,
        .data = stage,
    };
}

/* A program that starts again over the same cache. url NULL: offline. */
static inline void test_stage_restart(struct test_stage *stage, const char *url)
{
    struct collateral_options options = test_stage_options(stage);

    options.base_url = url;
    collateral_client_free(stage->client);
    expect_ok(collateral_client_new(&options, &stage->client));
}

static inline void test_stage_init(struct test_stage *stage, struct test_service *service)
{
    *stage = (struct test_stage){.service = service};
    test_service_reset(service);
    snprintf(stage->dir, sizeof(stage->dir), "/tmp/coffer-collateral-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    clock_fake_init(&stage->clock, clock_wall_ms(clock_system()));
    test_stage_restart(stage, service->url);
}

static inline void test_stage_done(struct test_stage *stage)
{
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", stage->dir);

    collateral_client_free(stage->client);
    assert_int_equal(system(command), 0);
}
