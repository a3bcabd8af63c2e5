/*
 * What must hold after any sequence of creates in groups, wishes, updates, losses and restarts, and
 * that a plan tells what the very next create or update meets. Sequences are random and come from
 * fixed seeds; a failure names its seed and step.
 */
#include "schemas/catalog.pb-c.h"
#include "services/scheduler/allowance.h"
#include "services/scheduler/names.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit.h"
#include "services/scheduler/test_store.h"
#include "services/scheduler/workloads.h"
#include "shared/manifest/manifest.h"

#define OTHER_IMAGE "2.0"

enum { IDS = 9, GROUP = 5, STEPS = 70 };

struct world {
    struct kit *kit;
    struct test_store store;
    uint64_t random;
    unsigned seed, step;
    struct arena *arena; /* of a step */
};

static const char *const accounts[] = {"acme", "other"};

static unsigned below(struct world *world, unsigned n)
{
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(world->random >> 33) % n;
}

#define HOLDS(world, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("seed %u step %u: ", (world)->seed, (world)->step);                        \
            fail_msg(__VA_ARGS__);                                                                 \
        }                                                                                          \
    } while (0)

static const char *id_of(struct world *world, unsigned i)
{
    return arena_printf(world->kit->arena, "w%u", i);
}

/* What an account may have: often little, sometimes everything. */
static Coffer__V1__Allowance *allowance_of(struct world *world)
{
    Coffer__V1__Allowance *allowance = arena_alloc(world->kit->arena, sizeof(*allowance));

    if (below(world, 4) == 0)
        return NULL;
    coffer__v1__allowance__init(allowance);
    allowance->workloads = below(world, 5);
    allowance->cpus = below(world, 2) ? 1 + below(world, 8) : 0;
    return allowance;
}

/* The other image in the manifest, for a quarter of the requests. */
static void change_image(struct world *world, ProtobufCBinaryData *manifest, char **image_version)
{
    _cleanup_buffer_ struct buffer json = {0};
    struct manifest *changed;

    if (below(world, 4))
        return;
    kit_ok(manifest_parse(manifest->data, manifest->len, world->kit->arena, &changed));
    changed->image_version = OTHER_IMAGE;
    kit_ok(manifest_write(changed, &json));
    *manifest = arena_bytes(world->kit->arena, json.data, json.size);
    *image_version = (char *)OTHER_IMAGE;
}

static Coffer__V1__CreateWorkloadRequest *create_request(struct world *world)
{
    Coffer__V1__CreateWorkloadRequest *request =
        kit_create_request(world->kit, id_of(world, below(world, IDS)));

    request->account_id = (char *)accounts[below(world, 2)];
    request->resources->cpus = 1 + below(world, 3);
    request->resources->memory_mib = 512 * (1 + below(world, 5));
    if (below(world, 6) == 0)
        request->domain = arena_printf(world->kit->arena, "w%u." KIT_DOMAIN, below(world, IDS));
    change_image(world, &request->manifest, &request->image_version);
    if (below(world, 12) == 0)
        request->manifest = arena_bytes(world->kit->arena, "{}", 2);
    return request;
}

static bool is_there(const Coffer__V1__Workload *workload)
{
    return workload && workload->status != COFFER__V1__WORKLOAD_STATUS__DELETED;
}

static struct usage usage_of(struct world *world, const char *account_id)
{
    struct usage usage = {0};

    for (unsigned i = 0; i < IDS; i++) {
        const Coffer__V1__Workload *workload = kit_workload(world->kit, id_of(world, i));
        if (is_there(workload) && strcmp(workload->account_id, account_id) == 0 &&
            usage_counts(workload))
            usage_add(&usage, workload->resources, workload->usd_micros_per_minute);
    }
    return usage;
}

/* Each host's sum and index are what the workloads' records say, and never more than there is. */
static void check_host(struct world *world, const struct kit_host *kit_host)
{
    const Coffer__V1__Host *host = kit_host_record(world->kit, kit_host->id);
    uint32_t cpus = 0;
    uint64_t memory_mib = 0;
    size_t n = 0;
    const char **on;
    size_t n_on;

    for (unsigned i = 0; i < IDS; i++) {
        const Coffer__V1__Workload *workload = kit_workload(world->kit, id_of(world, i));
        if (!is_there(workload) || strcmp(workload->host_id, kit_host->id) != 0)
            continue;
        cpus += workload->resources->cpus;
        memory_mib += workload->resources->memory_mib;
        n++;
    }
    kit_ok(store_members(world->kit->store,
                         arena_printf(world->arena, "%s%s", KEY_WORKLOADS_ON, kit_host->id), 1000,
                         world->arena, &on, &n_on));
    HOLDS(world, n_on == n, "%s: index has %zu, records say %zu", kit_host->id, n_on, n);
    HOLDS(world, (host && host->used ? host->used->cpus : 0) == cpus, "%s: cpus", kit_host->id);
    HOLDS(world, (host && host->used ? host->used->memory_mib : 0) == memory_mib, "%s: memory",
          kit_host->id);
    HOLDS(world, cpus <= kit_host->total.cpus && memory_mib <= kit_host->total.memory_mib,
          "%s is over-committed", kit_host->id);
}

static void check_domains(struct world *world)
{
    for (unsigned i = 0; i < IDS; i++) {
        const Coffer__V1__Workload *workload = kit_workload(world->kit, id_of(world, i));
        bool its = true;
        if (is_there(workload))
            kit_ok(name_is_of(world->kit->scheduler, workload->domain, workload->workload_id,
                              world->arena, &its));
        HOLDS(world, its, "w%u does not have its domain", i);
    }
}

static void check_all(struct world *world)
{
    for (size_t i = 0; i < ELEMENTSOF(world->kit->hosts); i++)
        check_host(world, &world->kit->hosts[i]);
    check_domains(world);
    for (size_t i = 0; i < ELEMENTSOF(accounts); i++) {
        const struct usage records = usage_of(world, accounts[i]);
        struct usage ledger;
        kit_ok(usage_load(world->kit->scheduler, accounts[i], world->arena, &ledger));
        HOLDS(world, memcmp(&records, &ledger, sizeof(records)) == 0, "%s: the ledger is wrong",
              accounts[i]);
    }
}

static void check_allowance(struct world *world, const char *account_id,
                            const Coffer__V1__Allowance *allowance)
{
    const struct usage usage = usage_of(world, account_id);
    struct error *err = usage_check(&usage, 1, allowance);

    HOLDS(world, !err, "%s has more than allowed: %s", account_id, error_text(err));
}

/* Commits meet somebody quicker, heartbeats in between, and answers that are lost. */
static void beat(void *data)
{
    struct kit *kit = data;
    struct store *store = kit->scheduler->store;

    kit->scheduler->store = kit->store;
    kit_heartbeat(kit, 0);
    kit->scheduler->store = store;
}

static void make_trouble(struct world *world)
{
    test_store_init(&world->store, world->kit->store);
    world->store.aborts = below(world, 3) ? 0 : below(world, 4);
    world->store.lose_answer = below(world, 10) == 0;
    world->store.before_commit = below(world, 4) || world->kit->hosts[0].away ? NULL : beat;
    world->store.data = world->kit;
    world->kit->scheduler->store = &world->store.base;
}

static void end_trouble(struct world *world)
{
    world->kit->scheduler->store = world->kit->store;
}

static void step_group(struct world *world)
{
    struct creation creations[GROUP] = {0};
    size_t n = 1 + below(world, GROUP);
    Coffer__V1__Allowance *allowance = allowance_of(world);
    bool existed[GROUP];

    for (size_t i = 0; i < n; i++) {
        Coffer__V1__CreateWorkloadRequest *request = create_request(world);
        request->allowance = allowance;
        creations[i].request = request;
        existed[i] = kit_workload(world->kit, request->workload_id) != NULL;
    }
    make_trouble(world);
    workloads_create(world->kit->scheduler, creations, n, world->kit->arena);
    end_trouble(world);
    for (size_t i = 0; i < n; i++) {
        HOLDS(world, !creations[i].err == (creations[i].workload != NULL), "both or neither");
        if (!creations[i].err && !existed[i])
            check_allowance(world, creations[i].request->account_id, allowance);
        error_free(creations[i].err);
    }
}

static void step_wish(struct world *world)
{
    static const enum trigger triggers[] = {TRIGGER_START, TRIGGER_STOP, TRIGGER_RESTART,
                                            TRIGGER_DELETE};
    Coffer__V1__Workload *before = kit_workload(world->kit, id_of(world, below(world, IDS)));
    struct wish wish = {.trigger = triggers[below(world, 4)], .reason = ""};

    if (!before)
        return;
    const bool runs = wish.trigger == TRIGGER_START || wish.trigger == TRIGGER_RESTART;
    wish.workload_id = before->workload_id;
    wish.account_id = before->account_id;
    wish.allowance = runs ? allowance_of(world) : NULL;
    Coffer__V1__WorkloadReply reply = COFFER__V1__WORKLOAD_REPLY__INIT;
    make_trouble(world);
    struct error *err = workload_wish(world->kit->scheduler, &wish, world->kit->arena, &reply);
    end_trouble(world);
    const Coffer__V1__Workload *after = kit_workload(world->kit, before->workload_id);
    if (!err && runs && after->generation != before->generation)
        check_allowance(world, before->account_id, wish.allowance);
    error_free(err);
}

static Coffer__V1__PlanWorkloadReply *plan(struct world *world,
                                           const Coffer__V1__PlanWorkloadRequest *request)
{
    Coffer__V1__PlanWorkloadReply *reply = arena_alloc(world->arena, sizeof(*reply));

    coffer__v1__plan_workload_reply__init(reply);
    kit_ok(workload_plan(world->kit->scheduler, request, world->arena, reply));
    return reply;
}

static void compare(struct world *world, const Coffer__V1__PlanWorkloadReply *reply,
                    const struct error *err, const Coffer__V1__Workload *workload)
{
    HOLDS(world, strcmp(reply->refusal_code, error_reason(err)) == 0,
          "the plan said '%s' (%s), it is '%s' (%s)", reply->refusal_code, reply->refusal,
          error_reason(err), error_text(err));
    HOLDS(world, reply->admitted == !err, "the plan said %d, it is %s", reply->admitted,
          error_text(err));
    HOLDS(world, err || strcmp(reply->host_id, workload->host_id) == 0,
          "the plan said '%s', it went to '%s'", reply->host_id, workload->host_id);
}

static void step_planned_create(struct world *world)
{
    Coffer__V1__CreateWorkloadRequest *request = create_request(world);
    Coffer__V1__PlanWorkloadRequest plan_request = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;
    Coffer__V1__WorkloadReply made = COFFER__V1__WORKLOAD_REPLY__INIT;

    if (kit_workload(world->kit, request->workload_id) || request->manifest.len == 2)
        return;
    request->allowance = allowance_of(world);
    plan_request.account_id = request->account_id;
    plan_request.resources = request->resources;
    plan_request.image_version = request->image_version;
    plan_request.domain = request->domain;
    plan_request.allowance = request->allowance;
    const Coffer__V1__PlanWorkloadReply *reply = plan(world, &plan_request);
    struct error *err = workload_create(world->kit->scheduler, request, world->kit->arena, &made);
    compare(world, reply, err, made.workload);
    error_free(err);
}

static Coffer__V1__UpdateWorkloadRequest *update_request(struct world *world,
                                                         const Coffer__V1__Workload *workload)
{
    const Coffer__V1__CreateWorkloadRequest *create =
        kit_create_request(world->kit, workload->workload_id);
    Coffer__V1__UpdateWorkloadRequest *request = arena_alloc(world->kit->arena, sizeof(*request));

    coffer__v1__update_workload_request__init(request);
    request->workload_id = create->workload_id;
    request->account_id = workload->account_id;
    request->name = arena_printf(world->kit->arena, "step %u", world->step);
    request->manifest = create->manifest;
    request->compose = create->compose;
    request->files = create->files;
    request->n_files = create->n_files;
    request->image_version = create->image_version;
    change_image(world, &request->manifest, &request->image_version);
    request->domain = below(world, 3)
                          ? workload->domain
                          : arena_printf(world->kit->arena, "w%u." KIT_DOMAIN, below(world, IDS));
    request->allowance = allowance_of(world);
    return request;
}

static void step_planned_update(struct world *world)
{
    Coffer__V1__Workload *before = kit_workload(world->kit, id_of(world, below(world, IDS)));
    Coffer__V1__PlanWorkloadRequest plan_request = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;
    Coffer__V1__WorkloadReply made = COFFER__V1__WORKLOAD_REPLY__INIT;

    if (!before || before->desired == COFFER__V1__DESIRED_STATE__DESIRED_DELETED)
        return;
    Coffer__V1__UpdateWorkloadRequest *request = update_request(world, before);
    plan_request.workload_id = request->workload_id;
    plan_request.account_id = request->account_id;
    plan_request.image_version = request->image_version;
    plan_request.domain = request->domain;
    plan_request.allowance = request->allowance;
    const Coffer__V1__PlanWorkloadReply *reply = plan(world, &plan_request);
    struct error *err = workload_revise(world->kit->scheduler, request, world->kit->arena, &made);
    /* Former names that wait for their removal are no matter of a plan. */
    if (error_get_code(err) != ERROR_UNAVAILABLE)
        compare(world, reply, err, made.workload);
    if (err) {
        const Coffer__V1__Workload *after = kit_workload(world->kit, request->workload_id);
        HOLDS(world, after->generation == before->generation, "a refused update changed it");
    }
    error_free(err);
}

/* Some time, in which hosts speak that are not away. */
static void pass_time(struct world *world)
{
    struct kit *kit = world->kit;

    clock_fake_advance(&kit->clock, below(world, 4) ? 1000 : 30000);
    for (size_t i = 0; i < ELEMENTSOF(kit->hosts); i++)
        if (!kit->hosts[i].away)
            kit_heartbeat(kit, i);
    kit_ok(reconcile_pass(kit->scheduler));
}

static void allow_other_image(struct world *world, bool allowed)
{
    Coffer__V1__ArtifactRequest request = COFFER__V1__ARTIFACT_REQUEST__INIT;

    request.version = (char *)OTHER_IMAGE;
    kit_ok(kit_call(world->kit,
                    allowed ? "svc.scheduler.artifact.enable" : "svc.scheduler.artifact.disable",
                    &request.base, NULL));
}

static void step_weather(struct world *world)
{
    struct kit_host *host = &world->kit->hosts[below(world, 2)];

    if (below(world, 5) == 0)
        host->away = !host->away;
    if (below(world, 12) == 0)
        kit_restart_scheduler(world->kit);
    if (below(world, 4) == 0)
        host->extra_image = host->extra_image ? NULL : OTHER_IMAGE;
    if (below(world, 4) == 0)
        allow_other_image(world, below(world, 3));
    pass_time(world);
}

static void take_step(struct world *world)
{
    switch (below(world, 7)) {
    case 0:
        step_group(world);
        break;
    case 1:
        step_planned_create(world);
        break;
    case 2:
        step_planned_update(world);
        break;
    case 3:
    case 4:
        step_wish(world);
        break;
    default:
        step_weather(world);
    }
}

static void run(struct kit *kit, unsigned seed)
{
    struct world world = {.kit = kit, .random = seed, .seed = seed};

    kit_add_image(kit, OTHER_IMAGE);
    allow_other_image(&world, true);
    kit_tick(kit);
    for (world.step = 0; world.step < STEPS; world.step++) {
        world.arena = arena_new();
        take_step(&world);
        check_all(&world);
        arena_free(world.arena);
    }
}

static void test_what_holds_after_anything(void **state)
{
    static const unsigned seeds[] = {1, 2, 32};

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(seeds); i++) {
        void *kit = NULL;
        kit_setup(&kit);
        run(kit, seeds[i]);
        kit_teardown(&kit);
    }
}

/* Two things are in the way of an update: it names the one that its plan names. */
static void test_a_plan_and_its_update_name_the_same_refusal(void **state)
{
    struct kit *kit = *state;
    struct world world = {.kit = kit, .random = 1, .arena = kit->arena};
    Coffer__V1__PlanWorkloadRequest plan_request = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    Coffer__V1__WorkloadReply made = COFFER__V1__WORKLOAD_REPLY__INIT;

    kit_tick(kit);
    kit_create(kit, "w1");
    Coffer__V1__UpdateWorkloadRequest *request = update_request(&world, kit_create(kit, "w2"));
    allowance.workloads = 1;
    request->allowance = plan_request.allowance = &allowance;
    request->domain = plan_request.domain = (char *)"w1." KIT_DOMAIN;
    plan_request.workload_id = request->workload_id;
    plan_request.account_id = request->account_id;
    plan_request.image_version = request->image_version;
    assert_string_equal(plan(&world, &plan_request)->refusal_code, "domain_taken");
    struct error *err = workload_revise(kit->scheduler, request, kit->arena, &made);
    assert_string_equal(error_reason(err), "domain_taken");
    error_free(err);
}

static void add_tier(struct kit *kit)
{
    Coffer__V1__WorkloadTier tier = COFFER__V1__WORKLOAD_TIER__INIT;

    tier.tier_id = (char *)"11111111-1111-4111-8111-111111111111";
    tier.name = (char *)"small";
    tier.resources = kit_create_request(kit, "w1")->resources;
    tier.usd_micros_per_minute = 100;
    kit_ok(kit_call(kit, "svc.scheduler.tier.create", &tier.base, NULL));
}

/* What costs nothing may run on an empty account, whatever else it runs. */
static void test_the_balance_is_for_what_has_a_price(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    struct world world = {.kit = kit, .random = 1, .arena = kit->arena};
    Coffer__V1__PlanWorkloadRequest plan_request = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;
    struct wish wish = {
        .trigger = TRIGGER_RESTART, .account_id = "acme", .reason = "", .allowance = &allowance};
    Coffer__V1__WorkloadReply done = COFFER__V1__WORKLOAD_REPLY__INIT;

    allowance.limits_cost = true;
    kit_tick(kit);
    kit_create(kit, "free");
    add_tier(kit);
    kit_create(kit, "paid");
    wish.workload_id = "free";
    kit_ok(workload_wish(kit->scheduler, &wish, kit->arena, &done));
    plan_request.workload_id = (char *)"free";
    plan_request.account_id = (char *)"acme";
    plan_request.image_version = (char *)KIT_IMAGE;
    plan_request.allowance = &allowance;
    assert_true(plan(&world, &plan_request)->admitted);
    wish.workload_id = plan_request.workload_id = (char *)"paid";
    kit_code(workload_wish(kit->scheduler, &wish, kit->arena, &done), ERROR_FAILED_PRECONDITION);
    assert_string_equal(plan(&world, &plan_request)->refusal_code, "no_balance");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_holds_after_anything),
        KIT_TEST(test_the_balance_is_for_what_has_a_price),
        KIT_TEST(test_a_plan_and_its_update_name_the_same_refusal),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
