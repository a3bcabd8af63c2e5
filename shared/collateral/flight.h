/* Single flight: of all threads that want the same object at the same time one gets it, the others
 * wait and share what it got, failure included. */
#pragma once

#include "shared/base/error.h"
#include "shared/collateral/item.h"

struct flights;
struct flights *flights_new(void);
void flights_free(struct flights *flights); /* no thread is in flights_do() any more */
DEFINE_CLEANUP(struct flights *, flights_free)

typedef struct error *flight_fn(void *data, struct item *ret_item);

/* Calls fn, or waits for the thread that does for this key. The item is the caller's. */
struct error *flights_do(struct flights *flights, const char *key, flight_fn *fn, void *data,
                         struct item *ret_item) _must_check_;
