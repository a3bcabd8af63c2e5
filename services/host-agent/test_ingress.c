/* One contract for the ingress in memory and haproxy's (with a stand-in for haproxy itself). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "services/host-agent/haproxy_config.h"
#include "services/host-agent/testdata/folder.h"
#include "shared/base/file.h"
#include "shared/base/test_findings.h"

static const char *const names_a[] = {"a.coffer.test", "www.example.org"};
static const char *const names_b[] = {"b.coffer.test", "www.example.org"};
static const struct ingress_route routes[] = {
    {"wa", "192.168.7.10", names_a, 2},
    {"wb", "192.168.7.11", names_b, 2},
};

static void test_configuration_is_as_written_down(_unused_ void **state)
{
    static const char path[] = "services/host-agent/testdata/haproxy.cfg";
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_buffer_ struct buffer golden = {0};

    haproxy_config(routes, 2, &text);
    if (getenv("GOLDEN"))
        assert_null(file_write_atomic(path, text.data, text.size, 0644));
    assert_null(file_read(path, 65536, &golden));
    assert_string_equal(buffer_text(&text), buffer_text(&golden));
}

static void test_nobody_is_routed_without_routes(_unused_ void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    haproxy_config(NULL, 0, &text);
    assert_null(strstr(buffer_text(&text), "use_backend"));
    assert_null(strstr(buffer_text(&text), "server vm"));
    assert_non_null(strstr(buffer_text(&text), "default_backend refuse-tls"));
}

static void test_bad_routes_change_nothing(_unused_ void **state)
{
    static const char *const bad[] = {"",     "A.test", "a b",   "a\n    server evil 1.2.3.4:1",
                                      "a}",   "-i",     "*.x",   "a_b.test",
                                      "a..b", "#",      "\"a\"", NULL};
    struct ingress *ingress = ingress_memory_new();

    assert_null(ingress_apply(ingress, routes, 2));
    for (size_t i = 0; bad[i]; i++) {
        const struct ingress_route route = {"w", "192.168.7.10", &bad[i], 1};
        struct error *err = ingress_apply(ingress, &route, 1);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
    const struct ingress_route no_address = {"w", "host.test", names_a, 1};
    struct error *err = ingress_apply(ingress, &no_address, 1);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    error_free(err);
    assert_string_equal(ingress_memory_find(ingress, "a.coffer.test"), "192.168.7.10");
    ingress_free(ingress);
}

static void test_first_claim_of_a_name_holds(_unused_ void **state)
{
    struct ingress *ingress = ingress_memory_new();

    assert_null(ingress_apply(ingress, routes, 2));
    assert_string_equal(ingress_memory_find(ingress, "www.example.org"), "192.168.7.10");
    assert_string_equal(ingress_memory_find(ingress, "b.coffer.test"), "192.168.7.11");
    assert_null(ingress_memory_find(ingress, "c.coffer.test"));
    assert_null(ingress_apply(ingress, routes + 1, 1));
    assert_null(ingress_memory_find(ingress, "a.coffer.test"));
    assert_string_equal(ingress_memory_find(ingress, "www.example.org"), "192.168.7.11");
    ingress_free(ingress);
}

/* A master process that counts the commands it gets. */
struct master {
    int fd;
    int reloads;
    const char *answer;
    pthread_t thread;
};

static void *serve(void *data)
{
    struct master *master = data;

    for (;;) {
        char command[64] = {0};
        int fd = accept(master->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        ssize_t n = read(fd, command, sizeof(command) - 1);
        if (n > 0 && strcmp(command, "reload\n") == 0) {
            master->reloads++;
            expect_that(write(fd, master->answer, strlen(master->answer)) >= 0);
        }
        close(fd);
    }
}

static void master_start(struct master *master, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    master->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(master->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(master->fd, 4), 0);
    assert_int_equal(pthread_create(&master->thread, NULL, serve, master), 0);
}

static void master_stop(struct master *master)
{
    shutdown(master->fd, SHUT_RDWR);
    pthread_join(master->thread, NULL);
    close(master->fd);
    assert_no_findings();
}

static void test_haproxy_is_reloaded_only_on_change(_unused_ void **state)
{
    if (access("/usr/sbin/haproxy", X_OK) < 0)
        skip();
    char *dir = test_folder_new();
    _cleanup_free_ char *socket_path = xasprintf("%s/master.sock", dir);
    _cleanup_free_ char *config = xasprintf("%s/haproxy.cfg", dir);
    _cleanup_buffer_ struct buffer text = {0};
    struct master master = {.answer = "Success=1\n"};
    struct ingress *ingress = ingress_haproxy_new(dir, socket_path);

    struct error *err = ingress_apply(ingress, routes, 2);
    assert_int_equal(error_get_code(err), ERROR_UNAVAILABLE); /* no haproxy yet */
    error_free(err);
    master_start(&master, socket_path);
    assert_null(ingress_apply(ingress, routes, 2));
    assert_null(ingress_apply(ingress, routes, 2));
    assert_int_equal(master.reloads, 1);
    assert_null(ingress_apply(ingress, routes, 1));
    assert_int_equal(master.reloads, 2);
    master.answer = "Success=0\nparse error\n";
    err = ingress_apply(ingress, routes, 2);
    assert_int_equal(error_get_code(err), ERROR_INTERNAL);
    error_free(err);
    assert_null(file_read(config, 65536, &text));
    assert_non_null(strstr(buffer_text(&text), "server vm 192.168.7.11:443"));
    master_stop(&master);
    ingress_free(ingress);
    test_folder_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration_is_as_written_down),
        cmocka_unit_test(test_nobody_is_routed_without_routes),
        cmocka_unit_test(test_bad_routes_change_nothing),
        cmocka_unit_test(test_first_claim_of_a_name_holds),
        cmocka_unit_test(test_haproxy_is_reloaded_only_on_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
