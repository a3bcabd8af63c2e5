/* Answers of the gateway, for people and for programs. */
#pragma once

#include <jansson.h>

/* A member's text; "-" when it is missing, empty or no text. Lives as long as the object. */
const char *output_text(const json_t *object, const char *name);

/* Indented JSON and a new line on stdout. Returns EXIT_OK. */
int output_json(const json_t *json);
