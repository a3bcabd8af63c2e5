/* The table as a whole: what it must allow, what it must never allow, and that it can be left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/scheduler/workload_fsm.h"

#define S(name) (1u << STATUS_##name)

/* DESIGN section 7, plus: a host loss hits any status with a host (waiting), an owner may restart
 * from anywhere (scheduled), and a new boot of the same VM begins at starting. */
static const unsigned goes_to[STATUS_MAX_] = {
    [STATUS_NONE] = S(SCHEDULED),
    [STATUS_SCHEDULED] =
        S(SCHEDULED) | S(STARTING) | S(ERROR) | S(WAITING) | S(STOPPING) | S(DELETING),
    [STATUS_WAITING] = S(SCHEDULED) | S(STARTING) | S(STOPPING) | S(DELETING),
    [STATUS_STARTING] = S(STARTING) | S(AWAITING_CERT) | S(RUNNING) | S(ERROR) | S(WAITING) |
                        S(STOPPING) | S(DELETING) | S(SCHEDULED),
    [STATUS_AWAITING_CERT] = S(STARTING) | S(RUNNING) | S(DEGRADED) | S(ERROR) | S(WAITING) |
                             S(STOPPING) | S(DELETING) | S(SCHEDULED),
    [STATUS_RUNNING] = S(STARTING) | S(DEGRADED) | S(ERROR) | S(WAITING) | S(STOPPING) |
                       S(DELETING) | S(SCHEDULED),
    [STATUS_DEGRADED] =
        S(STARTING) | S(RUNNING) | S(ERROR) | S(WAITING) | S(STOPPING) | S(DELETING) | S(SCHEDULED),
    [STATUS_ERROR] = S(SCHEDULED) | S(STOPPING) | S(DELETING),
    [STATUS_STOPPING] = S(STOPPED) | S(SCHEDULED) | S(DELETING),
    [STATUS_STOPPED] = S(SCHEDULED) | S(DELETING),
    [STATUS_DELETING] = S(DELETED),
    [STATUS_DELETED] = 0,
};

static void test_only_legal_moves(void **state)
{
    (void)state;
    for (enum trigger t = 0; t < TRIGGER_MAX_; t++)
        for (enum source s = 0; s < SOURCE_MAX_; s++)
            for (enum status from = 0; from < STATUS_MAX_; from++) {
                const struct transition *transition = fsm_find(t, s, from);
                if (transition && !(goes_to[from] & 1u << transition->to))
                    fail_msg("%s from %s moves %s to %s", trigger_name(t), source_name(s),
                             status_name(from), status_name(transition->to));
            }
}

static void test_every_move_is_possible(void **state)
{
    (void)state;
    for (enum status from = 0; from < STATUS_MAX_; from++) {
        unsigned reached = 0;
        for (enum trigger t = 0; t < TRIGGER_MAX_; t++)
            for (enum source s = 0; s < SOURCE_MAX_; s++)
                reached |= fsm_find(t, s, from) ? 1u << fsm_find(t, s, from)->to : 0;
        if ((goes_to[from] & ~reached) & ~(1u << from))
            fail_msg("from %s some status is never reached: %x", status_name(from),
                     goes_to[from] & ~reached);
    }
}

static void test_every_trigger_has_a_source_and_a_name(void **state)
{
    (void)state;
    for (enum trigger t = 0; t < TRIGGER_MAX_; t++) {
        bool used = false;
        for (enum source s = 0; s < SOURCE_MAX_; s++)
            for (enum status from = 0; from < STATUS_MAX_; from++)
                used = used || fsm_find(t, s, from);
        assert_true(used);
        assert_non_null(trigger_name(t));
        assert_string_not_equal(trigger_name(t), "unknown");
    }
    for (enum status s = 0; s < STATUS_MAX_; s++)
        assert_non_null(status_name(s));
}

/* What would be dangerous, named one by one. */
static void test_never(void **state)
{
    (void)state;
    for (enum status from = 0; from < STATUS_MAX_; from++) {
        assert_null(fsm_find(TRIGGER_HEALTHY, SOURCE_HOST, from));
        assert_null(fsm_find(TRIGGER_CERTIFICATE, SOURCE_HOST, from));
        assert_null(fsm_find(TRIGGER_UP, SOURCE_HOST, from));
        assert_null(fsm_find(TRIGGER_GONE, SOURCE_HOST, from));
        assert_null(fsm_find(TRIGGER_DELETE, SOURCE_GUEST, from));
        assert_null(fsm_find(TRIGGER_STOPPED, SOURCE_GUEST, from));
        assert_null(fsm_find(TRIGGER_RETRY, SOURCE_HOST, from));
    }
    for (enum trigger t = 0; t < TRIGGER_MAX_; t++)
        for (enum source s = 0; s < SOURCE_MAX_; s++) {
            assert_null(fsm_find(t, s, STATUS_DELETED));
            if (t != TRIGGER_GONE)
                assert_null(fsm_find(t, s, STATUS_DELETING));
        }
    assert_null(fsm_find(TRIGGER_HEALTHY, SOURCE_GUEST, STATUS_STOPPED));
    assert_null(fsm_find(TRIGGER_HEALTHY, SOURCE_GUEST, STATUS_ERROR));
    assert_null(fsm_find(TRIGGER_UP, SOURCE_GUEST, STATUS_SCHEDULED));
    assert_null(fsm_find(TRIGGER_CHALLENGE, SOURCE_GUEST, STATUS_ERROR));
    assert_null(fsm_find(TRIGGER_CHALLENGE, SOURCE_GUEST, STATUS_STOPPED));
}

/* The event kinds are a fixed list (schemas/event.proto). */
static void test_kinds_are_known(void **state)
{
    (void)state;
    static const char *const kinds[] = {"created",  "scheduled",   "waiting",      "starting",
                                        "stage",    "vmRestarted", "awaitingCert", "running",
                                        "degraded", "error",       "warning",      "stopping",
                                        "updated",  "stopped",     "deleting",     "deleted"};

    for (enum trigger t = 0; t < TRIGGER_MAX_; t++)
        for (enum source s = 0; s < SOURCE_MAX_; s++)
            for (enum status from = 0; from < STATUS_MAX_; from++) {
                const struct transition *transition = fsm_find(t, s, from);
                bool known = !transition;
                for (size_t i = 0; !known && i < sizeof(kinds) / sizeof(kinds[0]); i++)
                    known = strcmp(transition->kind, kinds[i]) == 0;
                assert_true(known);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_legal_moves),
        cmocka_unit_test(test_every_move_is_possible),
        cmocka_unit_test(test_every_trigger_has_a_source_and_a_name),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_kinds_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
