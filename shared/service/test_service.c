#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/service/service.h"

struct tiny_config {
    struct service_config service;
    char *host_id;
    uint64_t answer;
};

struct tiny {
    struct bus *bus;
    pthread_t client;
    uint64_t answer;
    bool answered;
};

static const struct config_row tiny_rows[] = {
    {"TINY_HOST_ID", CONFIG_NAME, offsetof(struct tiny_config, host_id), NULL, "id of this host"},
    {"TINY_ANSWER", CONFIG_UINT, offsetof(struct tiny_config, answer), "7", "what it answers"},
    {0},
};

static bool was_answered;
static int starts;

static struct error *on_list(void *state, struct bus_call *call)
{
    const struct tiny *tiny = state;
    Coffer__V1__ListVmsReply *reply = call->out;

    reply->n_vms = 1;
    reply->vms = arena_alloc(call->arena, sizeof(*reply->vms));
    reply->vms[0] = arena_alloc(call->arena, sizeof(**reply->vms));
    coffer__v1__vm__init(reply->vms[0]);
    reply->vms[0]->workload_id = arena_strdup(call->arena, "w1");
    reply->vms[0]->generation = tiny->answer;
    return NULL;
}

static const struct bus_handler tiny_handlers[] = {
    {"cmd.host.%.list", &coffer__v1__empty__descriptor, &coffer__v1__list_vms_reply__descriptor,
     on_list, NULL},
    {0},
};

/* Asks the service from outside its delivery thread, retrying until it has subscribed. */
static void *client_main(void *data)
{
    struct tiny *tiny = data;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__Empty empty = COFFER__V1__EMPTY__INIT;
    void *out = NULL;

    struct error *err =
        bus_call(tiny->bus, "cmd.host.h1.list", &empty.base,
                 &coffer__v1__list_vms_reply__descriptor, "r1", NULL, 60000, arena, &out, NULL);
    if (!err)
        tiny->answered = ((Coffer__V1__ListVmsReply *)out)->vms[0]->generation == 9;
    error_free(err);
    service_request_stop();
    return NULL;
}

static struct error *tiny_start(const void *data, struct bus *bus, void **ret_state)
{
    const struct tiny_config *config = data;
    struct tiny *tiny = xnew(struct tiny);

    starts++;
    tiny->bus = bus;
    tiny->answer = config->answer;
    assert_int_equal(pthread_create(&tiny->client, NULL, client_main, tiny), 0);
    *ret_state = tiny;
    return NULL;
}

static void tiny_stop(void *state)
{
    struct tiny *tiny = state;

    if (!tiny)
        return;
    pthread_join(tiny->client, NULL);
    was_answered = tiny->answered;
    free(tiny);
}

static const char *tiny_id(const void *config)
{
    return ((const struct tiny_config *)config)->host_id;
}

static struct error *refuse_start(const void *config, struct bus *bus, void **ret_state)
{
    (void)config;
    (void)bus;
    (void)ret_state;
    return error_new(ERROR_UNAVAILABLE, "no hypervisor");
}

static const struct service tiny_service = {
    .name = "tiny",
    .config = tiny_rows,
    .config_size = sizeof(struct tiny_config),
    .handlers = tiny_handlers,
    .id = tiny_id,
    .start = tiny_start,
    .stop = tiny_stop,
};

static int run(const struct service *service, const char *a, const char *b, const char *c,
               const char *d)
{
    char *argv[] = {(char *)"tiny", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
    int argc = 1;

    while (argv[argc])
        argc++;
    return service_main(service, argc, argv);
}

static void test_service_starts_answers_notifies_and_stops(_unused_ void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char name[64];
    char message[32] = "";

    snprintf(name, sizeof(name), "@coffer-test-service-%d", getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(
        run(&tiny_service, "--coffer-nats-url=memory:", "--tiny-host-id=h1", "--tiny-answer", "9"),
        0);
    unsetenv("NOTIFY_SOCKET");
    assert_true(was_answered);
    assert_true(recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(message, "READY=1");
}

static void test_service_with_wrong_settings_does_not_start(_unused_ void **state)
{
    int before = starts;

    assert_int_equal(run(&tiny_service, "--coffer-nats-url=memory:", NULL, NULL, NULL), 1);
    assert_int_equal(run(&tiny_service, "--tiny-host-id=UPPER", NULL, NULL, NULL), 1);
    assert_int_equal(run(&tiny_service, "--tiny-host-id=h1", "--coffer-log-level=loud", NULL, NULL),
                     1);
    assert_int_equal(run(&tiny_service, "--tiny-host-id=h1", "--unknown=1", NULL, NULL), 1);
    assert_int_equal(starts, before);
}

static void test_check_config_help_and_version_stop_before_the_start(_unused_ void **state)
{
    int before = starts;

    assert_int_equal(run(&tiny_service, "--check-config", "--tiny-host-id=h1", NULL, NULL), 0);
    assert_int_equal(run(&tiny_service, "--check-config", NULL, NULL, NULL), 1);
    assert_int_equal(run(&tiny_service, "--help", NULL, NULL, NULL), 0);
    assert_int_equal(run(&tiny_service, "--version", NULL, NULL, NULL), 0);
    assert_int_equal(starts, before);
}

static void test_failed_start_is_exit_code_1(_unused_ void **state)
{
    struct service service = tiny_service;

    service.start = refuse_start;
    assert_int_equal(run(&service, "--coffer-nats-url=memory:", "--tiny-host-id=h1", NULL, NULL),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_starts_answers_notifies_and_stops),
        cmocka_unit_test(test_service_with_wrong_settings_does_not_start),
        cmocka_unit_test(test_check_config_help_and_version_stop_before_the_start),
        cmocka_unit_test(test_failed_start_is_exit_code_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
