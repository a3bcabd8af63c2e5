/* Updates of a domain name, and the name server behind it. */
#include "services/scheduler/test_kit_update.h"

static const char *owner_of(struct kit *kit, const char *domain)
{
    struct store_record record;

    kit_ok(store_get(kit->store, arena_printf(kit->arena, KEY_DOMAIN "%s", domain), kit->arena,
                     &record));
    return arena_printf(kit->arena, "%.*s", (int)record.value.len, (const char *)record.value.data);
}

static void test_domain_moves_and_dns_follows(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_app app = kit_same_app;
    kit_run_workload(kit, "w1", &guest);
    app.domain = "new." KIT_DOMAIN;
    kit_ok(kit_update(kit, &app));
    assert_string_equal(owner_of(kit, "new." KIT_DOMAIN), "w1");
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "-");
    dns_memory_fail(kit->dns, true);
    kit_tick(kit);
    dns_memory_fail(kit->dns, false);
    assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.1");
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    assert_string_equal(dns_memory_find(kit->dns, "new." KIT_DOMAIN), "192.0.2.1");
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "");
    /* The old name is the account's; another workload that takes it keeps its record. */
    app.domain = "third." KIT_DOMAIN;
    kit_ok(kit_update(kit, &app));
    Coffer__V1__CreateWorkloadRequest *other = kit_create_request(kit, "w2");
    other->domain = (char *)"new." KIT_DOMAIN;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &other->base, NULL));
    kit_tick(kit);
    assert_string_equal(dns_memory_find(kit->dns, "new." KIT_DOMAIN), "192.0.2.1");
    /* There and back before a pass, then the end: no name is left. */
    app.domain = "fourth." KIT_DOMAIN;
    kit_ok(kit_update(kit, &app));
    app.domain = "third." KIT_DOMAIN;
    kit_ok(kit_update(kit, &app));
    kit_tick(kit);
    assert_string_equal(dns_memory_find(kit->dns, "third." KIT_DOMAIN), "192.0.2.1");
    app.domain = "fifth." KIT_DOMAIN;
    kit_ok(kit_update(kit, &app));
    kit_ok(kit_wish(kit, "delete", "w1"));
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&kit->clock, 5000);
        kit_tick(kit);
    }
    assert_int_equal(kit_status(kit, "w1"), STATUS_DELETED);
    assert_null(dns_memory_find(kit->dns, "third." KIT_DOMAIN));
    assert_null(dns_memory_find(kit->dns, "fifth." KIT_DOMAIN));
}

/* A name server that refuses one name and takes all others. */
struct picky_dns {
    struct dns base;
    struct dns *inner;
    const char *refused;
    unsigned removals; /* that were asked for */
};

static struct error *refusal_of(struct dns *dns, const char *name)
{
    if (strcmp(name, ((struct picky_dns *)dns)->refused) != 0)
        return NULL;
    return error_new(ERROR_PERMISSION_DENIED, "name server refused the update");
}

static struct error *picky_set(struct dns *dns, const char *name, const char *address)
{
    return refusal_of(dns, name) ?: dns_set(((struct picky_dns *)dns)->inner, name, address);
}

static struct error *picky_remove(struct dns *dns, const char *name)
{
    ((struct picky_dns *)dns)->removals++;
    return refusal_of(dns, name) ?: dns_remove(((struct picky_dns *)dns)->inner, name);
}

static const struct dns_ops picky_ops = {.set = picky_set, .remove = picky_remove};

static void test_a_name_that_is_refused_holds_up_no_other(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns = {{&picky_ops}, kit->dns, "ns." KIT_DOMAIN, 0};
    struct kit_app app = kit_same_app;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit->scheduler->dns = &dns.base;
    app.domain = "ns." KIT_DOMAIN;
    kit_ok(kit_update(kit, &app));
    kit_tick(kit);
    kit_create(kit, "w2");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w2." KIT_DOMAIN));
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    /* The same of one that is to go: w1's other names go and come. */
    app.domain = "good." KIT_DOMAIN;
    kit_ok(kit_update(kit, &app));
    kit_tick(kit);
    kit_create(kit, "w3");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w3." KIT_DOMAIN));
    assert_non_null(dns_memory_find(kit->dns, "good." KIT_DOMAIN));
    assert_string_equal(owner_of(kit, "ns." KIT_DOMAIN), "-");
    dns.refused = "";
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_string_equal(owner_of(kit, "ns." KIT_DOMAIN), "");
    kit->scheduler->dns = kit->dns;
}

/* Each attempt at a server that is away takes seconds: one is enough for all that end meanwhile. */
static void test_deletes_wait_for_the_name_server_together(void **state)
{
    static const char *const ids[] = {"w1", "w2", "w3"};
    struct kit *kit = *state;
    struct picky_dns dns = {{&picky_ops}, kit->dns, "", 0};
    kit_tick(kit);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        kit_create(kit, ids[i]);
    kit_tick(kit);
    kit_tick(kit);
    kit->scheduler->dns = &dns.base;
    dns_memory_fail(kit->dns, true);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        kit_ok(kit_wish(kit, "delete", ids[i]));
    kit_tick(kit);
    assert_int_equal(dns.removals, 1);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        assert_int_equal(kit_status(kit, ids[i]), STATUS_DELETED);
    dns_memory_fail(kit->dns, false);
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        const char *name = arena_printf(kit->arena, "%s.%s", ids[i], KIT_DOMAIN);
        assert_null(dns_memory_find(kit->dns, name));
        assert_string_equal(owner_of(kit, name), "");
    }
    kit->scheduler->dns = kit->dns;
}

static struct error *create_for(struct kit *kit, const char *id, const char *account,
                                const char *domain)
{
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, id);

    request->account_id = (char *)account;
    request->domain = (char *)domain;
    return kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL);
}

/* "w1", deleted, with a name that the server does not let go. */
static void delete_refused(struct kit *kit, struct picky_dns *ret_dns)
{
    *ret_dns = (struct picky_dns){{&picky_ops}, kit->dns, "w1." KIT_DOMAIN, 0};
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    kit->scheduler->dns = &ret_dns->base;
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_tick(kit);
}

static Coffer__V1__LeavingName *leaving_of(struct kit *kit, const char *name)
{
    Coffer__V1__LeavingName *leaving;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_LEAVING_NAME, name,
                       &coffer__v1__leaving_name__descriptor, kit->arena, &leaving, &version));
    return leaving;
}

static void test_a_name_that_stays_holds_up_no_deletion(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns;
    delete_refused(kit, &dns);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DELETED);
    assert_int_equal(dns.removals, 1);
    /* Who looks sees why. */
    const Coffer__V1__LeavingName *leaving = leaving_of(kit, "w1." KIT_DOMAIN);
    assert_string_equal(leaving->account_id, "acme");
    assert_non_null(strstr(leaving->reason, "name server refused the update"));
    const Coffer__V1__WorkloadEvent *event = kit_last_event(kit, "w1", "warning");
    assert_string_equal(event->code, "name_not_removed");
    assert_non_null(strstr(event->message, "w1." KIT_DOMAIN));
    /* Nobody else gets it, also by a plan, also after a restart. */
    struct error *err = create_for(kit, "w2", "other", "w1." KIT_DOMAIN);
    assert_string_equal(error_reason(err), "domain_taken");
    kit_code(err, ERROR_ALREADY_EXISTS);
    kit_restart_scheduler(kit);
    kit->scheduler->dns = &dns.base;
    kit_tick(kit);
    kit_code(create_for(kit, "w2", "other", "w1." KIT_DOMAIN), ERROR_ALREADY_EXISTS);
    Coffer__V1__PlanWorkloadRequest request = kit_plan_request(kit);
    Coffer__V1__PlanWorkloadReply *reply;
    request.domain = (char *)"w1." KIT_DOMAIN;
    request.account_id = (char *)"other";
    kit_ok(kit_call(kit, "svc.scheduler.workload.plan", &request.base, &reply));
    assert_string_equal(reply->refusal_code, "domain_taken");
    /* Gone at last: it is anybody's. */
    dns.refused = "";
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    assert_null(leaving_of(kit, "w1." KIT_DOMAIN));
    kit_ok(create_for(kit, "w2", "other", "w1." KIT_DOMAIN));
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    kit->scheduler->dns = kit->dns;
}

static void test_a_name_that_stays_is_asked_for_less_and_less(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns;
    unsigned events = 0;
    delete_refused(kit, &dns);
    for (int hour = 0; hour < 12; hour++)
        for (int i = 0; i < 60; i++) {
            clock_fake_advance(&kit->clock, 60000);
            kit_tick(kit);
        }
    assert_in_range(dns.removals, 12 + 4, 12 + 10);
    for (const char *at = kit_events(kit, "w1"); (at = strstr(at, "warning")); at++)
        events++;
    assert_int_equal(events, 1);
    kit->scheduler->dns = kit->dns;
}

/* Also where a pass is at it with what it read before. */
static void test_a_name_that_is_taken_again_keeps_its_record(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns;
    delete_refused(kit, &dns);
    kit_ok(create_for(kit, "w2", "acme", "w1." KIT_DOMAIN));
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "w2");
    assert_null(leaving_of(kit, "w1." KIT_DOMAIN));
    dns.refused = "";
    snprintf(kit->hosts[0].public_address, sizeof(kit->hosts[0].public_address), "192.0.2.77");
    snprintf(kit->hosts[1].public_address, sizeof(kit->hosts[1].public_address), "192.0.2.77");
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&kit->clock, 10000);
        kit_tick(kit);
        assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.77");
    }
    assert_int_equal(dns.removals, 1);
    kit->scheduler->dns = kit->dns;
}

/* The answer of the name server takes its time, and meanwhile somebody takes the name. */
struct slow_dns {
    struct dns base;
    struct kit *kit;
    struct error *(*meanwhile)(struct kit *kit); /* once, as the server is asked; NULL: nothing */
};

static struct error *slow_set(struct dns *dns, const char *name, const char *address)
{
    struct slow_dns *slow = (struct slow_dns *)dns;
    struct error *(*meanwhile)(struct kit * kit) = slow->meanwhile;
    struct error *err = dns_set(slow->kit->dns, name, address);

    slow->meanwhile = NULL;
    return err || !meanwhile ? err : meanwhile(slow->kit);
}

static struct error *slow_remove(struct dns *dns, const char *name)
{
    struct slow_dns *slow = (struct slow_dns *)dns;
    struct error *(*meanwhile)(struct kit * kit) = slow->meanwhile;

    slow->meanwhile = NULL;
    struct error *err = meanwhile ? meanwhile(slow->kit) : NULL;
    return err ?: dns_remove(slow->kit->dns, name);
}

static const struct dns_ops slow_ops = {.set = slow_set, .remove = slow_remove};

static struct error *take_again(struct kit *kit)
{
    return create_for(kit, "w2", "acme", "w1." KIT_DOMAIN);
}

static void test_a_name_that_is_taken_again_while_it_goes(void **state)
{
    struct kit *kit = *state;
    struct slow_dns dns = {{&slow_ops}, kit, take_again};
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit->scheduler->dns = &dns.base;
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_tick(kit); /* the server is asked, and then w2 is there */
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "w2");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    kit->scheduler->dns = kit->dns;
}

static struct error *give_up(struct kit *kit)
{
    struct kit_app app = kit_same_app;

    app.domain = "new." KIT_DOMAIN;
    return kit_update(kit, &app);
}

static void test_a_name_that_is_given_up_while_it_comes(void **state)
{
    struct kit *kit = *state;
    struct slow_dns dns = {{&slow_ops}, kit, give_up};
    kit->scheduler->dns = &dns.base;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_tick(kit);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    assert_non_null(dns_memory_find(kit->dns, "new." KIT_DOMAIN));
    kit->scheduler->dns = kit->dns;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_domain_moves_and_dns_follows),
        KIT_TEST(test_a_name_that_stays_holds_up_no_deletion),
        KIT_TEST(test_a_name_that_stays_is_asked_for_less_and_less),
        KIT_TEST(test_a_name_that_is_taken_again_keeps_its_record),
        KIT_TEST(test_a_name_that_is_taken_again_while_it_goes),
        KIT_TEST(test_a_name_that_is_given_up_while_it_comes),
        KIT_TEST(test_a_name_that_is_refused_holds_up_no_other),
        KIT_TEST(test_deletes_wait_for_the_name_server_together),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
