/* A container engine for tests: remembers what it was asked, answers what it was told. */
#pragma once

#include "services/guest-agent/engine.h"

#define ENGINE_FAKE_CALLS 64

struct engine_fake {
    struct engine base;
    char *calls[ENGINE_FAKE_CALLS]; /* "login registry.test user password", "pull", "up" ... */
    size_t n_calls;
    char *environment; /* of the last compose call, one variable a line */

    /* What fails next: the call's first word; its error; how often (-1: always). */
    const char *fail_call;
    enum error_code fail_code;
    const char *fail_text;
    int fail_times;

    const char *user_model;   /* JSON */
    const char *merged_model; /* JSON; NULL: the user's */
    const char *digests[4];
    size_t n_digests;
    struct engine_container containers[8];
    size_t n_containers;
    const char *log_lines[8]; /* of any container */
    size_t n_log_lines;
};

void engine_fake_init(struct engine_fake *fake);
void engine_fake_done(struct engine_fake *fake);
/* How often a call that starts so was made. */
size_t engine_fake_count(const struct engine_fake *fake, const char *call);
