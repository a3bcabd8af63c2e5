/*
 * Names on the bus (DESIGN section 4): the one table of subject patterns and their message
 * types, and builders that cannot make a malformed subject.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared/base/error.h"

#define SUBJECT_MAX 256

/* One row: "evt.workload.*.*" carries coffer.v1.WorkloadEvent. */
struct subject_row {
    const char *pattern;
    const ProtobufCMessageDescriptor *message; /* what is published */
    const ProtobufCMessageDescriptor *reply;   /* what answers a request; NULL: no reply */
};
extern const struct subject_row subject_table[]; /* ends with pattern NULL */

/* The row whose pattern matches the subject; NULL when there is none. */
const struct subject_row *subject_find(const char *subject);

/* NATS matching: '*' is one token, '>' the rest. */
bool subject_matches(const char *pattern, const char *subject);

/* Joins tokens with dots; each token must match [a-zA-Z0-9_-]{1,63}: INVALID_ARGUMENT otherwise. */
struct error *subject_build(char ret_subject[SUBJECT_MAX], const char *first, ...) _must_check_
    __attribute__((sentinel));

/* Copies token number index (from 0) of the subject; false when there is no such token. */
bool subject_token(const char *subject, size_t index, char *ret_token, size_t size);

/*
 * A name of the outside (a compose service) as one token of [a-z0-9-]: itself when it fits,
 * otherwise "x-" and lower-case hex of its first 30 bytes. Two names differ in their tokens unless
 * their first 30 bytes are equal.
 */
void subject_encode_name(const char *name, char ret_token[64]);
