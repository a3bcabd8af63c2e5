/* What a container tool's standard error says, for people and for programs. */
#pragma once

#include "shared/base/error.h"

/*
 * UNAUTHENTICATED: the registry refused the login. NOT_FOUND: no such image. INVALID_ARGUMENT: the
 * project is not valid. UNAVAILABLE: the network or the registry; worth trying again. INTERNAL
 * when nothing of it is recognised.
 */
enum error_code engine_words_code(const char *errors);

/* The part that matters: from its last line that starts with "Error", else its last 3,000 bytes. */
const char *engine_last_words(const char *errors);
