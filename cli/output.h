/* Answers of the gateway, for people and for programs. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member's text; "-" when it is missing, empty or no text. Lives as long as the object. Print it
 * with terminal_printf(): it is somebody else's. */
const char *output_text(const json_t *object, const char *name);

/* Indented JSON and a new line on stdout. Returns EXIT_OK. */
int output_json(const json_t *json);

/* The same, of any JSON, on one line that leaves at once. */
void output_json_line(const json_t *json);

enum { COLUMN_TEXT_MAX = 64 };

enum column_kind {
    COLUMN_TEXT,
    COLUMN_STATUS, /* text, in the colour of how good it is */
    COLUMN_TIME,   /* RFC 3339: how long ago; exact with -o wide */
    COLUMN_INT,
    COLUMN_USD,
};

struct column {
    const char *title;
    const char *member; /* of the row's object, "actor.keyId" of an object in it */
    enum column_kind kind;
    bool wide; /* only with -o wide */
    /* Makes the text in place of the member; returns it, or one that lives as long as the row. */
    const char *(*make)(const json_t *row, char ret_text[COLUMN_TEXT_MAX]);
};

/* A list as -o says: the first column names a row. On a terminal long cells are cut so that a row
 * fits in a line; elsewhere nothing is. Returns EXIT_OK. */
int output_list(const json_t *rows, const struct column *columns, size_t n);

/* How long ago a time (RFC 3339, UTC) was, as "5m" or "in 3d"; as it is when it is no time, "-"
 * when there is none. ret_text is used or not. */
const char *output_age(const char *time, int64_t now_ms, char ret_text[COLUMN_TEXT_MAX]);

/* Milliseconds since 1970; false: it is no RFC 3339 time in UTC. */
bool output_time(const char *text, int64_t *ret_ms);
