#include "shared/base/clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(_unused_ struct clock *clock)
{
    return read_ms(CLOCK_REALTIME);
}

static int64_t system_monotonic_ms(_unused_ struct clock *clock)
{
    return read_ms(CLOCK_MONOTONIC);
}

static const struct clock_ops system_ops = {system_wall_ms, system_monotonic_ms};

struct clock *clock_system(void)
{
    static struct clock clock = {&system_ops};

    return &clock;
}

static int64_t fake_now_ms(struct clock *clock)
{
    return ((struct clock_fake *)clock)->now_ms;
}

static const struct clock_ops fake_ops = {fake_now_ms, fake_now_ms};

void clock_fake_init(struct clock_fake *clock, int64_t now_ms)
{
    *clock = (struct clock_fake){.base = {&fake_ops}, .now_ms = now_ms};
}

void clock_fake_advance(struct clock_fake *clock, int64_t ms)
{
    clock->now_ms += ms;
}

void clock_format(int64_t wall_ms, char ret_text[CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char head[32];

    gmtime_r(&seconds, &parts);
    strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(ret_text, CLOCK_TEXT_SIZE, "%.19s.%03uZ", head, (unsigned)(wall_ms % 1000) % 1000u);
}
