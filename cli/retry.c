#include "cli/retry.h"

#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "cli/invocation.h"
#include "cli/problem.h"
#include "cli/progress.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

enum { BACK_OFF_MS = 100 };

bool retry_is_read(const char *method, const char *path)
{
    static const char *const reads[] = {
        "/api/v1/workloads/stats",          "/api/v1/workloads/logs",
        "/api/v1/workloads/plan",           "/api/v1/workload-events/list",
        "/api/v1/workload-containers/list", "/api/v1/workload-containers/logs",
    };

    if (strcmp(method, "GET") == 0)
        return true;
    for (size_t i = 0; strcmp(method, "POST") == 0 && i < ELEMENTSOF(reads); i++)
        if (strcmp(path, reads[i]) == 0)
            return true;
    return false;
}

/* Doubled each time, with up to as much by chance, so that not all come back at once. */
static unsigned back_off_ms(unsigned failures)
{
    uint8_t chance = 0;

    if (RAND_bytes(&chance, 1) != 1)
        chance = 128;
    unsigned ms = BACK_OFF_MS << failures;
    return ms + ms * chance / 256;
}

bool retry_wait(unsigned failures, const struct http_reply *reply)
{
    bool worth = reply->status ? problem_passes(reply->status, &reply->body) : reply->broken;

    if (!worth || failures >= RETRIES_MAX || reply->retry_after > RETRY_WAIT_MAX_S)
        return false;
    unsigned ms = reply->retry_after ? reply->retry_after * 1000 : back_off_ms(failures);
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    struct progress progress = progress_begin();

    progress_show(&progress, "the gateway is busy or away: again in %u.%u s", ms / 1000,
                  ms % 1000 / 100);
    nanosleep(&wait, NULL);
    progress_end(&progress);
    return true;
}

static bool is_key(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return length >= 1 && length <= IDEMPOTENCY_KEY_MAX - 4; /* room for "-999" */
}

struct error *retry_idempotency_key(unsigned n, char **ret_key)
{
    const char *given = invocation()->idempotency_key;
    char id[UUID_TEXT_SIZE];

    if (given && (!is_key(given) || n > 998))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "--idempotency-key is 1 to %d visible ASCII characters",
                         IDEMPOTENCY_KEY_MAX - 4);
    uuid_generate_text(id);
    if (given && n)
        *ret_key = xasprintf("%s-%u", given, n + 1);
    else
        *ret_key = xstrdup(given ?: id);
    return NULL;
}
