#include "tests/bench/bare.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/bench/process.h"

/* In the second call: an answer in the first makes libmicrohttpd close the connection behind it. */
static enum MHD_Result on_access(void *state, struct MHD_Connection *connection,
                                 _unused_ const char *url, _unused_ const char *method,
                                 _unused_ const char *version, _unused_ const char *upload,
                                 _unused_ size_t *upload_size, void **place)
{
    if (!*place) {
        *place = state;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, state);
}

static _Noreturn void serve(int port)
{
    static char hello[] = "hello";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(hello), hello, MHD_RESPMEM_PERSISTENT);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, on_access,
                          response, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE, 2U,
                          MHD_OPTION_END))
        _exit(1);
    for (;;)
        pause();
}

pid_t bare_start(int port)
{
    pid_t pid = fork();

    if (pid < 0)
        give_up(error_errno(errno, "fork"));
    if (pid == 0)
        serve(port);
    return pid;
}
