#include "cli/progress.h"

#include <stdarg.h>

#include "cli/terminal.h"
#include "shared/base/alloc.h"

struct progress progress_begin(void)
{
    const char *term = getenv("TERM");

    return (struct progress){.on = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0};
}

/* Back to the start of the line, and clears it (ECMA-48: EL). */
static void clear(const struct progress *progress)
{
    if (progress->shown)
        fputs("\r\x1b[K", stderr);
}

void progress_show(struct progress *progress, const char *fmt, ...)
{
    va_list args;

    if (!progress->on)
        return;
    va_start(args, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, args);
    va_end(args);
    _cleanup_free_ char *clean = terminal_text(text, TERMINAL_LINE);
    size_t columns = terminal_columns(stderr);
    _cleanup_free_ char *line = terminal_cut(clean, columns ? columns - 1 : 79);
    clear(progress);
    fputs(line, stderr);
    fflush(stderr);
    progress->shown = true;
}

void progress_end(struct progress *progress)
{
    clear(progress);
    fflush(stderr);
    progress->shown = false;
}
