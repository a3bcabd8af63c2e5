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
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "");
    dns_memory_fail(kit->dns, true);
    kit_tick(kit);
    dns_memory_fail(kit->dns, false);
    assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.1");
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    assert_string_equal(dns_memory_find(kit->dns, "new." KIT_DOMAIN), "192.0.2.1");
    assert_int_equal(kit_workload(kit, "w1")->n_former_domains, 0);
    /* The old name is free; another workload that takes it keeps its record. */
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

static void test_a_name_that_is_refused_holds_up_no_other(void **state)
{
    static const struct dns_ops ops = {.set = picky_set, .remove = picky_remove};
    struct kit *kit = *state;
    struct picky_dns dns = {{&ops}, kit->dns, "ns." KIT_DOMAIN, 0};
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
    dns.refused = "";
    kit_tick(kit);
    assert_int_equal(kit_workload(kit, "w1")->n_former_domains, 0);
    kit->scheduler->dns = kit->dns;
}

/* Each attempt at a server that is away takes seconds: one is enough for all that end meanwhile. */
static void test_deletes_wait_for_the_name_server_together(void **state)
{
    static const struct dns_ops ops = {.set = picky_set, .remove = picky_remove};
    static const char *const ids[] = {"w1", "w2", "w3"};
    struct kit *kit = *state;
    struct picky_dns dns = {{&ops}, kit->dns, "", 0};
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
    dns_memory_fail(kit->dns, false);
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        assert_int_equal(kit_status(kit, ids[i]), STATUS_DELETED);
    assert_null(dns_memory_find(kit->dns, "w3." KIT_DOMAIN));
    kit->scheduler->dns = kit->dns;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_domain_moves_and_dns_follows),
        KIT_TEST(test_a_name_that_is_refused_holds_up_no_other),
        KIT_TEST(test_deletes_wait_for_the_name_server_together),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
