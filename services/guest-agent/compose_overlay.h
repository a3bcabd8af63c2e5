/*
 * Our compose file, merged over the user's: coffer-proxy (Caddy, ends TLS) and coffer-attester
 * (evidence). It is JSON, which is YAML, made by a JSON writer, so no value can add a key.
 *
 * The two speak over a network of their own, which no container of the user is on; the proxy also
 * joins the networks of the public service.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define OVERLAY_PROXY         "coffer-proxy"
#define OVERLAY_ATTESTER      "coffer-attester"
#define OVERLAY_ATTESTER_PORT 8080
#define OVERLAY_NETWORK       "coffer-internal"
#define OVERLAY_VOLUME        "coffer-caddy"
#define OVERLAY_RESERVED      "coffer-" /* no name in the user's file may start so */

struct overlay {
    const char *image_version;
    const char *domain;
    const char *caddy_config; /* path of Caddy's JSON */
    const char *acme_ca;      /* path of the ACME server's CA; NULL: public roots */
    const char *manifest;     /* path of the manifest's bytes */
    const char *collateral;   /* path of the host's certificate table; NULL: none */
    int64_t collateral_at_ms; /* when its CRL came from the vendor; 0: not known */
    const char *tee;          /* backend's name: "software", "sev-guest", "configfs-tsm" */
    const char *tee_device;   /* device node or configfs folder in this guest */
    unsigned vcpus;
    const char *cpu_model;       /* "" unknown */
    const char *const *networks; /* of the public service, as the model names them */
    size_t n_networks;
    const char *const *gpu_nodes; /* device nodes of the GPUs; none: the guest shows no GPUs */
    size_t n_gpu_nodes;
};

void overlay_write(const struct overlay *overlay, struct buffer *ret_json);

/* A service that is ours. */
bool overlay_is_ours(const char *service);
