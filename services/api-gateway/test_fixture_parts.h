/* What the parts of test_fixture.h have of each other. */
#pragma once

#include "services/api-gateway/test_fixture.h"

/* The one host and its image. */
void put_host(const struct fixture *fixture);

/* As put_message(), for handlers, which may not fail a test. */
struct error *keep_message(const struct fixture *fixture, const char *key,
                           const ProtobufCMessage *message) _must_check_;
struct error *keep_index(const struct fixture *fixture, const char *set,
                         const char *member) _must_check_;

/* The scheduler's handlers, on the peer's connection. */
void fixture_subscribe_scheduler(struct fixture *fixture);
