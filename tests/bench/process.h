/* What the bench programs share: time, and programs beside them that end when they do. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "shared/base/error.h"

/* A bench that cannot go on says why and ends. Both take err; must() returns when it is NULL. */
_Noreturn void give_up(struct error *err);
void must(struct error *err);

int64_t now_us(void); /* monotonic */

/* argv ends with NULL; environment: "NAME=value" in addition to ours, ends with NULL, or NULL.
 * What it writes goes to the end of the file. */
pid_t process_start(char *const *argv, char *const *environment, const char *log_path);

/* Sends the signal unless it is 0, and waits; *pid is 0 then, and 0 is fine. Returns what waitpid()
 * says of its end. */
int process_end(pid_t *pid, int how);

/* Of /proc/PID/status, "VmRSS" or "VmHWM" (the peak); in MB of 2^20 bytes, 0 when it is gone. */
double process_memory_mb(pid_t pid, const char *field);

/* What it has used of the processors since its start, all its threads together; 0 when it is gone.
 */
double process_cpu_ms(pid_t pid);
