/*
 * Memory that belongs to one request: allocate, never free, all gone at once with the arena.
 * It is also protobuf-c's allocator, so unpacked messages and reply strings live in it.
 * An arena is used by one thread at a time.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "shared/base/cleanup.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena); /* wipes what it held: payloads may carry secrets */
DEFINE_CLEANUP(struct arena *, arena_free)
void arena_reset(struct arena *arena); /* as new, wiped; keeps a little memory for its next use */

void *arena_alloc(struct arena *arena, size_t size); /* zeroed, 16-byte aligned, never NULL */
void *arena_memdup(struct arena *arena, const void *data, size_t size);
char *arena_strdup(struct arena *arena, const char *text); /* NULL gives "" (protobuf-c) */
char *arena_printf(struct arena *arena, const char *fmt, ...) _printf_(2, 3);

/* Lives as long as the arena; its free does nothing. */
ProtobufCAllocator *arena_allocator(struct arena *arena);

/* A protobuf-c bytes field with a copy of the data. */
ProtobufCBinaryData arena_bytes(struct arena *arena, const void *data, size_t size);
