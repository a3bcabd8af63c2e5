#include "cli/stages.h"

#include <string.h>

#include "cli/terminal.h"

static void clear_line(struct stages *stages)
{
    if (stages->terminal)
        fputs("\r\033[K", stages->out);
}

void stages_start(struct stages *stages, FILE *out, bool terminal, struct clock *clock)
{
    int64_t now = clock_monotonic_ms(clock);

    *stages = (struct stages){out, terminal, clock, now, now, ""};
}

void stages_stage(struct stages *stages, const char *stage)
{
    snprintf(stages->stage, sizeof(stages->stage), "%s", stage);
    stages->stage_started_ms = clock_monotonic_ms(stages->clock);
    stages_tick(stages);
}

void stages_line(struct stages *stages, const char *kind, const char *stage, int64_t took_ms,
                 const char *text)
{
    FILE *out = stages->out;

    clear_line(stages);
    fprintf(out, "  %6.1f s  ", (double)stages_elapsed_ms(stages) / 1000);
    terminal_fprintf(out, "%s", kind);
    fprintf(out, "%*s", (int)(strlen(kind) < 13 ? 14 - strlen(kind) : 1), "");
    terminal_fprintf(out, "%s", stage);
    if (took_ms > 0)
        fprintf(out, " (%.1f s)", (double)took_ms / 1000);
    if (*text)
        fputs("  ", out);
    terminal_fprintf(out, "%s", text);
    fputc('\n', out);
    stages_tick(stages);
    fflush(out);
}

void stages_tick(struct stages *stages)
{
    if (!stages->terminal || !stages->stage[0])
        return;
    clear_line(stages);
    fprintf(stages->out, "  %6.1f s  ", (double)stages_elapsed_ms(stages) / 1000);
    terminal_fprintf(stages->out, "%s", stages->stage);
    fprintf(stages->out, " ... %.0f s",
            (double)(clock_monotonic_ms(stages->clock) - stages->stage_started_ms) / 1000);
    fflush(stages->out);
}

void stages_end(struct stages *stages)
{
    if (stages->stage[0])
        clear_line(stages);
    stages->stage[0] = '\0';
    fflush(stages->out);
}

int64_t stages_elapsed_ms(const struct stages *stages)
{
    return clock_monotonic_ms(stages->clock) - stages->started_ms;
}
