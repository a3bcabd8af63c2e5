/* A signed question to a guest; the answer counts only when the attested key signed it. */
#pragma once

#include "services/api-gateway/workloads.h"

/* The reason of an error that says no more than that it did not answer, or not what was asked. */
#define GUEST_AWAY "guest_away"

/*
 * verb: "stats", "containers", "logs". FAILED_PRECONDITION: the guest is not attested (yet).
 * DATA_LOSS: an answer came that the guest did not sign. *ret_answer lives in the arena.
 */
struct error *guest_call(struct request *request, const Coffer__V1__Workload *workload,
                         const char *verb, const ProtobufCMessage *question,
                         const ProtobufCMessageDescriptor *answer_type,
                         void **ret_answer) _must_check_;

/* PERMISSION_DENIED unless the message is signed by this Ed25519 key. */
struct error *guest_verify(const struct bus_message *message, const ProtobufCBinaryData *public_key,
                           struct arena *arena) _must_check_;
