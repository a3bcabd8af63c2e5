/* What the files of this folder share. */
#pragma once

#include "shared/fleet/fleet.h"
#include "shared/fleet/jwt.h"

/* The NATS side of a fleet, loaded or made. */
struct fleet_nats {
    struct nkey operator_key;
    struct nkey account_key;
    struct nkey system_key;
    struct nkey signing_key;
    char account[NKEY_PUBLIC_TEXT_SIZE];
    char system[NKEY_PUBLIC_TEXT_SIZE];
    char *operator_jwt;
    char *account_jwt;      /* on the hub */
    char *account_leaf_jwt; /* on the leafs: without the hub's subject mapping */
    char *system_jwt;
};

struct error *fleet_nats_init(const char *dir, struct fleet_nats *ret_nats) _must_check_;
void fleet_nats_done(struct fleet_nats *nats);

/* hub.conf and the control plane's credentials. */
struct error *fleet_nats_write(const char *dir, const struct fleet_nats *nats) _must_check_;

/* hosts/<h>/: the leaf's configuration and credentials, the host-agent's credentials. */
struct error *fleet_nats_write_host(const char *dir, const struct fleet_nats *nats,
                                    const char *host) _must_check_;
