/* The verdict on the workload's health, and what it is made of. */
#include "services/guest-agent/health.h"
#include "services/guest-agent/stats.h"
#include "services/guest-agent/test_support.h"
#include "shared/base/file.h"

enum { NOW_MS = 10000000 };

static struct engine_container container(const char *state, int exit_code)
{
    return (struct engine_container){.id = "c1",
                                     .name = "app-web-1",
                                     .service = "web",
                                     .image = "hello:1",
                                     .image_id = "",
                                     .state = state,
                                     .health = "",
                                     .error = "",
                                     .exit_code = exit_code};
}

static struct health_verdict judge(const struct engine_container *containers, size_t n)
{
    const struct health_facts facts = {
        .containers = containers, .n_containers = n, .now_ms = NOW_MS};
    struct health_memory memory = {0};
    struct health_verdict verdict;

    health_judge(&facts, &memory, &verdict);
    return verdict;
}

static void test_states_of_a_container(void **state)
{
    static const struct {
        const char *state;
        int exit_code;
        bool restarts_itself;
        const char *health;
        bool healthy;
        bool lost;
        const char *words;
    } rows[] = {
        {"running", 0, false, "", true, false, ""},
        {"running", 0, false, "healthy", true, false, ""},
        {"running", 0, false, "starting", true, false, ""},
        {"running", 0, false, "unhealthy", false, false, "health check"},
        {"exited", 0, false, "", true, false, ""}, /* a job that is done */
        {"exited", 0, true, "", false, false, "is exited"},
        {"exited", 1, false, "", false, true, "exit code 1"},
        {"exited", 137, true, "", false, false, "exit code 137"},
        {"restarting", 1, true, "", false, false, "is restarting"},
        {"created", 0, false, "", false, false, "is created"},
        {"dead", 0, false, "", false, true, "is dead"},
        {"paused", 0, false, "", false, false, "is paused"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct engine_container one = container(rows[i].state, rows[i].exit_code);
        one.restarts_itself = rows[i].restarts_itself;
        one.health = rows[i].health;
        struct health_verdict verdict = judge(&one, 1);
        if (verdict.healthy != rows[i].healthy || health_is_lost(&one) != rows[i].lost ||
            !strstr(verdict.reason, rows[i].words))
            fail_msg("row %zu: healthy %d, lost %d, '%s'", i, verdict.healthy, health_is_lost(&one),
                     verdict.reason);
        assert_int_equal(verdict.worst != NULL, !rows[i].healthy);
    }
}

static void test_a_restart_counts_for_a_minute(void **state)
{
    struct engine_container one = container("running", 1);
    struct health_memory memory = {0};
    struct health_facts facts = {.containers = &one, .n_containers = 1, .now_ms = NOW_MS};
    struct health_verdict verdict;

    (void)state;
    health_judge(&facts, &memory, &verdict);
    assert_true(verdict.healthy);
    one.restarts = 3;
    health_judge(&facts, &memory, &verdict);
    assert_false(verdict.healthy);
    assert_non_null(strstr(verdict.reason, "restarted, 3 times"));
    facts.now_ms += HEALTH_RESTART_MEMORY - 1;
    health_judge(&facts, &memory, &verdict);
    assert_false(verdict.healthy);
    facts.now_ms += 2;
    health_judge(&facts, &memory, &verdict);
    assert_true(verdict.healthy);
}

static void test_certificates(void **state)
{
    static const struct {
        int64_t left_ms;
        const char *error;
        unsigned misses;
        const char *words;
    } rows[] = {
        {0, NULL, 0, ""}, /* none yet: not our matter before running */
        {90LL * 24 * 3600 * 1000, NULL, 0, ""},
        {5LL * 3600 * 1000, NULL, 0, "expires in 5 hours"},
        {-1, NULL, 0, "has expired"},
        {90LL * 24 * 3600 * 1000, "no certificate for 'x' yet", 1, ""},
        {90LL * 24 * 3600 * 1000, "no certificate for 'x' yet", 2, ""},
        {90LL * 24 * 3600 * 1000, "no certificate for 'x' yet", 3, "certificate: no certificate"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct health_facts facts = {.now_ms = NOW_MS,
                                           .certificate_not_after_ms =
                                               rows[i].left_ms ? NOW_MS + rows[i].left_ms : 0,
                                           .certificate_error = rows[i].error,
                                           .certificate_misses = rows[i].misses};
        struct health_memory memory = {0};
        struct health_verdict verdict;
        health_judge(&facts, &memory, &verdict);
        assert_int_equal(verdict.healthy, rows[i].words[0] == '\0');
        assert_non_null(strstr(verdict.reason, rows[i].words));
    }
}

static void test_many_troubles_stay_within_the_reason(void **state)
{
    struct engine_container all[ENGINE_CONTAINERS_MAX];
    char ids[ENGINE_CONTAINERS_MAX][8];

    (void)state;
    for (size_t i = 0; i < ENGINE_CONTAINERS_MAX; i++) {
        all[i] = container("exited", 1);
        all[i].error = "a long text that the engine gave as the reason";
        snprintf(ids[i], sizeof(ids[i]), "c%zu", i);
        all[i].id = ids[i];
    }
    struct health_verdict verdict = judge(all, ENGINE_CONTAINERS_MAX);
    assert_int_equal(strlen(verdict.reason), HEALTH_REASON_MAX - 1);
    assert_ptr_equal(verdict.worst, &all[0]);
}

static void write_proc(const char *dir, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    support_check(file_write_atomic(path, text, strlen(text), 0600));
}

static void test_figures_from_proc(void **state)
{
    char dir[] = "/tmp/test_health.XXXXXX";
    struct stats stats = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *self = xasprintf("%s/self", dir);
    support_check(dir_make(self, 0700));
    write_proc(dir, "meminfo", "MemTotal: 2048 kB\nMemFree: 1 kB\nMemAvailable: 1536 kB\n");
    write_proc(dir, "stat",
               "cpu  9 9 9 9\ncpu0 100 0 0 100 0 0 0 0\ncpu1 0 0 0 50 50 0 0 0\nintr 1\n");
    write_proc(dir, "cpuinfo", "cpu MHz\t\t: 2100.5\nx\ncpu MHz : 1999.9\n");
    write_proc(dir, "self/mounts",
               "proc /proc proc rw 0 0\n/dev/vda / ext4 rw 0 0\n/dev/vda /var ext4 rw 0 0\n"
               "tmpfs /run tmpfs rw 0 0\noverlay /var/lib overlay rw 0 0\n");
    support_check(stats_read(&stats, dir));
    assert_int_equal(stats.memory_total_bytes, 2048 * 1024);
    assert_int_equal(stats.memory_used_bytes, 512 * 1024);
    assert_int_equal(stats.n_cpus, 2);
    assert_string_equal(stats.cpus[1].name, "cpu1");
    assert_true(stats.cpus[0].usage_percent == 0); /* nothing to compare with yet */
    assert_int_equal(stats.cpus[0].frequency_mhz, 2100);
    assert_int_equal(stats.n_disks, 1);
    assert_string_equal(stats.disks[0].mount_point, "/");
    assert_true(stats.disks[0].size_bytes > 0);

    write_proc(dir, "stat", "cpu0 175 0 0 125 0 0 0 0\ncpu1 0 0 0 100 100 0 0 0\n");
    support_check(stats_read(&stats, dir));
    assert_int_equal(stats.cpus[0].usage_percent, 75);
    assert_int_equal(stats.cpus[1].usage_percent, 0); /* waiting for a disk is not work */
    assert_int_equal(stats.n_cpus, 2);
    stats_done(&stats);

    support_refused(stats_read(&stats, "/nonexistent"), ERROR_NOT_FOUND);
    stats_done(&stats);
    _cleanup_free_ char *clean = xasprintf("rm -r '%s'", dir);
    assert_int_equal(system(clean), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_of_a_container),
        cmocka_unit_test(test_a_restart_counts_for_a_minute),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_many_troubles_stay_within_the_reason),
        cmocka_unit_test(test_figures_from_proc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
