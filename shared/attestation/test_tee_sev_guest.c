/* /dev/sev-guest on a driver and a host that answer as Linux does (drivers/virt/coco/sev-guest). */
#include "shared/attestation/test_attest.h"

#include <stdlib.h>
#include <string.h>

#include "shared/attestation/tee_backends.h"

#define GET_REPORT     0xc0205300
#define GET_EXT_REPORT 0xc0205302
#define LINUX_ROOM_MAX 0x4000 /* SEV_FW_BLOB_MAX_SIZE */
#define NO_FW_CALL     UINT64_MAX
#define VMM(code)      ((uint64_t)(code) << 32)

struct ioctl_argument { /* struct snp_guest_request_ioctl */
    uint8_t msg_version;
    uint64_t req_data, resp_data, exitinfo2;
};

/* Driver, host and firmware; what tests turn stands first. */
static struct machine {
    size_t table_size;  /* of the host's certificates */
    size_t room_max;    /* that the kernel takes, 0: as Linux does */
    unsigned throttled; /* so many calls come too early */
    int64_t waits_ms;   /* that the kernel itself spends in each call that comes too early */
    int throttle_errno; /* 0: none, the VMM's code alone */
    int failed;         /* errno of every call */
    uint64_t exitinfo2; /* of every call */
    uint32_t status;    /* in the answer */
    uint32_t size;      /* of the report in the answer */
    bool stale;         /* answers other data */
    bool dead;          /* Linux shut the channel after an error */
    unsigned calls, plain_calls, pauses;
    unsigned long paused_ms;
} machine;

static uint8_t report_data[64];
static struct clock_fake tee_clock;

static int set_up(void **state)
{
    (void)state;
    machine = (struct machine){.size = TEE_REPORT_SIZE};
    clock_fake_init(&tee_clock, 5000);
    memset(report_data, 0x5a, sizeof(report_data));
    return 0;
}

static int fail_with(struct ioctl_argument *argument, int failed, uint64_t exitinfo2)
{
    argument->exitinfo2 = exitinfo2;
    errno = failed;
    return failed ? -1 : 0;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static int answer_report(const struct ioctl_argument *argument)
{
    const uint8_t *request = (const uint8_t *)(uintptr_t)argument->req_data;
    uint8_t *answer = (uint8_t *)(uintptr_t)argument->resp_data;
    uint32_t vmpl;

    memcpy(&vmpl, request + 64, sizeof(vmpl));
    assert_int_equal(vmpl, 0);
    memset(answer, 0, TEE_SEV_GUEST_ANSWER_SIZE);
    put_u32(answer, machine.status);
    put_u32(answer + 4, machine.size);
    memcpy(answer + 32 + 0x50, request, 64);
    if (machine.stale)
        answer[32 + 0x50] ^= 1;
    return 0;
}

static int extended(struct ioctl_argument *argument)
{
    uint8_t *request = (uint8_t *)(uintptr_t)argument->req_data;
    size_t room_max = machine.room_max ? machine.room_max : LINUX_ROOM_MAX;
    uint64_t address;
    uint32_t room;

    memcpy(&address, request + 96, sizeof(address));
    memcpy(&room, request + 104, sizeof(room));
    assert_int_equal(address % 4096, 0);
    if (room > room_max || room % 4096 != 0)
        return fail_with(argument, EINVAL, NO_FW_CALL);
    if (machine.table_size > room) {
        put_u32(request + 104, (uint32_t)machine.table_size);
        return fail_with(argument, EIO, VMM(1)); /* INVALID_LEN */
    }
    memset((uint8_t *)(uintptr_t)address, 0, room);
    memset((uint8_t *)(uintptr_t)address, 0xce, machine.table_size);
    return answer_report(argument);
}

static int fake_request(int fd, unsigned long request, void *data)
{
    struct ioctl_argument *argument = data;

    assert_int_equal(fd, -1);
    assert_int_equal(argument->msg_version, 1);
    assert_true(request == GET_REPORT || request == GET_EXT_REPORT);
    machine.calls++;
    machine.plain_calls += request == GET_REPORT;
    if (machine.dead)
        return fail_with(argument, ENOTTY, NO_FW_CALL);
    if (machine.throttled > 0) {
        machine.throttled--;
        clock_fake_advance(&tee_clock, machine.waits_ms);
        return fail_with(argument, machine.throttle_errno, VMM(2)); /* BUSY */
    }
    if (machine.failed || machine.exitinfo2) {
        machine.dead = true;
        return fail_with(argument, machine.failed, machine.exitinfo2);
    }
    return request == GET_REPORT ? answer_report(argument) : extended(argument);
}

static void fake_pause(unsigned ms)
{
    machine.pauses++;
    machine.paused_ms += ms;
    clock_fake_advance(&tee_clock, ms);
}

static struct error *ask(struct tee_evidence *ret_evidence)
{
    static const struct tee_sev_guest_calls calls = {fake_request, fake_pause, &tee_clock.base};
    struct tee *tee = NULL;

    expect_ok(tee_sev_guest_open_with(-1, &calls, &tee));
    struct error *err = tee_get_report(tee, report_data, ret_evidence);
    tee_free(tee);
    return err;
}

/* How many bytes of certificates came with the report. */
static size_t expect_report(void)
{
    struct tee_evidence evidence = {};
    size_t n = 0;

    expect_ok(ask(&evidence));
    assert_string_equal(evidence.tee, "sev-snp");
    assert_string_equal(evidence.provider, "sev-guest");
    assert_memory_equal(evidence.report + 0x50, report_data, 64);
    while (n < evidence.certificates.size && evidence.certificates.data[n] == 0xce)
        n++;
    for (size_t i = n; i < evidence.certificates.size; i++)
        assert_int_equal(evidence.certificates.data[i], 0);
    tee_evidence_done(&evidence);
    return n;
}

static void expect_failure(enum error_code code, const char *text)
{
    struct tee_evidence evidence = {};
    _cleanup_(error_freep) struct error *err = ask(&evidence);

    assert_int_equal(error_get_code(err), code);
    if (!strstr(error_text(err), text))
        fail_msg("'%s' does not say '%s'", error_text(err), text);
    assert_null(evidence.certificates.data);
}

static void room_is_one_that_linux_takes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 24, 4096, 4097, LINUX_ROOM_MAX};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        machine = (struct machine){.table_size = sizes[i], .size = TEE_REPORT_SIZE};
        assert_int_equal(expect_report(), sizes[i]);
        assert_int_equal(machine.calls, 1);
    }
}

static void host_without_certificates_gives_an_empty_table(void **state)
{
    (void)state;
    struct tee_evidence evidence = {};

    expect_ok(ask(&evidence));
    assert_int_equal(evidence.certificates.size, 0);
    tee_evidence_done(&evidence);
}

static void too_small_room_grows_to_what_the_host_asks(void **state)
{
    (void)state;
    machine.table_size = 0x6000;
    machine.room_max = 0x10000;
    assert_int_equal(expect_report(), 0x6000);
    assert_int_equal(machine.calls, 2);
    assert_int_equal(machine.plain_calls, 0);
}

/* Certificates that cannot be had do not cost the report. */
static void report_comes_without_certificates_that_are_too_large(void **state)
{
    (void)state;
    static const struct {
        size_t table_size, room_max;
        unsigned calls;
    } cases[] = {
        {0x5000, 0, 3},                  /* Linux takes no such room */
        {0x20000, 0x40000, 2},           /* we do not */
        {0x4001, 0x10000, 2},            /* no whole pages */
        {UINT32_MAX - 4095, 0x10000, 2}, /* nonsense */
        {0, 0x1000, 2},                  /* a kernel that takes less than we offer */
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        machine = (struct machine){.table_size = cases[i].table_size,
                                   .room_max = cases[i].room_max,
                                   .size = TEE_REPORT_SIZE};
        assert_int_equal(expect_report(), 0);
        assert_int_equal(machine.calls, cases[i].calls);
        assert_int_equal(machine.plain_calls, 1);
    }
}

static void throttled_request_is_made_again_later(void **state)
{
    (void)state;
    static const int errnos[] = {EAGAIN, EIO, 0};

    for (size_t i = 0; i < ELEMENTSOF(errnos); i++) {
        machine =
            (struct machine){.size = TEE_REPORT_SIZE, .throttled = 5, .throttle_errno = errnos[i]};
        expect_report();
        assert_int_equal(machine.calls, 6);
        assert_int_equal(machine.paused_ms, 100 + 200 + 400 + 800 + 1600);
    }
    machine.throttled = 1000;
    machine.calls = 0;
    expect_failure(ERROR_UNAVAILABLE, "throttles");
    assert_true(machine.calls < 20);
    assert_int_equal(machine.plain_calls, 0); /* a host that throttles is not asked for more */
}

/* Linux since 6.2 waits up to a minute by itself: what it has spent counts, and not how often. */
static void a_kernel_that_waits_itself_is_not_asked_nine_times(void **state)
{
    (void)state;
    static const struct {
        int64_t waits_ms;
        unsigned calls;
    } cases[] = {{60000, 1}, {9000, 1}, {5000, 2}, {0, 8}};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        machine = (struct machine){.size = TEE_REPORT_SIZE,
                                   .throttled = 1000,
                                   .throttle_errno = EAGAIN,
                                   .waits_ms = cases[i].waits_ms};
        expect_failure(ERROR_UNAVAILABLE, "throttles");
        assert_int_equal(machine.calls, cases[i].calls);
        assert_true(machine.paused_ms <= 9000);
    }
    machine = (struct machine){.size = TEE_REPORT_SIZE, .throttled = 1, .waits_ms = 2000};
    expect_report(); /* a short wait of its own costs nothing */
    assert_int_equal(machine.calls, 2);
}

static void errors_are_told_and_not_asked_again(void **state)
{
    (void)state;
    static const struct {
        struct machine machine;
        enum error_code code;
        const char *text;
    } cases[] = {
        {{.failed = EIO, .exitinfo2 = 0x16}, ERROR_UNAVAILABLE, "0x16 (invalid parameter)"},
        {{.failed = 0, .exitinfo2 = 0x27}, ERROR_UNAVAILABLE, "0x27 (invalid key)"},
        {{.failed = EIO, .exitinfo2 = 0x77}, ERROR_UNAVAILABLE, "0x77 (unknown)"},
        {{.failed = EIO, .exitinfo2 = VMM(7)}, ERROR_INTERNAL, "vmm error 7"},
        {{.failed = 0, .exitinfo2 = VMM(7)}, ERROR_INTERNAL, "vmm error 7"},
        {{.failed = ETIMEDOUT, .exitinfo2 = NO_FW_CALL}, ERROR_DEADLINE_EXCEEDED, "vmm error 0"},
        {{.failed = ENOTTY, .exitinfo2 = 0xff}, ERROR_INTERNAL, "vmm error 0"},
        {{.status = 0x16}, ERROR_UNAVAILABLE, "status 0x16 (invalid parameter)"},
        {{.size = 1}, ERROR_UNAVAILABLE, "1 bytes"},
        {{.size = TEE_REPORT_SIZE + 1}, ERROR_UNAVAILABLE, "1185 bytes"},
        {{.size = UINT32_MAX}, ERROR_UNAVAILABLE, "4294967295 bytes"},
        {{.stale = true}, ERROR_ABORTED, "another request"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        machine = cases[i].machine;
        if (machine.size == 0)
            machine.size = TEE_REPORT_SIZE;
        machine.table_size = 100;
        expect_failure(cases[i].code, cases[i].text);
        assert_int_equal(machine.calls, 1);
    }
}

static void answer_without_a_report_is_refused(void **state)
{
    (void)state;
    uint8_t answer[TEE_SEV_GUEST_ANSWER_SIZE] = {0}, report[TEE_REPORT_SIZE];

    expect_code(tee_sev_guest_read_answer(answer, report), ERROR_UNAVAILABLE); /* size 0 */
    put_u32(answer + 4, TEE_REPORT_SIZE);
    answer[32] = 0x77;
    expect_ok(tee_sev_guest_read_answer(answer, report));
    assert_int_equal(report[0], 0x77);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(room_is_one_that_linux_takes),
        TEST(host_without_certificates_gives_an_empty_table),
        TEST(too_small_room_grows_to_what_the_host_asks),
        TEST(report_comes_without_certificates_that_are_too_large),
        TEST(throttled_request_is_made_again_later),
        TEST(a_kernel_that_waits_itself_is_not_asked_nine_times),
        TEST(errors_are_told_and_not_asked_again),
        TEST(answer_without_a_report_is_refused),
    };

    return cmocka_run_group_tests_name("sev-guest", tests, NULL, NULL);
}
