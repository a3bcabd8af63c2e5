/* Names from outside that go into file names, argument lists and configuration of other programs.
 */
#pragma once

#include <stdbool.h>

/* A DNS host name of at least two labels (RFC 1123 section 2.1), lower case, at most 253 bytes. */
bool domain_is_valid(const char *text);

/* [A-Za-z_][A-Za-z0-9_]*, at most 128 bytes, and none of the names that we give meaning to. */
bool variable_name_is_valid(const char *text);

/* [https://]host[:port][/path] of a registry, at most 253 bytes; "" is Docker Hub. */
bool registry_server_is_valid(const char *text);
bool registry_is_docker_hub(const char *server);

/* A compose service name: [a-zA-Z0-9._-]{1,63}, starting with a letter or digit. */
bool service_name_is_valid(const char *text);
