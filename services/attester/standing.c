#include "services/attester/standing.h"

#include <pthread.h>
#include <string.h>

#include "shared/base/alloc.h"

struct standing {
    struct evidence_maker *maker;
    struct live_key *key;
    pthread_mutex_t mutex; /* of evidence */
    struct evidence *evidence;
};

struct standing *standing_new(struct evidence_maker *maker, struct live_key *key)
{
    struct standing *standing = xnew(struct standing);

    standing->maker = maker;
    standing->key = key;
    pthread_mutex_init(&standing->mutex, NULL);
    return standing;
}

void standing_free(struct standing *standing)
{
    if (!standing)
        return;
    evidence_unref(standing->evidence);
    pthread_mutex_destroy(&standing->mutex);
    free(standing);
}

static bool fits(const struct evidence *evidence, const uint8_t spki_sha256[32])
{
    return evidence && memcmp(evidence->spki_sha256, spki_sha256, 32) == 0;
}

/* With the mutex held. The key is asked for again after the report: it may have changed. */
static struct error *renew(struct standing *standing, const uint8_t spki_sha256[32])
{
    struct evidence *evidence = NULL;
    uint8_t after[32];

    evidence_unref(TAKE_PTR(standing->evidence));
    struct error *err = evidence_make(standing->maker, spki_sha256, NULL, 0, &evidence);
    if (!err)
        err = live_key_get(standing->key, after);
    if (!err && !fits(evidence, after))
        err = error_new(ERROR_UNAVAILABLE, "the TLS key has just changed");
    if (err)
        evidence_unref(evidence);
    else
        standing->evidence = evidence;
    return err;
}

static struct error *get(struct standing *standing, bool *ret_new, struct evidence **ret_evidence)
{
    uint8_t spki_sha256[32];

    pthread_mutex_lock(&standing->mutex);
    struct error *err = live_key_get(standing->key, spki_sha256);
    bool have = !err && fits(standing->evidence, spki_sha256);
    if (!err && !have)
        err = renew(standing, spki_sha256);
    if (!err) {
        *ret_new = !have;
        *ret_evidence = evidence_ref(standing->evidence);
    }
    pthread_mutex_unlock(&standing->mutex);
    return err;
}

struct error *standing_refresh(struct standing *standing, bool *ret_new)
{
    _cleanup_(evidence_unrefp) struct evidence *evidence = NULL;

    return get(standing, ret_new, &evidence);
}

void standing_serve(void *context, _unused_ const uint8_t (*nonces)[32], size_t n,
                    struct reply *replies)
{
    struct standing *standing = context;
    _cleanup_(evidence_unrefp) struct evidence *evidence = NULL;
    bool is_new;

    _cleanup_(error_freep) struct error *err = get(standing, &is_new, &evidence);
    for (size_t i = 0; i < n; i++) {
        if (err) {
            replies[i].err = error_new(error_get_code(err), "%s", error_text(err));
            continue;
        }
        replies[i].evidence = evidence_ref(evidence);
        evidence_answer(standing->maker, evidence, NULL, &replies[i].binding);
    }
}
