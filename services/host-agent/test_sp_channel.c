/* The security processor's channel against a stand-in for QEMU's end of the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "services/host-agent/sp_channel.h"
#include "services/host-agent/testdata/chip.h"
#include "services/host-agent/testdata/folder.h"
#include "shared/attestation/tee.h"
#include "shared/base/reader.h"

struct fixture {
    char *dir, *path;
    int listener, peer;
    struct sp_guest guest;
    struct sp_channel *channel;
};

static void listen_at(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    unlink(f->path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(f->listener, 1), 0);
}

static void accept_peer(struct fixture *f)
{
    const struct timeval limit = {.tv_sec = 60};

    f->peer = accept(f->listener, NULL, NULL);
    assert_true(f->peer >= 0);
    assert_int_equal(setsockopt(f->peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
}

static int setup(void **state)
{
    struct fixture *f = xnew(struct fixture);

    f->dir = test_folder_new();
    f->path = xasprintf("%s/w.sock", f->dir);
    memset(f->guest.measurement, 0x11, sizeof(f->guest.measurement));
    memset(f->guest.host_data, 0x22, sizeof(f->guest.host_data));
    memset(f->guest.report_id, 0x33, sizeof(f->guest.report_id));
    listen_at(f);
    assert_null(sp_channel_open(TEST_CHIP_DIR, &f->channel));
    sp_channel_add(f->channel, "w", f->path, &f->guest);
    accept_peer(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sp_channel_free(f->channel);
    close(f->peer);
    close(f->listener);
    test_folder_free(f->dir);
    free(f->path);
    free(f);
    return 0;
}

static void make_request(uint8_t request[76], uint8_t fill)
{
    static const uint8_t header[8] = {'C', 'S', 'P', '1', 0, 0, 0, 68};

    memset(request, 0, 76);
    memcpy(request, header, 8);
    memset(request + 8, fill, 64);
}

static void send_all(struct fixture *f, const void *data, size_t size)
{
    assert_int_equal(send(f->peer, data, size, MSG_NOSIGNAL), size);
}

static void receive_all(struct fixture *f, void *data, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = recv(f->peer, (uint8_t *)data + got, size - got, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
}

/* Reads one response; the report must be about this guest and carry this report data. */
static void expect_report(struct fixture *f, uint8_t fill)
{
    uint8_t header[12], expected[64];
    struct reader reader;

    receive_all(f, header, sizeof(header));
    reader_init(&reader, header, sizeof(header));
    assert_memory_equal(reader_view(&reader, 4), "CSP1", 4);
    uint32_t length = reader_u32be(&reader);
    assert_int_equal(reader_u32be(&reader), 0);
    assert_true(length >= 4 + TEE_REPORT_SIZE && length < 4 + TEE_REPORT_SIZE + 65536);
    uint8_t *body = xcalloc(1, length);
    receive_all(f, body, length - 4);
    memset(expected, fill, sizeof(expected));
    assert_memory_equal(body + 0x50, expected, 64);             /* REPORT_DATA */
    assert_memory_equal(body + 0x90, f->guest.measurement, 48); /* MEASUREMENT */
    assert_memory_equal(body + 0xc0, f->guest.host_data, 32);   /* HOST_DATA */
    assert_memory_equal(body + 0x140, f->guest.report_id, 32);  /* REPORT_ID */
    free(body);
}

static void test_report_is_about_this_guest(void **state)
{
    struct fixture *f = *state;
    uint8_t request[76];

    for (uint8_t fill = 1; fill <= 3; fill++) {
        make_request(request, fill);
        send_all(f, request, sizeof(request));
        expect_report(f, fill);
    }
}

static void test_request_in_pieces_is_one_request(void **state)
{
    struct fixture *f = *state;
    uint8_t request[76];

    make_request(request, 9);
    send_all(f, request, 3);
    send_all(f, request + 3, 40);
    send_all(f, request + 43, 33);
    expect_report(f, 9);
}

/* Whatever a guest writes, the next proper request is answered. */
static void test_rubbish_gets_no_answer_and_does_no_harm(void **state)
{
    static const char rubbish[][13] = {"GARBAGE-GARB", "CSP1\xff\xff\xff\xff....",
                                       "CSP2\0\0\0\x44...."};
    struct fixture *f = *state;
    uint8_t request[76];
    struct pollfd quiet = {.fd = f->peer, .events = POLLIN};

    for (size_t i = 0; i < ELEMENTSOF(rubbish); i++) {
        send_all(f, rubbish[i], 12);
        assert_int_equal(poll(&quiet, 1, 50), 0);
    }
    make_request(request, 5);
    send_all(f, request, sizeof(request));
    expect_report(f, 5);
}

static void test_channel_connects_again(void **state)
{
    struct fixture *f = *state;
    uint8_t request[76];

    close(f->peer);
    close(f->listener);
    listen_at(f);
    accept_peer(f);
    make_request(request, 7);
    send_all(f, request, sizeof(request));
    expect_report(f, 7);
}

static void test_removed_vm_is_served_no_more(void **state)
{
    struct fixture *f = *state;
    uint8_t byte;

    sp_channel_remove(f->channel, "w");
    assert_int_equal(recv(f->peer, &byte, 1, 0), 0);
}

static void test_chip_is_the_hosts(void **state)
{
    struct fixture *f = *state;
    static const uint8_t zeros[64];

    assert_memory_not_equal(sp_channel_chip_id(f->channel), zeros, 64);
    struct sp_channel *none = NULL;
    struct error *err = sp_channel_open("/nonexistent", &none);
    assert_non_null(err);
    error_free(err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_report_is_about_this_guest),
        TEST(test_request_in_pieces_is_one_request),
        TEST(test_rubbish_gets_no_answer_and_does_no_harm),
        TEST(test_channel_connects_again),
        TEST(test_removed_vm_is_served_no_more),
        TEST(test_chip_is_the_hosts),
    };
    return cmocka_run_group_tests(tests, test_chip_setup, NULL);
}
