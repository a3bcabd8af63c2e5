/*
 * What the guest says to the world: stages, health, log batches, samples. Durable things wait in a
 * bounded spool until the bus takes them, in order; samples are sent once or not at all. Everything
 * is signed with this boot's key; once that is attested, others can check it. Stages wait for the
 * boot number, which says whose they are; logs and samples wait for the release.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "services/guest-agent/identity.h"
#include "services/guest-agent/logs.h"
#include "shared/bus/bus.h"

#define UPLINK_SPOOL_MAX 256 /* messages; the oldest goes first when it is full */

struct uplink;

struct uplink_stage {
    const char *stage;
    const char *code;   /* NULL: done; else failed */
    const char *detail; /* NULL: none */
    uint32_t duration_ms;
    int64_t started_ms; /* since the guest's boot */
};

/* identity and logs stay the caller's and outlive it. */
struct uplink *uplink_new(struct clock *clock, struct identity *identity, struct logs *logs);
void uplink_free(struct uplink *uplink); /* the thread first */
DEFINE_CLEANUP(struct uplink *, uplink_free)

/* Names for the subjects, from the config disk's hints. Before it only stages may be said. */
void uplink_name(struct uplink *uplink, const char *host_id, const char *workload_id,
                 uint64_t generation);
/* The bus stays the caller's. */
void uplink_connect(struct uplink *uplink, struct bus *bus);
void uplink_set_boot_number(struct uplink *uplink, uint64_t boot_number);
void uplink_set_released(struct uplink *uplink);
/* Stages go out although there is no boot number: the boot ended before one. */
void uplink_speak_anyway(struct uplink *uplink);

void uplink_say_stage(struct uplink *uplink, const struct uplink_stage *stage);
/* src.guest.<h>.<w>.<kind>, durable. */
void uplink_say(struct uplink *uplink, const char *kind, const ProtobufCMessage *message);
/* stat.guest.<h>.<w>, once. */
void uplink_say_sample(struct uplink *uplink, const ProtobufCMessage *message);

uint64_t uplink_boot_number(struct uplink *uplink);

/* Sends what the bus takes now. True: everything went; false: something waits for the bus. */
bool uplink_pump(struct uplink *uplink);

/* A thread that pumps. */
struct error *uplink_start(struct uplink *uplink) _must_check_;
