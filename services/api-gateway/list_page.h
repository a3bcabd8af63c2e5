/* One page of a list: sorted, behind the cursor, at most so many, with where the next one begins.
 */
#pragma once

#include "services/api-gateway/list_query.h"

struct list_item {
    const char *key; /* what it is sorted by, as text */
    const char *id;  /* unique in the list */
    const void *what;
};

/* By key and id alone: that is all a cursor knows of the one it stands for. */
typedef int (*list_compare)(const struct list_item *a, const struct list_item *b);
int list_by_key(const struct list_item *a, const struct list_item *b);
int list_by_key_down(const struct list_item *a, const struct list_item *b);

/* Numbers as texts that sort like them. */
const char *list_key_of_number(struct arena *arena, uint64_t number);

/*
 * Sorts the *n items and cuts them to the page; the result points into them. Sets the headers Link
 * and Coffer-Next-Cursor unless it is the last page.
 */
struct list_item *list_page(struct request *request, struct response *response,
                            const struct list_query *query, list_compare compare,
                            struct list_item *items, size_t *n);

const char *list_cursor_new(struct arena *arena, const char *sort, const struct list_item *item);
/* False: not one that we made for this sort. */
bool list_cursor_read(struct arena *arena, const char *cursor, const char *sort,
                      const char **ret_key, const char **ret_id);
