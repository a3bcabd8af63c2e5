/* Inside of create.c: a group of creates that is judged together. */
#pragma once

#include "services/scheduler/admission.h"
#include "services/scheduler/allowance.h"
#include "services/scheduler/tiers.h"
#include "services/scheduler/workloads.h"

/* One create on its way. */
struct item {
    struct creation *creation;
    struct manifest *manifest;
    unsigned aborted; /* rounds in which somebody was quicker */
    bool settled;     /* err or workload are the answer */
    /* of the round: */
    const struct store_record *done; /* of its request; NULL: it has no id */
    struct error *err;
    Coffer__V1__Workload *workload;
    bool audited; /* the entry that came with it is in the trail */
    bool accepted;
    bool postponed; /* by another one of this round with the same id or domain */
};

/* What an account uses, with what this round has accepted so far. */
struct account {
    struct account *next;
    const char *account_id;
    struct usage usage;
};

/* One read, one judgement of each, one commit. */
struct round {
    struct scheduler *scheduler;
    struct arena *arena;
    struct item **items;
    size_t n;
    struct store_record
        *records; /* per item its workload, domain, artifact, and whether it was done */
    struct fleet fleet;
    Coffer__V1__WorkloadTiers *tiers;
    struct account *accounts;
    struct change change;
};
enum { OF_WORKLOAD, OF_DOMAIN, OF_ARTIFACT, OF_DONE, RECORDS_OF_ITEM };

/* Everything that the round needs, in one question to the store: records, tiers and hosts. */
struct error *round_read(struct round *round) _must_check_;
