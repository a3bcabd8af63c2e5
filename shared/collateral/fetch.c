#include "shared/collateral/fetch.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/collateral/http_get.h"

#define TIMEOUT_MS 20000

struct failure {
    char *path; /* NULL: free */
    enum error_code code;
    int64_t until_ms; /* monotonic */
};

struct fetcher {
    struct fetcher_options options;
    pthread_mutex_t lock; /* of failures */
    struct failure failures[FETCH_REMEMBERED_MAX];
};

struct fetcher *fetcher_new(const struct fetcher_options *options)
{
    struct fetcher *fetcher = xnew(struct fetcher);

    fetcher->options = *options;
    fetcher->options.base_url = xstrdup(options->base_url);
    fetcher->options.ca_file = xstrdup(options->ca_file);
    pthread_mutex_init(&fetcher->lock, NULL);
    return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    for (size_t i = 0; i < FETCH_REMEMBERED_MAX; i++)
        free(fetcher->failures[i].path);
    pthread_mutex_destroy(&fetcher->lock);
    free((char *)fetcher->options.base_url);
    free((char *)fetcher->options.ca_file);
    free(fetcher);
}

static int64_t now_ms(const struct fetcher *fetcher)
{
    return clock_monotonic_ms(fetcher->options.clock);
}

/* Forgets what is over; the entry of this path, else a free one, else NULL. Lock held. */
static struct failure *find(struct fetcher *fetcher, const char *path)
{
    struct failure *room = NULL, *found = NULL;

    for (size_t i = 0; i < FETCH_REMEMBERED_MAX; i++) {
        struct failure *failure = &fetcher->failures[i];

        if (failure->path && failure->until_ms <= now_ms(fetcher)) {
            free(failure->path);
            *failure = (struct failure){};
        }
        if (!failure->path)
            room = failure;
        else if (strcmp(failure->path, path) == 0)
            found = failure;
    }
    return found ? found : room;
}

static struct error *check_failures(struct fetcher *fetcher, const char *path)
{
    struct error *err = NULL;

    pthread_mutex_lock(&fetcher->lock);
    const struct failure *failure = find(fetcher, path);
    if (!failure)
        err = error_new(ERROR_RESOURCE_EXHAUSTED, "too many objects were asked for in vain");
    else if (failure->path)
        err = error_new(failure->code, "failed just now, asked again in %lld s",
                        (long long)(failure->until_ms - now_ms(fetcher)) / 1000 + 1);
    pthread_mutex_unlock(&fetcher->lock);
    return err;
}

static void remember(struct fetcher *fetcher, const char *path, enum error_code code, int64_t ms)
{
    pthread_mutex_lock(&fetcher->lock);
    struct failure *failure = find(fetcher, path);
    if (failure) { /* else others filled it meanwhile: nothing is asked then */
        free(failure->path);
        *failure = (struct failure){xstrdup(path), code, now_ms(fetcher) + ms};
    }
    pthread_mutex_unlock(&fetcher->lock);
}

static bool pause_ms(const struct fetcher *fetcher, int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    if (fetcher->options.pause)
        return fetcher->options.pause(fetcher->options.data, ms);
    while (nanosleep(&left, &left) < 0)
        ;
    return true;
}

/* Half to all of it: clients that failed together do not come back together. */
static int64_t jitter(int64_t ms)
{
    uint16_t random = 0;

    if (RAND_bytes((uint8_t *)&random, sizeof(random)) != 1)
        random = UINT16_MAX;
    return ms / 2 + ms / 2 * random / UINT16_MAX;
}

/* What one attempt came to. err NULL: done. */
struct outcome {
    struct error *err;
    bool again;
    int64_t retry_after_ms;
};

static struct outcome judge(const struct http_get_reply *reply)
{
    struct outcome outcome = {.retry_after_ms = reply->retry_after_ms};

    if (reply->status == 200 && reply->body.size > 0)
        return outcome;
    outcome.again = reply->status == 429 || reply->status >= 500 || reply->status == 200;
    if (reply->status == 200)
        outcome.err = error_new(ERROR_UNAVAILABLE, "an empty answer");
    else if (reply->status == 404)
        outcome.err = error_new(ERROR_NOT_FOUND, "not known there (404)");
    else
        outcome.err = error_new(outcome.again ? ERROR_UNAVAILABLE : ERROR_FAILED_PRECONDITION,
                                "answered with status %ld", reply->status);
    return outcome;
}

static struct outcome attempt(const struct fetcher *fetcher, const char *path, size_t max,
                              struct buffer *ret_body)
{
    _cleanup_free_ char *url = xasprintf("%s%s", fetcher->options.base_url, path);
    _cleanup_(http_get_reply_done) struct http_get_reply reply = {};
    const struct http_get_request request = {
        .url = url,
        .ca_file = fetcher->options.ca_file,
        .allow_http = fetcher->options.allow_http,
        .max = max,
        .timeout_ms = fetcher->options.timeout_ms ? fetcher->options.timeout_ms : TIMEOUT_MS,
    };

    struct error *err = http_get(&request, &reply);
    if (err)
        return (struct outcome){err, error_get_code(err) == ERROR_UNAVAILABLE, 0};
    struct outcome outcome = judge(&reply);
    if (!outcome.err)
        buffer_add(ret_body, reply.body.data, reply.body.size);
    return outcome;
}

/* How long a failure keeps us from asking again. */
static int64_t remember_ms(const struct outcome *outcome)
{
    int64_t ms =
        error_get_code(outcome->err) == ERROR_NOT_FOUND ? FETCH_NOT_FOUND_MS : FETCH_FAILED_MS;

    if (outcome->retry_after_ms > ms)
        ms = outcome->retry_after_ms;
    return ms < FETCH_REMEMBER_MS ? ms : FETCH_REMEMBER_MS;
}

/* Before attempt number i (from 1); 0: no more attempts. */
static int64_t pause_before(const struct outcome *outcome, unsigned i)
{
    if (!outcome->again || i >= FETCH_ATTEMPTS || outcome->retry_after_ms > FETCH_PAUSE_MAX_MS)
        return 0;
    int64_t ms = jitter((int64_t)FETCH_PAUSE_MS << (i - 1));
    return outcome->retry_after_ms > ms ? outcome->retry_after_ms : ms;
}

struct error *fetcher_get(struct fetcher *fetcher, const char *path, size_t max,
                          struct buffer *ret_body)
{
    struct error *err = check_failures(fetcher, path);

    if (err)
        return error_wrap(err, "'%s'", path);
    for (unsigned i = 1;; i++) {
        struct outcome outcome = attempt(fetcher, path, max, ret_body);
        if (!outcome.err)
            return NULL;
        int64_t ms = pause_before(&outcome, i);
        if (ms == 0) {
            remember(fetcher, path, error_get_code(outcome.err), remember_ms(&outcome));
            return error_wrap(outcome.err, "'%s'", path);
        }
        error_free(outcome.err);
        if (!pause_ms(fetcher, ms))
            return error_new(ERROR_CANCELLED, "'%s': given up while waiting", path);
    }
}

void fetcher_refuse(struct fetcher *fetcher, const char *path)
{
    remember(fetcher, path, ERROR_UNAVAILABLE, FETCH_FAILED_MS);
}
