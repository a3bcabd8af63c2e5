/* The Docker Engine API over its unix socket: whole answers and streams. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define DOCKER_API_VERSION "/v1.41" /* Docker 20.10 and later */

/* path starts behind the version, for example "/containers/json?all=1". An answer of 400 or more
 * is an error with the engine's message: NOT_FOUND for 404, INTERNAL otherwise. */
struct error *docker_api_get(const char *socket, const char *path, size_t max,
                             struct buffer *ret_body) _must_check_;

/* Posts a file as the body, streamed. */
struct error *docker_api_post_file(const char *socket, const char *path, const char *file,
                                   struct buffer *ret_body) _must_check_;

/* False from on_data ends the reading without an error; so does *stop within a second. */
struct error *docker_api_stream(const char *socket, const char *path,
                                bool (*on_data)(void *data, const void *bytes, size_t size),
                                void *data, const atomic_bool *stop) _must_check_;
