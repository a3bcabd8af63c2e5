/* Our plain types as protobuf messages; everything lives in the arena. */
#pragma once

#include "schemas/guest.pb-c.h"
#include "services/guest-agent/certificate.h"
#include "services/guest-agent/engine.h"
#include "services/guest-agent/logs.h"
#include "services/guest-agent/stats.h"

struct message_health {
    uint64_t boot_number;
    const struct engine_container *containers;
    size_t n_containers;
    const struct certificate *certificate; /* NULL: none yet */
    bool healthy;
    const char *reason;
    int64_t at_ms;
};

const ProtobufCMessage *message_of_health(const struct message_health *health, struct arena *arena);
const ProtobufCMessage *message_of_sample(const struct stats *stats, int64_t at_ms,
                                          uint64_t boot_number, struct arena *arena);

/* Into messages that exist already: replies. */
void fill_sample(Coffer__V1__GuestSample *out, const struct stats *stats, int64_t at_ms,
                 uint64_t boot_number, struct arena *arena);
Coffer__V1__Container **messages_of_containers(const struct engine_container *containers, size_t n,
                                               struct arena *arena);
Coffer__V1__LogLine **messages_of_lines(const struct log_line *lines, size_t n,
                                        struct arena *arena);
