#include "services/scheduler/ledger.h"

#include "shared/base/alloc.h"

/* Whatever went wrong with the sums does not last longer than this. */
enum { ACCOUNTS_MAX = 4096, FRESH_MS = 60 * 1000 };

struct ledger_account {
    char *account_id;
    struct usage usage;
    int64_t read_at_ms;
};

void ledger_init(struct ledger *ledger)
{
    *ledger = (struct ledger){.accounts = xcalloc(ACCOUNTS_MAX, sizeof(*ledger->accounts))};
    pthread_mutex_init(&ledger->lock, NULL);
}

static void forget(struct ledger *ledger, struct ledger_account *account)
{
    free(account->account_id);
    *account = ledger->accounts[--ledger->n];
}

void ledger_done(struct ledger *ledger)
{
    while (ledger->n)
        forget(ledger, &ledger->accounts[0]);
    free(ledger->accounts);
    pthread_mutex_destroy(&ledger->lock);
}

static struct ledger_account *find(struct ledger *ledger, const char *account_id)
{
    for (size_t i = 0; i < ledger->n; i++)
        if (strcmp(ledger->accounts[i].account_id, account_id) == 0)
            return &ledger->accounts[i];
    return NULL;
}

bool ledger_find(struct ledger *ledger, const char *account_id, int64_t now_ms,
                 struct usage *ret_usage)
{
    pthread_mutex_lock(&ledger->lock);
    const struct ledger_account *account = find(ledger, account_id);
    bool known = account && now_ms - account->read_at_ms < FRESH_MS;
    if (known)
        *ret_usage = account->usage;
    pthread_mutex_unlock(&ledger->lock);
    return known;
}

struct ledger_reading ledger_begin_reading(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    const struct ledger_reading reading = {.begun = ledger->begun, .quiet = !ledger->in_hand};
    pthread_mutex_unlock(&ledger->lock);
    return reading;
}

/* Under the lock: its place, a new one, or in a full ledger the first one's. */
static struct ledger_account *place_for(struct ledger *ledger, const char *account_id)
{
    struct ledger_account *account = find(ledger, account_id);

    if (account)
        return account;
    if (ledger->n == ACCOUNTS_MAX)
        forget(ledger, &ledger->accounts[0]);
    account = &ledger->accounts[ledger->n++];
    *account = (struct ledger_account){.account_id = xstrdup(account_id)};
    return account;
}

void ledger_remember(struct ledger *ledger, struct ledger_reading reading, const char *account_id,
                     const struct usage *usage, int64_t now_ms)
{
    pthread_mutex_lock(&ledger->lock);
    if (reading.quiet && reading.begun == ledger->begun) {
        struct ledger_account *account = place_for(ledger, account_id);
        account->usage = *usage;
        account->read_at_ms = now_ms;
    }
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_begin(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->begun++;
    ledger->in_hand++;
    pthread_mutex_unlock(&ledger->lock);
}

static uint64_t changed(uint64_t sum, uint64_t by, bool less)
{
    if (!less)
        return sum + by;
    return sum > by ? sum - by : 0;
}

static void apply(struct usage *sum, const struct usage_delta *delta)
{
    const struct usage *by = &delta->usage;
    bool less = delta->less;

    sum->usd_micros_per_minute =
        changed(sum->usd_micros_per_minute, by->usd_micros_per_minute, less);
    sum->workloads = changed(sum->workloads, by->workloads, less);
    sum->cpus = changed(sum->cpus, by->cpus, less);
    sum->memory_mib = changed(sum->memory_mib, by->memory_mib, less);
    sum->disk_gib = changed(sum->disk_gib, by->disk_gib, less);
    sum->gpus = changed(sum->gpus, by->gpus, less);
}

void ledger_end(struct ledger *ledger, const struct usage_delta *deltas, size_t n,
                enum ledger_end end)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->in_hand--;
    for (size_t i = 0; i < n && end != LEDGER_NOTHING; i++) {
        struct ledger_account *account = find(ledger, deltas[i].account_id);
        if (account && end == LEDGER_DONE)
            apply(&account->usage, &deltas[i]);
        else if (account)
            forget(ledger, account);
    }
    pthread_mutex_unlock(&ledger->lock);
}
