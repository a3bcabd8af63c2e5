#include "cli/progress.h"

#include <string.h>

/* Texts come from the other side: none may steer the terminal. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, out);
}

static void clear_line(struct progress *progress)
{
    if (progress->terminal)
        fputs("\r\033[K", progress->out);
}

void progress_start(struct progress *progress, FILE *out, bool terminal, struct clock *clock)
{
    int64_t now = clock_monotonic_ms(clock);

    *progress = (struct progress){out, terminal, clock, now, now, ""};
}

void progress_stage(struct progress *progress, const char *stage)
{
    snprintf(progress->stage, sizeof(progress->stage), "%s", stage);
    progress->stage_started_ms = clock_monotonic_ms(progress->clock);
    progress_tick(progress);
}

void progress_line(struct progress *progress, const char *kind, const char *stage, int64_t took_ms,
                   const char *text)
{
    FILE *out = progress->out;

    clear_line(progress);
    fprintf(out, "  %6.1f s  ", (double)progress_elapsed_ms(progress) / 1000);
    print_text(out, kind);
    fprintf(out, "%*s", (int)(strlen(kind) < 13 ? 14 - strlen(kind) : 1), "");
    print_text(out, stage);
    if (took_ms > 0)
        fprintf(out, " (%.1f s)", (double)took_ms / 1000);
    if (*text)
        fputs("  ", out);
    print_text(out, text);
    fputc('\n', out);
    progress_tick(progress);
    fflush(out);
}

void progress_tick(struct progress *progress)
{
    if (!progress->terminal || !progress->stage[0])
        return;
    clear_line(progress);
    fprintf(progress->out, "  %6.1f s  ", (double)progress_elapsed_ms(progress) / 1000);
    print_text(progress->out, progress->stage);
    fprintf(progress->out, " ... %.0f s",
            (double)(clock_monotonic_ms(progress->clock) - progress->stage_started_ms) / 1000);
    fflush(progress->out);
}

void progress_end(struct progress *progress)
{
    if (progress->stage[0])
        clear_line(progress);
    progress->stage[0] = '\0';
    fflush(progress->out);
}

int64_t progress_elapsed_ms(const struct progress *progress)
{
    return clock_monotonic_ms(progress->clock) - progress->started_ms;
}
