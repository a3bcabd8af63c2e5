/*
 * The gateway of the tests as a program, for clients that are not C: prints its port, answers until
 * its standard input ends. Beside it stand a scheduler and a guest that do what they are told.
 */
#include <stdio.h>
#include <unistd.h>

#include "services/api-gateway/test_fake_guest.h"
#include "shared/store/keys.h"

/* On no host: nobody waits for its guest. */
static void put_stopped(const struct fixture *fixture)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;

    workload.workload_id = "w-2";
    workload.account_id = "dev";
    workload.name = "two";
    workload.status = COFFER__V1__WORKLOAD_STATUS__STOPPED;
    put_message(fixture, KEY_WORKLOAD "w-2", &workload.base);
    index_add(fixture, KEY_WORKLOADS_OF "dev", "w-2");
}

static void fill(const struct fixture *fixture)
{
    put_stopped(fixture);
    put_workload(fixture, "w-foreign", "somebody", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (uint64_t i = 1; i <= 3; i++)
        put_event(fixture, TEST_WORKLOAD, "dev", i, "starting");
    put_artifact(fixture, TEST_IMAGE, true, 1700000000123);
}

int main(void)
{
    struct fixture *fixture = fixture_new();
    struct guest guest;
    char byte;

    guest_start(fixture, &guest, "dev");
    fill(fixture);
    printf("%u\n", http_server_port(fixture->gateway->http));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    fixture_free(fixture);
    return 0;
}
