/* One line on stderr that says what goes on, gone when it is over. Nothing where stderr is no
 * terminal that can go back to the start of a line: logs do not fill with it. */
#pragma once

#include <stdbool.h>

#include "shared/base/cleanup.h"

struct progress {
    bool on;
    bool shown;
};

struct progress progress_begin(void);
void progress_show(struct progress *progress, const char *fmt, ...) _printf_(2, 3);
void progress_end(struct progress *progress);
