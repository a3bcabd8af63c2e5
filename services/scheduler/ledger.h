/*
 * What accounts use, remembered between creates: reading all workloads of an account for each
 * would cost more than the create. Every commit that changes what counts passes by here; what is
 * in doubt is forgotten and read again. From any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct usage {
    uint64_t usd_micros_per_minute;
    uint64_t workloads;
    uint64_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint64_t gpus;
};

/* One workload more, or less, of an account. */
struct usage_delta {
    const char *account_id;
    struct usage usage;
    bool less;
};

struct ledger_account;

struct ledger {
    pthread_mutex_t lock;
    struct ledger_account *accounts;
    size_t n;
    uint64_t begun;   /* commits that change what counts */
    unsigned in_hand; /* of them, not yet ended */
};

void ledger_init(struct ledger *ledger);
void ledger_done(struct ledger *ledger);

/* False: not known, or known for too long. */
bool ledger_find(struct ledger *ledger, const char *account_id, int64_t now_ms,
                 struct usage *ret_usage);

/* Between the two the account is read: it is remembered only if no commit that changes what
 * counts was on its way meanwhile. */
struct ledger_reading {
    uint64_t begun;
    bool quiet;
};
struct ledger_reading ledger_begin_reading(struct ledger *ledger);
void ledger_remember(struct ledger *ledger, struct ledger_reading reading, const char *account_id,
                     const struct usage *usage, int64_t now_ms);

/* Around a commit with these changes. How it ended: it happened, nothing happened, or who knows. */
enum ledger_end { LEDGER_DONE, LEDGER_NOTHING, LEDGER_IN_DOUBT };
void ledger_begin(struct ledger *ledger);
void ledger_end(struct ledger *ledger, const struct usage_delta *deltas, size_t n,
                enum ledger_end end);
