/*
 * Durable messages that the bus has not acknowledged yet, in order, as files in <state>/spool.
 * Bounded: when full, the oldest is dropped and counted (the heartbeat still carries the state).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define SPOOL_MAX      4096
#define SPOOL_ITEM_MAX (64 * 1024)

struct spool;

struct error *spool_open(const char *state_dir, struct spool **ret_spool) _must_check_;
void spool_free(struct spool *spool);
DEFINE_CLEANUP(struct spool *, spool_free)

/* message_id: [a-zA-Z0-9.-]{1,128}. An id that is in the spool already is success. Thread-safe. */
struct error *spool_add(struct spool *spool, const char *message_id, const void *data,
                        size_t size) _must_check_;

/* The oldest; false: empty. Caller frees *ret_message_id and the buffer. */
bool spool_peek(struct spool *spool, char **ret_message_id, struct buffer *ret_data);

/* Forgets the oldest, if it is still this one. */
void spool_drop(struct spool *spool, const char *message_id);

/* Waits for something to be there: false after timeout_ms or spool_wake(). */
bool spool_wait(struct spool *spool, int timeout_ms);
void spool_wake(struct spool *spool);
uint64_t spool_lost(struct spool *spool); /* dropped for want of room */
