/*
 * The attester: a container in each CVM's compose project that shows evidence bound to the live
 * TLS key (DESIGN section 6). It has no bus and keeps no state.
 */
#pragma once

#include "shared/service/service.h"

struct attester_config {
    struct service_config service;
    char *listen;
    char *domain;
    char *proxy;
    char *tee;
    char *tee_path;
    char *manifest;
    char *image_version;
    char *cpu_model;
    uint64_t vcpus;
    char *gpus;
    char *collateral;
    uint64_t collateral_at_ms;
};

extern const struct service attester_service;
