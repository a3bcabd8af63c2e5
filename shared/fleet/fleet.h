/*
 * The fleet folder: the keys and files that make a fleet out of a hub, a control plane and hosts.
 *
 *   fleet.json                       public facts, for every service
 *   authority/sign.key, box.key      the scheduler as release authority
 *   gateway/sign.key                 the gateway's commands to guests
 *   release/sign.key                 signs image.json
 *   operator/{operator,account,system}.seed   NATS operator, account, system account: kept offline
 *   nats/hub.conf                    operator, accounts: included by the hub's configuration
 *   nats/account-signing.seed        the scheduler mints guests' credentials with it
 *   nats/<name>.creds                scheduler, api-gateway, monitor, ops
 *   hosts/<h>/leaf.conf              the whole configuration of the host's NATS leaf
 *   hosts/<h>/leaf-auth.conf         its operator and accounts part
 *   hosts/<h>/leaf.creds, host-agent.creds
 *
 * Secret files are 0600, folders 0700.
 */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"

#define FLEET_CHIP_ID_SIZE 64

struct fleet_options {
    const char *const *hosts; /* ids, name_is_valid() */
    size_t n_hosts;
    const char *workload_domain; /* "w.coffer.test": workloads are <name>.<this>; NULL: keep */
};

/*
 * Makes what is missing and changes no key that is there: run it again to add hosts. A deleted
 * .creds file is made anew, with a new key and today's permissions.
 */
struct error *fleet_init(const char *dir, const struct fleet_options *options) _must_check_;

/*
 * Lists the host in fleet.json with the chip whose evidence the scheduler accepts from it. A host
 * is enrolled from then on. Again with another chip: it was replaced.
 */
struct error *fleet_enroll_host(const char *dir, const char *host,
                                const uint8_t chip_id[FLEET_CHIP_ID_SIZE]) _must_check_;

/*
 * The creds file content for one boot of a guest: it may speak and listen on its host's leaf for
 * its workload only, until now_s + ttl_s (Unix seconds; ttl_s 0: for ever). Secret; the caller
 * wipes and frees *ret_credentials.
 *
 * signing_seed: of nats/account-signing.seed; account: "nats_account" of fleet.json.
 */
struct error *fleet_mint_guest_credentials(const char *signing_seed, const char *account,
                                           const char *host, const char *workload,
                                           uint64_t generation, int64_t now_s, int64_t ttl_s,
                                           char **ret_credentials) _must_check_;
