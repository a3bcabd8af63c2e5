/* Hex, base64 and names, with bounds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

/* Lower-case hex of size bytes; text has room for 2 * size + 1. */
void hex_encode(const void *data, size_t size, char *ret_text);
char *hex_encode_new(const void *data, size_t size); /* caller frees */

/* Exactly size bytes from exactly 2 * size hex digits of either case; INVALID_ARGUMENT otherwise.
 */
struct error *hex_decode(const char *text, void *ret_data, size_t size) _must_check_;

char *base64_encode_new(const void *data, size_t size);    /* RFC 4648 section 4; caller frees */
char *base64url_encode_new(const void *data, size_t size); /* section 5, no padding; caller frees */

/*
 * Strict RFC 4648 section 4: padding required, no white space, result at most max bytes. Caller
 * frees *ret_data (never NULL on success, NUL behind the bytes). INVALID_ARGUMENT otherwise.
 */
struct error *base64_decode_new(const char *text, size_t max, uint8_t **ret_data,
                                size_t *ret_size) _must_check_;

/* [a-z0-9-]{1,63}, not starting or ending with '-': ids, host names, container names on the bus. */
bool name_is_valid(const char *text);

/* A random lower-case UUID, version 4 (RFC 9562 section 5.4). */
#define UUID_TEXT_SIZE 37
void uuid_generate_text(char ret_text[UUID_TEXT_SIZE]);
