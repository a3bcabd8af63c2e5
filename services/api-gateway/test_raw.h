/* A client that can misbehave: bytes over a socket, and what comes back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buffer.h"

int raw_connect(uint16_t port);
bool raw_is_listening(uint16_t port);
void raw_send(int fd, const char *text); /* as much as the other side takes */
void raw_send_bytes(int fd, const void *data, size_t size);

/* Reads until the text was seen (true), or the end of the connection, or PATIENCE. */
bool raw_read_until(int fd, const char *text, struct buffer *seen);
/* Reads until the other side ends the connection; false: it did not. */
bool raw_read_to_end(int fd, struct buffer *seen);

unsigned raw_status(const struct buffer *seen); /* of the first answer; 0: none */
size_t raw_count(const struct buffer *seen, const char *text);
