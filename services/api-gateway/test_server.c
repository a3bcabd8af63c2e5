/*
 * The gateway of the tests as a program, for clients that are not C: prints its port, answers until
 * its standard input ends. Beside it stand a scheduler and a guest that do what they are told.
 */
#include <stdio.h>
#include <unistd.h>

#include "services/api-gateway/test_fixture.h"

static void fill(const struct fixture *fixture)
{
    put_workload(fixture, TEST_WORKLOAD, "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_workload(fixture, "w-2", "dev", COFFER__V1__WORKLOAD_STATUS__STOPPED);
    put_workload(fixture, "w-foreign", "somebody", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (uint64_t i = 1; i <= 3; i++)
        put_event(fixture, TEST_WORKLOAD, "dev", i, "starting");
    put_artifact(fixture, TEST_IMAGE, true, 1700000000123);
}

int main(void)
{
    struct fixture *fixture = fixture_new();
    char byte;

    fill(fixture);
    printf("%u\n", http_server_port(fixture->gateway->http));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    fixture_free(fixture);
    return 0;
}
