/* Updates of workload "w1" and what goes with them, on the kit: for the tests of this folder. */
#pragma once

#include "services/scheduler/test_kit.h"

/* What an update of "w1" is made of. */
struct kit_app {
    const char *compose;
    const char *image_version;
    const char *env[4];
    const char *registry;    /* NULL: none */
    const char *secret_file; /* content of "key.pem"; NULL: none */
    const char *values[4];   /* of env, where they are given */
    const char *domain;
    const char *name;
    bool give_registry;
    bool give_file;
};

/* Of which nothing would change. */
extern const struct kit_app kit_same_app;

/* Sealed for "w1": the values, the registry and the file that the app gives. */
ProtobufCBinaryData kit_app_secrets(struct kit *kit, const struct kit_app *app);

/* A valid update of "w1" to the app, by its owner. */
Coffer__V1__UpdateWorkloadRequest *kit_update_request(struct kit *kit, const struct kit_app *app);
struct error *kit_update_with(struct kit *kit, const Coffer__V1__UpdateWorkloadRequest *request);
struct error *kit_update(struct kit *kit, const struct kit_app *app);

/* The stored input of a workload, which must be there. */
Coffer__V1__WorkloadInput *kit_input(struct kit *kit, const char *id);

/* What "w1" is now, for if_match. */
Coffer__V1__Expectation kit_expected(struct kit *kit);

/* A wish for "w1"; if_match and allowance may be NULL. */
struct error *kit_wish_if(struct kit *kit, const char *verb, Coffer__V1__Expectation *if_match,
                          Coffer__V1__Allowance *allowance);

/* The tier "small" of what kit_create() asks for. */
void kit_add_tier(struct kit *kit, uint64_t cost);

/* A plan of a create as kit_create() would do it. */
Coffer__V1__PlanWorkloadRequest kit_plan_request(struct kit *kit);
