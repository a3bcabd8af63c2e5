/*
 * One attempt of a delivery, with libcurl. It goes where the webhook's URL says and nowhere else:
 * no redirects, no proxy, no address that is not public, and what comes back is not kept.
 */
#pragma once

#include <curl/curl.h>

#include "services/api-gateway/webhook_queue.h"

enum { WEBHOOK_ANSWER_MAX = 4 * 1024 }; /* bytes of the answer that are read */

struct webhook_call {
    CURL *curl;
    struct arena *arena; /* of the claim */
    struct webhook_claim claim;
    struct curl_slist *headers;
    size_t received;
    bool insecure;
    bool closed_address; /* the name leads to an address that is not public */
};

struct webhook_call_options {
    const struct box_key *key; /* of the secrets */
    int64_t now_ms;            /* wall clock */
    uint64_t timeout_ms;
    bool insecure; /* GATEWAY_WEBHOOK_INSECURE */
};

/* Takes the arena when it succeeds. */
struct error *webhook_call_new(const struct webhook_claim *claim, struct arena *arena,
                               const struct webhook_call_options *options,
                               struct webhook_call **ret_call) _must_check_;
void webhook_call_free(struct webhook_call *call);
DEFINE_CLEANUP(struct webhook_call *, webhook_call_free)

/* How it ended; texts are the arena's or live for ever. */
struct webhook_outcome webhook_call_outcome(struct webhook_call *call, CURLcode code);
