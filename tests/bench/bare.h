/* What libmicrohttpd alone can do: "hello", answered from memory, in a process of its own. */
#pragma once

#include <sys/types.h>

/* To be called before this process has threads. Ended with process_end(). */
pid_t bare_start(int port);
