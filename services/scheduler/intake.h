/*
 * Creates that have arrived wait here until the delivery thread has seen all that arrived with
 * them, and are then admitted together. Used by that thread only.
 */
#pragma once

#include "shared/bus/bus.h"

enum { INTAKE_MAX = 128, INTAKE_BYTES_MAX = 4 * 1024 * 1024 };

struct intake {
    struct bus_call *calls[INTAKE_MAX];
    size_t n;
    size_t bytes;
};

struct scheduler;

/* The handler of a create. */
struct error *intake_create(struct scheduler *scheduler, struct bus_call *call) _must_check_;

/* Ends what waits without an answer: the callers ask the next scheduler. */
void intake_done(struct intake *intake);
