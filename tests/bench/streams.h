/* Many event streams held open by one process, on one epoll. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct streams;

/* n streams of GET path at 127.0.0.1:port, each behind the event with the id last; returns when all
 * have had the first bytes of their answer. Failures end the program. */
struct streams *streams_open(int port, const char *path, const char *key, uint64_t last, size_t n);
void streams_close(struct streams *streams);

/* What streams have had until now does not count for the next streams_await(). */
void streams_forget(struct streams *streams);

/* Reads until each stream has had the text, which is short and of one write of the server, or the
 * time is over; returns how many have. */
size_t streams_await(struct streams *streams, const char *text, int timeout_ms);
