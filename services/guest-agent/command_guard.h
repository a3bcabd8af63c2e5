/*
 * Who may command this guest: the release authority, and the gateway when the bundle named it. A
 * command is signed over subject, counter and payload; each key's counter only rises, so a host
 * that kept an old command cannot play it again, and none is older than a minute.
 */
#pragma once

#include "shared/base/clock.h"
#include "shared/bus/bus.h"

#define COMMAND_AGE_MAX_MS (60 * 1000)

struct command_guard {
    struct clock *clock;
    struct {
        uint8_t public[32];
        uint64_t last_counter;
    } keys[2];
    size_t n_keys;
    uint64_t refused;
};

void command_guard_init(struct command_guard *guard, struct clock *clock);
void command_guard_allow(struct command_guard *guard, const uint8_t public[32]);

/* PERMISSION_DENIED, with its reason, and counted. Called on the delivery thread only. */
struct error *command_guard_check(struct command_guard *guard, const struct bus_message *message,
                                  int64_t issued_at_ms) _must_check_;
