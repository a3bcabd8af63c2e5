/* One contract, every backend: in memory, and libvirt's in-process test driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "services/host-agent/hypervisor.h"
#include "services/host-agent/testdata/spec.h"

struct listener {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n;
};

struct fixture {
    struct hypervisor *hypervisor;
    struct listener listener;
    struct test_spec test;
    const char *id;
};

static void on_changed(void *data, const char *workload_id)
{
    struct listener *listener = data;

    if (!workload_id)
        return;
    pthread_mutex_lock(&listener->lock);
    listener->n++;
    pthread_cond_broadcast(&listener->changed);
    pthread_mutex_unlock(&listener->lock);
}

static void expect_change(struct listener *listener, int n)
{
    struct timespec limit;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    pthread_mutex_lock(&listener->lock);
    while (listener->n < n && rc == 0)
        rc = pthread_cond_timedwait(&listener->changed, &listener->lock, &limit);
    assert_true(listener->n >= n);
    pthread_mutex_unlock(&listener->lock);
}

static int setup(void **state, const char *uri)
{
    struct fixture *f = xnew(struct fixture);
    struct hypervisor_options options = {
        .uri = uri, .kvm = "auto", .changed = on_changed, .changed_data = &f->listener};

    pthread_mutex_init(&f->listener.lock, NULL);
    pthread_cond_init(&f->listener.changed, NULL);
    assert_null(hypervisor_open(&options, &f->hypervisor));
    test_spec_init(&f->test);
    f->test.spec.virt = DOMAIN_VIRT_TEST;
    f->test.spec.network = "default";
    f->id = f->test.facts.workload_id;
    *state = f;
    return 0;
}

static int setup_memory(void **state)
{
    return setup(state, "memory:");
}

static int setup_libvirt(void **state)
{
    return setup(state, "test:///default");
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_null(hypervisor_destroy(f->hypervisor, f->id));
    hypervisor_free(f->hypervisor);
    test_spec_done(&f->test);
    free(f);
    return 0;
}

static enum error_code code(struct error *err)
{
    enum error_code value = error_get_code(err);

    error_free(err);
    return value;
}

static void expect_running(struct fixture *f)
{
    struct hypervisor_domain domain;

    assert_null(hypervisor_find(f->hypervisor, f->id, &domain));
    assert_int_equal(domain.state, DOMAIN_RUNNING);
    assert_string_equal(domain.facts.workload_id, f->id);
    assert_int_equal(domain.facts.generation, 3);
    assert_int_equal(domain.facts.memory_mib, 2048);
    assert_memory_equal(domain.facts.manifest_sha256, f->test.facts.manifest_sha256, 32);
    assert_int_equal(domain.facts.n_domains, 2);
    assert_string_equal(domain.facts.domains[1], "www.example.org");
    assert_string_equal(domain.end_reason, "");
    hypervisor_domain_done(&domain);
}

static void test_starts_and_carries_its_facts(void **state)
{
    struct fixture *f = *state;

    assert_null(hypervisor_start(f->hypervisor, &f->test.spec));
    expect_change(&f->listener, 1);
    expect_running(f);
}

static void test_second_start_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_null(hypervisor_start(f->hypervisor, &f->test.spec));
    assert_int_equal(code(hypervisor_start(f->hypervisor, &f->test.spec)), ERROR_ALREADY_EXISTS);
    expect_running(f);
}

static void test_shut_down_domain_is_off_and_still_known(void **state)
{
    struct fixture *f = *state;
    struct hypervisor_domain domain;

    assert_null(hypervisor_start(f->hypervisor, &f->test.spec));
    expect_change(&f->listener, 1);
    assert_null(hypervisor_shutdown(f->hypervisor, f->id));
    expect_change(&f->listener, 2);
    assert_null(hypervisor_find(f->hypervisor, f->id, &domain));
    assert_int_equal(domain.state, DOMAIN_OFF);
    assert_string_equal(domain.address, "");
    assert_string_equal(domain.end_reason, "the guest powered off");
    hypervisor_domain_done(&domain);
    assert_int_equal(code(hypervisor_shutdown(f->hypervisor, f->id)), ERROR_FAILED_PRECONDITION);
}

static void test_destroy_forgets_and_repeats(void **state)
{
    struct fixture *f = *state;
    struct hypervisor_domain domain;

    assert_null(hypervisor_start(f->hypervisor, &f->test.spec));
    assert_null(hypervisor_destroy(f->hypervisor, f->id));
    assert_int_equal(code(hypervisor_find(f->hypervisor, f->id, &domain)), ERROR_NOT_FOUND);
    assert_null(hypervisor_destroy(f->hypervisor, f->id));
    assert_int_equal(code(hypervisor_shutdown(f->hypervisor, f->id)), ERROR_NOT_FOUND);
    assert_null(hypervisor_start(f->hypervisor, &f->test.spec));
}

static void test_list_has_ours_only(void **state)
{
    struct fixture *f = *state;
    struct hypervisor_domain *domains;
    size_t n;

    assert_null(hypervisor_list(f->hypervisor, &domains, &n));
    assert_int_equal(n, 0); /* libvirt's test driver has a domain "test" that is not ours */
    hypervisor_domains_free(domains, n);
    assert_null(hypervisor_start(f->hypervisor, &f->test.spec));
    assert_null(hypervisor_list(f->hypervisor, &domains, &n));
    assert_int_equal(n, 1);
    assert_string_equal(domains[0].facts.workload_id, f->id);
    hypervisor_domains_free(domains, n);
}

static void test_bad_spec_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct hypervisor_domain *domains;
    size_t n;

    f->test.spec.cmdline = "a\nb";
    assert_int_equal(code(hypervisor_start(f->hypervisor, &f->test.spec)), ERROR_INVALID_ARGUMENT);
    assert_null(hypervisor_list(f->hypervisor, &domains, &n));
    assert_int_equal(n, 0);
    hypervisor_domains_free(domains, n);
}

static void test_describes_the_host(void **state)
{
    struct fixture *f = *state;
    struct hypervisor_host host;

    assert_null(hypervisor_describe(f->hypervisor, &host));
    assert_true(host.cpus > 0);
    assert_true(host.memory_mib > 0);
    assert_true(strlen(host.version) > 0);
}

static void test_unreachable_libvirt_is_unavailable(_unused_ void **state)
{
    struct hypervisor_options options = {.uri = "qemu+unix:///system?socket=/nonexistent",
                                         .kvm = "no"};
    struct hypervisor *hypervisor;
    struct hypervisor_host host;

    assert_null(hypervisor_open(&options, &hypervisor));
    assert_int_equal(code(hypervisor_describe(hypervisor, &host)), ERROR_UNAVAILABLE);
    hypervisor_free(hypervisor);
}

#define ON(backend, test)                                                                          \
    {                                                                                              \
#test " on " #backend, test, setup_##backend, teardown, NULL                               \
    }
#define CONTRACT(backend)                                                                          \
    ON(backend, test_starts_and_carries_its_facts), ON(backend, test_second_start_is_refused),     \
        ON(backend, test_shut_down_domain_is_off_and_still_known),                                 \
        ON(backend, test_destroy_forgets_and_repeats), ON(backend, test_list_has_ours_only),       \
        ON(backend, test_bad_spec_leaves_nothing), ON(backend, test_describes_the_host)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT(memory),
        CONTRACT(libvirt),
        cmocka_unit_test(test_unreachable_libvirt_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
