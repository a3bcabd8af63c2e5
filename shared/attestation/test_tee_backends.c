/* The contract of struct tee_ops, the same steps on every backend. */
#include "shared/attestation/test_fleet.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/file.h"

static struct test_fleet fleet;
static uint8_t report_data[64];

/* A backend together with the thing that answers it. */
struct stand {
    const char *name;
    void (*start)(struct stand *stand, struct tee **ret_tee);
    void (*stop)(struct stand *stand);
    char dir[64];
    char path[96];
    int listener;
    pthread_t thread;
};

static int set_up(void **state)
{
    (void)state;
    test_fleet_init(&fleet);
    memset(report_data, 0x5a, sizeof(report_data));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_fleet_done(&fleet);
    return 0;
}

static void make_dir(struct stand *stand)
{
    snprintf(stand->dir, sizeof(stand->dir), "/tmp/coffer-tee-XXXXXX");
    assert_non_null(mkdtemp(stand->dir));
}

static void remove_dir(struct stand *stand)
{
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", stand->dir);

    assert_int_equal(system(command), 0);
}

/* configfs-tsm: one entry, as the kernel shows it after inblob was written. */
static void write_entry(const struct stand *stand, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", stand->dir, name);

    expect_ok(file_write_atomic(path, data, size, 0600));
}

static void configfs_start(struct stand *stand, struct tee **ret_tee)
{
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;

    make_dir(stand);
    expect_ok(processor_report(fleet.processors[0], &guest, report_data, &evidence));
    write_entry(stand, "inblob", "", 0);
    write_entry(stand, "outblob", evidence.report, TEE_REPORT_SIZE);
    write_entry(stand, "auxblob", evidence.certificates.data, evidence.certificates.size);
    write_entry(stand, "generation", "1\n", 2);
    write_entry(stand, "provider", "sev_guest\n", 10);
    tee_evidence_done(&evidence);
    expect_ok(tee_open("configfs-tsm", stand->dir, ret_tee));
}

/* sev-guest: the driver's call answered in process. */
static int fake_driver(int fd, unsigned long request, void *argument)
{
    struct {
        uint8_t msg_version;
        uint64_t req_data, resp_data, exitinfo2;
    } *call = argument;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;

    (void)fd;
    assert_int_equal(request, 0xc0205302); /* SNP_GET_EXT_REPORT */
    assert_int_equal(call->msg_version, 1);
    const uint8_t *in = (const uint8_t *)(uintptr_t)call->req_data;
    uint8_t *answer = (uint8_t *)(uintptr_t)call->resp_data, *room;
    uint64_t address;
    memcpy(&address, in + 96, sizeof(address));
    room = (uint8_t *)(uintptr_t)address;
    expect_ok(processor_report(fleet.processors[0], &guest, in, &evidence));
    answer[4] = TEE_REPORT_SIZE & 0xff;
    answer[5] = TEE_REPORT_SIZE >> 8;
    memcpy(answer + 32, evidence.report, TEE_REPORT_SIZE);
    memcpy(room, evidence.certificates.data, evidence.certificates.size);
    tee_evidence_done(&evidence);
    return 0;
}

static void sev_guest_start(struct stand *stand, struct tee **ret_tee)
{
    make_dir(stand);
    expect_ok(tee_sev_guest_open_with(-1, fake_driver, ret_tee));
}

/* software: a unix socket in the place of the virtio channel. */
static void answer_one(int fd)
{
    struct processor_guest guest = test_guest();
    uint8_t request[TEE_SOFTWARE_REQUEST_MAX];
    _cleanup_buffer_ struct buffer response = {};
    ssize_t size = recv(fd, request, 76, MSG_WAITALL);

    if (size <= 0)
        return;
    struct error *err =
        processor_answer(fleet.processors[0], &guest, request, (size_t)size, &response);
    if (!err)
        assert_int_equal(write(fd, response.data, response.size), response.size);
    error_free(err);
}

static void *serve(void *data)
{
    struct stand *stand = data;

    for (;;) {
        _cleanup_close_ int fd = accept(stand->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        answer_one(fd);
    }
}

static void software_start(struct stand *stand, struct tee **ret_tee)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    make_dir(stand);
    snprintf(stand->path, sizeof(stand->path), "%s/channel", stand->dir);
    strncpy(address.sun_path, stand->path, sizeof(address.sun_path) - 1);
    stand->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stand->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stand->listener, 4), 0);
    assert_int_equal(pthread_create(&stand->thread, NULL, serve, stand), 0);
    expect_ok(tee_open("software", stand->path, ret_tee));
}

static void software_stop(struct stand *stand)
{
    shutdown(stand->listener, SHUT_RDWR);
    pthread_join(stand->thread, NULL);
    close(stand->listener);
    remove_dir(stand);
}

static struct stand stands[] = {
    {.name = "configfs-tsm", .start = configfs_start, .stop = remove_dir},
    {.name = "sev-guest", .start = sev_guest_start, .stop = remove_dir},
    {.name = "software", .start = software_start, .stop = software_stop},
};

static void every_backend_gives_the_report_for_the_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(stands); i++) {
        struct tee *tee = NULL;

        stands[i].start(&stands[i], &tee);
        assert_string_equal(tee->ops->name, stands[i].name);
        for (int again = 0; again < 3; again++) {
            struct tee_evidence evidence = {};

            expect_ok(tee_get_report(tee, report_data, &evidence));
            assert_string_equal(evidence.tee, "sev-snp");
            assert_string_equal(evidence.provider, stands[i].name);
            assert_memory_equal(evidence.report + 0x50, report_data, 64);
            assert_true(evidence.certificates.size > 1000);
            tee_evidence_done(&evidence);
        }
        tee_free(tee);
        stands[i].stop(&stands[i]);
    }
}

static void report_of_other_data_is_not_handed_out(void **state)
{
    (void)state;
    uint8_t other[64] = {1};
    struct tee *tee = NULL;
    struct tee_evidence evidence = {};

    configfs_start(&stands[0], &tee); /* its outblob answers report_data only */
    expect_code(tee_get_report(tee, other, &evidence), ERROR_ABORTED);
    assert_null(evidence.certificates.data);
    tee_free(tee);
    remove_dir(&stands[0]);
}

static void configfs_without_certificates_gives_an_empty_table(void **state)
{
    (void)state;
    struct tee *tee = NULL;
    struct tee_evidence evidence = {};

    configfs_start(&stands[0], &tee);
    _cleanup_free_ char *auxblob = xasprintf("%s/auxblob", stands[0].dir);
    assert_int_equal(unlink(auxblob), 0);
    expect_ok(tee_get_report(tee, report_data, &evidence));
    assert_int_equal(evidence.certificates.size, 0);
    tee_evidence_done(&evidence);
    _cleanup_free_ char *outblob = xasprintf("%s/outblob", stands[0].dir);
    expect_ok(file_write_atomic(outblob, "short", 5, 0600));
    expect_code(tee_get_report(tee, report_data, &evidence), ERROR_UNAVAILABLE);
    tee_free(tee);
    remove_dir(&stands[0]);
}

static void sev_guest_answers_with_an_error_are_refused(void **state)
{
    (void)state;
    uint8_t answer[TEE_SEV_GUEST_ANSWER_SIZE] = {0}, report[TEE_REPORT_SIZE];

    expect_code(tee_sev_guest_read_answer(answer, report), ERROR_UNAVAILABLE); /* size 0 */
    answer[4] = 0xa0;
    answer[5] = 0x04;
    expect_ok(tee_sev_guest_read_answer(answer, report));
    answer[0] = 0x16;
    expect_code(tee_sev_guest_read_answer(answer, report), ERROR_UNAVAILABLE);
}

static void malformed_requests_get_no_answer(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    _cleanup_buffer_ struct buffer good = {}, response = {};

    buffer_add_text(&good, "CSP1");
    buffer_add_u32be(&good, 68);
    buffer_add(&good, report_data, 64);
    buffer_add_u32be(&good, 0);
    for (size_t size = 0; size < good.size; size++)
        expect_code(processor_answer(fleet.processors[0], &guest, good.data, size, &response),
                    ERROR_INVALID_ARGUMENT);
    for (size_t i = 0; i < 8; i++) {
        good.data[i] ^= 0x20;
        expect_code(processor_answer(fleet.processors[0], &guest, good.data, good.size, &response),
                    ERROR_INVALID_ARGUMENT);
        good.data[i] ^= 0x20;
    }
    assert_int_equal(response.size, 0);
    guest.vmpl = 1; /* a caller at VMPL 1 asks for VMPL 0: a status, and no report */
    expect_ok(processor_answer(fleet.processors[0], &guest, good.data, good.size, &response));
    assert_int_equal(response.size, 12);
    assert_int_not_equal(response.data[11], 0);
}

static void auto_takes_what_the_path_is(void **state)
{
    (void)state;
    struct tee *tee = NULL;

    expect_code(tee_open("auto", "/nonexistent", &tee), ERROR_NOT_FOUND);
    expect_code(tee_open("nonsense", NULL, &tee), ERROR_INVALID_ARGUMENT);
    expect_code(tee_open("software", "/nonexistent", &tee), ERROR_NOT_FOUND);
    configfs_start(&stands[0], &tee);
    tee_free(tee);
    expect_ok(tee_open("auto", stands[0].dir, &tee));
    assert_string_equal(tee->ops->name, "configfs-tsm");
    tee_free(tee);
    remove_dir(&stands[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_backend_gives_the_report_for_the_data),
        cmocka_unit_test(report_of_other_data_is_not_handed_out),
        cmocka_unit_test(configfs_without_certificates_gives_an_empty_table),
        cmocka_unit_test(sev_guest_answers_with_an_error_are_refused),
        cmocka_unit_test(malformed_requests_get_no_answer),
        cmocka_unit_test(auto_takes_what_the_path_is),
    };

    return cmocka_run_group_tests_name("tee backends", tests, set_up, tear_down);
}
