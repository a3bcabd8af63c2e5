/* The contract of struct tee_ops, the same steps on every backend. */
#include "shared/attestation/test_fleet.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "shared/attestation/tee_backends.h"
#include "shared/base/file.h"
#include "shared/base/test_findings.h"

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

static void entry_path(const struct stand *stand, const char *name, char ret_path[128])
{
    snprintf(ret_path, 128, "%s/%s", stand->dir, name);
}

static void write_entry(const struct stand *stand, const char *name, const void *data, size_t size)
{
    char path[128];

    entry_path(stand, name, path);
    expect_no_error(file_write_atomic(path, data, size, 0600));
}

/* One request: inblob comes, generation rises, outblob waits for its reader. */
static bool serve_entry(const struct stand *stand, int generation)
{
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    uint8_t inblob[65], text[16];
    char path[128];

    entry_path(stand, "inblob", path);
    int in = open(path, O_RDONLY);
    ssize_t size = read(in, inblob, sizeof(inblob));
    close(in); /* before the answer ends: the next request opens it anew */
    if (size <= 0)
        return false;
    if (!expect_that(size == TEE_REPORT_DATA_SIZE))
        return false;
    write_entry(stand, "generation", text, (size_t)sprintf((char *)text, "%d\n", generation));
    if (!expect_no_error(processor_report(fleet.processors[0], &guest, inblob, &evidence)))
        return false;
    write_entry(stand, "auxblob", evidence.certificates.data, evidence.certificates.size);
    entry_path(stand, "outblob", path);
    _cleanup_close_ int out = open(path, O_WRONLY);
    expect_that(write(out, evidence.report, TEE_REPORT_SIZE) == TEE_REPORT_SIZE);
    tee_evidence_done(&evidence);
    return true;
}

static void *serve_entries(void *data)
{
    for (int generation = 1; serve_entry(data, generation); generation++)
        ;
    return NULL;
}

/* configfs-tsm: one entry, a folder with pipes for what the kernel would make. */
static void configfs_start(struct stand *stand, struct tee **ret_tee)
{
    char path[128];

    make_dir(stand);
    write_entry(stand, "generation", "0\n", 2);
    write_entry(stand, "provider", "sev_guest\n", 10);
    entry_path(stand, "inblob", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    entry_path(stand, "outblob", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&stand->thread, NULL, serve_entries, stand), 0);
    expect_ok(tee_open("configfs-tsm", stand->dir, ret_tee));
}

static void configfs_stop(struct stand *stand)
{
    char path[128];

    entry_path(stand, "inblob", path);
    close(open(path, O_WRONLY)); /* nothing comes: the thread ends */
    pthread_join(stand->thread, NULL);
    remove_dir(stand);
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
    static const struct tee_sev_guest_calls calls = {fake_driver, tee_pause, NULL};

    make_dir(stand);
    expect_ok(tee_sev_guest_open_with(-1, &calls, ret_tee));
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
        expect_that(write(fd, response.data, response.size) == (ssize_t)response.size);
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
    {.name = "configfs-tsm", .start = configfs_start, .stop = configfs_stop},
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

            report_data[0] = (uint8_t)again;
            expect_ok(tee_get_report(tee, report_data, &evidence));
            assert_string_equal(evidence.tee, "sev-snp");
            assert_string_equal(evidence.provider, stands[i].name);
            assert_memory_equal(evidence.report + 0x50, report_data, 64);
            assert_true(evidence.certificates.size > 1000);
            tee_evidence_done(&evidence);
        }
        tee_free(tee);
        stands[i].stop(&stands[i]);
        assert_no_findings();
    }
}

/* A path that is given tells what it is: a folder, or a device by its name. */
static void the_backend_is_chosen_by_what_is_there(void **state)
{
    (void)state;
    _cleanup_free_ char *device = xasprintf("%s/sev-guest", fleet.dir);
    _cleanup_free_ char *channel = xasprintf("%s/channel", fleet.dir);
    _cleanup_free_ char *missing = xasprintf("%s/missing", fleet.dir);
    const struct {
        const char *name, *path;
        enum error_code code;
        const char *chosen;
    } rows[] = {
        {"auto", fleet.dir, ERROR_OK, "configfs-tsm"},
        {"auto", device, ERROR_OK, "sev-guest"},
        {"auto", channel, ERROR_OK, "software"},
        {"auto", missing, ERROR_NOT_FOUND, NULL},
        {"sev-guest", device, ERROR_OK, "sev-guest"},
        {"sev-guest", missing, ERROR_NOT_FOUND, NULL},
        {"configfs-tsm", fleet.dir, ERROR_OK, "configfs-tsm"},
        {"configfs-tsm", device, ERROR_INVALID_ARGUMENT, NULL},
        {"configfs-tsm", missing, ERROR_NOT_FOUND, NULL},
        {"sgx", device, ERROR_INVALID_ARGUMENT, NULL},
        {"", device, ERROR_INVALID_ARGUMENT, NULL},
    };

    expect_ok(file_write_atomic(device, "", 0, 0600));
    expect_ok(file_write_atomic(channel, "", 0, 0600));
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct tee *tee = NULL;

        expect_code(tee_open(rows[i].name, rows[i].path, &tee), rows[i].code);
        assert_int_equal(tee != NULL, rows[i].chosen != NULL);
        if (tee)
            assert_string_equal(tee->ops->name, rows[i].chosen);
        tee_free(tee);
    }
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
    configfs_stop(&stands[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_backend_gives_the_report_for_the_data),
        cmocka_unit_test(the_backend_is_chosen_by_what_is_there),
        cmocka_unit_test(malformed_requests_get_no_answer),
        cmocka_unit_test(auto_takes_what_the_path_is),
    };

    return cmocka_run_group_tests_name("tee backends", tests, set_up, tear_down);
}
