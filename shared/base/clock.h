/* Time as a port, so that tests move it by hand. */
#pragma once

#include <stdint.h>

#include "shared/base/cleanup.h"

struct clock;

struct clock_ops {
    int64_t (*wall_ms)(struct clock *clock);      /* Unix time, milliseconds */
    int64_t (*monotonic_ms)(struct clock *clock); /* never goes back */
};

struct clock {
    const struct clock_ops *ops;
};

static inline int64_t clock_wall_ms(struct clock *clock)
{
    return clock->ops->wall_ms(clock);
}

static inline int64_t clock_monotonic_ms(struct clock *clock)
{
    return clock->ops->monotonic_ms(clock);
}

struct clock *clock_system(void); /* static, shared, never freed */

/* A clock that stands still until it is moved. */
struct clock_fake {
    struct clock base;
    _Atomic int64_t now_ms; /* read by threads of what is tested */
};
void clock_fake_init(struct clock_fake *clock, int64_t now_ms);
void clock_fake_advance(struct clock_fake *clock, int64_t ms);

/* RFC 3339 in UTC with milliseconds; text has room for 25 bytes. */
#define CLOCK_TEXT_SIZE 25
void clock_format(int64_t wall_ms, char ret_text[CLOCK_TEXT_SIZE]);
