#include "shared/collateral/flight.h"

#include <pthread.h>

#include "shared/base/alloc.h"

struct flight {
    struct flight *next;
    char *key;
    unsigned users; /* the last one frees it */
    bool done;
    struct item item;
    enum error_code code; /* ERROR_OK: item is there */
    char *text;
};

struct flights {
    pthread_mutex_t lock; /* of the list and all in it */
    pthread_cond_t landed;
    struct flight *list; /* those not done */
};

struct flights *flights_new(void)
{
    struct flights *flights = xnew(struct flights);

    pthread_mutex_init(&flights->lock, NULL);
    pthread_cond_init(&flights->landed, NULL);
    return flights;
}

void flights_free(struct flights *flights)
{
    if (!flights)
        return;
    pthread_cond_destroy(&flights->landed);
    pthread_mutex_destroy(&flights->lock);
    free(flights);
}

static struct flight *find(const struct flights *flights, const char *key)
{
    struct flight *flight = flights->list;

    while (flight && strcmp(flight->key, key) != 0)
        flight = flight->next;
    return flight;
}

static void take_off_list(struct flights *flights, const struct flight *flight)
{
    struct flight **at = &flights->list;

    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
}

static struct flight *start(struct flights *flights, const char *key)
{
    struct flight *flight = xnew(struct flight);

    flight->key = xstrdup(key);
    flight->next = flights->list;
    flights->list = flight;
    return flight;
}

/* Lock held; given back while fn works. */
static void lead(struct flights *flights, struct flight *flight, flight_fn *fn, void *data)
{
    struct item item = {};

    pthread_mutex_unlock(&flights->lock);
    struct error *err = fn(data, &item);
    pthread_mutex_lock(&flights->lock);
    flight->item = item;
    flight->code = error_get_code(err);
    flight->text = err ? xstrdup(error_text(err)) : NULL;
    error_free(err);
    flight->done = true;
    take_off_list(flights, flight);
    pthread_cond_broadcast(&flights->landed);
}

static void leave(struct flight *flight)
{
    if (--flight->users > 0)
        return;
    item_done(&flight->item);
    free(flight->text);
    free(flight->key);
    free(flight);
}

struct error *flights_do(struct flights *flights, const char *key, flight_fn *fn, void *data,
                         struct item *ret_item)
{
    struct error *err = NULL;

    pthread_mutex_lock(&flights->lock);
    struct flight *flight = find(flights, key);
    bool leads = !flight;
    if (leads)
        flight = start(flights, key);
    flight->users++;
    if (leads)
        lead(flights, flight, fn, data);
    while (!flight->done)
        pthread_cond_wait(&flights->landed, &flights->lock);
    if (flight->text)
        err = error_new(flight->code, "%s", flight->text);
    else
        item_copy(&flight->item, ret_item);
    leave(flight);
    pthread_mutex_unlock(&flights->lock);
    return err;
}
