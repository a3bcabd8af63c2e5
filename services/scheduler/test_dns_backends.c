/*
 * The contract of dns.h on both backends. The name server of the RFC 2136 backend is a thread of
 * this test on a UDP socket: it reads updates with ldns, checks TSIG, and keeps the names in the
 * in-memory backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ldns/ldns.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "services/scheduler/dns.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/test_findings.h"

#define KEY_NAME "scheduler"
#define KEY_DATA "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="

struct server {
    int fd;
    int port;
    pthread_t thread;
    atomic_bool stop;
    atomic_int refused;
    struct dns *names;
};

static void assert_ok(struct error *err)
{
    if (err)
        fail_msg("%s (%s)", error_text(err), error_origin(err));
}

static void assert_code(struct error *err, enum error_code code)
{
    assert_int_equal(error_get_code(err), code);
    error_free(err);
}

/* "w1.test" of "w1.test." */
static char *name_of(const ldns_rr *rr)
{
    char *text = ldns_rdf2str(ldns_rr_owner(rr));

    text[strlen(text) - 1] = '\0';
    return text;
}

static void apply_update(struct server *server, const ldns_pkt *update)
{
    const ldns_rr_list *changes = ldns_pkt_authority(update);

    for (size_t i = 0; i < ldns_rr_list_rr_count(changes); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(changes, i);
        _cleanup_free_ char *name = name_of(rr);
        if (ldns_rr_get_class(rr) == LDNS_RR_CLASS_ANY) {
            expect_no_error(dns_remove(server->names, name));
            continue;
        }
        _cleanup_free_ char *address = ldns_rdf2str(ldns_rr_rdf(rr, 0));
        expect_no_error(dns_set(server->names, name, address));
    }
}

static ldns_pkt_rcode judge(struct server *server, ldns_pkt *update, const uint8_t *wire,
                            size_t size)
{
    if (ldns_pkt_get_opcode(update) != LDNS_PACKET_UPDATE)
        return LDNS_RCODE_NOTIMPL;
    if (!ldns_pkt_tsig_verify(update, wire, size, KEY_NAME, KEY_DATA, NULL)) {
        server->refused++;
        return LDNS_RCODE_NOTAUTH;
    }
    apply_update(server, update);
    return LDNS_RCODE_NOERROR;
}

static void answer(struct server *server, const uint8_t *wire, size_t size,
                   const struct sockaddr *peer, socklen_t peer_size)
{
    ldns_pkt *update = NULL;
    uint8_t *out = NULL;
    size_t out_size = 0;

    if (ldns_wire2pkt(&update, wire, size) != LDNS_STATUS_OK)
        return;
    ldns_rr *tsig = ldns_pkt_tsig(update);
    ldns_pkt_rcode rcode = judge(server, update, wire, size);
    ldns_pkt *reply = ldns_pkt_new();
    ldns_pkt_set_id(reply, ldns_pkt_id(update));
    ldns_pkt_set_opcode(reply, LDNS_PACKET_UPDATE);
    ldns_pkt_set_qr(reply, true);
    ldns_pkt_set_rcode(reply, rcode);
    if (tsig && rcode == LDNS_RCODE_NOERROR)
        expect_that(ldns_pkt_tsig_sign(reply, KEY_NAME, KEY_DATA, 300, "hmac-sha256.",
                                       ldns_rr_rdf(tsig, 3)) == LDNS_STATUS_OK);
    if (expect_that(ldns_pkt2wire(&out, reply, &out_size) == LDNS_STATUS_OK))
        expect_that(sendto(server->fd, out, out_size, 0, peer, peer_size) == (ssize_t)out_size);
    free(out);
    ldns_pkt_free(reply);
    ldns_pkt_free(update);
}

static void *serve(void *data)
{
    struct server *server = data;
    struct pollfd pfd = {.fd = server->fd, .events = POLLIN};

    while (!server->stop) {
        struct sockaddr_storage peer;
        socklen_t peer_size = sizeof(peer);
        uint8_t wire[4096];
        if (poll(&pfd, 1, 20) != 1)
            continue;
        ssize_t n =
            recvfrom(server->fd, wire, sizeof(wire), 0, (struct sockaddr *)&peer, &peer_size);
        if (n > 0)
            answer(server, wire, (size_t)n, (struct sockaddr *)&peer, peer_size);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    *server = (struct server){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    assert_true(server->fd >= 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    server->names = dns_memory_new();
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    server->stop = true;
    pthread_join(server->thread, NULL);
    close(server->fd);
    dns_free(server->names);
    assert_no_findings();
}

static struct dns *open_rfc2136(const struct server *server, const char *key)
{
    char path[] = "/tmp/tsig-test-XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    _cleanup_free_ char *text = xasprintf("hmac-sha256:" KEY_NAME ":%s\n", key);
    _cleanup_free_ char *address = xasprintf("127.0.0.1:%d", server->port);
    struct dns *dns;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    struct error *err = dns_rfc2136_new(address, "test", path, &dns);
    unlink(path);
    assert_ok(err);
    return dns;
}

/* What every backend must do; names is where it shows. */
static void check_contract(struct dns *dns, struct dns *names)
{
    assert_ok(dns_remove(dns, "w1.test"));
    assert_ok(dns_set(dns, "w1.test", "192.0.2.1"));
    assert_ok(dns_set(dns, "w1.test", "192.0.2.1"));
    assert_string_equal(dns_memory_find(names, "w1.test"), "192.0.2.1");
    assert_ok(dns_set(dns, "w2.test", "192.0.2.2"));
    assert_ok(dns_set(dns, "w1.test", "192.0.2.3"));
    assert_string_equal(dns_memory_find(names, "w1.test"), "192.0.2.3");
    assert_ok(dns_remove(dns, "w1.test"));
    assert_null(dns_memory_find(names, "w1.test"));
    assert_string_equal(dns_memory_find(names, "w2.test"), "192.0.2.2");
}

static void test_memory(void **state)
{
    (void)state;
    _cleanup_(dns_freep) struct dns *dns = dns_memory_new();

    check_contract(dns, dns);
    dns_memory_fail(dns, true);
    assert_code(dns_set(dns, "w1.test", "192.0.2.1"), ERROR_UNAVAILABLE);
}

static void test_rfc2136(void **state)
{
    (void)state;
    struct server server;
    server_start(&server);
    _cleanup_(dns_freep) struct dns *dns = open_rfc2136(&server, KEY_DATA);

    check_contract(dns, server.names);
    assert_int_equal(server.refused, 0);
    assert_code(dns_set(dns, "w1.test", "not an address"), ERROR_INVALID_ARGUMENT);
    server_stop(&server);
}

static void test_wrong_key(void **state)
{
    (void)state;
    struct server server;
    server_start(&server);
    _cleanup_(dns_freep) struct dns *dns =
        open_rfc2136(&server, "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q=");
    struct error *err = dns_set(dns, "w1.test", "192.0.2.1");

    assert_non_null(err);
    error_free(err);
    assert_true(server.refused > 0);
    assert_null(dns_memory_find(server.names, "w1.test"));
    server_stop(&server);
}

static void test_server_away(void **state)
{
    (void)state;
    struct server server;
    server_start(&server);
    _cleanup_(dns_freep) struct dns *dns = open_rfc2136(&server, KEY_DATA);

    server_stop(&server);
    assert_code(dns_set(dns, "w1.test", "192.0.2.1"), ERROR_UNAVAILABLE);
}

static void test_bad_key_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "hmac-sha256", "hmac-sha256:name", "a:b:c:d"};
    char path[] = "/tmp/tsig-test-XXXXXX";
    _unused_ _cleanup_close_ int fd = mkstemp(path);
    struct dns *dns;

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        assert_ok(file_write_atomic(path, texts[i], strlen(texts[i]), 0600));
        assert_code(dns_rfc2136_new("127.0.0.1", "test", path, &dns), ERROR_INVALID_ARGUMENT);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_rfc2136),
        cmocka_unit_test(test_wrong_key),     cmocka_unit_test(test_server_away),
        cmocka_unit_test(test_bad_key_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
