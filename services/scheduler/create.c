/* Creates, several in one commit. */
#include "services/scheduler/admission.h"
#include "services/scheduler/allowance.h"
#include "services/scheduler/artifacts.h"
#include "services/scheduler/audit.h"
#include "services/scheduler/create_round.h"
#include "services/scheduler/done_request.h"
#include "services/scheduler/names.h"
#include "services/scheduler/tiers.h"
#include "services/scheduler/workloads.h"
#include "shared/base/log.h"

/* So often a create is tried; the first times together with others. */
enum { CREATE_ATTEMPTS = 8, GROUP_ATTEMPTS = 2 };

/* A repeated create: the same account and the same manifest mean the same request. What was done
 * by this very request is its answer also when it was changed or deleted since. */
static struct error *answer_existing(const Coffer__V1__Workload *workload,
                                     const Coffer__V1__CreateWorkloadRequest *request, bool repeat)
{
    uint8_t digest[MANIFEST_SHA256_SIZE];

    manifest_hash(request->manifest.data, request->manifest.len, digest);
    const bool same = workload->manifest_sha256.len == sizeof(digest) &&
                      memcmp(workload->manifest_sha256.data, digest, sizeof(digest)) == 0 &&
                      workload->desired != COFFER__V1__DESIRED_STATE__DESIRED_DELETED;
    if (strcmp(workload->account_id, request->account_id) == 0 && (same || repeat))
        return NULL;
    return error_new(ERROR_ALREADY_EXISTS, "workload '%s' exists already", request->workload_id);
}

static Coffer__V1__Workload *new_workload(struct change *change,
                                          const Coffer__V1__CreateWorkloadRequest *request,
                                          const struct manifest *manifest)
{
    Coffer__V1__Workload *workload = arena_alloc(change->arena, sizeof(*workload));
    uint8_t digest[MANIFEST_SHA256_SIZE];

    coffer__v1__workload__init(workload);
    manifest_hash(request->manifest.data, request->manifest.len, digest);
    workload->workload_id = request->workload_id;
    workload->account_id = request->account_id;
    workload->name = request->name;
    workload->desired = COFFER__V1__DESIRED_STATE__DESIRED_RUNNING;
    workload->generation = 1;
    workload->resources = request->resources;
    workload->image_version = request->image_version;
    workload->domain = request->domain;
    workload->manifest_sha256 = arena_bytes(change->arena, digest, sizeof(digest));
    workload->created_at_ms = clock_wall_ms(change->scheduler->clock);
    workload->updated_at_ms = workload->created_at_ms;
    workload->public_service = arena_strdup(change->arena, manifest->public_service);
    workload->public_port = manifest->public_port;
    return workload;
}

static void put_input(struct change *change, const Coffer__V1__CreateWorkloadRequest *request)
{
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;

    input.manifest = request->manifest;
    input.compose = request->compose;
    input.files = request->files;
    input.n_files = request->n_files;
    input.sealed_secrets = request->sealed_secrets;
    change_put(change, KEY_WORKLOAD_INPUT, request->workload_id, 0, &input.base, 0);
}

/* What was accepted before this one in the round counts, with or without an allowance. */
static struct error *find_account(struct round *round, const char *account_id,
                                  struct account **ret_account)
{
    struct account *account = round->accounts;

    while (account && strcmp(account->account_id, account_id) != 0)
        account = account->next;
    *ret_account = account;
    if (account)
        return NULL;
    account = arena_alloc(round->arena, sizeof(*account));
    struct error *err = usage_load(round->scheduler, account_id, round->arena, &account->usage);
    if (err)
        return err;
    for (size_t i = 0; i < round->n; i++) {
        const struct item *item = round->items[i];
        if (item->accepted && strcmp(item->workload->account_id, account_id) == 0)
            usage_add(&account->usage, item->workload->resources,
                      item->workload->usd_micros_per_minute);
    }
    account->account_id = account_id;
    account->next = round->accounts;
    round->accounts = account;
    *ret_account = account;
    return NULL;
}

static struct error *check_allowance(struct round *round, const struct item *item)
{
    const Coffer__V1__Allowance *allowance = item->creation->request->allowance;
    struct account *account;

    if (!allowance)
        return NULL;
    struct error *err = find_account(round, item->workload->account_id, &account);
    if (err)
        return err;
    struct usage with = account->usage;
    usage_add(&with, item->workload->resources, item->workload->usd_micros_per_minute);
    return usage_check(&with, item->workload->usd_micros_per_minute, allowance);
}

static void count_accepted(struct round *round, const struct item *item)
{
    for (struct account *account = round->accounts; account; account = account->next)
        if (strcmp(account->account_id, item->workload->account_id) == 0)
            usage_add(&account->usage, item->workload->resources,
                      item->workload->usd_micros_per_minute);
}

static struct name_taker taker_of(const Coffer__V1__CreateWorkloadRequest *request)
{
    return (struct name_taker){request->domain, request->workload_id, request->account_id};
}

static struct asked asked_of(const struct item *item)
{
    const Coffer__V1__CreateWorkloadRequest *request = item->creation->request;

    return (struct asked){request->request_id, request->audit};
}

/* Whether the image version and the size are to be had today, and at what price. */
static struct error *check_offer(struct round *round, const struct item *item,
                                 const struct store_record *of, uint64_t *ret_price)
{
    const Coffer__V1__CreateWorkloadRequest *request = item->creation->request;
    Coffer__V1__WorkloadTier *tier;
    struct error *err =
        artifact_check_record(&of[OF_ARTIFACT], request->image_version, round->arena);

    err = err ?: tier_find(round->tiers, request->resources, &tier);
    const struct name_taker taker = taker_of(request);
    err = err ?: name_check(round->scheduler, &of[OF_DOMAIN], &taker, round->arena);
    if (!err)
        *ret_price = tier ? tier->usd_micros_per_minute : 0;
    return err;
}

/* Record, input, domain, indexes and the first two events; the host is the round's. */
static struct error *admit(struct round *round, struct item *item, const struct store_record *of)
{
    const Coffer__V1__CreateWorkloadRequest *request = item->creation->request;
    const char *id = request->workload_id;
    struct update update = {.scheduler = round->scheduler, .arena = round->arena};
    struct change *change = &update.change;
    uint64_t price;
    struct error *err = check_offer(round, item, of, &price);

    if (err)
        return err;
    change_init(change, round->scheduler, round->arena);
    item->workload = update.workload = new_workload(change, request, item->manifest);
    update.workload->usd_micros_per_minute = price;
    err = check_allowance(round, item);
    err = err ?: fleet_reserve(&round->fleet, change, update.workload);
    if (err)
        return err;
    change_workload_event(change, update.workload, "created", SOURCE_USER, NULL);
    err = workload_move(&update, TRIGGER_CREATE, SOURCE_USER, NULL);
    if (err)
        return err;
    put_input(change, request);
    const struct name_taker taker = taker_of(request);
    name_take(change, &taker, of[OF_DOMAIN].version);
    change_index(change, KEY_WORKLOADS, "", id, false);
    change_index(change, KEY_WORKLOADS_OF, request->account_id, id, false);
    change_put(change, KEY_WORKLOAD, id, 0, &update.workload->base, 0);
    change_count(change, update.workload, false);
    const struct asked asked = asked_of(item);
    done_request_note(change, &asked, id);
    change_add(&round->change, change);
    item->audited = request->audit != NULL;
    item->accepted = true;
    count_accepted(round, item);
    return NULL;
}

static bool is_postponed(const struct round *round, size_t at)
{
    const Coffer__V1__CreateWorkloadRequest *request = round->items[at]->creation->request;

    for (size_t i = 0; i < at; i++) {
        const Coffer__V1__CreateWorkloadRequest *earlier = round->items[i]->creation->request;
        if (round->items[i]->accepted && (strcmp(earlier->workload_id, request->workload_id) == 0 ||
                                          strcmp(earlier->domain, request->domain) == 0))
            return true;
    }
    return false;
}

static struct error *judge(struct round *round, struct item *item, const struct store_record *of)
{
    const struct store_record *record = &of[OF_WORKLOAD];
    const struct asked asked = asked_of(item);
    const struct done_request before = done_request_of(item->done, &asked);
    void *existing;

    if (!record->version && before.done)
        return error_new(ERROR_ALREADY_EXISTS, "workload '%s' existed, and is deleted",
                         item->creation->request->workload_id);
    if (!record->version)
        return admit(round, item, of);
    struct error *err =
        record_read(record, &coffer__v1__workload__descriptor, round->arena, &existing);
    item->workload = existing;
    item->audited = before.audited;
    return err ?: answer_existing(existing, item->creation->request, before.done);
}

static struct error *run_round(struct round *round)
{
    struct error *err = round_read(round);

    if (err)
        return err;
    change_init(&round->change, round->scheduler, round->arena);
    for (size_t i = 0; i < round->n; i++) {
        struct item *item = round->items[i];
        item->postponed = is_postponed(round, i);
        if (!item->postponed)
            item->err = judge(round, item, round->records + i * RECORDS_OF_ITEM);
    }
    fleet_put(&round->fleet, &round->change);
    return change_commit(&round->change);
}

/* A judgement counts only with the commit: it was made with all that came before it. */
static void settle(struct item *item)
{
    item->settled = !item->postponed;
    if (!item->settled)
        return;
    item->creation->err = TAKE_PTR(item->err);
    item->creation->workload = item->creation->err ? NULL : item->workload;
    item->creation->audited = !item->creation->err && item->audited;
}

static void forget_judgement(struct item *item)
{
    error_free(TAKE_PTR(item->err));
    item->workload = NULL;
    item->audited = false;
    item->accepted = false;
}

/* All end with the same error. */
static void fail(struct item **items, size_t n, enum error_code code, const struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        items[i]->settled = true;
        items[i]->creation->err =
            error_set_reason(error_new(code, "%s", error_text(err)), error_reason(err));
    }
}

/* Another scheduler has taken over: nothing will be written any more. */
static bool is_over(struct scheduler *scheduler)
{
    uint64_t term = 0;
    _cleanup_(error_freep) struct error *err = store_get_term(scheduler->store, &term);

    return !err && term > scheduler->term;
}

/* One round over these; *group becomes 1 when they get into each other's way. */
static void attempt(struct scheduler *scheduler, struct item **items, size_t n, struct arena *arena,
                    size_t *group)
{
    struct round round = {.scheduler = scheduler, .arena = arena, .items = items, .n = n};
    _cleanup_(error_freep) struct error *err = run_round(&round);
    enum error_code code = error_get_code(err);

    for (size_t i = 0; i < n; i++) {
        if (!err)
            settle(items[i]);
        if (err || items[i]->postponed)
            forget_judgement(items[i]);
        items[i]->aborted += code == ERROR_ABORTED;
    }
    if (!err)
        return;
    bool again =
        code == ERROR_ABORTED ? items[0]->aborted < CREATE_ATTEMPTS && !is_over(scheduler) : n > 1;
    if (code == ERROR_UNAVAILABLE || code == ERROR_DEADLINE_EXCEEDED || !again)
        fail(items, n, code == ERROR_ABORTED ? ERROR_UNAVAILABLE : code, err);
    else if (code != ERROR_ABORTED || items[0]->aborted >= GROUP_ATTEMPTS)
        *group = 1;
}

static size_t pick(struct item *items, size_t n, size_t most, struct item **ret_picked)
{
    size_t picked = 0;

    for (size_t i = 0; i < n && picked < most; i++)
        if (!items[i].settled)
            ret_picked[picked++] = &items[i];
    return picked;
}

static void tell_created(struct scheduler *scheduler, const struct item *item)
{
    const Coffer__V1__Workload *workload = item->creation->workload;

    if (!workload || !item->accepted)
        return;
    log_info("workload created", "workload", workload->workload_id, "host", workload->host_id);
    scheduler_kick_workload(scheduler, workload->workload_id);
}

void workloads_create(struct scheduler *scheduler, struct creation *creations, size_t n,
                      struct arena *arena)
{
    struct item *items = arena_alloc(arena, (n + 1) * sizeof(*items));
    struct item **picked = arena_alloc(arena, (n + 1) * sizeof(struct item *));
    size_t group = n;

    for (size_t i = 0; i < n; i++) {
        struct creation *creation = &creations[i];
        creation->workload = NULL;
        creation->audited = false;
        creation->err = audit_check(creation->request->audit);
        creation->err = creation->err ?: done_request_check(creation->request->request_id);
        creation->err =
            creation->err
                ?: admission_check(scheduler, creation->request, arena, &items[i].manifest);
        items[i].creation = creation;
        items[i].settled = creation->err != NULL;
    }
    for (;;) {
        size_t n_picked = pick(items, n, group, picked);
        if (!n_picked)
            break;
        attempt(scheduler, picked, n_picked, arena, &group);
    }
    for (size_t i = 0; i < n; i++)
        tell_created(scheduler, &items[i]);
}

struct error *workload_create(struct scheduler *scheduler,
                              const Coffer__V1__CreateWorkloadRequest *request, struct arena *arena,
                              Coffer__V1__WorkloadReply *reply)
{
    struct creation creation = {.request = request};

    workloads_create(scheduler, &creation, 1, arena);
    if (creation.err)
        return creation.err;
    reply->workload = creation.workload;
    reply->audited = creation.audited;
    return NULL;
}
