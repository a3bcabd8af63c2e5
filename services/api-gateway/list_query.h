/*
 * What every list takes: a page (limit, cursor), a sort, and filters.
 *
 * The cursor names the last thing of the page before by its place in the order, key and id, not by
 * its number: whatever comes and goes between two pages, nothing else is told twice or left out. It
 * is opaque to callers, and bound to the sort it was made for.
 */
#pragma once

#include "services/api-gateway/form.h"

enum { LIST_LIMIT_MAX = 1000 };

struct list_query {
    const char *const *arguments; /* what the list takes besides limit and cursor; NULL ends */
    size_t limit;                 /* 0: all */
    const char *sort;             /* "" unless given */
    const char *after_key;        /* NULL: from the beginning */
    const char *after_id;
    unsigned seen;    /* a bit for each argument that was given, and two for limit and cursor */
    struct form form; /* collects what is wrong with the filters */
};

/* Reads limit, cursor and sort, and finds unknown arguments; what is wrong are findings, told by
 * list_query_result(). Texts live with the request. */
void list_query_read(struct request *request, const char *const *arguments,
                     struct list_query *ret_query);

/* Only the unknown ones, for a list with a limit and cursor of its own kind. */
void list_query_find_unknown(struct request *request, const char *const *arguments,
                             struct list_query *ret_query);

/* A filter's value; NULL: not given. */
const char *list_query_text(const struct list_query *query, const char *name);
/* A finding when it is no time; false: not given, or wrong. */
bool list_query_time(struct list_query *query, const char *name, int64_t *ret_ms);
/* "true" or "false", a finding otherwise; whether it was given. */
bool list_query_bool(struct list_query *query, const char *name, bool *ret_value);
/* Anything else that is wrong with an argument. */
void list_query_find(struct list_query *query, const char *name, const char *what, const char *fix);

/* 400 INVALID_PAYLOAD with the findings, if there are any. */
struct error *list_query_result(struct list_query *query) _must_check_;
